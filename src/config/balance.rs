//! `[balance]`: how the tasks are weighed against each other while they train, and how often their
//! conflict is measured.

use super::Optimizer;
use super::keys::form::{FROM_ONE, count, number, word};
use super::keys::item::{BELOW_ONE, MOST, NOT_NEGATIVE, POSITIVE, Result, UP_TO_FORTY, UP_TO_ONE};
use super::keys::overrides;
use super::keys::section::Section;
use super::keys::word::words;
use super::keys::{Keyed, Kind, Pass, kind_of, names, read};
use toml::{Table, Value};

/// `[balance]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The method, with its own settings.
    pub method: Balancer,
    /// Where gradients are compared; methods on losses have no use for it.
    pub space: Space,
    /// Number of steps from one solve to the next.
    pub every: u64,
    /// How gradients are scaled before the solve.
    pub normalize: Normalize,
    /// The inner product of gradients.
    pub metric: Metric,
    /// The way in which couplings of logits enter the gradients of shared layers.
    pub couplings: Couplings,
    /// Number of steps from one measurement of conflict to the next; 0 = never.
    pub observe: u64,
}

impl Default for Balance {
    fn default() -> Balance {
        Balance {
            method: Balancer::None,
            space: Space::Representation,
            every: 1,
            normalize: Normalize::None,
            metric: Metric::Plain,
            couplings: Couplings::Added,
            observe: 0,
        }
    }
}

/// Where the gradients of the tasks are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// By the values that shared layers hand to those of single tasks (Sener and Koltun,
    /// "Multi-task learning as multi-objective optimization", NeurIPS 2018, section 3.3).
    Representation,
    /// By the parameters that tasks share: exact.
    Parameters,
}

/// How gradients are scaled before the solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// Not at all.
    None,
    /// By one over their norm.
    Norm,
    /// By one over the loss.
    Loss,
    /// By one over norm and loss.
    LossNorm,
}

/// The inner product of gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `Σ a b`.
    Plain,
    /// `Σ a b / (√v̂ + ε)` with Adam's second moment v̂ before the step.
    Adam,
}

/// The way in which couplings of logits enter the gradients of shared layers, where a method on
/// gradients combines these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Couplings {
    /// Their gradient is added to what the method makes of those of the tasks.
    Added,
    /// Their sum is one more objective beside the tasks.
    Balanced,
}

/// Which eigenvalue `aligned_mtl` scales the principal components to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// The smallest that is not zero.
    Min,
    /// The median.
    Median,
    /// The mean.
    Rmse,
}

words!(Space: Representation = "representation", Parameters = "parameters");
words!(Normalize: None = "none", Norm = "norm", Loss = "loss", LossNorm = "loss_norm");
words!(Metric: Plain = "plain", Adam = "adam");
words!(Couplings: Added = "added", Balanced = "balanced");
words!(Scaling: Min = "min", Median = "median", Rmse = "rmse");

/// A method that weighs tasks. `objective::balance` has a file for each with its formula and paper.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Balancer {
    /// The weights of `[task.*]` alone.
    None,
    Log,
    Geometric,
    Uncertainty {
        most: f64,
    },
    Dwa {
        temperature: f64,
    },
    Random,
    ImtlL {
        most: f64,
    },
    Stch {
        smoothing: f64,
    },
    Famo {
        learning_rate: f64,
        decay: f64,
    },
    Gradnorm {
        alpha: f64,
        learning_rate: f64,
    },
    ExcessMtl {
        learning_rate: f64,
    },
    DbMtl {
        beta: f64,
        power: f64,
    },
    Mgda,
    Pcgrad,
    Gradvac {
        beta: f64,
    },
    Cagrad {
        c: f64,
    },
    ImtlG,
    NashMtl {
        max_norm: f64,
    },
    Fairgrad {
        alpha: f64,
    },
    AlignedMtl {
        scale: Scaling,
    },
    Upgrad {
        regularization: f64,
    },
    DualProj {
        regularization: f64,
    },
    Config,
    Graddrop {
        leak: f64,
    },
}

