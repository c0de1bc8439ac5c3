//! The laws of schedules, checked without a GPU: built programs obey them, a broken schedule is
//! refused with the name of the law, and each dispatch does exactly what it states.

use std::collections::BTreeSet;
use std::ops::Range;

use tandem::config::{
    Activation, Architecture, Augment, Balance, Balancer, Couplings, Falling, Flip, Gates, Metric,
    Normalize, Optimizer, OptimizerKind, Scaling, Schedule as Course, SelectGates, Space, TaskKind,
};
use tandem::data::Spread;
use tandem::data::UNLABELLED;
use tandem::kernels::params::{DenseBackwardWeight, NONE, Step};
use tandem::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use tandem::kernels::{self, Kernel};
use tandem::model::layout::Layout;
use tandem::model::loss::Loss;
use tandem::model::network::{Embedding, Head, Network, Trunk};
use tandem::objective::{COUPLINGS, Objective, Pair};
use tandem::plan::{Augmented, LayerPlan, PartShape, Shards};
use tandem::reference::Reference;
use tandem::rng::{Purpose, below, normal, permutation};
use tandem::schedule::check::check;
use tandem::schedule::{Buffer, Dispatch, Effect, Engine, Kind, Program, Slice, show};
use tandem::step::{Built, LabelShape, Request, build};

/// A network and all choices that decide about its program.
#[derive(Clone, Debug)]
struct Case {
    inputs: usize,
    trunk: Vec<usize>,
    /// The number of classes and the tower of each head.
    heads: Vec<(usize, Vec<usize>)>,
    couplings: Vec<&'static str>,
    clip: bool,
    /// `None` = evaluation only.
    optimizer: Option<OptimizerKind>,
    bytes: bool,
    /// Whether bytes are images that change.
    changes: bool,
    batch: usize,
    rows: usize,
    /// Whether the binding is the smallest one that holds the parameters, so that data and batches
    /// are cut into pieces.
    tight: bool,
    /// Whether to use the kernels of software adapters.
    direct: bool,
    /// Whether there are a binary task and a regression beside the others, blanks, row weights, and
    /// a category column among the inputs.
    table: bool,
    /// Whether the trunk is frozen.
    frozen: bool,
    /// Whether a column of the table has learned vectors, if there are inputs enough.
    learned: bool,
    balance: Balance,
    architecture: Architecture,
}

const ADAM: OptimizerKind = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const SGD: OptimizerKind = OptimizerKind::Sgd { momentum: 0.9, nesterov: true };

fn plain() -> Case {
    Case {
        inputs: 7,
        trunk: vec![12, 9],
        heads: vec![(3, vec![]), (3, vec![]), (4, vec![])],
        couplings: vec!["soft_sharing", "agreement"],
        clip: true,
        optimizer: Some(ADAM),
        bytes: false,
        changes: false,
        batch: 24,
        rows: 90,
        tight: false,
        direct: false,
        table: false,
        frozen: false,
        learned: false,
        architecture: Architecture::Shared,
        balance: Balance::default(),
    }
}

impl Case {
    fn network(&self) -> Network {
        let head = |(number, (classes, tower)): (usize, &(usize, Vec<usize>))| Head {
            layers: tower.clone(),
            activation: Activation::Tanh,
            dropout: 0.25,
            ..Head::multiclass(
                &format!("t{number}"),
                (0..*classes).map(|c| c.to_string()).collect(),
            )
        };
        let trunk =
            Trunk { layers: self.trunk.clone(), activation: Activation::Gelu, dropout: 0.5 };
        let loss = Loss::Logistic { focal_gamma: 0.0, positive_weights: vec![2.0] };
        let binary = Head {
            kind: TaskKind::Binary,
            loss,
            ..Head::multiclass("b", vec!["0".into(), "1".into()])
        };
        let columns = vec!["n0".into(), "n1".into()];
        let numbers = Head {
            kind: TaskKind::Regression,
            columns,
            loss: Loss::Squared,
            ..Head::multiclass("n", vec![])
        };
        let others = [binary, numbers].into_iter().filter(|_| self.table);
        let learned = self.spread().into_iter().filter(|s| s.vectors > 0);
        let embeddings = learned
            .map(|s| Embedding {
                column: "e".into(),
                values: s.vectors,
                width: s.width,
                places: 1,
                kept: false,
            })
            .collect();
        Network {
            inputs: self.inputs,
            embeddings,
            architecture: self.architecture.clone(),
            trunk,
            tasks: self.heads.iter().enumerate().map(head).chain(others).collect(),
        }
    }

    /// The objective with every pair to which a coupling's kind applies.
    fn objective(&self, network: &Network) -> Objective {
        let mut pairs = Vec::new();
        for &coupling in COUPLINGS.iter().filter(|c| self.couplings.contains(&c.name())) {
            let all = (0..network.tasks.len())
                .flat_map(|a| (a + 1..network.tasks.len()).map(move |b| (a, b)));
            let fits = all
                .filter(|&(a, b)| coupling.applies(&network.tasks[a], &network.tasks[b]).is_ok());
            pairs.extend(fits.map(|(a, b)| Pair { coupling, a, b, strength: 0.5 + a as f32 }));
        }
        let entropy = network.architecture.entropy();
        let weights = (0..network.tasks.len()).map(|t| 0.5 + t as f32).collect();
        Objective { weights, pairs, entropy, balance: self.balance.clone(), per_epoch: 3 }
    }

