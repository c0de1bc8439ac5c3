//! Which tile each product gets, by measurement: candidates give equal bits, so a choice changes no
//! result.
//!
//! A candidate is timed on a product as large as the largest of its kind in the network, sizes
//! rounded up to powers of two. What was chosen is kept in the user's cache directory, one file for
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

/// `--tune`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The choices that need no measurement.
    Off,
    /// What the cache has; what it lacks is measured where the run is long enough to gain from it.
    #[default]
    Cached,
    /// Everything is measured anew.
    Force,
}

/// Where a choice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// There is one candidate, or nothing was to be measured.
    Default,
    /// An earlier run measured it.
    Cache,
    /// This run measured it.
    Measured,
}

/// The tile of one product.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Kernel of the default tile: `dense_forward`, `dense_backward_input`,
    /// `dense_backward_weight`.
    pub product: &'static str,
    /// Rows, columns and inner length that it was chosen for.
    pub shape: [usize; 3],
    /// The kernel that runs.
    pub kernel: &'static str,
    /// Why.
    pub origin: Origin,
    /// Microseconds of each candidate, where they were measured.
    pub micros: BTreeMap<&'static str, f64>,
}

/// Operations of a run from which on measuring pays: it costs seconds in software and fractions of
/// one on a GPU.
fn worthwhile(class: Class) -> f64 {
    match class {
        Class::Software => 2e12,
        _ => 1e13,
    }
}

/// Most rows, columns and inner steps of a product that is timed, so that all of them together take
/// less than two seconds.
fn most(class: Class) -> usize {
    match class {
        Class::Software => 256,
        _ => 4096,
    }
}

/// The tuning of a machine; the reference has nothing to choose.
pub fn tuned(
    machine: &Machine,
    layout: &Layout,
    rows: usize,
    steps: u64,
    mode: Mode,
) -> Result<(Tuning, Vec<Choice>)> {
    match machine {
        Machine::Device(gpu) => tune(gpu, layout, rows, steps, mode),
        Machine::Reference => Ok((machine.tuning(), Vec::new())),
    }
}

/// The tuning of a device for a network of a layout and steps of `rows` rows; `steps` of them are
/// to come.
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

/// The tuning of a device for products x·wᵀ, delta·w and deltaᵀ·x of given rows, columns and inner
/// lengths. What no earlier run measured is measured if that pays.
pub fn tune_shapes(
    gpu: &Gpu,
    shapes: [[usize; 3]; 3],
    pays: bool,
    mode: Mode,
) -> Result<(Tuning, Vec<Choice>)> {
    let mut tuned = gpu.tuning();
    let limit = most(tuned.class);
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
    if choices.iter().any(|c| c.origin == Origin::Measured) {
        known.save();
    }
    Ok((tuned, choices))
}

/// A product among the choices.
type Field = fn(&mut Tuning) -> &mut Product;

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
        origin: Origin::Default,
        micros: BTreeMap::new(),
    };
    if candidates.len() < 2 || mode == Mode::Off {
        return Ok(choice);
    }
    let found =
        known.choices.get(&key).and_then(|name| candidates.iter().find(|c| c.kernel.name == *name));
    if let (Some(found), Mode::Cached) = (found, mode) {
        (*field(tuned), choice.kernel, choice.origin) = (*found, found.kernel.name, Origin::Cache);
        return Ok(choice);
    }
    if !measures {
        return Ok(choice);
    }
    let mut best = (f64::INFINITY, default);
    for candidate in candidates {
        let mut with = tuned.clone();
        *field(&mut with) = candidate;
        let micros = product_micros(product, shape, gpu, &with)?;
        choice.micros.insert(candidate.kernel.name, micros);
        if micros < best.0 {
            best = (micros, candidate);
        }
    }
    (*field(tuned), choice.kernel, choice.origin) = (best.1, best.1.kernel.name, Origin::Measured);
    known.choices.insert(key, choice.kernel.into());
    Ok(choice)
}

/// What earlier runs chose.
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

    /// A file that cannot be read, or that is not ours, is as none.
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
