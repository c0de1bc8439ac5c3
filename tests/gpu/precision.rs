//! `train.precision`: what a run does on an adapter with the matrix unit that it asks for, and on
//! one without; and how gradients are scaled for f16. `tandem doctor` compares the units with their
//! twins, on adapters that have them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tandem::config::Precision;
use tandem::config::read::from_text;
use tandem::data::{Dataset, Parts};
use tandem::device::adapter::Wish;
use tandem::kernels::Unit;
use tandem::measure::precision::precise;
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::loss_scale::LossScale;
use tandem::run::train::{Ended, Observer, Options, Outcome, Plan, train};

const BATCH: usize = 16;
const STEPS: u64 = 20;

/// What a run reports.
#[derive(Default)]
struct Tape {
    rescaled: Vec<(u64, f64)>,
    troubles: Vec<String>,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Observer for Tape {
    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.snapshots.push(Arc::clone(snapshot));
        Ok(())
    }

    fn rescaled(&mut self, step: u64, scale: f64) {
        self.rescaled.push((step, scale));
    }

    fn trouble(&mut self, fault: &tandem::fault::Fault, done: &str) {
        self.troubles.push(format!("{}: {done}", fault.message));
    }
}

/// A regression on labels of about `size`: the gradient of a row's squared error is at most about 2
/// · size / 16.
fn plan(size: f32, rest: &str) -> Plan {
    let text = format!(
        "[data]\ntrain = \"x.csv\"\n[trunk]\nlayers = [6]\n[task.r]\ntype = \
         \"regression\"\n[optimizer]\nlearning_rate = 1e-3\n[train]\nepochs = 1\nbatch_size = \
         {BATCH}\ncheckpoint_every = \"1s\"\nkeep = 100\n{rest}\n"
    );
    let config = from_text(&text, "config.toml", Path::new(""), &[]).unwrap();
    let rows = STEPS as usize * BATCH;
    let width = 4;
    let features = (0..rows * width).map(|i| ((i * 7 % 11) as f32 - 5.0) / 5.0).collect();
    let labels = (0..rows).map(|row| (size * (0.5 + (row % 5) as f32 / 10.0)).to_bits()).collect();
    let data = Dataset::from_arrays(width, features, vec![labels]).unwrap();
    let parts = Parts::new(crate::common::schema(&config, width, &[1]), data, None, None).unwrap();
    Plan::new(config, parts).unwrap()
}

/// Runs on the reference. Where `unit` says so, its kernels for matrix units have the range of f16.
fn run(
    plan: &Plan,
    unit: Option<Unit>,
    resume: Option<Snapshot>,
    at_once: usize,
) -> (Outcome, Tape) {
    let plain = Machine::Reference.tuning();
    let tuning = Some(unit.map_or(plain.clone(), |unit| plain.with_unit(unit, 8)));
    let mut tape = Tape::default();
    let options =
        Options { tuning, resume, steps_per_submission: Some(at_once), ..Options::default() };
    let outcome = train(plan, Machine::Reference, options, &mut tape).unwrap();
    (outcome, tape)
}

#[test]
fn the_scale_doubles_with_time_and_halves_with_overflows() {
    let start = LossScale::HALF;
    let exponents = |scale: LossScale, steps: [u64; 5]| steps.map(|t| scale.exponent_at(t));
    // As PyTorch's GradScaler does by default: 65536, doubled after 2000 steps without an overflow.
    assert_eq!(exponents(start, [0, 1999, 2000, 3999, 4000]), [16, 16, 17, 17, 18]);
    assert_eq!(start.exponent_at(1_000_000), LossScale::MOST, "it grows without end");
    let after = start.after_overflow(2000).unwrap();
    assert_eq!((after.exponent, after.since), (16, 2001));
    assert_eq!(exponents(after, [2001, 4000, 4001, 6000, 6001]), [16, 16, 17, 17, 18]);
    let least = LossScale { exponent: 0, ..start };
    assert_eq!(least.after_overflow(7), None, "there is nothing below one");
    assert_eq!(LossScale::ONE.exponent_at(1_000_000), 0);
}

