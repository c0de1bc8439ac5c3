//! `[architecture]`: how the layers of the network are shared between the tasks.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::keys::form::{Form, flag, number, size, word};
use super::keys::item::{Item, NOT_NEGATIVE, POSITIVE, Result, UP_TO_ONE};
use super::keys::overrides;
use super::keys::section::Section;
use super::keys::toml::{list, texts};
use super::keys::word::words;
use super::keys::{Keyed, Kind, Pass, kind_of, names, read};
use crate::fault::{Fault, quoted};

/// `[architecture]`: the kind of network with its own settings. `config.json` of a model holds it
/// too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// One trunk for all tasks, then each task's own layers.
    #[default]
    Shared,
    /// One network per task.
    Separate,
    /// Experts that all tasks share, and gates that mix them.
    Mmoe {
        /// Number of experts.
        experts: usize,
        /// How many gates there are.
        gates: Gates,
    },
    /// Shared experts and experts of each task, mixed by a gate per task.
    Cgc {
        /// Number of shared experts.
        experts: usize,
        /// Number of experts of each task.
        task_experts: usize,
    },
    /// Several levels of shared experts and experts of each task.
    Ple {
        /// Number of shared experts per level.
        experts: usize,
        /// Number of experts of each task per level.
        task_experts: usize,
        /// Number of levels.
        levels: usize,
    },
    /// A column of layers per task; after each layer the columns are mixed by learned numbers.
    CrossStitch {
        /// The coefficient of a task's own column at the start; the others have equal parts of the
        /// rest of 1.
        own: f64,
        /// Factor on the learning rate of the coefficients.
        learning_rate_factor: f64,
    },
    /// A shared net, and masks per task on each of its layers.
    Mtan,
    /// Shared experts, of which gates choose a few.
    DselectK {
        /// Number of experts.
        experts: usize,
        /// The largest number of experts that a gate chooses, k.
        select: usize,
        /// Whether gates read the row or are equal for all rows.
        gates: SelectGates,
        /// Width of the smooth step, γ.
        smooth: f64,
        /// Factor of the entropy of the gates in the objective.
        entropy: f64,
    },
    /// A tree of layers, given or learned.
    Branched {
        /// For each layer the groups of tasks that share it; empty where the tree is learned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        branches: Branches,
        /// The temperatures of a tree that is learned; `None` for a given tree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        learn: Option<Falling>,
    },
}

/// For each layer the groups of tasks that share it, by name.
pub type Branches = Vec<Vec<Vec<String>>>;

/// A temperature that falls by equal factors over a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Falling {
    /// Temperature at the first step.
    pub from: f64,
    /// Temperature at the end.
    pub to: f64,
}

/// The gates of a mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gates {
    /// One gate per task.
    Task,
    /// One gate for all tasks.
    One,
}

/// The inputs of the gates of `dselect_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectGates {
    /// On the row: a gate chooses experts for each row.
    Row,
    /// On the task alone: a gate chooses experts for all rows.
    Task,
}

words!(Gates: Task = "task", One = "one");
words!(SelectGates: Row = "row", Task = "task");

/// The largest number of experts of a kind, and of levels.
pub const MOST_EXPERTS: usize = 1024;

/// The temperatures of a learned tree, where none are given.
const TEMPERATURE: Falling = Falling { from: 2.0, to: 0.1 };

/// The kinds, the default first.
const KINDS: &[Kind<Architecture>] = &[
    Kind { word: "shared", value: Architecture::Shared },
    Kind { word: "separate", value: Architecture::Separate },
    Kind { word: "mmoe", value: Architecture::Mmoe { experts: 4, gates: Gates::Task } },
    Kind { word: "cgc", value: Architecture::Cgc { experts: 2, task_experts: 1 } },
    Kind { word: "ple", value: Architecture::Ple { experts: 2, task_experts: 1, levels: 2 } },
    Kind {
        word: "cross_stitch",
        value: Architecture::CrossStitch { own: 0.9, learning_rate_factor: 10.0 },
    },
    Kind { word: "mtan", value: Architecture::Mtan },
    Kind {
        word: "dselect_k",
        value: Architecture::DselectK {
            experts: 4,
            select: 2,
            gates: SelectGates::Row,
            smooth: 1.0,
            entropy: 0.01,
        },
    },
    Kind { word: "branched", value: Architecture::Branched { branches: Vec::new(), learn: None } },
];