    /// One column of codes, and one of numbers if inputs are left; inputs of columns with vectors
    /// come first.
    fn spread(&self) -> Vec<Spread> {
        let learned = if self.learned && self.inputs >= 7 { 3 } else { 0 };
        let codes = (self.inputs - learned).min(5);
        let numbers = self.inputs - learned - codes;
        let column = |slot, slots, input, width, codes| Spread {
            slot,
            slots,
            input,
            width,
            codes,
            scale: 1.0,
            vectors: 0,
            window: 0,
            beyond: None,
            is_span: false,
        };
        let vectors = Spread { scale: 0.5, vectors: 6, ..column(2 + numbers, 2, 0, learned, true) };
        let columns = [
            column(0, 2, learned, codes, true),
            column(2, numbers, learned + codes, numbers, false),
            vectors,
        ];
        columns
            .into_iter()
            .filter(|c| self.table && !self.bytes && c.slots > 0 && c.width > 0)
            .collect()
    }

    /// The changes of images of one row of bytes each.
    fn augmented(&self) -> Option<Augmented> {
        let augment = Augment { shift: self.inputs.min(4) - 1, flip: Flip::Horizontal, erase: 1 };
        let images = Augmented { height: 1, width: self.inputs, channels: 1, augment };
        (self.bytes && self.changes).then_some(images)
    }

    fn tuning(&self, layout: &Layout) -> Tuning {
        let mut tuning = Tuning::new(Class::Software, DEFAULT_BINDING, self.direct);
        if self.tight {
            tuning.binding_bytes = 4 * layout.len as u64;
        }
        tuning
    }

    fn build(&self) -> Built {
        let network = self.network();
        let (layout, objective) = (
            Layout { frozen: self.frozen, ..Layout::new(&network).unwrap() },
            self.objective(&network),
        );
        let optimizer = self.optimizer.map(|kind| Optimizer {
            kind,
            learning_rate: 0.1,
            weight_decay: 0.01,
            decay_biases: false,
            clip_norm: if self.clip { 0.5 } else { 0.0 },
            schedule: Course::Constant,
            warmup_steps: 0,
        });
        let bytes = self.bytes.then_some(1.0 / 255.0);
        let parts = [("train", self.rows), ("valid", self.rows / 2 + 1)]
            .map(|(name, rows)| PartShape { name: name.into(), rows, bytes, tokens: None });
        let request = Request {
            network: &network,
            layout: &layout,
            objective: &objective,
            optimizer: optimizer.as_ref(),
            tuning: &self.tuning(&layout),
            parts: &parts,
            batch: self.batch,
            shuffled: true,
            spread: &self.spread(),
            augmented: self.augmented(),
            labels: LabelShape { weighted: self.table, blanks: self.table },
            shards: self.shards(&layout),
        };
        build(&request).unwrap_or_else(|e| panic!("{self:?}\n{e:#}"))
    }

    /// Batches of 60 rows are cut into shards, where they can be.
    fn shards(&self, layout: &Layout) -> Shards {
        let cuts = self.batch == 60 && !layout.graph.pools();
        Shards::of(if cuts { 4 } else { 1 })
    }
}

/// Trunks of 0 to 3 layers with heads of many shapes; for each, two random choices of everything
/// else.
fn cases() -> Vec<Case> {
    let trunks = [vec![], vec![12], vec![33, 64], vec![12, 65, 9]];
    let heads = [
        vec![(2, vec![])],
        vec![(3, vec![]), (3, vec![])],
        vec![(3, vec![5]), (4, vec![]), (3, vec![5]), (4, vec![6, 8])],
        (0..9).map(|t| (2 + t % 4, vec![10 + t; t % 3])).collect(),
    ];
    let couplings =
        [vec![], vec!["soft_sharing"], vec!["agreement"], vec!["soft_sharing", "agreement"]];
    let optimizers = [
        Some(ADAM),
        Some(SGD),
        None,
        Some(OptimizerKind::AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8 }),
    ];
    let mut cases = Vec::new();
    let draws = (0..2).flat_map(|_| &trunks);
    for trunk in draws {
        for heads in &heads {
            for couplings in &couplings {
                let number = cases.len() as u64;
                let pick = |choice: u64, of: usize| {
                    below(of as u64, 2, Purpose::Synthetic, choice, number) as usize
                };
                cases.push(Case {
                    inputs: [1, 7, 70][pick(0, 3)],
                    trunk: trunk.clone(),
                    heads: heads.clone(),
                    couplings: couplings.clone(),
                    clip: pick(1, 2) == 0,
                    optimizer: optimizers[pick(2, 4)],
                    bytes: pick(3, 2) == 0,
                    changes: pick(11, 2) == 0,
                    batch: [1, 24, 100, 1000][pick(4, 4)],
                    rows: [1, 90, 1001][pick(5, 3)],
                    tight: pick(6, 2) == 0,
                    direct: pick(7, 2) == 0,
                    table: pick(8, 3) == 0,
                    frozen: pick(9, 3) == 0,
                    learned: pick(10, 2) == 0,
                    architecture: Architecture::Shared,
                    balance: Balance::default(),
                });
            }
        }
    }
    let again = cases.iter().filter(|case| case.trunk.len() > 1 && case.heads.len() > 1);
    let again: Vec<Case> = again.take(3 * architectures().len()).cloned().collect();
    for (number, case) in again.into_iter().enumerate() {
        let kinds = architectures();
        let architecture = kinds[number % kinds.len()].clone();
        let trunk = case.trunk[..2].to_vec();
        // Separate networks refuse learned vectors.
        let learned = case.learned && architecture != Architecture::Separate;
        cases.push(Case { trunk, architecture, learned, ..case });
    }
    cases
}

/// One of each kind of architecture but `shared`.
fn architectures() -> Vec<Architecture> {
    let learn = Some(Falling { from: 2.0, to: 0.5 });
    let (smooth, entropy) = (1.0, 0.25);
    let select =
        |experts, gates| Architecture::DselectK { experts, select: 2, gates, smooth, entropy };
    vec![
        Architecture::Separate,
        Architecture::Mmoe { experts: 3, gates: Gates::Task },
        Architecture::Mmoe { experts: 2, gates: Gates::One },
        Architecture::Cgc { experts: 2, task_experts: 2 },
        Architecture::Ple { experts: 1, task_experts: 1, levels: 3 },
        Architecture::CrossStitch { own: 0.9, learning_rate_factor: 10.0 },
        Architecture::Mtan,
        select(3, SelectGates::Row),
        select(5, SelectGates::Task),
        Architecture::Branched { branches: Vec::new(), learn },
    ]
}

