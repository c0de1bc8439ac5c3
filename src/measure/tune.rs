//! The choice of the tile of each product, by measurement. Candidates give equal bits, so that a
//! choice changes no result.
//!
//! A candidate is timed on a product as large as the largest of its kind in the network, with sizes
//! rounded up to powers of two. The choices are kept in the user's cache directory, one file per
//! adapter, driver and version of the program.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::device::Gpu;
use crate::kernels::tuning::{Class, Product, Tuning, candidates};
use crate::kernels::{self, Kernel, by_name};
use crate::measure::gemm::product_micros;
use crate::model::layout::Layout;
use crate::run::machine::Machine;

/// How tiles are chosen: the values of `--tune`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Default tiles; nothing is measured.
    Off,
    /// Choices of the cache; others are measured where the run is long enough to gain from it.
    #[default]
    Cached,
    /// All choices are measured anew.
    Force,
}

/// The origin of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceOrigin {
    /// It is the default: there is no other candidate, or nothing was measured.
    Default,
    /// An earlier run measured it.
    Cache,
    /// This run measured it.
    Measured,
}

/// The choice of the tile of a product.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Kernel of the default tile: `dense_forward`, `dense_backward_input`,
    /// `dense_backward_weight`.
    pub product: &'static str,
    /// Rows, columns and inner length of the product that it was chosen for.
    pub shape: [usize; 3],
    /// The chosen kernel.
    pub kernel: &'static str,
    /// The origin of the choice.
    pub origin: ChoiceOrigin,
    /// Microseconds of each candidate that was measured.
    pub micros: BTreeMap<&'static str, f64>,
}

/// The number of operations of a run for which measuring pays: it takes seconds on software
/// adapters and less than one on GPUs.
fn worthwhile(class: Class) -> f64 {
    match class {
        Class::Software => 2e12,
        _ => 1e13,
    }
}

/// The largest number of rows, columns and inner steps of a product that is timed, so that all
/// measurements together take less than two seconds.
fn largest_side(class: Class) -> usize {
    match class {
        Class::Software => 256,
        _ => 4096,
    }
}

/// The tuning of a machine, with its choices; only adapters have any.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn tuned(
    machine: &Machine,
    layout: &Layout,
    rows: usize,
    steps: u64,
    mode: Mode,
) -> Result<(Tuning, Vec<Choice>)> {
    match machine {
        Machine::Device(gpu) => tune(gpu, layout, rows, steps, mode),
        Machine::Cpu(_) | Machine::Reference => Ok((machine.tuning(), Vec::new())),
    }
}

/// The tuning of a device for the network of a layout and a run of `steps` steps over `rows` rows
/// each.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn tune(
    gpu: &Gpu,
    layout: &Layout,
    rows: usize,
    steps: u64,
    mode: Mode,
) -> Result<(Tuning, Vec<Choice>)> {
    let layers: Vec<[usize; 2]> = layout.layers.iter().map(|l| [l.inputs, l.outputs]).collect();
    let [inputs, outputs] = layers.iter().copied().max_by_key(|[i, o]| i * o).unwrap_or([1, 1]);
    let flop: usize = layers.iter().map(|[i, o]| 6 * rows * i * o).sum();
    let pays = flop as f64 * steps as f64 >= worthwhile(gpu.entry.class);
    let shapes = [[rows, outputs, inputs], [rows, inputs, outputs], [outputs, inputs, rows]];
    tune_shapes(gpu, shapes, pays, mode)
}