impl Architecture {
    /// Whether all tasks share one trunk.
    pub fn is_shared(&self) -> bool {
        *self == Architecture::Shared
    }

    /// Whether some layers belong to no task alone.
    pub fn has_shared_layers(&self) -> bool {
        !matches!(self, Architecture::Separate | Architecture::CrossStitch { .. })
    }

    /// The name of the kind.
    pub fn name(&self) -> &'static str {
        kind_of(self, KINDS).map_or("", |kind| kind.word)
    }

    /// Factor of the entropy of the gates in the objective.
    pub fn entropy(&self) -> f64 {
        match self {
            Architecture::DselectK { entropy, .. } => *entropy,
            _ => 0.0,
        }
    }

    /// Factor on the learning rate of learned numbers that are equal for all rows.
    pub fn constants_rate(&self) -> f64 {
        match self {
            Architecture::CrossStitch { learning_rate_factor, .. } => *learning_rate_factor,
            _ => 1.0,
        }
    }

    /// Whether the parameters of two networks of the same tasks mean the same: settings that only
    /// concern training may differ.
    pub fn is_like(&self, other: &Architecture) -> bool {
        let bare = |architecture: &Architecture| {
            let mut bare = architecture.clone();
            match &mut bare {
                Architecture::CrossStitch { own, learning_rate_factor } => {
                    (*own, *learning_rate_factor) = (1.0, 1.0);
                }
                Architecture::DselectK { entropy, .. } => *entropy = 0.0,
                Architecture::Branched { learn: Some(falling), .. } => *falling = TEMPERATURE,
                _ => {}
            }
            bare
        };
        bare(self) == bare(other)
    }

    /// Whether the layers of the network are the branches of a tree.
    pub fn is_tree(&self) -> bool {
        matches!(self, Architecture::Branched { .. })
    }

    /// Whether some parameters lie in the order of the tasks.
    pub fn has_task_order(&self) -> bool {
        matches!(self, Architecture::CrossStitch { .. } | Architecture::Ple { levels: 2.., .. })
    }

    /// The first setting that no network can have, for these widths of the trunk and names
    /// of tasks.
    pub fn problem(&self, layers: &[usize], tasks: &[&str]) -> Option<String> {
        let experts = |count: usize, key: &str| {
            let fits = (1..=MOST_EXPERTS).contains(&count);
            (!fits).then(|| format!("{key} = {count}, expected 1 to {MOST_EXPERTS}"))
        };
        let name = self.name();
        let does_without = matches!(self, Architecture::Shared | Architecture::Separate);
        let bare = (layers.is_empty() && !does_without)
            .then(|| format!("{name} needs layers in the trunk"));
        let own = match self {
            Architecture::Shared | Architecture::Separate | Architecture::Mtan => None,
            Architecture::Mmoe { experts: count, .. } => experts(*count, "experts"),
            Architecture::Cgc { experts: shared, task_experts } => {
                experts(*shared, "experts").or_else(|| experts(*task_experts, "task_experts"))
            }
            Architecture::Ple { experts: shared, task_experts, levels } => {
                experts(*shared, "experts")
                    .or_else(|| experts(*task_experts, "task_experts"))
                    .or_else(|| experts(*levels, "levels"))
            }
            Architecture::CrossStitch { own, learning_rate_factor } => alone(name, tasks)
                .or_else(|| outside("own", *own, (0.0..=1.0).contains(own)))
                .or_else(|| positive("learning_rate_factor", *learning_rate_factor)),
            Architecture::DselectK { experts: count, select, smooth, entropy, .. } => {
                let fits = (1..=*count).contains(select);
                experts(*count, "experts")
                    .or_else(|| {
                        (!fits)
                            .then(|| format!("select = {select}, expected 1 to experts = {count}"))
                    })
                    .or_else(|| positive("smooth", *smooth))
                    .or_else(|| {
                        outside("entropy", *entropy, entropy.is_finite() && *entropy >= 0.0)
                    })
            }
            Architecture::Branched { branches, learn: None } => {
                alone(name, tasks).or_else(|| branches_problem(branches, layers.len(), tasks))
            }
            Architecture::Branched { branches, learn: Some(Falling { from, to }) } => {
                let both = "both branches and a tree to be learned".to_owned();
                alone(name, tasks)
                    .or_else(|| (!branches.is_empty()).then_some(both))
                    .or_else(|| temperature_problem(*from, *to))
            }
        };
        bare.or(own)
    }
}

