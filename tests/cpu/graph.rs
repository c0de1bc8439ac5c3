//! The network as a graph: the rules that a graph must obey, and separate networks in one step.

use crate::common::{Bench, config, synthetic, whole};
use tandem::config::{Activation, Architecture};
use tandem::data::{Dataset, Parts, Schema};
use tandem::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use tandem::model::graph::{By, Draft, Graph, Node, NodeId, Op, Owner, Role, Rule, Source, Start};
use tandem::run::train::Plan;
use tandem::run::train::learning_rate::Course;
use tandem::schedule::{Engine, MetricKind, Program};

/// A dense node of width 4.
fn dense(source: Source, owner: Owner, role: Role) -> Node {
    let op = Op::Dense { source, activation: Activation::Relu, dropout: 0.0 };
    let name = format!("{owner:?} {role:?}");
    Node { name, series: None, width: 4, op, owner, role, start: Start::Usual }
}

fn softmax(gate: NodeId) -> By {
    By::Gate { gate, rule: Rule::Softmax }
}

fn mix(terms: &[NodeId], by: By) -> Node {
    let op = Op::Mix { terms: terms.to_vec(), by };
    Node { op, name: "mix".into(), ..dense(Source::Inputs, Owner::Task(0), Role::Hidden) }
}

/// Two experts, a gate over them, their mix, and the output of one task; `change` may break a rule.
fn experts(change: impl Fn(&mut Vec<Node>)) -> Result<Graph, String> {
    let own = Owner::Task(0);
    let mut nodes = vec![
        dense(Source::Inputs, Owner::Shared, Role::Hidden),
        dense(Source::Inputs, Owner::Shared, Role::Hidden),
        Node { width: 2, ..dense(Source::Inputs, own, Role::Gate) },
        mix(&[NodeId(0), NodeId(1)], softmax(NodeId(2))),
        dense(Source::Node(NodeId(3)), own, Role::Output),
    ];
    for (number, node) in nodes.iter_mut().enumerate() {
        node.name = format!("{} {number}", node.name);
    }
    change(&mut nodes);
    let mut draft = Draft::default();
    for node in nodes {
        draft.push(node)?;
    }
    draft.finish(1)
}

#[test]
fn experts_with_a_gate_are_a_graph() {
    let graph = experts(|_| {}).unwrap();
    // The gate is on level 1 too, and the mix has the other parity than the experts.
    assert_eq!(graph.levels(), [1, 1, 1, 2, 3]);
}

#[test]
fn a_mix_is_above_its_gate_and_in_the_other_arena_than_its_terms() {
    let graph = experts(|nodes| {
        // The gate reads an expert of its own, so it is one level higher than the terms.
        nodes.insert(0, dense(Source::Inputs, Owner::Task(0), Role::Hidden));
        nodes[3] = Node { width: 2, ..dense(Source::Node(NodeId(0)), Owner::Task(0), Role::Gate) };
        nodes[4] = mix(&[NodeId(1), NodeId(2)], softmax(NodeId(3)));
        nodes[5] = dense(Source::Node(NodeId(4)), Owner::Task(0), Role::Output);
    });
    assert_eq!(graph.unwrap().levels(), [1, 1, 1, 2, 2, 3]);
}

#[test]
fn each_broken_law_of_graphs_is_reported() {
    type Change = fn(&mut Vec<Node>);
    let laws: [(&str, Change); 13] = [
        ("reads node 9, which is not before it", |n| {
            n[4] = dense(Source::Node(NodeId(9)), Owner::Task(0), Role::Output);
        }),
        ("0 outputs, expected 1 to", |n| n[0].width = 0),
        ("two layers are called Shared Hidden 0: rename a task", |n| {
            n[1].name = "Shared Hidden 0".into();
        }),
        ("expected one of each of 1 tasks", |n| n[4].owner = Owner::Task(1)),
        ("expected one of each of 1 tasks", |n| n[4].owner = Owner::Shared),
        ("expected one of each of 1 tasks", |n| n.push(n[4].clone())),
        ("a mix writes no logits and no gate", |n| {
            n[4] = Node { role: Role::Output, ..mix(&[NodeId(3)], By::Sum) };
        }),
        ("a constant is a gate", |n| {
            n[0] = Node { op: Op::Constant, ..dense(Source::Inputs, Owner::Shared, Role::Hidden) };
        }),
        ("read by 0 nodes", |n| {
            n.insert(4, dense(Source::Inputs, Owner::Shared, Role::Hidden));
        }),
        ("and as the gate of 0", |n| n[3] = mix(&[NodeId(0), NodeId(1)], By::Sum)),
        ("its terms or its gate do not fit it", |n| n[2].width = 3),
        ("its terms or its gate do not fit it", |n| {
            n[3] = mix(&[NodeId(0), NodeId(1)], By::Mask(vec![NodeId(2)]));
        }),
        ("its terms or its gate do not fit it", |n| n[1].width = 5),
    ];
    for (words, change) in laws {
        let problem = experts(change).expect_err(words);
        assert!(problem.contains(words), "expected: {words}\nfound: {problem}");
    }
}

