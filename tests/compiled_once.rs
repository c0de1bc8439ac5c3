//! Mesa's software driver inserts the values of uniforms into loops and branches that depend on
//! nothing else. Where a changed value changes such a kernel much, the driver compiles it anew at
//! every dispatch, which takes milliseconds and memory that is never freed. No kernel may be of
//! that kind.

#![cfg(target_os = "linux")] // memory is read from /proc

mod common;

use std::fs;
use std::sync::{Mutex, PoisonError};

use tandem::device::Session;
use tandem::device::adapter::Wish;
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Class;
use tandem::measure::doctor;
use tandem::run::train::learning_rate::Course;
use tandem::schedule::{Engine, Program};

/// The number of repeated dispatches that are measured together.
const TIMES: u32 = 8;

/// Bytes of machine code that were made while the process ran: executable memory that comes from no
/// file.
fn machine_code() -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let made = maps
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|f| f[1].contains('x') && f.len() == 5);
    let bytes = |range: &str| {
        let (first, end) = range.split_once('-').unwrap();
        u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(first, 16).unwrap()
    };
    made.map(|f| bytes(f[0])).sum()
}

/// The dispatches for which the driver makes machine code again and again.
fn growing(program: &Program, step: &Step) -> Vec<String> {
    // Other tests of this process compile code too.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first values that a pipeline meets decide whether the driver goes on compiling, so each
    // program gets new pipelines on a new device. `with_sources` starts no second device that would
    // compile too.
    let mut session =
        Session::with_sources(common::open(&Wish::default()), program.clone(), |kernel| {
            kernel.module()
        })
        .unwrap();
    let mut found = Vec::new();
    for (s, schedule) in program.schedules.iter().enumerate() {
        for (d, dispatch) in schedule.dispatches.iter().enumerate() {
            let mut run =
                || session.launch(s, d, &Step { number: step.number + 1, ..*step }, 1).unwrap();
            run();
            let before = machine_code();
            (0..TIMES).for_each(|_| run());
            let growth = machine_code().saturating_sub(before);
            if growth > 0 {
                found.push(format!(
                    "{}, {}, {}: {growth} bytes in {TIMES} dispatches",
                    dispatch.kernel.name, schedule.name, dispatch.label
                ));
            }
        }
    }
    found
}

#[test]
fn kernels_are_compiled_once_whatever_the_shape() {
    let gpu = common::gpu();
    let found: Vec<String> = doctor::all_cases(gpu)
        .unwrap()
        .iter()
        .flat_map(|case| {
            let found = growing(&case.built.program, &case.step);
            found.into_iter().map(|what| format!("{}: {what}", case.name)).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty() || gpu.entry.class != Class::Software, "{found:#?}");
}

/// Compilers like to unroll loops over few rows and columns.
#[test]
fn kernels_are_compiled_once_for_small_batches_and_networks() {
    let gpu = common::gpu();
    let mut found = Vec::new();
    for batch in [1, 4, 16, 40] {
        for (width, trunk, optimizer) in [(5, "12", "adam"), (8, "16, 8", "sgd")] {
            let tables = format!(
                "[trunk]\nlayers = [{trunk}]\ndropout = 0.1\n[task.a]\nlayers = \
                 [5]\n[task.b]\nlayers = [5]\n[[coupling]]\nkind = \"soft_sharing\"\nstrength = \
                 0.1\n[[coupling]]\nkind = \"agreement\"\nstrength = 0.1\n[optimizer]\nkind = \
                 \"{optimizer}\"\nclip_norm = 1.0\n[train]\nmax_steps = 2\nbatch_size = {batch}\n"
            );
            let plan = common::plan(&tables, common::synthetic(1, 80, width, &[3, 3]), &[3, 3]);
            let built = plan.build(&gpu.tuning()).unwrap();
            let step =
                Course::new(&plan.config.optimizer, 1, plan.steps_per_epoch, plan.total_steps)
                    .step(1, 0, batch, 0);
            found.extend(
                growing(&built.program, &step)
                    .into_iter()
                    .map(|what| format!("batch {batch}, {optimizer}: {what}")),
            );
        }
    }
    assert!(found.is_empty() || gpu.entry.class != Class::Software, "{found:#?}");
}
