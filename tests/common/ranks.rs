//! Several ranks in one process, a thread each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tandem::kernels::params::Step;
use tandem::ranks::{Share, Spent, local, serve};
use tandem::run::machine::Machine;
use tandem::run::train::{Observer, Options, Outcome, Plan, train, train_with_retries};
use tandem::schedule::{Buffer, Engine, NotFinite, Program, Slice, StepResult, Work};

/// What is odd about the ranks beside the leader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Odd {
    /// Nothing.
    None,
    /// A bit of their parameters is another one.
    Bit,
    /// They take too long for this submission.
    Slow(usize),
    /// They die in this submission.
    Dies(usize),
    /// They die where more words of features than these come at once for a training step.
    Narrow(usize),
}

/// The engine of a rank beside the leader.
#[derive(Debug)]
struct Beside {
    inner: Box<dyn Engine>,
    /// Submissions so far.
    works: usize,
    /// The most words of features that came at once since the last submission.
    came: usize,
    odd: Odd,
}

impl Engine for Beside {
    fn program(&self) -> &Program {
        self.inner.program()
    }
    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        let mut words = words.to_vec();
        let is_parameters = self.program().buffers[buffer.0].name == "parameters";
        if self.odd == Odd::Bit && is_parameters {
            words[0] ^= 1;
        }
        if self.program().buffers[buffer.0].name.contains("features") {
            self.came = self.came.max(words.len());
        }
        self.inner.upload(buffer, first, &words)
    }
    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        self.works += 1;
        if self.odd == Odd::Slow(self.works) {
            std::thread::sleep(Duration::from_secs(2));
        }
        assert!(self.odd != Odd::Dies(self.works), "this rank dies");
        let came = std::mem::take(&mut self.came);
        let evaluates = |slice: &Slice| self.program().buffers[slice.buffer.0].name == "logits";
        if let Odd::Narrow(most) = self.odd
            && !slices.iter().any(evaluates)
        {
            assert!(came <= most, "{came} words of features came at once, {most} at most");
        }
        self.inner.submit_work(work, slices)
    }
    fn launch(&mut self, schedule: usize, at: usize, step: &Step, times: usize) -> Result<()> {
        self.inner.launch(schedule, at, step, times)
    }
    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        self.inner.collect(wait)
    }
    fn not_finite(&self) -> Option<NotFinite> {
        self.inner.not_finite()
    }
    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        self.inner.download(slice)
    }
    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        self.inner.words(slice)
    }
}

/// Trains a plan on a rank of its own, which dies where `odd` says so.
pub fn elsewhere(
    plan: &Plan,
    machine: Machine,
    observer: &mut dyn Observer,
    odd: Odd,
) -> Result<Outcome> {
    let mut nets = local(2, Duration::from_secs(60)).into_iter();
    let (leader, net) = (nets.next().unwrap(), nets.next().unwrap());
    std::thread::scope(|scope| {
        let of_rank = machine.clone();
        let other = scope.spawn(move || {
            let mut open = move |program| {
                let inner = of_rank.clone().engine(program)?;
                let odd = Beside { inner, works: 0, came: 0, odd };
                Ok((Box::new(odd) as Box<dyn Engine>, of_rank.name()))
            };
            serve(&net, &mut open)
        });
        let ranks = Some(Share::One(Arc::clone(&leader), 1));
        let options = Options { ranks, ..Options::default() };
        let mut open = || Ok(machine.clone());
        let ended = train_with_retries(plan, machine.clone(), options, 0, &mut open, observer);
        tandem::ranks::end(&*leader, 0);
        let _ = other.join();
        ended
    })
}

/// Trains a plan on so many ranks; the machines are those of the ranks. What the others end with
/// comes second.
pub fn on_ranks(
    plan: &Plan,
    machines: Vec<Machine>,
    options: Options,
    observer: &mut dyn Observer,
    (patience, odd): (Duration, Odd),
) -> (Result<Outcome>, Vec<Result<u8>>, Spent) {
    let mut nets = local(machines.len(), patience).into_iter();
    let leader = nets.next().unwrap();
    let mut machines = machines.into_iter();
    let own = machines.next().unwrap();
    let spent = Arc::new(Mutex::new(Spent::default()));
    std::thread::scope(|scope| {
        let others: Vec<_> = nets
            .zip(machines)
            .map(|(net, machine)| {
                let mut open = move |program| {
                    let engine = machine.clone().engine(program)?;
                    let odd = Beside { inner: engine, works: 0, came: 0, odd };
                    Ok((Box::new(odd) as Box<dyn Engine>, machine.name()))
                };
                scope.spawn(move || serve(&net, &mut open))
            })
            .collect();
        let ranks = Some(Share::All(Arc::clone(&leader), Arc::clone(&spent)));
        let outcome = train(plan, own, Options { ranks, ..options }, observer);
        let code = u8::from(outcome.is_err());
        tandem::ranks::end(&*leader, code);
        let ended = others.into_iter().map(|thread| thread.join().unwrap_or(Ok(255))).collect();
        let spent = *spent.lock().unwrap();
        (outcome, ended, spent)
    })
}
