//! Every tile shape of a product gives the same bits, for sizes around the edges of every tile. The
//! tests compare whole steps, and fill everything that a step writes with a sentinel before, so
//! that a place that only one shape writes or leaves out is found too.

use crate::common::gpu;
use tandem::device::{Gpu, Session};
use tandem::kernels::tuning::{Class, Tuning, candidates, ladder};
use tandem::kernels::{self, KERNELS};
use tandem::run::data::upload;
use tandem::run::train::Plan;
use tandem::run::train::learning_rate::Course;
use tandem::schedule::{Engine, Kind};

/// The smallest size, and sizes one below, at and above the sides of all tiles: 16, 32, 64 and 128.
const EDGES: [usize; 13] = [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129];

/// What a step does not write keeps this value; as an f32 it is a large number.
const SENTINEL: u32 = 0x7a5a_5a5a;

/// A tuning in which all products have the shape with that number and add in chains.
fn tuning(shape: usize) -> Tuning {
    let plain = Tuning::new(Class::Discrete, gpu().tuning().binding_bytes, false);
    let [forward, backward_input, backward_weight] =
        [&kernels::dense_forward, &kernels::dense_backward_input, &kernels::dense_backward_weight]
            .map(|k| ladder(k)[shape]);
    Tuning { forward, backward_input, backward_weight, ..plain }
}

/// A trunk of width `width`, towers of all sizes, and two batches of `rows` rows.
fn plan(rows: usize, width: usize) -> Plan {
    let tower = |(t, size): (usize, &usize)| format!("[task.t{t}]\nlayers = [{size}]\n");
    let towers: String = EDGES.iter().enumerate().map(tower).collect();
    let classes: Vec<usize> = EDGES.iter().enumerate().map(|(t, _)| 2 + 5 * (t % 4)).collect();
    let trunk = format!("[trunk]\nlayers = [{width}]\nactivation = \"tanh\"\ndropout = 0.25\n");
    let rest = format!(
        "[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.1\n[train]\nepochs = 1\nbatch_size = \
         {rows}\n"
    );
    crate::common::plan(
        &format!("{trunk}{towers}{rest}"),
        crate::common::synthetic(5, 2 * rows, width + 1, &classes),
        &classes,
    )
}

/// The name and the contents of a buffer.
type Contents = (String, Vec<u32>);

/// All buffers of numbers after a step.
fn step(gpu: &Gpu, plan: &Plan, tuning: &Tuning) -> Vec<Contents> {
    let built = plan.build(tuning).unwrap();
    let (program, b) = (&built.program, &built.buffers);
    let mut session = Session::new(gpu.clone(), program.clone()).unwrap();
    for buffer in [&b.activations[..], &b.deltas[..], &[b.logits, b.logits_delta]].concat() {
        session.upload(buffer, 0, &vec![SENTINEL; program.buffers[buffer.0].len]).unwrap();
    }
    for (part, (_, data)) in built.parts.iter().zip(plan.named_parts()) {
        upload(&mut session, part, data, built.counting).unwrap();
    }
    session.upload(b.order, 0, &(0..plan.parts.train.rows as u32).collect::<Vec<_>>()).unwrap();
    session
        .upload(
            b.parameters,
            0,
            &plan.initial().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
        )
        .unwrap();
    let course = Course::new(&plan.config.optimizer, 0, plan.steps_per_epoch, plan.total_steps);
    session.submit(built.train.unwrap(), &[course.step(0, 0, plan.batch, 0)]).unwrap();
    session.collect(true).unwrap();
    let numbers = (0..program.buffers.len())
        .filter(|&i| program.buffers[i].kind == Kind::F32)
        .map(tandem::schedule::Buffer);
    numbers
        .map(|i| (program.buffers[i.0].name.clone(), session.words(program.whole(i)).unwrap()))
        .collect()
}

/// The first difference between two steps.
fn difference(found: &[Contents], expected: &[Contents]) -> Option<String> {
    let of_buffer = |((name, f), (_, e)): (&Contents, &Contents)| {
        let place = (0..f.len()).find(|&i| f[i] != e[i])?;
        Some(format!(
            "{name} [{place}]: {:e}, expected {:e}",
            f32::from_bits(f[place]),
            f32::from_bits(e[place])
        ))
    };
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).find_map(of_buffer)
}

/// Plans with more and more rows and narrower and narrower trunks.
fn plans() -> impl Iterator<Item = (usize, usize, Plan)> {
    EDGES
        .into_iter()
        .zip(EDGES.into_iter().rev())
        .map(|(rows, width)| (rows, width, plan(rows, width)))
}

