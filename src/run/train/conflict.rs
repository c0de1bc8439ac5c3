//! The conflict of the tasks: how the gradients of the tasks lie to each other on the shared
//! layers, to their mean, and to the change that the parameters really made. Sums over observed
//! steps; a point has their means.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A sum and the number of its terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean(f64, u64);

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            *self = Mean(self.0 + value, self.1 + 1);
        }
    }

    /// The mean; `None` of nothing.
    pub fn value(self) -> Option<f64> {
        (self.1 > 0).then(|| self.0 / self.1 as f64)
    }
}

/// Sums over observed steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Number of objectives: the tasks, and couplings where they are balanced among them.
    pub(crate) tasks: usize,
    /// Number of observed steps.
    #[serde(default)]
    pub(crate) steps: u64,
    /// Alignment in the steps in which at least two tasks had a gradient.
    #[serde(default)]
    pub(crate) alignment: Mean,
    /// Norms of the gradients of the tasks.
    pub(crate) norms: Vec<Mean>,
    /// Cosines of each gradient with the mean of all.
    pub(crate) to_mean: Vec<Mean>,
    /// Cosines of each gradient with the way that the parameters went, downhill being positive.
    pub(crate) to_update: Vec<Mean>,
    /// Cosines of each pair over all shared layers, pairs in the order (0, 1), (0, 2), …, (1, 2), …
    pub(crate) pairs: Vec<Mean>,
    /// Likewise for each shared layer.
    pub(crate) layers: Vec<Vec<Mean>>,
}

/// The pairs of tasks.
pub fn pairs(tasks: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..tasks).flat_map(move |i| (i + 1..tasks).map(move |j| (i, j)))
}

fn cosine(product: f64, a: f64, b: f64) -> Option<f64> {
    (a > 0.0 && b > 0.0).then(|| (product / (a.sqrt() * b.sqrt())).clamp(-1.0, 1.0))
}

impl Conflict {
    /// No observations of this number of tasks and shared layers.
    pub fn new(tasks: usize, layers: usize) -> Conflict {
        let count = tasks * tasks.saturating_sub(1) / 2;
        Conflict {
            tasks,
            steps: 0,
            alignment: Mean::default(),
            norms: vec![Mean::default(); tasks],
            to_mean: vec![Mean::default(); tasks],
            to_update: vec![Mean::default(); tasks],
            pairs: vec![Mean::default(); count],
            layers: vec![vec![Mean::default(); count]; layers],
        }
    }

    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Number of observed steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether they are sums of this number of tasks, perhaps with couplings among them.
    pub fn is_of(&self, tasks: usize) -> bool {
        self.is_whole() && [tasks, tasks + 1].contains(&self.tasks)
    }

    /// Whether all lists are as long as the number of objectives says.
    fn is_whole(&self) -> bool {
        let tasks = self.tasks;
        let count = tasks.saturating_mul(tasks.saturating_sub(1)) / 2;
        let of_tasks = [&self.norms, &self.to_mean, &self.to_update];
        let is_right = of_tasks.iter().all(|list| list.len() == tasks);
        let of_pairs = self.layers.iter().chain([&self.pairs]);
        is_right && of_pairs.into_iter().all(|list| list.len() == count)
    }