/// The methods, the default first.
const KINDS: &[Kind<Balancer>] = &[
    Kind { word: "none", value: Balancer::None },
    Kind { word: "log", value: Balancer::Log },
    Kind { word: "geometric", value: Balancer::Geometric },
    Kind { word: "uncertainty", value: Balancer::Uncertainty { most: 10.0 } },
    Kind { word: "dwa", value: Balancer::Dwa { temperature: 2.0 } },
    Kind { word: "random", value: Balancer::Random },
    Kind { word: "imtl_l", value: Balancer::ImtlL { most: 10.0 } },
    Kind { word: "stch", value: Balancer::Stch { smoothing: 1.0 } },
    Kind { word: "famo", value: Balancer::Famo { learning_rate: 0.025, decay: 0.01 } },
    Kind { word: "gradnorm", value: Balancer::Gradnorm { alpha: 1.5, learning_rate: 0.025 } },
    Kind { word: "excess_mtl", value: Balancer::ExcessMtl { learning_rate: 0.01 } },
    Kind { word: "db_mtl", value: Balancer::DbMtl { beta: 0.9, power: 0.5 } },
    Kind { word: "mgda", value: Balancer::Mgda },
    Kind { word: "pcgrad", value: Balancer::Pcgrad },
    Kind { word: "gradvac", value: Balancer::Gradvac { beta: 0.01 } },
    Kind { word: "cagrad", value: Balancer::Cagrad { c: 0.4 } },
    Kind { word: "imtl_g", value: Balancer::ImtlG },
    Kind { word: "nash_mtl", value: Balancer::NashMtl { max_norm: 1.0 } },
    Kind { word: "fairgrad", value: Balancer::Fairgrad { alpha: 2.0 } },
    Kind { word: "aligned_mtl", value: Balancer::AlignedMtl { scale: Scaling::Min } },
    Kind { word: "upgrad", value: Balancer::Upgrad { regularization: 1e-4 } },
    Kind { word: "dual_proj", value: Balancer::DualProj { regularization: 1e-4 } },
    Kind { word: "config", value: Balancer::Config },
    Kind { word: "graddrop", value: Balancer::Graddrop { leak: 0.0 } },
];

/// The figures that a method acts on, which decide where in the step it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// On nothing: there is no method.
    Nothing,
    /// On losses: weights of the whole losses follow from the losses of the batch.
    Losses,
    /// On losses, with weights that the step before has left; it measures gradients on the last
    /// shared layers for the next.
    Before,
    /// On the gradients of shared parameters, by their sizes and by what it keeps of each.
    Sizes,
    /// On gradients, by the products of each two.
    Products,
    /// On gradients, element by element.
    Elements,
}

impl Acts {
    /// Whether a method of this kind combines the gradients of the tasks on shared layers.
    pub fn on_gradients(self) -> bool {
        matches!(self, Acts::Sizes | Acts::Products | Acts::Elements)
    }
}

impl Balancer {
    /// The names of all methods.
    pub fn names() -> Vec<&'static str> {
        KINDS.iter().map(|kind| kind.word).collect()
    }

    /// The name of the method.
    pub fn name(&self) -> &'static str {
        kind_of(self, KINDS).map_or("", |kind| kind.word)
    }

    /// Whether weights are found by a kernel; those of `graddrop` differ from element to element.
    pub fn solves(&self) -> bool {
        !matches!(self.acts(), Acts::Nothing | Acts::Elements)
    }

    /// Whether the method solves a problem step by step, and so has a distance from its solution.
    pub fn has_residual(&self) -> bool {
        matches!(
            self,
            Balancer::Mgda
                | Balancer::Cagrad { .. }
                | Balancer::NashMtl { .. }
                | Balancer::Fairgrad { .. }
                | Balancer::Upgrad { .. }
                | Balancer::DualProj { .. }
        )
    }

    /// What the method acts on.
    pub fn acts(&self) -> Acts {
        match self {
            Balancer::None => Acts::Nothing,
            Balancer::Log
            | Balancer::Geometric
            | Balancer::Uncertainty { .. }
            | Balancer::Dwa { .. }
            | Balancer::Random
            | Balancer::ImtlL { .. }
            | Balancer::Stch { .. }
            | Balancer::Famo { .. } => Acts::Losses,
            Balancer::Gradnorm { .. } => Acts::Before,
            Balancer::ExcessMtl { .. } | Balancer::DbMtl { .. } => Acts::Sizes,
            Balancer::Graddrop { .. } => Acts::Elements,
            _ => Acts::Products,
        }
    }
}

impl Keyed for Balancer {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        match self {
            Balancer::Uncertainty { most } | Balancer::ImtlL { most } => {
                pass.key("most").value(most, &number(&UP_TO_FORTY))
            }
            Balancer::Dwa { temperature } => {
                pass.key("temperature").value(temperature, &number(&POSITIVE))
            }
            Balancer::Stch { smoothing } => {
                pass.key("smoothing").value(smoothing, &number(&POSITIVE))
            }
            Balancer::Famo { learning_rate, decay } => {
                pass.key("learning_rate").value(learning_rate, &number(&POSITIVE))?;
                pass.key("decay").value(decay, &number(&NOT_NEGATIVE))
            }
            Balancer::Gradnorm { alpha, learning_rate } => {
                pass.key("alpha").value(alpha, &number(&NOT_NEGATIVE))?;
                pass.key("learning_rate").value(learning_rate, &number(&POSITIVE))
            }
            Balancer::ExcessMtl { learning_rate } => {
                pass.key("learning_rate").value(learning_rate, &number(&POSITIVE))
            }
            Balancer::DbMtl { beta, power } => {
                pass.key("beta").value(beta, &number(&BELOW_ONE))?;
                pass.key("power").value(power, &number(&NOT_NEGATIVE))
            }
            Balancer::Gradvac { beta } => pass.key("beta").value(beta, &number(&UP_TO_ONE)),
            Balancer::Cagrad { c } => pass.key("c").value(c, &number(&BELOW_ONE)),
            Balancer::NashMtl { max_norm } => {
                pass.key("max_norm").value(max_norm, &number(&NOT_NEGATIVE))
            }
            Balancer::Fairgrad { alpha } => pass.key("alpha").value(alpha, &number(&POSITIVE)),
            Balancer::AlignedMtl { scale } => pass.key("scale").value(scale, &word()),
            Balancer::Upgrad { regularization } | Balancer::DualProj { regularization } => {
                pass.key("regularization").value(regularization, &number(&POSITIVE))
            }
            Balancer::Graddrop { leak } => pass.key("leak").value(leak, &number(&UP_TO_ONE)),
            _ => Ok(()),
        }
    }
}