#[test]
fn built_programs_keep_the_laws() {
    let (mut split_data, mut split_batches) = (0, 0);
    for case in cases() {
        let built = case.build();
        check(&built.program).unwrap_or_else(|e| panic!("{case:?}\n{e}"));
        split_data += usize::from(built.parts[0].segments.len() > 1);
        split_batches += usize::from(count(&built, "dense_backward_weight") > 1);
    }
    // The cases have the properties that the tests need.
    assert!(
        split_data >= 10 && split_batches >= 10,
        "{split_data} with data in segments, {split_batches} with batches in chunks"
    );
}

#[test]
fn a_time_limit_splits_batches_by_the_laws() {
    let case = Case { batch: 100, ..plain() };
    let network = case.network();
    let (layout, objective) = (Layout::new(&network).unwrap(), case.objective(&network));
    let mut tuning = case.tuning(&layout);
    tuning.flop_per_dispatch = 1;
    let optimizer = Optimizer {
        kind: SGD,
        learning_rate: 0.1,
        weight_decay: 0.0,
        decay_biases: true,
        clip_norm: 1.0,
        schedule: Course::Constant,
        warmup_steps: 0,
    };
    let parts = [PartShape { name: "train".into(), rows: 200, bytes: None, tokens: None }];
    let request = Request {
        network: &network,
        layout: &layout,
        objective: &objective,
        optimizer: Some(&optimizer),
        tuning: &tuning,
        parts: &parts,
        batch: case.batch,
        shuffled: true,
        spread: &[],
        augmented: None,
        labels: tandem::step::LabelShape::default(),
        shards: Default::default(),
    };
    let built = build(&request).unwrap();
    assert_eq!(count(&built, "softmax_cross_entropy"), 4, "100 rows, 32 at a time");
    check(&built.program).unwrap();
}

/// The number of dispatches of a kernel or its variants in the training schedule.
fn count(built: &Built, kernel: &str) -> usize {
    let train = built.train.map(|t| &built.program.schedules[t].dispatches);
    train.map_or(0, |dispatches| dispatches.iter().filter(|d| d.kernel.twin == kernel).count())
}

#[test]
fn dispatches_of_a_step_do_not_grow_with_heads() {
    let step = |heads: usize, couplings: Vec<&'static str>, clip: bool| {
        let case = Case { heads: vec![(10, vec![]); heads], couplings, clip, ..plain() };
        let built = case.build();
        check(&built.program).unwrap();
        built.program.schedules[built.train.unwrap()].dispatches.len()
    };
    for heads in [1, 2, 7, 64] {
        assert_eq!(step(heads, vec![], false), 10, "{heads} heads");
    }
    for heads in [2, 7, 64] {
        assert_eq!(step(heads, vec!["soft_sharing"], false), 11, "{heads} heads, weights coupled");
        assert_eq!(step(heads, vec!["agreement"], false), 11, "{heads} heads, logits coupled");
        assert_eq!(
            step(heads, vec!["soft_sharing", "agreement"], true),
            13,
            "{heads} heads, both, clipped"
        );
    }
}

/// Asserts that no two named ranges share an element or exceed the arena.
fn disjoint(case: &Case, arena: &str, len: usize, mut ranges: Vec<(String, Range<usize>)>) {
    ranges.sort_by_key(|(_, r)| r.start);
    for pair in ranges.windows(2) {
        assert!(
            pair[0].1.end <= pair[1].1.start,
            "{case:?}\n{arena}: {:?} and {:?}",
            pair[0],
            pair[1]
        );
    }
    assert!(
        ranges.iter().all(|(_, r)| r.end <= len),
        "{case:?}\n{arena} has {len} elements: {ranges:?}"
    );
}

#[test]
fn layers_never_share_an_element_of_an_arena() {
    for case in cases() {
        let network = case.network();
        let layout = Layout::new(&network).unwrap();
        let plan = LayerPlan::new(&network, &layout, &case.tuning(&layout), 5);
        let block = |b: &tandem::model::layout::Block| (b.name.clone(), b.offset..b.offset + b.len);
        disjoint(&case, "parameters", layout.len, layout.blocks.iter().map(block).collect());
        let mut activations = [vec![("inputs".to_string(), 0..5 * case.inputs)], vec![]];
        let mut deltas = [vec![], vec![], vec![]];
        for (dense, layer) in plan.layers.iter().zip(plan.order.iter().map(|&l| &layout.layers[l]))
        {
            let range = |first: u32| first as usize..first as usize + 5 * layer.outputs;
            deltas[dense.delta_arena as usize].push((layer.name.clone(), range(dense.delta)));
            if dense.slope != NONE {
                activations[1 - dense.x_odd as usize].push((layer.name.clone(), range(dense.y)));
                activations[1 - dense.x_odd as usize]
                    .push((format!("slope of {}", layer.name), range(dense.slope)));
            }
        }
        if let Some(inputs) = plan.learned_inputs {
            let delta = &plan.destinations[inputs];
            deltas[0].push((
                "learned inputs".into(),
                delta.delta as usize..(delta.delta + 5 * delta.width) as usize,
            ));
        }
        let levels = layout.graph.levels();
        for (mix, node) in plan.mixing.mixes.iter().zip(layout.graph.mixes()) {
            let (odd, name) = (levels[node.0] % 2, &layout.graph[node].name);
            let range = |first: u32, width: u32| first as usize..(first + 5 * width) as usize;
            activations[odd].push((name.clone(), range(mix.y, mix.width)));
            deltas[odd].push((name.clone(), range(mix.delta, mix.width)));
        }
        for (gate, name) in plan.mixing.gates.iter().zip(&plan.mixing.names) {
            let weights = gate.weights as usize..(gate.weights + 5 * gate.terms) as usize;
            deltas[2].push((format!("weights of {}", name.gate), weights));
            if gate.constant == 1 {
                let values = gate.delta as usize..(gate.delta + 5 * gate.values) as usize;
                deltas[2].push((name.gate.clone(), values));
            }
        }
        for (parity, (activations, deltas)) in activations.into_iter().zip(&deltas).enumerate() {
            disjoint(&case, "activations", plan.activations[parity], activations);
            disjoint(&case, "deltas", plan.deltas[parity], deltas.clone());
        }
        disjoint(&case, "logits", plan.logits, deltas[2].clone());
    }
}

