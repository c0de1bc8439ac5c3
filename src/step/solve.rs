//! The dispatches that find the weights of the tasks, and those of their state.

use super::balance::groups;
use super::balancing::{state_len, weights_len};
use super::builder::Builder;
use crate::config::{Acts, Balancer, Normalize};
use crate::kernels::params::{self, NONE, Solve, solve};
use crate::kernels::{self, Kernel};
use crate::objective::balance::Method;
use crate::schedule::{Buffer, Dispatch, slices};

/// The largest number of tasks that solvers for software adapters have room for.
const MOST_DIRECT: usize = 32;

impl Builder<'_> {
    /// Whether a solve needs the losses of the batch.
    pub(super) fn needs_losses(&self) -> bool {
        let balance = &self.objective.balance;
        matches!(balance.normalize, Normalize::Loss | Normalize::LossNorm)
            || (matches!(balance.method.acts(), Acts::Losses | Acts::Before | Acts::Sizes)
                && !matches!(balance.method, Balancer::Random))
    }

    /// The rule by which numbers of the state are learned, and its numbers β1, β2 and ε.
    pub(super) fn rule(&self) -> (u32, [f64; 3]) {
        const ADAM: (bool, [f64; 3]) = (false, [0.9, 0.999, 1e-8]);
        let (descends, numbers) = self.optimizer.map_or(ADAM, |kind| kind.rule());
        (u32::from(descends), numbers)
    }

    /// Finds the weights; `after` is the second part of a method that looks at the losses after the
    /// update.
    pub(super) fn solve(&self, after: bool) -> Option<Dispatch> {
        let (b, method) = (&self.scene.buffers, self.method()?);
        let (kernel, parameters) = (self.solving(method), self.problem(method, after));
        let dispatch = Dispatch::new(kernel, method.name(), parameters, [1, 1, 1])
            .constant("TASKS", self.objectives() as f64)
            .constant("METHOD", f64::from(parameters.method))
            .bind([("gramian", b.balance.gramian), ("partials", b.partials)])
            .bind([("next_balance", b.balance.next_balance)]);
        Some(match kernel.name {
            "loss_weights" => self.weigh_losses(dispatch, &parameters, after),
            _ => self.weigh_gradients(dispatch, kernel, method),
        })
    }

    /// The parameters of a solver.
    fn problem(&self, method: &dyn Method, after: bool) -> Solve {
        let (at, tasks) = (self.gramian(), self.objectives());
        let balancer = self.objective.balance.method;
        let [a, b] = method.numbers(balancer);
        let (rule, [beta1, beta2, eps]) = if after { (0, [0.9, 0.999, 1e-8]) } else { self.rule() };
        let inverses = self.scene.counts.map(|first| (first + 2 * self.tasks()) as u32);
        Solve {
            tasks: tasks as u32,
            method: if after { solve::FAMO_AFTER } else { method.code(balancer) },
            scaled: at.scaled() as u32,
            losses: at.losses() as u32,
            inverses: inverses.unwrap_or(NONE),
            weights: self.weights as u32,
            state: state_len(self.objective, tasks) as u32,
            flag: self.loss_flags,
            per_epoch: self.objective.per_epoch.min(u64::from(u32::MAX)) as u32,
            rule,
            a,
            b,
            beta1: beta1 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            eps: eps as f32,
        }
    }

    /// Weights from losses, or from sizes of gradients.
    fn weigh_losses(&self, dispatch: Dispatch, p: &Solve, after: bool) -> Dispatch {
        let (b, of) = (&self.scene.buffers, &self.scene.buffers.balance);
        let (at, tasks, balancer) = (self.gramian(), self.tasks(), self.objective.balance.method);
        let before = balancer.acts() == Acts::Before;
        let by_size = matches!(balancer.acts(), Acts::Before | Acts::Sizes);
        let losses = self.run(of.gramian, at.losses(), if after { 2 * tasks } else { tasks });
        let scaled = self.run(of.gramian, at.scaled(), at.scaled() + tasks);
        let inverses = (p.inverses != NONE).then_some((p.inverses as usize, tasks));
        let uses_losses = !matches!(balancer, Balancer::Random);
        let next = self.run(of.next_balance, 0, p.state as usize);
        let dispatch = dispatch
            .constant("COUNTED", f64::from(u8::from(inverses.is_some())))
            .constant("DESCENT", f64::from(p.rule))
            .bind([("preferences", of.preferences), ("balance", of.balance)])
            .bind([("flags", b.flags)])
            .reads(losses.into_iter().filter(|_| uses_losses))
            .reads(scaled.into_iter().filter(|_| by_size))
            .reads(slices(b.partials, inverses))
            .reads([self.program.whole(of.preferences)])
            .reads([self.program.whole(of.balance)]);
        match (after, before) {
            (true, _) => dispatch.updates(next),
            (_, true) => dispatch.overwrites(next),
            _ => dispatch.overwrites(next).overwrites(self.run(b.partials, self.weights, tasks)),
        }
    }

    /// Weights from the products of gradients, and how far they are from a solution.
    fn weigh_gradients(
        &self,
        dispatch: Dispatch,
        kernel: &Kernel,
        method: &dyn Method,
    ) -> Dispatch {
        let (b, of) = (&self.scene.buffers, &self.scene.buffers.balance);
        let (at, tasks) = (self.gramian(), self.objectives());
        let dispatch = dispatch
            .reads(self.run(of.gramian, at.scaled(), at.scaled() + tasks))
            .overwrites(self.run(of.next_balance, 0, state_len(self.objective, tasks)))
            .overwrites(self.run(b.partials, self.weights, tasks + 1));
        // The residual of a method without one is 0, which nobody reads.
        let dispatch = match self.objective.balance.method.has_residual() {
            true => dispatch,
            false => dispatch.in_part(),
        };
        match kernel.name {
            "pairwise_projection" => dispatch
                .bind([("balance", of.balance), ("work", of.work)])
                .reads(self.run(of.balance, tasks + 1, method.state(tasks))),
            "conflict_averse" => dispatch,
            _ if kernel.direct => dispatch,
            _ => dispatch.bind([("work", of.work)]),
        }
    }

    /// The kernel of a method for these tasks.
    fn solving(&self, method: &dyn Method) -> &'static Kernel {
        match self.objectives() <= MOST_DIRECT {
            true => self.scene.tuning.kernel(method.kernel()),
            false => method.kernel(),
        }
    }

    /// Takes the weights from the state of the step before.
    pub(super) fn recall(&self) -> Option<Dispatch> {
        self.method()?;
        let count = weights_len(self.objective, self.objectives());
        let b = &self.scene.buffers;
        let parameters = params::CopyNumbers {
            count: count as u32,
            first: 0,
            target_first: self.weights as u32,
            latched: 0,
        };
        let grid = [groups(count), 1, 1];
        Some(
            Dispatch::new(&kernels::copy_numbers, "weights as before", parameters, grid)
                .bind([("source", b.balance.balance), ("copied", b.partials)])
                .bind([("flags", b.flags)])
                .reads(self.run(b.balance.balance, 0, count))
                .overwrites(self.run(b.partials, self.weights, count)),
        )
    }

    /// Keeps the new state, unless a value was not finite.
    pub(super) fn keep(&self) -> Vec<Dispatch> {
        let b = self.b();
        let state = self.method().map(|_| ("state", b.next_balance, b.balance));
        let memory = self.memory().map(|_| ("memory", b.next_memory, b.memory));
        let kept = |(label, from, to): (&str, Buffer, Buffer)| {
            let len = self.program.buffers[to.0].len;
            let parameters =
                params::CopyNumbers { count: len as u32, first: 0, target_first: 0, latched: 1 };
            Dispatch::new(&kernels::copy_numbers, label, parameters, [groups(len), 1, 1])
                .bind([("source", from), ("copied", to)])
                .bind([("flags", self.scene.buffers.flags)])
                .reads([self.program.whole(from)])
                .updates([self.program.whole(to)])
        };
        state.into_iter().chain(memory).map(kept).collect()
    }
}