#[test]
fn all_shapes_give_equal_bits() {
    let count = ladder(&kernels::dense_forward).len();
    for (rows, width, plan) in plans() {
        let expected = step(gpu(), &plan, &tuning(0));
        assert!(
            expected.iter().any(|(_, words)| words.contains(&SENTINEL))
                && expected.iter().any(|(name, _)| name == "gradients")
        );
        for shape in 1..count {
            let tuning = tuning(shape);
            let differs = difference(&step(gpu(), &plan, &tuning), &expected);
            assert_eq!(
                differs, None,
                "{} × {}, {rows} rows, trunk of {width}",
                tuning.forward.rows, tuning.forward.columns
            );
        }
    }
}

// Software adapters: mirrors that share memory, and tall tiles.

/// Limits alone may forbid the kernels for software adapters; tiles then add in their order.
#[test]
fn tiles_by_fours_give_the_gradients_of_kernels_for_software_adapters() {
    if !gpu().runs_direct() {
        return eprintln!("{} has other kernels", gpu().entry.name);
    }
    let gradients = |plan: &Plan, tuning: &Tuning| -> Vec<Contents> {
        let all = step(gpu(), plan, tuning);
        all.into_iter().filter(|(name, _)| name == "gradients" || name == "parameters").collect()
    };
    for (rows, width, plan) in plans().step_by(2) {
        let expected = gradients(&plan, &gpu().tuning());
        assert_eq!(expected.len(), 2);
        for shape in 0..ladder(&kernels::dense_forward).len() {
            let tuning = Tuning { fours: true, ..tuning(shape) };
            let differs = difference(&gradients(&plan, &tuning), &expected);
            assert_eq!(
                differs, None,
                "{} × {}, {rows} rows, trunk of {width}",
                tuning.forward.rows, tuning.forward.columns
            );
        }
    }
}

#[test]
fn mirrors_that_share_memory_and_copies_give_equal_bits() {
    if !gpu().runs_direct() {
        return eprintln!("{} has no mirrors", gpu().entry.name);
    }
    let (shared, copied) = (gpu().clone(), gpu().copying());
    assert_eq!([&shared, &copied].map(|gpu| gpu.tuning().shared_mirrors), [true, false]);
    for (rows, width, plan) in plans().step_by(3) {
        let differs = difference(
            &step(&shared, &plan, &shared.tuning()),
            &step(&copied, &plan, &copied.tuning()),
        );
        assert_eq!(differs, None, "{rows} rows, trunk of {width}");
    }
}

#[test]
fn tiles_of_software_adapters_give_equal_bits() {
    if !gpu().runs_direct() {
        return eprintln!("{} has other kernels", gpu().entry.name);
    }
    let low = gpu().tuning();
    let [forward, backward_input, backward_weight] =
        [low.forward, low.backward_input, low.backward_weight]
            .map(|p| *candidates(&p).last().unwrap());
    let tall = Tuning { forward, backward_input, backward_weight, ..low.clone() };
    assert_eq!((low.forward.rows, tall.forward.rows), (16, 32));
    for (rows, width, plan) in plans() {
        let differs = difference(&step(gpu(), &plan, &tall), &step(gpu(), &plan, &low));
        assert_eq!(differs, None, "{rows} rows, trunk of {width}");
    }
}

// Kernels that are compiled without checks of indices and loops.

#[test]
fn trusted_kernels_give_the_bits_of_checked_ones() {
    let [checked, trusting] = [false, true].map(|trusts| gpu().trusting(trusts));
    let count = ladder(&kernels::dense_forward).len();
    for (number, (rows, width, plan)) in plans().step_by(2).enumerate() {
        for tuning in [number, number + 2].map(|n| tuning(n % count)) {
            let differs =
                difference(&step(&trusting, &plan, &tuning), &step(&checked, &plan, &tuning));
            assert_eq!(
                differs, None,
                "{} × {}, {rows} rows, trunk of {width}",
                tuning.forward.rows, tuning.forward.columns
            );
        }
    }
}

#[test]
fn only_gpus_are_trusted() {
    let trusted = |class| Tuning::new(class, 128 << 20, true).trusted;
    assert_eq!(
        [Class::Software, Class::Integrated, Class::Discrete, Class::Reference].map(trusted),
        [false, true, true, false]
    );
}

/// Only the tiled products are bounded, and their files say why.
#[test]
fn bounded_kernels_state_their_bounds() {
    let tiled = ["dense_forward", "dense_backward_input", "dense_backward_weight"];
    for kernel in KERNELS {
        assert_eq!(
            kernel.bounded,
            tiled.contains(&kernel.twin) && !kernel.direct,
            "{}",
            kernel.name
        );
        assert_eq!(kernel.bounded, kernel.source.contains("\n// Indices: "), "{}", kernel.name);
    }
}