// Each law is broken on purpose.

/// The message of `check` for a program that was good before `change`.
fn broken(change: impl FnOnce(&mut Program)) -> String {
    let mut program = Case { tight: true, ..plain() }.build().program;
    check(&program).unwrap();
    change(&mut program);
    check(&program).expect_err("the broken schedule passes").to_string()
}

/// Asserts that the broken schedule is refused with these words.
fn caught(words: &str, change: impl FnOnce(&mut Program)) {
    let said = broken(change);
    assert!(said.contains(words), "expected: {words}\nfound: {said}");
}

/// The first dispatch of a kernel in the training schedule.
fn first<'a>(program: &'a mut Program, kernel: &str) -> &'a mut Dispatch {
    program.schedules[0].dispatches.iter_mut().find(|d| d.kernel.name == kernel).unwrap()
}

fn effect(dispatch: &mut Dispatch, effect: Effect) -> &mut Slice {
    &mut dispatch.effects.iter_mut().find(|(e, _)| *e == effect).unwrap().1
}

#[test]
fn a_handle_that_names_no_buffer_or_another_one_is_caught() {
    caught("gradients and metrics have one handle", |p| p.gradients_buffer = p.metrics_buffer);
    caught("the handle of flags is buffer 999, but there are", |p| p.flags_buffer = Buffer(999));
}

#[test]
fn a_missing_foreign_or_repeated_binding_is_caught() {
    caught("dispatch 1, dense_forward (trunk.0): binding flags is bound 0 times", |p| {
        first(p, "dense_forward").bindings.retain(|(name, _)| *name != "flags");
    });
    caught("gradients is bound, but the kernel declares no such binding", |p| {
        let gradients = p.buffer("gradients").unwrap();
        first(p, "dense_forward").bindings.push(("gradients", gradients));
    });
    caught("binding layers is bound 2 times", |p| {
        let other = p.buffer("destinations").unwrap();
        first(p, "dense_forward").bindings.push(("layers", other));
    });
    caught("x is bound to buffer 999", |p| {
        first(p, "dense_forward").bindings.iter_mut().find(|(n, _)| *n == "x").unwrap().1 =
            Buffer(999);
    });
}

#[test]
fn a_buffer_that_is_bound_twice_is_caught() {
    caught("activations, even is bound as x and as y", |p| {
        let dispatch = first(p, "dense_forward");
        let x = dispatch.bindings.iter().find(|(n, _)| *n == "x").unwrap().1;
        dispatch.bindings.iter_mut().find(|(n, _)| *n == "y").unwrap().1 = x;
    });
}

#[test]
fn an_effect_outside_its_buffer_is_caught() {
    caught("is empty or does not lie inside its buffer", |p| {
        effect(first(p, "dense_forward"), Effect::Read).len = 1 << 30
    });
    caught("is empty or does not lie inside its buffer", |p| {
        effect(first(p, "dense_forward"), Effect::Read).len = 0
    });
    caught("given or wanted, is empty or does not lie", |p| {
        p.schedules[0].given[0].first = 1 << 30
    });
    caught("given or wanted, is empty or does not lie", |p| {
        p.schedules[0].wanted[0].buffer = Buffer(999)
    });
}

#[test]
fn an_effect_on_a_buffer_that_is_not_bound_is_caught() {
    caught("which is not bound", |p| {
        let slice = p.whole(p.buffer("decay").unwrap());
        first(p, "dense_forward").effects.push((Effect::Read, slice));
    });
}

#[test]
fn a_write_to_a_read_only_binding_is_caught() {
    for written in [Effect::Update, Effect::Overwrite] {
        caught("but the kernel declares parameters read-only", |p| {
            let parameters = p.buffer("parameters").unwrap();
            let dispatch = first(p, "dense_forward");
            dispatch
                .effects
                .iter_mut()
                .filter(|(_, s)| s.buffer == parameters)
                .for_each(|(e, _)| *e = written);
        });
    }
}

#[test]
fn a_value_that_is_read_before_it_is_written_is_caught() {
    caught(
        "dense_forward (trunk.0): reads activations, even[0..168], but nothing has written \
         activations, even[0..168]",
        |p| {
            p.schedules[0].dispatches.retain(|d| d.kernel.name != "gather_rows");
        },
    );
    // All elements but the last one are written.
    caught("but nothing has written activations, even[167..168]", |p| {
        effect(first(p, "gather_rows"), Effect::Overwrite).len -= 1
    });
    // All elements but the first one are written: a range begins too late.
    caught("but nothing has written activations, even[0..1]", |p| {
        let slice = effect(first(p, "gather_rows"), Effect::Overwrite);
        (slice.first, slice.len) = (slice.first + 1, slice.len - 1);
    });
    caught("but nothing has written parameters", |p| {
        let parameters = p.buffer("parameters").unwrap();
        p.schedules[0].given.retain(|s| s.buffer != parameters);
    });
    // The order is right, but the effect is wrong: an update only reads.
    caught("dense_backward_weight (all layers): reads gradients[0..84], but nothing", |p| {
        first(p, "dense_backward_weight")
            .effects
            .iter_mut()
            .filter(|(e, _)| *e == Effect::Overwrite)
            .for_each(|(e, _)| *e = Effect::Update);
    });
}

