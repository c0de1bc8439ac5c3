//! A device without enough memory: the error gives figures and suggests a batch that does fit.

use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::fault::{Exit, exit_of, hint_of};
use tandem::run::machine::Machine;
use tandem::run::train::{Options, Plan, Silent, train};

const CLASSES: [usize; 2] = [3, 3];

fn plan(batch: usize) -> Plan {
    let tables = format!(
        "[trunk]\nlayers = [256, 256]\n[task.a]\n[task.b]\n[train]\nmax_steps = 2\nbatch_size = \
         {batch}\n"
    );
    crate::common::plan(&tables, crate::common::synthetic(1, 8192, 6, &CLASSES), &CLASSES)
}

/// A device that refuses more than `bytes` bytes. Each test has its own device, so that a refusal
/// concerns that test only.
fn gpu(bytes: u64) -> Gpu {
    let gpu = crate::common::open(&Wish::default());
    gpu.pretend_memory(bytes);
    gpu
}

fn run(gpu: &Gpu, batch: usize) -> anyhow::Result<()> {
    train(&plan(batch), Machine::Device(Box::new(gpu.clone())), Options::default(), &mut Silent)
        .map(|_| ())
}

#[test]
fn the_batch_that_is_suggested_fits() {
    let gpu = gpu(13 << 20);
    let mut refused = 0;
    for batch in [512, 1024, 2048, 4096, 8192] {
        let Err(error) = run(&gpu, batch) else { continue };
        refused += 1;
        let (message, hint) = (format!("{error:#}"), hint_of(&error).unwrap().to_owned());
        assert_eq!(exit_of(&error), Exit::Internal);
        assert!(
            message.contains("out of memory: the run takes ") && message.contains(" were in use"),
            "{message}"
        );
        let after = hint.split("batch_size = ").nth(1).unwrap_or_else(|| panic!("{hint}"));
        let suggested: usize = after.split(' ').next().unwrap().parse().unwrap();
        assert!(suggested >= 64 && suggested < batch, "{hint}");
        run(&gpu, suggested)
            .unwrap_or_else(|e| panic!("batch {batch}, suggested {suggested}: {e:#}"));
    }
    assert!(refused >= 2, "{refused} batches were refused");
}

#[test]
fn data_that_leaves_no_memory_has_its_own_hint() {
    let error = run(&gpu(1 << 19), 64).unwrap_err();
    assert!(hint_of(&error).unwrap().contains("--resident off"), "{:?}", hint_of(&error));
}
