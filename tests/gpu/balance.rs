//! The solvers of balancing on a device: their numbers.

use crate::common::gpu;
use std::collections::BTreeMap;

use crate::common::recorded::{
    Recorded, error_of_direction, products, says_something, solver, table_of,
};
use tandem::device::Session;
use tandem::kernels::params::Step;
use tandem::schedule::{Engine, Slice};

/// The weights that the kernel finds for these products.
fn solve(session: &mut Session, kernel: (usize, &Step), products: &[f64]) -> Vec<f64> {
    let (place, step) = kernel;
    let program = session.program().clone();
    let gramian = program.buffer("gramian").unwrap();
    let next = program.buffer("next balance").unwrap();
    let tasks = (products.len() as f64).sqrt() as usize;
    let squares = (0..tasks).map(|t| products[t * (tasks + 1)]);
    let scales = squares.map(|s| f64::from(u8::from(s > 0.0)));
    let numbers = products.iter().chain(products).copied().chain(scales);
    let words: Vec<u32> = numbers.map(|x| (x as f32).to_bits()).collect();
    session.upload(gramian, 0, &words).unwrap();
    session.launch(0, place, step, 1).unwrap();
    let found = session.download(Slice { buffer: next, first: 0, len: tasks }).unwrap();
    found.into_iter().map(f64::from).collect()
}

/// The number of cases, of about 190, in which the direction is more than 1e-4 off: products in f32
/// do not tell small eigenvalues from none, and MGDA is decided by the smallest gradients. These
/// are the kernels for software adapters, where there are some: with those for all adapters
/// `aligned_mtl_min` has 11, `config` 4 and `dual_proj_exact` none, but `upgrad` 2 and
/// `upgrad_exact` 6. `imtl_g` depends on the order of rotations: the twelfth case is 2.0e-4 off.
const BEYOND: [(&str, usize); 15] = [
    ("mgda", 2),
    ("pcgrad", 0),
    ("cagrad", 1),
    ("imtl_g", 12),
    ("nash_mtl", 2),
    ("fairgrad", 3),
    ("fairgrad_alpha_1", 2),
    ("aligned_mtl_min", 12),
    ("aligned_mtl_median", 11),
    ("aligned_mtl_rmse", 11),
    ("upgrad", 1),
    ("dual_proj", 0),
    ("upgrad_exact", 0),
    ("dual_proj_exact", 0),
    ("config", 5),
];

#[test]
fn weights_are_those_of_the_papers() {
    let recorded = Recorded::read();
    let methods = recorded.json["methods"].as_array().unwrap().clone();
    for (row, method) in methods.iter().map(|m| m.as_str().unwrap()).enumerate() {
        let (mut errors, mut by_tasks) = (Vec::<f64>::new(), BTreeMap::new());
        for (number, case) in recorded.json["cases"].as_array().unwrap().iter().enumerate() {
            let jacobian = recorded.rows(&format!("case.{number:03}.jacobian"));
            let (tasks, products) = (jacobian.len(), products(&jacobian));
            if !says_something(method, case, &products, tasks) {
                continue;
            }
            let weights = recorded.rows(&format!("case.{number:03}.weights"))[row].clone();
            let (session, place) = by_tasks.entry(tasks).or_insert_with(|| {
                let plan = solver(&table_of(method), tasks);
                let built = plan.build(&gpu().tuning()).unwrap();
                let kernel = plan.objective.method().unwrap().kernel().name;
                let dispatches = &built.program.schedules[0].dispatches;
                let place = dispatches.iter().position(|d| d.kernel.twin == kernel).unwrap();
                (Session::new(gpu().clone(), built.program).unwrap(), place)
            });
            let key = (1000 + number as u32, 7);
            let step = Step { key_low: key.0, key_high: key.1, number: 1, ..Step::default() };
            let found = solve(session, (*place, &step), &products);
            errors.push(error_of_direction(&jacobian, &found, &weights));
        }
        let beyond = errors.iter().filter(|error| **error > 1e-4).count();
        println!("{method}: {beyond} of {} cases are more than 1e-4 off", errors.len());
        let (_, most) = BEYOND.iter().find(|(name, _)| *name == method).unwrap();
        assert!(beyond <= *most, "{method}: {beyond} of {} cases are off", errors.len());
    }
}