#[test]
fn a_value_that_nobody_reads_is_caught() {
    caught(
        "dense_backward_weight (all layers): nothing reads gradients[0..84] after it is written",
        |p| {
            p.schedules[0]
                .dispatches
                .retain(|d| !["gradient_norm", "adam"].contains(&d.kernel.name));
        },
    );
    caught("adam (all parameters): nothing reads parameters", |p| {
        let parameters = p.buffer("parameters").unwrap();
        p.schedules[0].wanted.retain(|s| s.buffer != parameters);
    });
    // A reader that comes earlier, or after another write, does not count.
    caught("gather_rows (train): nothing reads labels[0..72] after it is written", |p| {
        let again = first(p, "gather_rows").clone();
        p.schedules[0].dispatches.insert(0, again);
    });
    caught("gather_rows (train): nothing reads labels[0..72] after it is written", |p| {
        let again = first(p, "gather_rows").clone();
        p.schedules[0].dispatches.push(again);
    });
}

#[test]
fn writes_of_one_dispatch_that_overlap_are_caught() {
    caught("and one of the two is written", |p| {
        let dispatch = first(p, "dense_forward");
        let (e, mut slice) =
            *dispatch.effects.iter().find(|(e, _)| *e == Effect::Overwrite).unwrap();
        (slice.first, slice.len) = (slice.first + slice.len - 1, 1);
        dispatch.effects.push((e, slice));
    });
    // A write into elements that other workgroups read, at their end and at their beginning.
    for (before, after) in [(0, 1), (1, 2)] {
        caught("and one of the two is written", |p| {
            let dispatch = first(p, "dense_backward_weight");
            let written = dispatch.effects.iter().filter(|(e, _)| *e == Effect::Overwrite);
            let slice = written.map(|(_, s)| *s).nth(1).unwrap();
            dispatch
                .effects
                .push((Effect::Read, Slice { first: slice.first - before, len: after, ..slice }));
        });
    }
}

#[test]
fn a_gradient_that_is_overwritten_twice_or_never_is_caught() {
    caught("dense_backward_weight (all layers): overwrites gradients[0..84] a second time", |p| {
        let again = first(p, "dense_backward_weight").clone();
        let at = p.schedules[0]
            .dispatches
            .iter()
            .position(|d| d.kernel.name == "gradient_norm")
            .unwrap();
        p.schedules[0].dispatches.insert(at, again);
    });
    caught("is given, so that no dispatch has to overwrite it", |p| {
        let slice = p.whole(p.buffer("gradients").unwrap());
        p.schedules[0].given.push(slice);
        p.schedules[0].dispatches.retain(|d| d.kernel.name != "dense_backward_weight");
    });
}

#[test]
fn a_grid_out_of_bounds_is_caught() {
    caught("grid [0, 1, 1], expected 1 to 65535", |p| first(p, "adam").grid = [0, 1, 1]);
    caught("grid [1, 65536, 1], expected 1 to 65535", |p| first(p, "adam").grid = [1, 65_536, 1]);
}

#[test]
fn parameters_of_another_length_are_caught() {
    caught("5 u32 of parameters, expected 10", |p| first(p, "adam").params.truncate(5));
    caught("11 u32 of parameters, expected 10", |p| first(p, "adam").params.push(0));
}

/// Nine bindings, 20,000 bytes, 512 invocations.
static GREEDY: Kernel = Kernel {
    name: "greedy",
    file: "shaders/greedy.wgsl",
    source: "
        @group(0) @binding(0) var<storage, read_write> b0: array<f32>;
        @group(0) @binding(1) var<storage, read> b1: array<f32>;
        @group(0) @binding(2) var<storage, read> b2: array<f32>;
        @group(0) @binding(3) var<storage, read> b3: array<f32>;
        @group(0) @binding(4) var<storage, read> b4: array<f32>;
        @group(0) @binding(5) var<storage, read> b5: array<f32>;
        @group(0) @binding(6) var<storage, read> b6: array<f32>;
        @group(0) @binding(7) var<storage, read> b7: array<f32>;
        @group(0) @binding(8) var<storage, read> b8: array<f32>;
        var<workgroup> shared_words: array<f32, 5000>;
        @compute @workgroup_size(512)
        fn greedy(@builtin(local_invocation_index) lane: u32) {
            shared_words[lane] = b1[lane] + b2[lane] + b3[lane] + b4[lane] + b5[lane] + b6[lane] + \
             b7[lane] + b8[lane];
            b0[lane] = shared_words[lane];
        }",
    params: &[],
    bound: 1.0,
    twin: "greedy",
    direct: false,
    bounded: false,
    unit: None,
};

static UNREADABLE: Kernel = Kernel {
    name: "unreadable",
    file: "shaders/unreadable.wgsl",
    source: "fn unreadable() { let x = ; }",
    params: &[],
    ..GREEDY
};

#[test]
fn a_kernel_beyond_the_limits_is_caught() {
    let said = broken(|p| first(p, "adam").kernel = &GREEDY);
    for words in [
        "9 storage bindings, at most 8",
        "20000 bytes of workgroup memory, at most 16384",
        "512 invocations per workgroup, at most 256",
    ] {
        assert!(said.contains(words), "expected: {words}\nfound: {said}");
    }
    caught("shaders/unreadable.wgsl:1", |p| first(p, "adam").kernel = &UNREADABLE);
}

#[test]
fn every_violation_of_a_schedule_is_listed_in_order() {
    let said = broken(|p| {
        first(p, "adam").grid = [0, 1, 1];
        first(p, "gather_rows").grid = [0, 1, 1];
        p.schedules[1].dispatches[0].grid = [0, 1, 1];
    });
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "schedule \"train\" breaks 2 laws:", "{said}");
    assert!(
        lines.len() == 3 && lines[1].contains("gather_rows") && lines[2].contains("adam"),
        "{said}"
    );
}