    /// Adds an observed step: for each layer the products of the gradients of the tasks and of the
    /// change of the parameters, `[layers, tasks + 1, tasks + 1]`. `scales` are factors that the
    /// gradients have and losses do not.
    pub fn add(&mut self, products: &[f32], scales: &[f64]) {
        let (tasks, side) = (self.tasks, self.tasks + 1);
        let whole = |scale: f64| if scale > 0.0 { scale } else { 1.0 };
        let factor = |i: usize| if i == tasks { 1.0 } else { 1.0 / whole(scales[i]) };
        let mut together = vec![0.0; side * side];
        for (layer, of_layer) in self.layers.iter_mut().zip(products.chunks_exact(side * side)) {
            let at = |i: usize, j: usize| f64::from(of_layer[i * side + j]) * factor(i) * factor(j);
            for (sum, (i, j)) in layer.iter_mut().zip(pairs(tasks)) {
                sum.add(cosine(at(i, j), at(i, i), at(j, j)));
            }
            for (sum, (i, j)) in
                together.iter_mut().zip((0..side).flat_map(|i| (0..side).map(move |j| (i, j))))
            {
                *sum += at(i, j);
            }
        }
        let at = |i: usize, j: usize| together[i * side + j];
        for (sum, (i, j)) in self.pairs.iter_mut().zip(pairs(tasks)) {
            sum.add(cosine(at(i, j), at(i, i), at(j, j)));
        }
        let to_all: Vec<f64> = (0..tasks).map(|i| (0..tasks).map(|j| at(i, j)).sum()).collect();
        let of_mean: f64 = to_all.iter().sum();
        // A gradient alone is its own mean, which says nothing.
        let seen = (0..tasks).filter(|i| at(*i, *i) > 0.0).count();
        let to_mean = |i: usize| cosine(to_all[i], at(i, i), of_mean).filter(|_| seen > 1);
        for i in 0..tasks {
            let is_there = at(i, i) > 0.0;
            self.norms[i].add(is_there.then(|| at(i, i).sqrt()));
            self.to_mean[i].add(to_mean(i));
            self.to_update[i].add(cosine(-at(i, tasks), at(i, i), at(tasks, tasks)));
        }
        let cosines: Vec<f64> = (0..tasks).filter_map(to_mean).collect();
        let count = cosines.len() as f64;
        let mean = cosines.iter().sum::<f64>() / count.max(1.0);
        self.alignment.add((seen > 1).then(|| mean * (seen as f64).sqrt()));
        self.steps += 1;
    }

    /// The mean over the tasks of the cosine of each gradient with the mean gradient.
    pub fn mean_cosine(&self) -> Option<f64> {
        let known: Vec<f64> = self.to_mean.iter().filter_map(|mean| mean.value()).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// The mean over the steps of the mean cosine times the root of the number of tasks with a
    /// gradient: 1 for gradients of one length at right angles, the root for equal ones. `None`
    /// where no two tasks had a gradient in the same step.
    pub fn alignment(&self) -> Option<f64> {
        self.alignment.value()
    }

    /// The object of `metrics.jsonl`; `names` are those of the objectives, `layers` those of the
    /// shared layers.
    pub fn json(&self, names: &[&str], layers: &[String]) -> Value {
        let mut tasks = Map::new();
        for task in 0..self.tasks {
            let [norm, to_mean, to_update] =
                [&self.norms, &self.to_mean, &self.to_update].map(|list| list[task].value());
            let entry = json!({"norm": norm, "to_mean": to_mean, "to_update": to_update});
            tasks.insert(names[task].to_owned(), entry);
        }
        let pair = |(number, (i, j)): (usize, (usize, usize))| {
            let of_layers: Map<String, Value> = layers
                .iter()
                .zip(&self.layers)
                .map(|(layer, list)| (layer.clone(), json!(list[number].value())))
                .collect();
            json!({"pair": [names[i], names[j]], "cosine": self.pairs[number].value(),
                "layers": of_layers})
        };
        let all: Vec<Value> = pairs(self.tasks).enumerate().map(pair).collect();
        json!({"steps": self.steps(), "mean_cosine": self.mean_cosine(),
            "alignment": self.alignment(), "tasks": tasks, "pairs": all})
    }

    /// Adds the sums of later steps.
    pub fn merge(&mut self, other: &Conflict) {
        let add = |to: &mut [Mean], from: &[Mean]| {
            to.iter_mut().zip(from).for_each(|(to, from)| {
                *to = Mean(to.0 + from.0, to.1 + from.1);
            });
        };
        self.steps += other.steps;
        self.alignment =
            Mean(self.alignment.0 + other.alignment.0, self.alignment.1 + other.alignment.1);
        add(&mut self.norms, &other.norms);
        add(&mut self.to_mean, &other.to_mean);
        add(&mut self.to_update, &other.to_update);
        add(&mut self.pairs, &other.pairs);
        for (to, from) in self.layers.iter_mut().zip(&other.layers) {
            add(to, from);
        }
    }
}