/// The problem of a kind that does nothing for one task.
fn alone(name: &str, tasks: &[&str]) -> Option<String> {
    (tasks.len() < 2).then(|| format!("{name} has no effect, since there is one task"))
}

fn outside(key: &str, value: f64, fits: bool) -> Option<String> {
    (!fits).then(|| format!("{key} = {value}"))
}

/// Temperatures between which 1 / temperature has no place in 32 bits, or that rise.
fn temperature_problem(from: f64, to: f64) -> Option<String> {
    let fits = |t: f64| (1e-6..=1e6).contains(&t);
    if !fits(from) || !fits(to) {
        return Some(format!("temperature = [{from}, {to}], expected numbers from 1e-6 to 1e6"));
    }
    (to > from)
        .then(|| format!("temperature = [{from}, {to}]: the second must not be above the first"))
}

fn positive(key: &str, value: f64) -> Option<String> {
    outside(key, value, value.is_finite() && value > 0.0)
}

/// The first place where groups of tasks are no tree.
fn branches_problem(branches: &Branches, layers: usize, tasks: &[&str]) -> Option<String> {
    if branches.len() != layers {
        return Some(format!("branches of {} layers, the trunk has {layers}", branches.len()));
    }
    let places: HashMap<&str, usize> = tasks.iter().copied().zip(0..).collect();
    let mut above: Option<Vec<usize>> = None;
    for (depth, groups) in branches.iter().enumerate() {
        let mut group_of = vec![usize::MAX; tasks.len()];
        for (number, group) in groups.iter().enumerate() {
            if group.is_empty() {
                return Some(format!("branches, layer {depth}: a group without tasks"));
            }
            for name in group {
                let Some(&task) = places.get(name.as_str()) else {
                    return Some(format!("branches, layer {depth}: no task {}", quoted(name)));
                };
                if group_of[task] != usize::MAX {
                    return Some(format!("branches, layer {depth}: {} twice", quoted(name)));
                }
                group_of[task] = number;
            }
        }
        if let Some(missing) = group_of.iter().position(|group| *group == usize::MAX) {
            let missing = quoted(tasks[missing]);
            return Some(format!("branches, layer {depth}: no group has {missing}"));
        }
        if let Some((a, b)) = above.as_ref().and_then(|above| joined(above, &group_of)) {
            return Some(format!(
                "branches, layer {depth}: {} and {} share it, but not the layer below",
                quoted(tasks[a]),
                quoted(tasks[b])
            ));
        }
        above = Some(group_of);
    }
    None
}

/// Two tasks that share a group here, but none before.
fn joined(before: &[usize], here: &[usize]) -> Option<(usize, usize)> {
    let mut origin = HashMap::new();
    here.iter().enumerate().find_map(|(task, group)| {
        let first = *origin.entry(group).or_insert(task);
        (before[first] != before[task]).then_some((first, task))
    })
}

/// `[architecture]` beside what it depends on.
struct Statement<'a> {
    architecture: Architecture,
    layers: &'a [usize],
    tasks: &'a [&'a str],
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.choice("kind", &mut self.architecture, KINDS)?;
        pass.own_keys(&mut self.architecture, KINDS)?;
        match self.architecture.problem(self.layers, self.tasks).filter(|_| pass.reads()) {
            Some(problem) => Err(Fault::config("architecture", problem)
                .hint("see docs/architectures.md for the keys of each kind")),
            None => Ok(()),
        }
    }
}