// Effects are honest: each dispatch does what it states.

/// All buffers as bits: of f64 for numbers, of u32 for the others.
type Image = Vec<Vec<u64>>;

/// (number, u32) in elements that a dispatch must not read.
const POISONS: [(f64, u32); 2] = [(f64::NAN, 0xabcd_ef01), (12345.678, 1)];

fn snapshot(engine: &Reference) -> Image {
    let program = engine.program();
    let bits = |(i, spec): (usize, &tandem::schedule::BufferSpec)| match spec.kind {
        Kind::F32 => {
            engine.numbers(program.whole(Buffer(i))).into_iter().map(f64::to_bits).collect()
        }
        Kind::U32 => engine.integers(program.whole(Buffer(i))).into_iter().map(u64::from).collect(),
    };
    program.buffers.iter().enumerate().map(bits).collect()
}

fn restore(engine: &mut Reference, image: &Image) {
    for (i, bits) in image.iter().enumerate() {
        match engine.program().buffers[i].kind {
            Kind::F32 => engine.set_numbers(
                Buffer(i),
                0,
                &bits.iter().map(|b| f64::from_bits(*b)).collect::<Vec<_>>(),
            ),
            Kind::U32 => engine
                .upload(Buffer(i), 0, &bits.iter().map(|b| *b as u32).collect::<Vec<_>>())
                .unwrap(),
        }
    }
}

/// A flag for every element: whether it lies in one of the slices.
fn mask<'a>(program: &Program, slices: impl Iterator<Item = &'a Slice>) -> Vec<Vec<bool>> {
    let mut mask: Vec<Vec<bool>> = program.buffers.iter().map(|b| vec![false; b.len]).collect();
    slices.for_each(|s| mask[s.buffer.0][s.first..s.first + s.len].fill(true));
    mask
}

/// The image with poison wherever `keep` is not set.
fn poisoned(program: &Program, image: &Image, keep: &[Vec<bool>], poison: (f64, u32)) -> Image {
    let mut image = image.clone();
    for (i, spec) in program.buffers.iter().enumerate() {
        let bits = if spec.kind == Kind::F32 { poison.0.to_bits() } else { u64::from(poison.1) };
        image[i].iter_mut().zip(&keep[i]).filter(|(_, keep)| !**keep).for_each(|(x, _)| *x = bits);
    }
    image
}

/// Uploads data, labels, order, weights and moments that are all different from each other.
fn fill(engine: &mut Reference, case: &Case, built: &Built) {
    let layout = Layout::new(&case.network()).unwrap();
    let mut random = {
        let mut index = 0;
        move |variance: f64| {
            index += 1;
            (variance.sqrt() * normal(7, Purpose::Synthetic, 0, index)) as f32
        }
    };
    for block in &layout.blocks {
        let mut upload = |buffer: Buffer, value: &mut dyn FnMut() -> f32| {
            let words: Vec<u32> = (0..block.len).map(|_| value().to_bits()).collect();
            if engine.program().buffers[buffer.0].len == layout.len {
                engine.upload(buffer, block.offset, &words).unwrap();
            }
        };
        upload(built.buffers.parameters, &mut || random(0.1));
        upload(built.buffers.first_moment, &mut || random(0.01));
        upload(built.buffers.second_moment, &mut || random(0.01).abs());
    }
    for (part, segment) in built.parts.iter().flat_map(|p| p.segments.iter().map(move |s| (p, s))) {
        let words = engine.program().buffers[segment.features.0].len;
        let spread = case.spread();
        let slots: usize = spread.iter().map(|s| s.slots).sum();
        let word = |i: usize| match (part.shape.bytes, spread.first()) {
            (Some(_), _) => 0x2f83_4c17 ^ (i as u32),
            (None, Some(codes)) if i % slots < codes.slots => i as u32 % 7,
            _ => random(1.0).to_bits(),
        };
        engine.upload(segment.features, 0, &(0..words).map(word).collect::<Vec<_>>()).unwrap();
        // One in five is missing.
        let cells = built.counting.cells;
        let label = |i: usize| match below(5, 3, Purpose::Synthetic, 1, i as u64) {
            _ if built.counting.weighted && i % cells == cells - 1 => {
                (0.5 + (i % 3) as f32).to_bits()
            }
            4 => UNLABELLED,
            n => n as u32 % 2,
        };
        engine
            .upload(segment.labels, 0, &(0..segment.rows * cells).map(label).collect::<Vec<_>>())
            .unwrap();
    }
    let order = permutation(built.parts[0].shape.rows, 5, Purpose::Order, 0);
    engine.upload(built.buffers.order, 0, &order).unwrap();
}

/// A step over `rows` rows.
fn step(rows: usize) -> Step {
    Step {
        number: 9,
        first: 0,
        rows: rows as u32,
        slot: 3,
        learning_rate: 0.1,
        inverse_rows: 1.0 / rows as f32,
        step_size: 0.1,
        root_correction: 1.5,
        delta_scale: 1.0,
        inverse_scale: 1.0,
        key_low: 11,
        key_high: 12,
        progress: 0.25,
    }
}

/// How a dispatch that ran between two images violated what it states, if it did.
fn lie(program: &Program, before: &Image, after: &Image, written: &[Vec<bool>]) -> Option<String> {
    for (b, spec) in program.buffers.iter().enumerate() {
        for i in 0..spec.len {
            let (old, new) = (before[b][i], after[b][i]);
            let number = if spec.kind == Kind::F32 { f64::from_bits(new) } else { 0.0 };
            if !written[b][i] && old != new {
                return Some(format!("{}[{i}] has changed, which is not stated", spec.name));
            }
            if written[b][i]
                && (!number.is_finite() || spec.kind == Kind::U32 && new == u64::from(POISONS[0].1))
            {
                return Some(format!(
                    "{}[{i}] should have been written from what is stated, and is {number}",
                    spec.name
                ));
            }
        }
    }
    None
}

