//! The combined loss `L = Σ w_i L_i + Σ λ L(T_i, T_j)`: weights of tasks and coupled pairs.

use anyhow::Result;

use super::balance::{METHODS, Method};
use super::coupling::{Coupling, Pair, Phase};
use super::couplings::COUPLINGS;
use crate::config;
use crate::fault::Fault;
use crate::model::network::{Head, Network};

/// The name of the couplings, where they are an objective among the tasks.
const COUPLINGS_NAME: &str = "couplings";

/// The combined loss.
#[derive(Clone, Debug)]
pub struct Objective {
    /// w_i, one weight per task.
    pub weights: Vec<f32>,
    /// The coupled pairs, in the order of the configuration.
    pub pairs: Vec<Pair>,
    /// Factor of the entropy of the gates.
    pub entropy: f64,
    /// How the tasks are balanced.
    pub balance: config::Balance,
    /// Steps of an epoch, for methods that compare epochs.
    pub per_epoch: u64,
}

impl Objective {
    /// The objective of a configuration.
    ///
    /// # Errors
    /// 78 if a kind of coupling does not apply to a pair that was named, or to no pair at all, or
    /// if the objective cannot be balanced as the configuration says; the message says why.
    pub fn new(config: &config::Config, network: &Network) -> Result<Objective> {
        let weights = config.tasks.iter().map(|t| t.weight as f32).collect();
        let mut pairs = Vec::new();
        for (number, table) in config.couplings.iter().enumerate() {
            pairs.extend(resolve(network, number, table)?);
        }
        let objective = Objective {
            weights,
            pairs,
            entropy: network.architecture.entropy(),
            balance: config.balance.clone(),
            per_epoch: 1,
        };
        objective.check_balance(network)?;
        Ok(objective)
    }

    /// The plain sum of the tasks' losses, by which a stored model is evaluated: it does not keep
    /// its couplings.
    pub fn plain(network: &Network) -> Objective {
        Objective {
            weights: vec![1.0; network.tasks.len()],
            pairs: Vec::new(),
            entropy: 0.0,
            balance: config::Balance::default(),
            per_epoch: 1,
        }
    }

    /// L from the losses of the tasks, the values of the pairs and the entropy of the gates: the
    /// weighted sum over the tasks that have a loss. `None` if no task of positive weight has one.
    pub fn total(&self, losses: &[Option<f64>], couplings: &[f64], entropy: f64) -> Option<f64> {
        let known = || {
            self.weights.iter().zip(losses).filter_map(|(w, loss)| Some((f64::from(*w), (*loss)?)))
        };
        let nothing_weighs = self.weights.iter().all(|weight| *weight == 0.0);
        known().any(|(weight, _)| weight > 0.0 || nothing_weighs).then(|| {
            let tasks: f64 = known().map(|(w, l)| w * l).sum();
            let pairs: f64 =
                self.pairs.iter().zip(couplings).map(|(p, v)| f64::from(p.strength) * v).sum();
            tasks + pairs + self.entropy * entropy
        })
    }

    /// The method that weighs the tasks, if there is one.
    pub fn method(&self) -> Option<&'static dyn Method> {
        METHODS.iter().copied().find(|method| method.name() == self.balance.method.name())
    }

    /// The method, if it finds weights; one that acts element by element has none, and no state.
    pub fn solver(&self) -> Option<&'static dyn Method> {
        self.method().filter(|_| self.balance.method.solves())
    }

    /// Whether the balancer needs the losses of the batch once more after the update.
    pub fn looks_back(&self) -> bool {
        self.solver().is_some_and(|method| method.looks_back())
    }

    /// Whether a coupling acts on logits.
    fn has_couplings_of_logits(&self) -> bool {
        self.pairs.iter().any(|pair| pair.coupling.phase() == Phase::Logits)
    }

    /// Whether couplings of logits have a backward pass of their own, since the balancer combines
    /// the gradients of the losses apart from theirs.
    pub fn couples_apart(&self) -> bool {
        self.balance.method.acts().on_gradients() && self.has_couplings_of_logits()
    }

    /// Whether the sum of the couplings of logits is one more objective of the balancer.
    pub fn balances_couplings(&self) -> bool {
        self.balance.couplings == config::Couplings::Balanced && self.couples_apart()
    }

    /// Number of objectives that are balanced: the tasks, and behind them perhaps the couplings.
    pub fn objectives(&self) -> usize {
        self.weights.len() + usize::from(self.balances_couplings())
    }

    /// The names of the objectives that are balanced.
    pub fn names<'n>(&self, network: &'n Network) -> Vec<&'n str> {
        let tasks = network.tasks.iter().map(|task| task.name.as_str());
        tasks.chain(self.balances_couplings().then_some(COUPLINGS_NAME)).collect()
    }

    /// Checks that losses that divide are above zero, and that couplings that are to be balanced
    /// are there and can be told from the tasks.
    fn check_balance(&self, network: &Network) -> Result<()> {
        let normalize = self.balance.normalize;
        let divides = matches!(normalize, config::Normalize::Loss | config::Normalize::LossNorm);
        let is_count = |task: &&Head| task.kind == config::TaskKind::Count;
        if let Some(task) = network.tasks.iter().find(is_count).filter(|_| divides) {
            let found = format!(
                "divides by losses, and that of the count \"{}\" can fall below zero",
                task.name
            );
            let hint = "set normalize = \"norm\" or \"none\"";
            return Err(Fault::config("balance.normalize", found).hint(hint).into());
        }
        if self.balance.couplings == config::Couplings::Added {
            return Ok(());
        }
        let key = "balance.couplings";
        if !self.has_couplings_of_logits() {
            let found = "has no effect, since no [[coupling]] acts on logits";
            let hint = "leave it out, or add a coupling of what tasks predict";
            return Err(Fault::config(key, found).hint(hint).into());
        }
        if network.tasks.iter().any(|task| task.name == COUPLINGS_NAME) {
            let found = format!("is told as \"{COUPLINGS_NAME}\", but a task has this name");
            return Err(Fault::config(key, found).hint("rename the task").into());
        }
        Ok(())
    }

    /// Whether a coupling acts on the logits of a task.
    pub fn couples_logits(&self, task: usize) -> bool {
        let acts = |p: &Pair| p.coupling.phase() == Phase::Logits && [p.a, p.b].contains(&task);
        self.pairs.iter().any(acts)
    }

    /// The pairs of one kind, with their places in `pairs`.
    pub fn of_kind(&self, coupling: &dyn Coupling) -> impl Iterator<Item = (usize, &Pair)> {
        let name = coupling.name();
        self.pairs.iter().enumerate().filter(move |(_, p)| p.coupling.name() == name)
    }
}

