//! Runs in f32 on the processor: the number of threads changes no bit.

use anyhow::Result;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Options, Plan, train};

use crate::common::{ARCHITECTURES, cpu, labelled, plan_of};

/// Keeps what a run tells.
#[derive(Default)]
struct Tape(Vec<String>);

impl Observer for Tape {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(format!("{:?}", Point { seconds: 0.0, ..point.clone() }));
        Ok(())
    }
}

/// The parameters after a run, and what it told.
fn run(plan: &Plan, threads: usize) -> (Vec<f32>, Vec<String>) {
    let mut tape = Tape::default();
    let outcome = train(plan, cpu(threads), Options::default(), &mut tape).unwrap();
    (outcome.last, tape.0)
}

/// Settings whose dispatches have several parts of every kind.
fn tables(architecture: &str, rest: &str) -> String {
    format!(
        "[architecture]\n{architecture}\n[trunk]\nlayers = [200, 150]\nactivation = \"gelu\"\n\
         dropout = 0.2\n[task.a]\nlayers = [40]\n[task.b]\n[optimizer]\nclip_norm = \
         0.5\n[train]\nepochs = 2\nbatch_size = 300\nlog_every = \"1s\"\n{rest}"
    )
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let architectures = ["kind = \"shared\""].into_iter().chain(ARCHITECTURES);
    let balanced = "[balance]\nmethod = \"upgrad\"\nspace = \"parameters\"\n";
    let settings = architectures.map(|kind| tables(kind, ""));
    for tables in settings.chain([tables("kind = \"shared\"", balanced)]) {
        let data = labelled(&tables, 3, 1000, 330, &[4, 70], 0.2);
        let plan = plan_of(&tables, data, None, &[4, 70]);
        let one = run(&plan, 1);
        for threads in [2, 3, 7] {
            assert!(run(&plan, threads) == one, "{threads} threads\n{tables}");
        }
    }
}
