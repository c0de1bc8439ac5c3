//! The space that is searched where none is given.

use crate::config::{Balancer, Bounds, Config, Domain};

/// The keys that matter most for most networks, around the values that they have: learning rate,
/// width, dropout, decay, the strength of each coupling, and the weights of the tasks but the
/// first, unless a method balances them.
pub fn own_space(config: &Config) -> Vec<(String, Domain)> {
    let mut space = Vec::new();
    let mut add = |key: &str, domain: Domain| space.push((key.to_owned(), domain));
    let rate = config.optimizer.learning_rate;
    add("optimizer.learning_rate", log(rate / 10.0, rate * 10.0, &[]));
    if !config.trunk.layers.is_empty() {
        add("trunk.layers", widths(&config.trunk.layers));
        let range = Some(Bounds { low: 0.0, high: 0.5, log: false, points: 3 });
        add("trunk.dropout", Domain { range, others: Vec::new() });
    }
    add("optimizer.weight_decay", log(1e-6, 1e-2, &["0.0"]));
    for number in 0..config.couplings.len() {
        add(&format!("coupling.{number}.strength"), log(1e-4, 10.0, &["0.0"]));
    }
    if config.balance.method == Balancer::None {
        let weighed = config.tasks.iter().filter(|task| task.weight > 0.0).skip(1);
        for task in weighed {
            let key = format!("task.{}.weight", crate::config::write::key(&task.name));
            add(&key, log(task.weight / 10.0, task.weight * 10.0, &[]));
        }
    }
    space
}

fn log(low: f64, high: f64, others: &[&str]) -> Domain {
    Domain {
        range: Some(Bounds { low, high, log: true, points: 3 }),
        others: others.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// Half, once and twice the widths of layers.
fn widths(layers: &[usize]) -> Domain {
    let mut others: Vec<String> = Vec::new();
    for (times, by) in [(1, 2), (1, 1), (2, 1)] {
        let widths: Vec<usize> = layers.iter().map(|width| (width * times / by).max(1)).collect();
        let text = format!("{widths:?}");
        if !others.contains(&text) {
            others.push(text);
        }
    }
    Domain { range: None, others }
}