/// The tuning of a device for products x·wᵀ, delta·w and deltaᵀ·x with these rows, columns and
/// inner lengths. Choices that the cache lacks are measured if that pays.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn tune_shapes(
    gpu: &Gpu,
    shapes: [[usize; 3]; 3],
    pays: bool,
    mode: Mode,
) -> Result<(Tuning, Vec<Choice>)> {
    let mut tuned = gpu.tuning();
    let limit = largest_side(tuned.class);
    let [forward, input, weight] =
        shapes.map(|sizes| sizes.map(|s| s.next_power_of_two().clamp(16, limit)));
    let products: [(&'static Kernel, Field, [usize; 3]); 3] = [
        (&kernels::dense_forward, |t| &mut t.forward, forward),
        (&kernels::dense_backward_input, |t| &mut t.backward_input, input),
        (&kernels::dense_backward_weight, |t| &mut t.backward_weight, weight),
    ];
    let measures = mode == Mode::Force || (mode == Mode::Cached && pays);
    let mut known = if mode == Mode::Off { Cache::default() } else { Cache::load(gpu) };
    let choices =
        products.map(|product| choose(gpu, product, (mode, measures), &mut known, &mut tuned));
    let choices = choices.into_iter().collect::<Result<Vec<_>>>()?;
    if choices.iter().any(|c| c.origin == ChoiceOrigin::Measured) {
        known.save();
    }
    Ok((tuned, choices))
}

/// Access to one of the products of a tuning.
type Field = fn(&mut Tuning) -> &mut Product;

/// Chooses the tile of a product: by the cache, else by measurement where `measures` is true, else
/// the default.
fn choose(
    gpu: &Gpu,
    (product, field, shape): (&'static Kernel, Field, [usize; 3]),
    (mode, measures): (Mode, bool),
    known: &mut Cache,
    tuned: &mut Tuning,
) -> Result<Choice> {
    let default = *field(tuned);
    let candidates = candidates(&default);
    let key = format!("{} {}x{}x{}", product.name, shape[0], shape[1], shape[2]);
    let mut choice = Choice {
        product: product.name,
        shape,
        kernel: default.kernel.name,
        origin: ChoiceOrigin::Default,
        micros: BTreeMap::new(),
    };
    if candidates.len() < 2 || mode == Mode::Off {
        return Ok(choice);
    }
    let found =
        known.choices.get(&key).and_then(|name| candidates.iter().find(|c| c.kernel.name == *name));
    if let (Some(found), Mode::Cached) = (found, mode) {
        (*field(tuned), choice.kernel, choice.origin) =
            (*found, found.kernel.name, ChoiceOrigin::Cache);
        return Ok(choice);
    }
    if !measures {
        return Ok(choice);
    }
    let mut best = (f64::INFINITY, default);
    for candidate in candidates {
        let mut with = tuned.clone();
        *field(&mut with) = candidate;
        let machine = Machine::Device(Box::new(gpu.clone()));
        let micros = product_micros(product, shape, &machine, &with)?;
        choice.micros.insert(candidate.kernel.name, micros);
        if micros < best.0 {
            best = (micros, candidate);
        }
    }
    (*field(tuned), choice.kernel, choice.origin) =
        (best.1, best.1.kernel.name, ChoiceOrigin::Measured);
    known.choices.insert(key, choice.kernel.into());
    Ok(choice)
}

/// The choices of earlier runs, as the cache directory keeps them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cache {
    adapter: String,
    driver: String,
    version: String,
    /// Kernel by product and shape.
    choices: BTreeMap<String, String>,
}

impl Cache {
    fn of(gpu: &Gpu) -> Cache {
        let (adapter, driver) = (gpu.entry.name.clone(), gpu.entry.driver.clone());
        Cache {
            adapter,
            driver,
            version: env!("CARGO_PKG_VERSION").into(),
            choices: BTreeMap::new(),
        }
    }

    fn entry(&self) -> String {
        let key =
            blake3::hash(format!("{}\n{}\n{}", self.adapter, self.driver, self.version).as_bytes())
                .to_hex();
        format!("tuning-{}.json", &key[..16])
    }

    /// Reads the file of a device; empty where there is none, or one of something else.
    fn load(gpu: &Gpu) -> Cache {
        let empty = Cache::of(gpu);
        let found = cache::read(&empty.entry())
            .and_then(|bytes| serde_json::from_slice::<Cache>(&bytes).ok());
        let is_ours = |c: &Cache| {
            (&c.adapter, &c.driver, &c.version) == (&empty.adapter, &empty.driver, &empty.version)
        };
        let mut cache = found.filter(is_ours).unwrap_or(empty);
        cache.choices.retain(|_, kernel| by_name(kernel).is_some());
        cache
    }

    fn save(&self) {
        cache::write(
            &self.entry(),
            serde_json::to_string_pretty(self).unwrap_or_default().as_bytes(),
        );
    }
}