/// `[balance]` beside what it depends on.
struct Statement {
    balance: Balance,
    tasks: usize,
    has_second_moment: bool,
}

impl Keyed for Statement {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let balance = &mut self.balance;
        pass.choice("method", &mut balance.method, KINDS)?;
        pass.own_keys(&mut balance.method, KINDS)?;
        let (name, acts) = (balance.method.name(), balance.method.acts());
        let on_gradients = matches!(acts, Acts::Products | Acts::Elements);
        let gradients = format!("method = \"{name}\" has no choice of space");
        pass.key("space").only(on_gradients, &gradients).value(&mut balance.space, &word())?;
        let by_gram = acts == Acts::Products;
        let solved = format!("method = \"{name}\" does not find weights from gradients");
        pass.key("every").only(by_gram, &solved).value(&mut balance.every, &count(FROM_ONE))?;
        let gram = format!("method = \"{name}\" does not compare gradients by inner products");
        // K w = 1 / w scales w so that nothing is left of the scale of the gradients.
        let is_invariant = matches!(balance.method, Balancer::NashMtl { .. })
            || balance.method == Balancer::Fairgrad { alpha: 1.0 };
        let why = match is_invariant {
            true => format!("method = \"{name}\" does not depend on the size of gradients"),
            false => gram.clone(),
        };
        pass.key("normalize")
            .only(by_gram && !is_invariant, &why)
            .value(&mut balance.normalize, &word())?;
        pass.key("metric").only(by_gram, &gram).value(&mut balance.metric, &word())?;
        if pass.reads() && balance.metric == Metric::Adam {
            if balance.space != Space::Parameters {
                let why = "needs space = \"parameters\": Adam's second moment is one of parameters";
                return Err(pass.fault("metric", why).hint("set space = \"parameters\""));
            }
            if !self.has_second_moment {
                let why = "needs an optimizer that keeps a second moment";
                return Err(pass.fault("metric", why).hint("choose another optimizer.kind"));
            }
        }
        pass.key("couplings")
            .only(on_gradients, format!("method = \"{name}\" does not compare gradients"))
            .value(&mut balance.couplings, &word())?;
        let by_loss = matches!(balance.normalize, Normalize::Loss | Normalize::LossNorm);
        if pass.reads() && balance.couplings == Couplings::Balanced && by_loss {
            let why = "cannot be \"balanced\" where gradients are divided by losses: a coupling \
                       can be 0";
            let hint = "set normalize = \"norm\" or \"none\"";
            return Err(pass.fault("couplings", why).hint(hint));
        }
        pass.key("observe").value(&mut balance.observe, &count(0..=MOST))?;
        if pass.reads() && self.tasks < 2 {
            let idle = [("method", acts != Acts::Nothing), ("observe", balance.observe > 0)];
            if let Some((key, _)) = idle.into_iter().find(|(_, set)| *set) {
                return Err(pass.without_effect(key, "there is one task", "leave it out"));
            }
        }
        Ok(())
    }
}

fn statement(balance: Balance) -> Statement {
    Statement { balance, tasks: 2, has_second_moment: true }
}

/// Reads `[balance]` of a network with this number of tasks.
pub(super) fn balance(root: &mut Section, tasks: usize, optimizer: &Optimizer) -> Result<Balance> {
    let has_second_moment = optimizer.kind.moments() > 1;
    let mut statement = Statement { tasks, has_second_moment, ..statement(Balance::default()) };
    read(root.section("balance")?, &mut statement)?;
    Ok(statement.balance)
}

impl Balance {
    /// The balancer of a flag `METHOD,KEY=VALUE,…` for this number of tasks.
    ///
    /// # Errors
    /// 78 as in a configuration.
    pub fn from_flag(text: &str, tasks: usize) -> anyhow::Result<Balance> {
        let mut parts = text.split(',');
        let method = parts.next().unwrap_or_default();
        let mut table = Table::from_iter([("method".to_owned(), Value::String(method.to_owned()))]);
        for spec in parts.filter(|spec| !spec.is_empty()) {
            overrides::apply(&mut table, spec)?;
        }
        let root = Table::from_iter([("balance".to_owned(), Value::Table(table))]);
        Ok(balance(&mut Section::new("", root), tasks, &Optimizer::default())?)
    }
}

/// The keys of `[balance]` with their values as TOML.
pub(super) fn entries(balance: &Balance) -> Vec<(&'static str, String)> {
    super::keys::entries(&mut statement(balance.clone()))
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut statement(Balance::default()))
}