#[test]
fn steps_whose_gradients_overflow_f16_are_left_out_and_lower_the_scale() {
    // Gradients up to 2 · 300 · 0.9 / 16 ≈ 34; and 65504 / 34 is between 2^10 and 2^11.
    for at_once in [1, 5, 64] {
        let (outcome, tape) = run(&plan(300.0, ""), Some(Unit::F16x8), None, at_once);
        assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
        let expected: Vec<(u64, f64)> =
            (1..=6).map(|step| (step, 65536.0 / 2f64.powi(step as i32))).collect();
        assert_eq!(tape.rescaled, expected, "{at_once} steps a submission");
        assert_eq!(tape.troubles, Vec::<String>::new());
        // The steps that were left out changed nothing: the seventh step equals the first step of a
        // run that begins there.
        let last = tape.snapshots.last().unwrap();
        assert_eq!((last.steps, last.skipped), (STEPS, 0));
        assert_eq!(last.scale, Some(LossScale { exponent: 10, since: 6, grows: true }));
        let fresh = plan(300.0, "");
        let from = Snapshot { steps: 6, ..fresh.beginning(fresh.initial().unwrap()) };
        let (_, plain) = run(&fresh, None, Some(from), 1);
        assert_eq!(plain.snapshots.last().unwrap().parameters, last.parameters);
        assert_eq!(plain.snapshots.last().unwrap().moments, last.moments);
    }
}

#[test]
fn a_run_that_goes_on_has_the_scale_that_it_had() {
    let whole = plan(300.0, "");
    let (_, tape) = run(&whole, Some(Unit::F16x8), None, 1);
    for at in [3, 6, 12] {
        let from = tape.snapshots.iter().find(|s| s.steps == at).unwrap();
        let (_, rest) = run(&whole, Some(Unit::F16x8), Some((**from).clone()), 1);
        assert_eq!(rest.rescaled, tape.rescaled[tape.rescaled.len().min(at as usize)..]);
        assert_eq!(
            rest.snapshots.last().unwrap().parameters,
            tape.snapshots.last().unwrap().parameters
        );
        assert_eq!(rest.snapshots.last().unwrap().scale, tape.snapshots.last().unwrap().scale);
    }
}

#[test]
fn a_run_that_was_f32_begins_to_scale_where_it_goes_on() {
    let whole = plan(300.0, "");
    let (_, before) = run(&whole, None, None, 1);
    let from = before.snapshots.iter().find(|s| s.steps == 4).unwrap();
    let (_, rest) = run(&whole, Some(Unit::F16x8), Some((**from).clone()), 1);
    assert_eq!(rest.rescaled.first(), Some(&(5, 32768.0)));
    assert_eq!(
        rest.snapshots.last().unwrap().scale,
        Some(LossScale { exponent: 10, since: 10, grows: true })
    );
}

#[test]
fn an_overflow_at_scale_one_is_trouble() {
    // A gradient of 1e6 exceeds f16 at a scale of one.
    let (outcome, tape) = run(&plan(2e7, ""), Some(Unit::F16x8), None, 64);
    assert_eq!(tape.rescaled.len(), 16, "{:?}", tape.rescaled);
    let Ended::NotFinite(fault) = &outcome.ended else { panic!("{:?}", outcome.ended) };
    assert!(
        fault.message.starts_with("step 17: ") && fault.message.contains("gradient of"),
        "{}",
        fault.message
    );
    // Gradients are not scaled for units whose operands are f32, or without a unit.
    for unit in [None, Some(Unit::F32x8)] {
        let (outcome, tape) = run(&plan(2e7, ""), unit, None, 64);
        assert!(matches!(outcome.ended, Ended::Finished) && tape.rescaled.is_empty(), "{unit:?}");
        assert_eq!(tape.snapshots.last().unwrap().scale, None);
    }
}

#[test]
fn without_the_unit_a_notice_says_that_products_are_f32() {
    let gpu = crate::common::open(&Wish { units: true, ..Wish::default() });
    let device = Machine::Device(Box::new(gpu.clone()));
    for (precision, half, word) in
        [(Precision::Mixed, true, "f16"), (Precision::F32Matrix, false, "f32")]
    {
        let (tuning, said) = precise(&device, device.tuning(), precision).unwrap();
        match gpu.unit(half) {
            Some(unit) => assert_eq!((tuning.unit, said), (Some(unit), None)),
            None => {
                let said = said.unwrap();
                assert!(
                    said.contains(&format!("train.precision = \"{precision}\""))
                        && said.contains(word),
                    "{said}"
                );
                assert_eq!(
                    (tuning.unit, tuning.forward.kernel.name),
                    (None, device.tuning().forward.kernel.name)
                );
            }
        }
        let (tuning, said) =
            precise(&Machine::Reference, Machine::Reference.tuning(), precision).unwrap();
        assert!(tuning.unit.is_none() && said.unwrap().contains("reference"));
    }
    // Without the wish for a unit there is no notice, and the adapter is opened without it.
    let plain = crate::common::gpu();
    assert_eq!((plain.unit(true), plain.unit(false)), (None, None));
    assert_eq!(precise(&device, device.tuning(), Precision::F32).unwrap().1, None);
}