#[test]
fn a_graph_does_not_grow_beyond_its_limit() {
    let mut draft = Draft::default();
    let layer = || dense(Source::Inputs, Owner::Shared, Role::Hidden);
    let problem = draft.column(Source::Inputs, std::iter::repeat_with(layer)).unwrap_err();
    assert!(problem.contains("more than 10000 layers"), "{problem}");
}

const CLASSES: [usize; 4] = [3, 2, 5, 3];
const STEPS: usize = 40;
const BATCH: usize = 24;
const ROWS: usize = 96;

/// The settings of some of the four tasks.
fn tables(tasks: &[usize]) -> String {
    let task = |t: &usize| format!("[task.t{t}]\nlayers = [6]\nactivation = \"tanh\"\n");
    let tasks: String = tasks.iter().map(task).collect();
    let optimizer = "[optimizer]\nkind = \"adamw\"\nlearning_rate = 0.01\nweight_decay = 0.1\n";
    let trunk = "[trunk]\nlayers = [12, 8]\nactivation = \"gelu\"\n";
    format!("{trunk}{tasks}{optimizer}[train]\nepochs = 10\nbatch_size = {BATCH}\n")
}

/// A plan of some of the four tasks, on the same rows.
fn plan(architecture: Architecture, tasks: &[usize]) -> Plan {
    let all = synthetic(5, ROWS, 10, &CLASSES);
    let names: Vec<String> = (0..5).map(|c| c.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let of: Vec<String> = tasks.iter().map(|t| format!("t{t}")).collect();
    let of: Vec<(&str, &[&str])> =
        of.iter().zip(tasks).map(|(name, &t)| (name.as_str(), &names[..CLASSES[t]])).collect();
    let labels = tasks.iter().map(|&t| all.labels[t].clone()).collect();
    let rows = Dataset { labels, ..all.clone() };
    let mut config = config(&tables(tasks));
    config.architecture = architecture;
    let parts = Parts::new(Schema::for_arrays(10, &of), rows, None, None).unwrap();
    Plan::new(config, parts).unwrap()
}

/// The losses of each task in each step, from given parameters, on the float64 engine.
fn losses(plan: Plan, parameters: &[f64], tuning: &Tuning) -> (Vec<Vec<f64>>, Program) {
    let mut bench = Bench::new(plan, tuning);
    bench.engine.set_numbers(bench.built.buffers.parameters, 0, parameters);
    let course = Course::new(&bench.plan.config.optimizer, 0, (ROWS / BATCH) as u64, STEPS as u64);
    let mut found = Vec::new();
    for t in 0..STEPS {
        let step = course.step(t as u64, (t % (ROWS / BATCH)) * BATCH, BATCH, 0);
        bench.engine.submit(bench.built.train.unwrap(), &[step]).unwrap();
        let metrics = bench.engine.collect(true).unwrap().remove(0).metrics;
        let kinds = &bench.built.program.metrics;
        let of_step = kinds.iter().zip(metrics).filter(|(k, _)| matches!(k, MetricKind::Loss(_)));
        found.push(of_step.map(|(_, loss)| loss).collect());
    }
    (found, bench.built.program)
}

/// The parameters of a network of one task, taken from those of the separate networks.
fn of_task(single: &Plan, separate: &Plan, task: usize, arena: &[f64]) -> Vec<f64> {
    let mut own = vec![0.0; single.layout.len];
    for block in &single.layout.blocks {
        let place = block.name.strip_prefix("trunk.");
        let name = place.map_or(block.name.clone(), |rest| format!("task.t{task}.trunk.{rest}"));
        let from = separate.layout.blocks.iter().find(|b| b.name == name).unwrap();
        own[block.offset..][..block.len].copy_from_slice(&arena[from.offset..][..from.len]);
    }
    own
}

#[test]
fn separate_networks_learn_what_each_learns_alone() {
    let separate = plan(Architecture::Separate, &[0, 1, 2, 3]);
    let arena =
        Bench::new(plan(Architecture::Separate, &[0, 1, 2, 3]), &whole()).random_parameters(7);
    for tuning in [whole(), Tuning::new(Class::Software, DEFAULT_BINDING, true)] {
        let (together, program) =
            losses(plan(Architecture::Separate, &[0, 1, 2, 3]), &arena, &tuning);
        for task in 0..4 {
            let single = plan(Architecture::Shared, &[task]);
            let own = of_task(&single, &separate, task, &arena);
            let (alone, single) = losses(single, &own, &tuning);
            for (t, (all, alone)) in together.iter().zip(&alone).enumerate() {
                assert_eq!(all[task], alone[0], "step {t} of task {task}");
            }
            // Four networks need as many dispatches as one.
            let count = |p: &Program| p.schedules.iter().map(|s| s.dispatches.len()).collect();
            let (four, one): (Vec<usize>, Vec<usize>) = (count(&program), count(&single));
            assert_eq!(four, one);
        }
    }
    // The losses fall: the networks learn.
    let (together, _) = losses(separate, &arena, &whole());
    assert!((0..4).all(|task| together[STEPS - 1][task] < together[0][task]));
}
