//! Runs that train only a part of the network or begin with a part of another model, and batches
//! that are processed in parts.

use crate::common::device;
use tandem::data::{Dataset, Features};
use tandem::model::file::{Model, trunk_from};
use tandem::run::machine::Machine;
use tandem::run::train::{Ended, Options, Plan, Silent, train};

const CLASSES: [usize; 2] = [4, 3];
const WIDTH: usize = 6;
const ROWS: usize = 90;

fn tables(trunk: &str, optimizer: &str, rest: &str) -> String {
    format!(
        "[trunk]\n{trunk}\n[task.a]\nlayers = [5]\n[task.b]\n[optimizer]\nlearning_rate = \
         0.05\n{optimizer}\n[train]\nepochs = 8\nbatch_size = 32\n{rest}\n"
    )
}

fn plan(trunk: &str, optimizer: &str, rest: &str, data: Dataset) -> Plan {
    crate::common::plan(&tables(trunk, optimizer, rest), data, &CLASSES)
}

fn data() -> Dataset {
    crate::common::synthetic(3, ROWS, WIDTH, &CLASSES)
}

fn run(plan: &Plan, machine: Machine, initial: Option<Vec<f32>>) -> Vec<f32> {
    let outcome =
        train(plan, machine, Options { initial, ..Options::default() }, &mut Silent).unwrap();
    assert!(matches!(outcome.ended, Ended::Finished));
    outcome.last
}

/// The parameters of a block.
fn block<'p>(plan: &Plan, parameters: &'p [f32], name: &str) -> &'p [f32] {
    let block = plan.layout.blocks.iter().find(|b| b.name == name).unwrap();
    &parameters[block.offset..][..block.len]
}

/// The output of a trunk of ReLU layers for all rows, computed in f64.
fn through_trunk(plan: &Plan, parameters: &[f32], data: &Dataset) -> Vec<f32> {
    let Features::F32(features) = &data.features else { unreachable!() };
    let mut rows: Vec<Vec<f64>> =
        features.chunks(WIDTH).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    for depth in 0..plan.network.trunk.layers.len() {
        let weight = block(plan, parameters, &format!("trunk.{depth}.weight"));
        let bias = block(plan, parameters, &format!("trunk.{depth}.bias"));
        for row in &mut rows {
            let dot =
                |w: &[f32]| w.iter().zip(row.iter()).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
            *row = weight
                .chunks(row.len())
                .zip(bias)
                .map(|(w, b)| (dot(w) + f64::from(*b)).max(0.0))
                .collect();
        }
    }
    rows.concat().into_iter().map(|x| x as f32).collect()
}

#[test]
fn a_frozen_trunk_stays_and_the_heads_learn_on_top_of_it() {
    for optimizer in [
        "kind = \"adamw\"\nweight_decay = 0.3",
        "weight_decay = 0.1\nclip_norm = 0.2",
        "kind = \"sgd\"\nmomentum = 0.9",
    ] {
        let frozen = plan("layers = [8, 7]\nfreeze = true", optimizer, "", data());
        let initial = frozen.initial().unwrap();
        // The same heads without a trunk; their features are the trunk's output.
        let features = through_trunk(&frozen, &initial, &data());
        let heads = plan(
            "layers = []",
            optimizer,
            "",
            Dataset::from_arrays(7, features, data().labels).unwrap(),
        );
        let mut of_heads = vec![0.0; heads.layout.len];
        for b in &heads.layout.blocks {
            of_heads[b.offset..][..b.len].copy_from_slice(block(&frozen, &initial, &b.name));
        }
        for (machine, tolerance) in [(Machine::Reference, 2e-6), (device(), 2e-4)] {
            let trained = run(&frozen, machine, None);
            for name in ["trunk.0.weight", "trunk.0.bias", "trunk.1.weight", "trunk.1.bias"] {
                assert_eq!(
                    block(&frozen, &trained, name),
                    block(&frozen, &initial, name),
                    "{name} moved"
                );
            }
            let expected = run(&heads, Machine::Reference, Some(of_heads.clone()));
            for b in &heads.layout.blocks {
                let (found, expected) =
                    (block(&frozen, &trained, &b.name), block(&heads, &expected, &b.name));
                assert_ne!(found, block(&frozen, &initial, &b.name), "{} did not move", b.name);
                let worst =
                    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < tolerance, "{}: {worst:e} beside heads alone, {optimizer}", b.name);
            }
        }
    }
}

