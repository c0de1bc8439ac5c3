//! The ways of training with which a configuration is compared: separate networks, and plain
//! sharing.

use std::path::Path;

use anyhow::Result;

use crate::config::{
    Architecture, Balance, Config, KeepBest, Patience, Precision, Select, read, write,
};
use crate::data::Parts;
use crate::fault::quoted;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::run::train::Plan;

/// Plain sharing: one trunk for all tasks, every weight 1, no coupling, no balancer. `None` if the
/// configuration is that already. A task of weight 0 is not trained in either.
pub fn equal(config: &Config) -> Option<Config> {
    let equal = plain(config);
    (equal != *config).then_some(equal)
}

fn plain(config: &Config) -> Config {
    let mut plain = config.clone();
    plain.architecture = Architecture::Shared;
    plain.couplings.clear();
    plain.balance = Balance { observe: config.balance.observe, ..Balance::default() };
    plain.tasks.iter_mut().filter(|task| task.weight > 0.0).for_each(|task| task.weight = 1.0);
    plain
}

/// The network of one task alone: plain sharing in which every other task has the weight 0, so that
/// the rows, their parts and their order are those of all tasks.
pub fn alone(config: &Config, task: usize) -> Config {
    let mut alone = plain(config);
    alone.trunk.freeze = false;
    alone.balance.observe = 0;
    for (number, other) in alone.tasks.iter_mut().enumerate() {
        other.weight = if number == task { 1.0 } else { 0.0 };
    }
    let name = &config.tasks[task].name;
    alone.train.keep_best = KeepBest::Common;
    alone.train.patience = Patience::Common(patience(config, name));
    alone.train.select = match &config.train.select {
        Select::Metric { task, metric } if task == name => {
            Select::Metric { task: name.clone(), metric: metric.clone() }
        }
        Select::Weighted(terms) => match terms.iter().find(|term| term.task == *name) {
            Some(term) => Select::Metric { task: name.clone(), metric: term.metric.clone() },
            None => Select::RelativeLoss,
        },
        Select::Metric { .. } => Select::RelativeLoss,
        other => other.clone(),
    };
    alone
}

/// Evaluations without improvement after which a task alone stops.
fn patience(config: &Config, task: &str) -> u64 {
    let train = &config.train;
    train.patience.common().or(train.patience.of_task(task)).unwrap_or(0)
}

/// All tasks alone as one graph of networks that share nothing, each with its own selection and
/// patience: it gives each task the numbers of [`alone`], in the dispatches of one network.
///
/// # Errors
/// Why it would not, as a part of a sentence.
pub fn packed(config: &Config, parts: &Parts) -> Result<Config, String> {
    let packed = unchecked(config)?;
    let plan = Plan::new(packed.clone(), parts.clone()).map_err(|error| error.to_string())?;
    let mut tasks = packed.tasks.iter().zip(&plan.task_figures);
    match tasks.find(|(task, figure)| task.weight > 0.0 && figure.is_none()) {
        None => Ok(packed),
        Some((task, _)) => {
            Err(format!("task {} has no label in the validation part", quoted(&task.name)))
        }
    }
}

/// [`packed`], where it was found to give the same numbers.
///
/// # Errors
/// As [`packed`], by the configuration alone.
pub fn unchecked(config: &Config) -> Result<Config, String> {
    let drops = config.trunk.dropout > 0.0 || config.tasks.iter().any(|task| task.dropout > 0.0);
    let reasons = [
        (drops, "dropout draws by the place of a layer in its network"),
        (config.optimizer.clip_norm > 0.0, "the norm that is clipped is that of all networks"),
        (config.train.max_time.is_some(), "each network has the time of train.max_time"),
        (config.train.precision != Precision::F32, "gradients have one scale for all networks"),
        (config.trunk.layers.is_empty(), "there is no trunk"),
        (!config.data.has_validation(), "each task needs a selection of its own"),
    ];
    if let Some((_, why)) = reasons.iter().find(|(is_so, _)| *is_so) {
        return Err((*why).to_owned());
    }
    let mut packed = plain(config);
    packed.architecture = Architecture::Separate;
    packed.trunk.freeze = false;
    packed.balance.observe = 0;
    packed.train.keep_best = KeepBest::PerTask;
    let learning = config.tasks.iter().filter(|task| task.weight > 0.0);
    packed.train.patience = Patience::PerTask(
        learning.map(|task| (task.name.clone(), patience(config, &task.name))).collect(),
    );
    // What a file could not say would not be taken up again.
    let text = write::to_toml(&packed);
    let again = read::from_text(&text, "separate networks", Path::new("/"), &[]);
    again.map_err(|error| error.to_string())
}

/// The arena of initial parameters of [`packed`] networks: those that each task has [`alone`].
///
/// # Errors
/// 78 if a network cannot be built; 74 if training rows on disk cannot be read.
pub fn packed_initial(config: &Config, plan: &Plan) -> Result<Vec<f32>> {
    let mut arena = plan.initial()?;
    for (number, task) in config.tasks.iter().enumerate() {
        let config = alone(config, number);
        let network = Network::new(&config, &plan.parts.schema)?;
        let layout = Layout::new(&network)?;
        let vectors = Default::default();
        let own = Plan { config, network, layout, vectors, ..plan.clone() };
        let values = own.initial()?;
        let mine = format!("task.{}.", task.name);
        for block in &own.layout.blocks {
            let name = match block.name.strip_prefix("trunk.") {
                Some(rest) => format!("{mine}trunk.{rest}"),
                None if block.name.starts_with(&mine) => block.name.clone(),
                None => continue,
            };
            if let Some(place) = plan.layout.blocks.iter().find(|place| place.name == name) {
                arena[place.offset..][..place.len]
                    .copy_from_slice(&values[block.offset..][..block.len]);
            }
        }
    }
    Ok(arena)
}
