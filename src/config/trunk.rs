//! `[trunk]`: the layers that all tasks share.

use serde::{Deserialize, Serialize};

use super::keys::form::{flag, number, widths, word};
use super::keys::item::{BELOW_ONE, Result};
use super::keys::word::words;
use super::keys::{Keyed, Pass, names};

/// `[trunk]`: the layers that all tasks share.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Width of each layer; empty = no trunk.
    pub layers: Vec<usize>,
    /// Activation of every layer.
    pub activation: Activation,
    /// Dropout rate after every layer, in [0, 1).
    pub dropout: f64,
    /// Initial weights of the whole network.
    pub init: Init,
    /// Whether the trunk keeps its initial weights.
    pub freeze: bool,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(z, 0)
    Relu,
    /// tanh z
    Tanh,
    /// z Φ(z), exact, by erf (Hendrycks and Gimpel, 2016)
    Gelu,
    /// z / (1 + e^−z)
    Silu,
    /// z
    Identity,
}

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// He for relu, gelu and silu, Xavier for tanh and identity.
    Auto,
    /// Normal with variance 2 / inputs (He et al., 2015).
    He,
    /// Normal with variance 2 / (inputs + outputs) (Glorot and Bengio, 2010).
    Xavier,
}

words!(
    Activation:
    Relu = "relu", Tanh = "tanh", Gelu = "gelu", Silu = "silu", Identity = "identity",
);
words!(Init: Auto = "auto", He = "he", Xavier = "xavier");

impl Default for Trunk {
    fn default() -> Trunk {
        Trunk {
            layers: vec![128, 128],
            activation: Activation::Relu,
            dropout: 0.0,
            init: Init::Auto,
            freeze: false,
        }
    }
}

impl Keyed for Trunk {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("layers").value(&mut self.layers, &widths())?;
        let has_layers = !self.layers.is_empty();
        pass.key("activation").value(&mut self.activation, &word())?;
        dropout(pass, &mut self.dropout, has_layers)?;
        pass.key("init").value(&mut self.init, &word())?;
        pass.key("freeze").written(has_layers).value(&mut self.freeze, &flag())?;
        needs_layers(pass, "freeze", self.freeze, has_layers)
    }
}

/// Dropout acts on hidden layers, so there must be one.
pub(super) fn dropout(pass: &mut Pass, rate: &mut f64, has_layers: bool) -> Result<()> {
    pass.key("dropout").written(has_layers).value(rate, &number(&BELOW_ONE))?;
    needs_layers(pass, "dropout", *rate > 0.0, has_layers)
}

fn needs_layers(pass: &Pass, key: &str, is_set: bool, has_layers: bool) -> Result<()> {
    match is_set && !has_layers {
        true => Err(pass.without_effect(key, "layers = []", "leave it out, or give layers")),
        false => Ok(()),
    }
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Trunk::default())
}