#[test]
fn a_frozen_trunk_costs_no_backward_pass() {
    let flop = |trunk: &str| {
        let plan = plan(trunk, "", "", data());
        let built = plan.build(&Machine::Reference.tuning()).unwrap();
        let schedule = &built.program.schedules[built.train.unwrap()];
        let backward: Vec<_> = schedule
            .dispatches
            .iter()
            .filter(|d| d.kernel.name.starts_with("dense_backward"))
            .collect();
        (backward.len(), backward.iter().map(|d| d.flop).sum::<u64>())
    };
    let (frozen, whole) = (flop("layers = [64, 64]\nfreeze = true"), flop("layers = [64, 64]"));
    // What is left: the tower's hidden layer, and the gradients of the heads' weights.
    assert_eq!((frozen.0, whole.0), (2, 4));
    let heads = 2 * 32 * (64 * 5 + 5 * 4 + 64 * 3) + 2 * 32 * 5 * 4;
    assert_eq!(frozen.1, heads);
}

#[test]
fn a_trunk_comes_from_another_model_and_new_heads_from_the_seed() {
    let donor = plan("layers = [8]", "", "", data());
    let parameters = run(&donor, Machine::Reference, None);
    let (network, layout) = (donor.network.clone(), donor.layout.clone());
    let model = Model {
        network,
        layout,
        schema: donor.parts.schema.clone(),
        parameters: parameters.clone(),
        directory: "donor".into(),
    };
    let tables = "[trunk]\nlayers = [8]\n[task.c]\n[train]\nepochs = 1\n";
    let other = crate::common::plan(tables, crate::common::synthetic(4, 40, WIDTH, &[5]), &[5]);
    let initial =
        trunk_from(&model, &other.network, &other.layout, other.initial().unwrap()).unwrap();
    assert_eq!(
        block(&other, &initial, "trunk.0.weight"),
        block(&donor, &parameters, "trunk.0.weight")
    );
    assert_eq!(
        block(&other, &initial, "task.c.0.weight"),
        block(&other, &other.initial().unwrap(), "task.c.0.weight")
    );
    let wider = crate::common::plan(
        &tables.replace('8', "9"),
        crate::common::synthetic(4, 40, WIDTH, &[5]),
        &[5],
    );
    let error =
        trunk_from(&model, &wider.network, &wider.layout, wider.initial().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains(
            "tensor \"trunk.0.weight\": [8, 6] in the model, [9, 6] in this configuration"
        ),
        "{error}"
    );
    let deeper = crate::common::plan(
        &tables.replace("[8]", "[]"),
        crate::common::synthetic(4, 40, WIDTH, &[5]),
        &[5],
    );
    assert!(
        trunk_from(&model, &deeper.network, &deeper.layout, deeper.initial().unwrap()).is_err()
    );
}

#[test]
fn parts_of_a_batch_add_up_to_the_batch() {
    let coupled = "[[coupling]]\nkind = \"agreement\"\nstrength = 0.2\n";
    let of = |parts: usize| {
        let tables = format!(
            "[trunk]\nlayers = [8]\n[task.a]\nlayers = \
             [5]\n[task.b]\n{coupled}[optimizer]\nlearning_rate = 0.01\nclip_norm = 0.5\n"
        );
        let train = format!("[train]\nepochs = 4\nbatch_size = 64\naccumulate = {parts}\n");
        crate::common::plan(
            &(tables + &train),
            crate::common::synthetic(3, 200, WIDTH, &[4, 4]),
            &[4, 4],
        )
    };
    let forwards = |plan: &Plan| {
        let built = plan.build(&Machine::Reference.tuning()).unwrap();
        let dispatches = &built.program.schedules[built.train.unwrap()].dispatches;
        (
            dispatches.iter().filter(|d| d.kernel.name == "softmax_cross_entropy").count(),
            built.program.bytes(),
        )
    };
    let ((one, bytes), (four, fewer)) = (forwards(&of(1)), forwards(&of(4)));
    assert_eq!((one, four), (1, 4));
    assert!(fewer < bytes, "{fewer} bytes in parts, {bytes} at once");
    for (machine, tolerance) in [(Machine::Reference, 1e-9), (device(), 1e-5)] {
        let (whole, parts) = (run(&of(1), machine.clone(), None), run(&of(4), machine, None));
        let norm =
            |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let difference = norm(&mut whole.iter().zip(&parts).map(|(a, b)| a - b))
            / norm(&mut whole.iter().copied());
        assert!(difference < tolerance, "{difference:e}");
    }
}
