//! Several ranks in one process, a thread each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tandem::ranks::{Share, Spent, local, serve};
use tandem::run::machine::Machine;
use tandem::run::train::{Observer, Options, Outcome, Plan, train};

/// Trains a plan on so many ranks; the machines are those of the ranks. What the others end with
/// comes second.
pub fn on_ranks(
    plan: &Plan,
    machines: Vec<Machine>,
    options: Options,
    observer: &mut dyn Observer,
    patience: Duration,
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
                    Ok((engine, machine.name()))
                };
                scope.spawn(move || serve(&net, &mut open))
            })
            .collect();
        let ranks = Some(Share::All(Arc::clone(&leader), Arc::clone(&spent)));
        let outcome = train(plan, own, Options { ranks, ..options }, observer);
        let code = u8::from(outcome.is_err());
        tandem::ranks::end(&*leader, code);
        let ended = others.into_iter().map(|thread| thread.join().unwrap()).collect();
        let spent = *spent.lock().unwrap();
        (outcome, ended, spent)
    })
}