impl Keyed for Architecture {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let count = || size(1..=MOST_EXPERTS as u64);
        match self {
            Architecture::Shared | Architecture::Separate | Architecture::Mtan => Ok(()),
            Architecture::Mmoe { experts, gates } => {
                pass.key("experts").value(experts, &count())?;
                pass.key("gates").value(gates, &word())
            }
            Architecture::Cgc { experts, task_experts } => {
                pass.key("experts").value(experts, &count())?;
                pass.key("task_experts").value(task_experts, &count())
            }
            Architecture::Ple { experts, task_experts, levels } => {
                pass.key("experts").value(experts, &count())?;
                pass.key("task_experts").value(task_experts, &count())?;
                pass.key("levels").value(levels, &count())
            }
            Architecture::CrossStitch { own, learning_rate_factor } => {
                pass.key("own").value(own, &number(&UP_TO_ONE))?;
                pass.key("learning_rate_factor").value(learning_rate_factor, &number(&POSITIVE))
            }
            Architecture::DselectK { experts, select, gates, smooth, entropy } => {
                pass.key("experts").value(experts, &count())?;
                pass.key("select").value(select, &count())?;
                pass.key("gates").value(gates, &word())?;
                pass.key("smooth").value(smooth, &number(&POSITIVE))?;
                pass.key("entropy").value(entropy, &number(&NOT_NEGATIVE))
            }
            Architecture::Branched { branches, learn } => {
                let mut learns = learn.is_some();
                pass.key("learn").written(learns).value(&mut learns, &flag())?;
                let given = "the tree is learned (learn = true)";
                let groups = "name the groups of tasks that share each layer, such as \
                              [[[\"a\", \"b\", \"c\"]], [[\"a\", \"b\"], [\"c\"]]], or set \
                              learn = true";
                pass.key("branches")
                    .only(!learns, given)
                    .required(!learns, groups)
                    .value(branches, &tree())?;
                let mut falling = learn.unwrap_or(TEMPERATURE);
                pass.key("temperature")
                    .only(learns, "no tree is learned (learn = true)")
                    .value(&mut falling, &temperatures())?;
                *learn = learns.then_some(falling);
                Ok(())
            }
        }
    }
}

/// `branches = [[["a", "b"]], [["a"], ["b"]]]`
fn tree() -> impl Form<Branches> {
    let read = |item: Item| -> Result<Branches> {
        let layer = |item: &Item| -> Result<Vec<Vec<String>>> {
            item.list("groups of task names")?.iter().map(Item::texts).collect()
        };
        item.list("layers of groups of task names")?.iter().map(layer).collect()
    };
    let layer = |groups: &Vec<Vec<String>>| {
        list(&groups.iter().map(|group| texts(group)).collect::<Vec<_>>())
    };
    (read, move |tree: &Branches| list(&tree.iter().map(layer).collect::<Vec<_>>()))
}

/// `temperature = [2.0, 0.1]`
fn temperatures() -> impl Form<Falling> {
    let read = |item: Item| -> Result<Falling> {
        let both = item.list("two temperatures")?;
        let [from, to] = both.as_slice() else {
            return Err(item.wrong("two temperatures, such as [2.0, 0.1]"));
        };
        Ok(Falling { from: from.number(&POSITIVE)?, to: to.number(&POSITIVE)? })
    };
    (read, |falling: &Falling| format!("[{:?}, {:?}]", falling.from, falling.to))
}

/// Reads `[architecture]`.
pub(super) fn architecture(
    root: &mut Section,
    layers: &[usize],
    tasks: &[&str],
) -> Result<Architecture> {
    let mut statement = Statement { architecture: Architecture::default(), layers, tasks };
    read(root.section("architecture")?, &mut statement)?;
    Ok(statement.architecture)
}

impl Architecture {
    /// The architecture of a flag `KIND,KEY=VALUE,…`, for a trunk of layers of these widths.
    ///
    /// # Errors
    /// 78 as in a configuration.
    pub fn from_flag(text: &str, layers: &[usize], tasks: &[&str]) -> anyhow::Result<Architecture> {
        // Commas within brackets belong to a value.
        let mut depth = 0;
        let mut parts = text.split(|c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth == 0
        });
        let kind = parts.next().unwrap_or_default();
        let mut table = Table::from_iter([("kind".to_owned(), Value::String(kind.to_owned()))]);
        for spec in parts.filter(|spec| !spec.is_empty()) {
            overrides::apply(&mut table, spec)?;
        }
        let root = Table::from_iter([("architecture".to_owned(), Value::Table(table))]);
        Ok(architecture(&mut Section::new("", root), layers, tasks)?)
    }
}

/// The keys of an architecture with their values as TOML.
pub(super) fn entries(architecture: &Architecture) -> Vec<(&'static str, String)> {
    let architecture = architecture.clone();
    super::keys::entries(&mut Statement { architecture, layers: &[], tasks: &[] })
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Statement { architecture: Architecture::default(), layers: &[], tasks: &[] })
}