/// The largest number of tasks that may all be coupled with each other because no pairs are named.
const MOST_TASKS: usize = 1000;

/// The pairs of a `[[coupling]]` table.
fn resolve(network: &Network, number: usize, table: &config::Coupling) -> Result<Vec<Pair>> {
    let place = format!("coupling.{number}");
    let coupling = COUPLINGS.iter().find(|c| c.name() == table.kind).copied();
    let coupling = coupling.ok_or_else(|| {
        Fault::config(&format!("{place}.kind"), format!("unknown kind \"{}\"", table.kind))
    })?;
    let strength = table.strength as f32;
    let named = match &table.pairs {
        Some(pairs) => pairs
            .iter()
            .map(|p| named_pair(network, &place, coupling, p))
            .collect::<Result<Vec<_>>>()?,
        None => every_pair(network, &place, coupling)?,
    };
    if named.is_empty() {
        let why = network
            .tasks
            .iter()
            .zip(network.tasks.iter().skip(1))
            .find_map(|(a, b)| coupling.applies(a, b).err());
        let why = why.unwrap_or_else(|| "there are not two tasks".into());
        let fault = Fault::config(
            &place,
            format!("{} applies to no pair of tasks: {why}", coupling.name()),
        );
        return Err(fault
            .hint("give two heads the same shape and classes, or remove this [[coupling]]")
            .into());
    }
    Ok(named.into_iter().map(|(a, b)| Pair { coupling, a, b, strength }).collect())
}

/// A pair that the configuration names.
fn named_pair(
    network: &Network,
    place: &str,
    coupling: &dyn Coupling,
    names: &[String; 2],
) -> Result<(usize, usize)> {
    let find = |name: &String| {
        let found = network.tasks.iter().position(|t| t.name == *name);
        found.ok_or_else(|| {
            Fault::config(&format!("{place}.pairs"), format!("there is no task \"{name}\""))
        })
    };
    let (a, b) = (find(&names[0])?, find(&names[1])?);
    if let Err(why) = coupling.applies(&network.tasks[a], &network.tasks[b]) {
        let message = format!(
            "{} does not apply to \"{}\" and \"{}\": {why}",
            coupling.name(),
            names[0],
            names[1]
        );
        return Err(Fault::config(&format!("{place}.pairs"), message)
            .hint("remove the pair, or change one of the two heads")
            .into());
    }
    Ok((a, b))
}

/// All pairs that a coupling applies to.
fn every_pair(
    network: &Network,
    place: &str,
    coupling: &dyn Coupling,
) -> Result<Vec<(usize, usize)>> {
    let count = network.tasks.len();
    if count > MOST_TASKS {
        let message = format!(
            "missing: every pair of {count} tasks would be coupled, expected at most {MOST_TASKS} \
             tasks"
        );
        return Err(Fault::config(&format!("{place}.pairs"), message)
            .hint("name the pairs")
            .into());
    }
    let all = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    Ok(all
        .filter(|&(a, b)| coupling.applies(&network.tasks[a], &network.tasks[b]).is_ok())
        .collect())
}