/// Runs a schedule dispatch by dispatch, each time with poison in everything that the dispatch does
/// not state to read. It must write everything that it states to write, change nothing else, and
/// give the same bits with every poison.
fn lies(case: &Case, built: &Built, schedule: usize, rows: usize) -> Option<String> {
    let program = &built.program;
    let mut engine = Reference::<f64>::new(program.clone());
    fill(&mut engine, case, built);
    let dispatches = &program.schedules[schedule].dispatches;
    let given = mask(program, program.schedules[schedule].given.iter());
    let mut image = poisoned(program, &snapshot(&engine), &given, POISONS[0]);
    // Tables and flags are bound as a whole and have no effects.
    let tables: Vec<Slice> = (0..program.buffers.len())
        .map(Buffer)
        .filter(|b| !program.buffers[b.0].initial.is_empty())
        .map(|b| program.whole(b))
        .collect();
    for (number, dispatch) in dispatches.iter().enumerate() {
        let of =
            |not: Effect| dispatch.effects.iter().filter(move |(e, _)| *e != not).map(|(_, s)| s);
        let (read, written) =
            (mask(program, of(Effect::Overwrite).chain(&tables)), mask(program, of(Effect::Read)));
        let mut results = Vec::new();
        for poison in POISONS {
            let before = poisoned(program, &image, &read, poison);
            restore(&mut engine, &before);
            engine.run_dispatch(schedule, number, &step(rows)).unwrap();
            let after = snapshot(&engine);
            if let Some(lie) = lie(program, &before, &after, &written) {
                return Some(format!("{} ({}): {lie}", dispatch.kernel.name, dispatch.label));
            }
            results.push(poisoned(program, &after, &written, POISONS[0]));
        }
        if results[0] != results[1] {
            return Some(format!(
                "{} ({}): depends on a value that it does not state to read",
                dispatch.kernel.name, dispatch.label
            ));
        }
        for (b, bits) in results.remove(0).into_iter().enumerate() {
            (0..bits.len()).filter(|&i| written[b][i]).for_each(|i| image[b][i] = bits[i]);
        }
    }
    None
}

/// Small cases that together use every kernel.
fn small() -> Vec<Case> {
    let towers = vec![(3, vec![5]), (2, vec![]), (3, vec![5]), (2, vec![4, 6])];
    let kinds = architectures().into_iter().enumerate();
    let kinds = kinds.map(|(number, architecture)| Case {
        architecture,
        batch: 60,
        rows: 61,
        tight: number % 2 == 0,
        table: number % 3 == 0,
        direct: number % 3 == 1,
        ..plain()
    });
    let mut cases: Vec<Case> = vec![
        plain(),
        Case { tight: true, batch: 60, rows: 61, ..plain() },
        Case {
            heads: towers.clone(),
            optimizer: Some(SGD),
            bytes: true,
            tight: true,
            batch: 50,
            direct: true,
            ..plain()
        },
        Case { trunk: vec![], heads: towers, optimizer: Some(SGD), bytes: true, ..plain() },
        Case { bytes: true, changes: true, ..plain() },
        Case { bytes: true, changes: true, tight: true, batch: 60, rows: 61, ..plain() },
        Case { trunk: vec![], couplings: vec![], clip: false, rows: 5, batch: 1, ..plain() },
        Case { couplings: vec!["agreement"], direct: true, ..plain() },
        Case { table: true, ..plain() },
        Case { table: true, tight: true, batch: 60, rows: 61, direct: true, ..plain() },
        Case { table: true, learned: true, ..plain() },
        Case {
            table: true,
            learned: true,
            trunk: vec![],
            inputs: 9,
            tight: true,
            batch: 60,
            rows: 61,
            direct: true,
            ..plain()
        },
        Case { table: true, learned: true, frozen: true, ..plain() },
        Case { architecture: Architecture::Mtan, frozen: true, ..plain() },
        Case { trunk: vec![6], optimizer: None, rows: 40, tight: true, direct: true, ..plain() },
    ];
    cases.extend(kinds);
    cases.extend(balanced());
    cases
}

/// Cases that together use every kernel of balancing.
fn balanced() -> Vec<Case> {
    let exact =
        |method| Balance { space: Space::Parameters, ..Balance { method, ..Balance::default() } };
    let planes = |method| Balance { method, ..Balance::default() };
    let balances = [
        planes(Balancer::Famo { learning_rate: 0.1, decay: 0.01 }),
        planes(Balancer::Gradnorm { alpha: 1.5, learning_rate: 0.1 }),
        Balance { every: 2, observe: 4, ..exact(Balancer::Upgrad { regularization: 1e-4 }) },
        Balance { normalize: Normalize::Loss, ..planes(Balancer::Gradvac { beta: 0.1 }) },
        Balance { couplings: Couplings::Balanced, observe: 2, ..exact(Balancer::ImtlG) },
        Balance { metric: Metric::Adam, ..exact(Balancer::Fairgrad { alpha: 2.0 }) },
        planes(Balancer::DbMtl { beta: 0.9, power: 0.5 }),
        planes(Balancer::ExcessMtl { learning_rate: 0.1 }),
        planes(Balancer::Cagrad { c: 0.4 }),
        Balance {
            couplings: Couplings::Balanced,
            observe: 2,
            ..planes(Balancer::Graddrop { leak: 0.1 })
        },
        exact(Balancer::Graddrop { leak: 0.1 }),
        Balance { observe: 1, ..planes(Balancer::None) },
        planes(Balancer::Random),
        planes(Balancer::Mgda),
        planes(Balancer::Config),
        planes(Balancer::AlignedMtl { scale: Scaling::Min }),
        planes(Balancer::NashMtl { max_norm: 1.0 }),
    ];
    let case = |(number, balance): (usize, Balance)| Case {
        balance,
        couplings: match number % 3 == 0 || number == 4 {
            true => vec!["agreement"],
            false => vec!["soft_sharing"],
        },
        table: number % 2 == 0,
        learned: number % 4 == 0,
        direct: number % 2 == 0,
        ..plain()
    };
    let mut cases: Vec<Case> = balances.into_iter().enumerate().map(case).collect();
    // Few rows of wide layers, so that products come from those of rows.
    cases.extend([true, false].map(|direct| Case {
        balance: Balance { observe: 2, ..exact(Balancer::Upgrad { regularization: 1e-4 }) },
        inputs: if direct { 40 } else { 37 },
        trunk: vec![12, 8],
        rows: 12,
        batch: 5,
        direct,
        ..plain()
    }));
    cases
}

#[test]
fn twins_do_exactly_what_effects_state() {
    let mut ran = BTreeSet::new();
    for case in small() {
        let built = case.build();
        for (number, schedule) in built.program.schedules.iter().enumerate() {
            ran.extend(schedule.dispatches.iter().map(|d| d.kernel.name));
            let training = built.program.schedules.len() - built.evaluate.len();
            let part = number.saturating_sub(training);
            let most = schedule.rows.min(built.parts[part].shape.rows);
            // Full batches, and the short one at the end of an epoch.
            for rows in BTreeSet::from([most, most.div_ceil(3)]) {
                let found = lies(&case, &built, number, rows);
                assert_eq!(found, None, "{case:?}\n{}, {rows} rows", schedule.name);
            }
        }
    }
    // The other shapes of a kernel have the same twin and the same effects.
    let own = kernels::KERNELS.iter().filter(|k| k.name == k.twin || k.name.ends_with("_direct"));
    assert_eq!(ran, own.map(|k| k.name).collect(), "some kernel was not run");
}

/// The result of the test above for the training schedule after a change.
fn lie_after(change: impl FnOnce(&mut Program)) -> String {
    let case = plain();
    let mut built = case.build();
    change(&mut built.program);
    lies(&case, &built, 0, case.batch).expect("the false statement passes")
}

#[test]
fn false_effects_are_found() {
    let said = lie_after(|p| effect(first(p, "dense_forward"), Effect::Overwrite).len -= 1);
    assert!(said.contains("has changed, which is not stated"), "{said}");
    let said = lie_after(|p| effect(first(p, "agreement"), Effect::Overwrite).len += 1);
    assert!(said.contains("should have been written"), "{said}");
    let said = lie_after(|p| effect(first(p, "dense_backward_weight"), Effect::Read).len -= 1);
    assert!(said.contains("should have been written from what is stated"), "{said}");
    let said = lie_after(|p| {
        let dispatch = first(p, "dense_backward_weight");
        let words: DenseBackwardWeight = bytemuck::cast_slice(&dispatch.params)[0];
        dispatch.params =
            bytemuck::cast_slice(&[DenseBackwardWeight { accumulate: 1, ..words }]).to_vec();
    });
    assert!(said.contains("should have been written from what is stated, and is NaN"), "{said}");
    // A label that is read without being stated gives finite numbers too.
    let said = lie_after(|p| {
        let labels = p.buffer("labels").unwrap();
        first(p, "softmax_cross_entropy").effects.retain(|(_, s)| s.buffer != labels);
    });
    assert!(said.contains("depends on a value that it does not state"), "{said}");
}

// The program as text.

#[test]
fn the_table_shows_every_dispatch_in_columns() {
    let built = plain().build();
    let schedule = &built.program.schedules[0];
    let text = show::table(&built.program, schedule);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2 + schedule.dispatches.len(), "{text}");
    assert!(lines[0].starts_with("train: 13 dispatches, 24 rows, "), "{text}");
    for (dispatch, line) in schedule.dispatches.iter().zip(&lines[2..]) {
        assert!(line.contains(dispatch.kernel.name) && line.contains(&dispatch.label), "{line}");
    }
    let column = |line: &str, word: &str| {
        line.chars().count()
            - line.split(word).last().unwrap().chars().count()
            - word.chars().count()
    };
    assert_eq!(column(lines[1], "kernel"), column(lines[2], "gather_rows"), "{text}");
    assert!(
        lines[2].contains(concat!(
            "features of train; labels of train; order → activations, even; ",
            "labels"
        )),
        "{text}"
    );
    assert!(
        lines.last().unwrap().contains(
            "gradients; decay; metrics; first moment; second moment; parameters → first moment; "
        ),
        "{text}"
    );
    assert!(lines.iter().all(|l| !l.ends_with(' ')));
}

#[test]
fn networks_and_memory_add_up() {
    let case = plain();
    let (network, built) = (case.network(), case.build());
    let text = show::network(&network, &Layout::new(&network).unwrap());
    // 7·12 + 12 + 12·9 + 9 and three heads of 9·3 + 3, 9·3 + 3, 9·4 + 4
    let total = 84 + 12 + 108 + 9 + 30 + 30 + 40;
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(
        words(text.lines().last().unwrap()),
        ["total".to_string(), total.to_string()],
        "{text}"
    );
    assert_eq!(
        words(text.lines().nth(2).unwrap())[..4],
        ["trunk.0.weight", "12×7", "0", "84"],
        "{text}"
    );
    let text = show::memory(&built.program);
    assert_eq!(text.lines().count(), built.program.buffers.len() + 7, "{text}");
    let sizes = text
        .lines()
        .skip(1)
        .map(|l| words(l).last().unwrap().parse::<f64>().unwrap())
        .collect::<Vec<_>>();
    let (total, parts) = sizes.split_last().unwrap();
    assert!((total - parts.iter().sum::<f64>()).abs() < 0.05 * sizes.len() as f64, "{text}");
    assert!((total - built.program.bytes() as f64 / 1024.0).abs() < 0.05, "{text}");
}
