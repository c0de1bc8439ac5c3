//! Files of products that nobody writes by hand; the output is checked in, and the tests compare.
//! `TANDEM_WRITE_SHADERS=1 cargo test --test generated` writes it anew.
//!
//! The tiles of GPUs have several shapes, each a file: the text of the 32 × 32 tile with other
//! constants, see the end.
//!
//! The products of software adapters are unrolled register tiles: too long to write by hand and too
//! regular to need it.
//!
//! A subgroup of 8 lanes computes a tile of rows × 32 columns, four columns a lane. Operands are
//! read from mirrors (`shaders/mirror.wgsl`), four numbers at a time where sizes allow; each number
//! of the row operand is fetched by one lane only and handed round by shuffles with constant index.
//! Four inner steps are added together before an accumulator is touched: accumulators live in
//! memory there.

use std::fmt::Write;
use std::path::PathBuf;

const XYZW: [&str; 4] = ["x", "y", "z", "w"];

/// What a fetch of four numbers of an operand brings.
#[derive(Clone, Copy, PartialEq)]
enum Four {
    /// Four inner steps of one row (of one column).
    Steps,
    /// Four rows (four columns) of one inner step.
    Across,
}
use Four::{Across, Steps};

/// A loop over the inner steps, for layers of which `condition` holds: which mirrors the row and
/// the column operand are fetched from, and whether four numbers begin at multiples of four.
struct Inner {
    condition: &'static str,
    rows: (&'static str, bool),
    columns: (&'static str, bool),
}

/// A product in the style of software adapters.
struct Direct {
    name: &'static str,
    /// Rows of the register tile, 16 or 32.
    rows: usize,
    /// The kernel that it stands in for; its file gives `Params`.
    kernel: &'static str,
    formula: &'static str,
    /// Bindings and functions.
    head: &'static str,
    /// From the workgroup to its tile.
    frame: &'static str,
    /// Loop around the products (sources of a destination), if any: opening and closing.
    around: [&'static str; 2],
    /// Number of rows, of columns, of inner steps.
    sizes: [&'static str; 3],
    /// What a fetch of the row operand and of the column operand brings.
    fours: [Four; 2],
    /// Place of the row operand at row `{r}` and step `{k}`; of the column operand at step `{k}`
    /// and column `{c}`.
    places: [&'static str; 2],
    /// The loops, in the order of the bits of LOOPS.
    inner: &'static [Inner],
    /// Whether the row operand is summed over the inner steps as well, for the bias: by the first
    /// column tile, in a loop of its own.
    sums_rows: bool,
    /// What follows the loops; lines between `EACH` and `END` are repeated for each row of the
    /// tile, with its number for `{r}`.
    tail: &'static str,
}

const FORWARD: Direct = Direct {
    name: "dense_forward_direct",
    rows: 16,
    kernel: "dense_forward",
    formula: "y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.",
    head: "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;            // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;            // [rows, O] and slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // of all layers of the group; codes are those of `activate`
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (one_layers(20u * middle + 13u) <= tile) { // forward_tile
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// Whether one of the exponents is that of infinities and NaN.
fn is_unfinite(exponents: vec4<u32>) -> bool {
    return any(exponents == vec4(0x7f800000u));
}

fn respond(layer: Dense, row: u32, column: u32, z: f32) -> vec2<f32> {
    let value = activate(ACTIVATION, z);
    if (!DROPOUT) {
        return value;
    }
    let h = hash(column, params.chunk_first + row, layer.layer ^ step.key_low, step.key_high);
    return select(value * layer.dropout_scale, vec2(0.0, 0.0), h < layer.dropout_threshold);
}

// Whether the response takes so few operations that the stores may be written out.
fn is_short() -> bool {
    return (ACTIVATION == 0u || ACTIVATION == 4u) && !DROPOUT;
}

fn short_value(z: vec4<f32>) -> vec4<f32> {
    if (ACTIVATION == 4u) {
        return z;
    }
    return select(vec4<f32>(), z, z > vec4<f32>());
}

fn short_slope(z: vec4<f32>) -> vec4<f32> {
    if (ACTIVATION == 4u) {
        return vec4(1.0);
    }
    return select(vec4<f32>(), vec4(1.0), z > vec4<f32>());
}
",
    frame: "    let layer = layer_at(layer_of(group.x));
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
",
    around: ["", ""],
    sizes: ["params.rows", "layer.outputs", "layer.inputs"],
    fours: [Steps, Steps],
    places: ["layer.x + {r} * layer.inputs + {k}", "layer.weight + {c} * layer.inputs + {k}"],
    inner: &[
        Inner { condition: "((layer.inputs | layer.x) & 3u) == 0u", rows: ("x", true), columns: ("parameters", true) },
        Inner { condition: "true", rows: ("x", false), columns: ("parameters", false) },
    ],
    sums_rows: false,
    tail: "    let bias = vec4(
        one_parameters(layer.bias + c0),
        one_parameters(layer.bias + c1),
        one_parameters(layer.bias + c2),
        one_parameters(layer.bias + c3),
    );
    // Rows and columns beyond the end repeat the last ones, so that testing them does no harm.
    var exponents = vec4<u32>();
EACH    s{r} += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s{r}) & vec4(0x7f800000u));
END    if (is_unfinite(exponents)) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    let rows = min(ROWS, params.rows - row_tile);
    let first = layer.y + row_tile * layer.outputs + column;
    let first_slope = layer.slope + row_tile * layer.outputs + column;
    let is_inside = column < layer.outputs;
    if ((STORES & 8u) != 0u && ((layer.outputs | layer.y) & 3u) == 0u && layer.slope == NONE) {
EACH        if (is_inside && {r}u < rows) {
            y[(first + {r}u * layer.outputs) >> 2u] = s{r};
        }
END    } else if ((STORES & 1u) != 0u && layer.slope == NONE) {
        var sums = ALL;
        for (var i = 0u; i < 4u * rows; i++) {
            if (column + (i & 3u) < layer.outputs) {
                let place = first + (i >> 2u) * layer.outputs + (i & 3u);
                y[place >> 2u][place & 3u] = sums[i >> 2u][i & 3u];
            }
        }
    } else if ((STORES & 2u) != 0u && is_short() && ((layer.outputs | layer.y | layer.slope) & 3u) == 0u) {
EACH        if (is_inside && {r}u < rows) {
            y[(first + {r}u * layer.outputs) >> 2u] = short_value(s{r});
            y[(first_slope + {r}u * layer.outputs) >> 2u] = short_slope(s{r});
        }
END    } else if ((STORES & 2u) != 0u && !is_short() && ((layer.outputs | layer.y | layer.slope) & 3u) == 0u) {
        var sums = ALL;
        for (var r = 0u; r < rows; r++) {
            let z = sums[r];
            let a = respond(layer, row_tile + r, column, z.x);
            let b = respond(layer, row_tile + r, column + 1u, z.y);
            let c = respond(layer, row_tile + r, column + 2u, z.z);
            let d = respond(layer, row_tile + r, column + 3u, z.w);
            if (is_inside) {
                y[(first + r * layer.outputs) >> 2u] = vec4(a.x, b.x, c.x, d.x);
                y[(first_slope + r * layer.outputs) >> 2u] = vec4(a.y, b.y, c.y, d.y);
            }
        }
    } else if ((STORES & 4u) != 0u) {
        var sums = ALL;
        for (var i = 0u; i < 4u * rows; i++) {
            let r = i >> 2u;
            let c = i & 3u;
            let value = respond(layer, row_tile + r, column + c, sums[r][c]);
            if (column + c < layer.outputs) {
                let place = first + r * layer.outputs + c;
                let slope_place = first_slope + r * layer.outputs + c;
                y[place >> 2u][place & 3u] = value.x;
                y[slope_place >> 2u][slope_place & 3u] = value.y;
            }
        }
    }
",
};

const BACKWARD_INPUT: Direct = Direct {
    name: "dense_backward_input_direct",
    rows: 16,
    kernel: "dense_backward_input",
    formula: "delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope",
    head: "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var destinations: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var next_delta: texture_storage_2d<rgba32float, read>;     // [rows, O] of hidden sources
@group(0) @binding(5) var logits_delta: texture_storage_2d<rgba32float, read>;   // [rows, C] of output sources
@group(0) @binding(6) var slope: texture_storage_2d<rgba32float, read>;          // [rows, I]
@group(0) @binding(7) var<storage, read_write> delta: array<vec4<f32>>;          // [rows, I]

const LOGITS = 2u;

// Whether the destinations have slopes.
override SLOPES: bool = true;

struct Destination {
    width: u32,
    slope: u32,        // [rows, width] in the activation arena
    delta: u32,        // [rows, width] in the delta arena
    first_source: u32, // first of the layers that read this activation
    sources: u32,      // how many they are; each names the next one
    tile: u32,         // column tiles of the dispatch before this destination
    pad_0: u32,
    pad_1: u32,
}

fn destination_at(i: u32) -> Destination {
    let a = four_destinations(8u * i);
    let b = four_destinations(8u * i + 4u);
    return Destination(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

fn destination_of(tile: u32) -> u32 {
    var low = params.first_destination;
    var high = params.first_destination + params.destinations;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (one_destinations(8u * middle + 5u) <= tile) { // tile
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}
",
    frame: "    let destination = destination_at(destination_of(group.x));
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
",
    around: [
        "    var reader = destination.first_source;\n    for (var s = 0u; s < destination.sources; s++) {\n    let layer = layer_at(reader);\n    reader = layer.next_reader;
    let is_hidden = layer.delta_arena != LOGITS;\n",
        "    }\n",
    ],
    sizes: ["params.rows", "destination.width", "layer.outputs"],
    fours: [Steps, Across],
    places: ["layer.delta + {r} * layer.outputs + {k}", "layer.weight + {k} * layer.inputs + {c}"],
    inner: &[
        Inner {
            condition: "is_hidden && ((layer.inputs | layer.outputs | layer.delta) & 3u) == 0u",
            rows: ("next_delta", true),
            columns: ("parameters", true),
        },
        Inner { condition: "is_hidden", rows: ("next_delta", false), columns: ("parameters", false) },
        Inner { condition: "(layer.inputs & 3u) == 0u", rows: ("logits_delta", false), columns: ("parameters", true) },
        Inner { condition: "true", rows: ("logits_delta", false), columns: ("parameters", false) },
    ],
    sums_rows: false,
    tail: "    let rows = min(ROWS, params.rows - row_tile);
    let first = destination.delta + row_tile * destination.width + column;
    let first_slope = destination.slope + row_tile * destination.width + column;
    if ((STORES & 1u) != 0u && ((destination.width | destination.delta | destination.slope) & 3u) == 0u) {
        let is_inside = column < destination.width;
EACH        if (is_inside && {r}u < rows) {
            delta[(first + {r}u * destination.width) >> 2u] = s{r} * select(vec4(1.0), four_slope(first_slope + {r}u * destination.width), SLOPES);
        }
END    } else if ((STORES & 2u) != 0u) {
        var sums = ALL;
        for (var i = 0u; i < 4u * rows; i++) {
            let place = (i >> 2u) * destination.width + (i & 3u);
            if (column + (i & 3u) < destination.width) {
                delta[(first + place) >> 2u][(first + place) & 3u] = sums[i >> 2u][i & 3u] * select(1.0, one_slope(first_slope + place), SLOPES);
            }
        }
    }
",
};

const BACKWARD_WEIGHT: Direct = Direct {
    name: "dense_backward_weight_direct",
    rows: 16,
    kernel: "dense_backward_weight",
    formula: "dw = deltaᵀ · x,   db = column sums of delta",
    head: "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var even: texture_storage_2d<rgba32float, read>;           // activations [rows, I]
@group(0) @binding(4) var odd: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var even_delta: texture_storage_2d<rgba32float, read>;     // deltas [rows, O]
@group(0) @binding(6) var odd_delta: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var logits_delta: texture_storage_2d<rgba32float, read>;   // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (one_layers(20u * middle + 14u) <= tile) { // weight_tile
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// Whether one of the exponents is that of infinities and NaN.
fn is_unfinite(exponents: vec4<u32>) -> bool {
    return any(exponents == vec4(0x7f800000u));
}

// Returns whether the gradient is finite.
fn store(place: u32, sum: f32) -> bool {
    var value = sum;
    if (params.accumulate == 1u) {
        value = gradients[place >> 2u][place & 3u] + sum;
    }
    gradients[place >> 2u][place & 3u] = value;
    return is_finite(value);
}
",
    frame: "    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) {
        return;
    }
    let layer = layer_at(layer_of(tile));
    let input_tiles = (layer.inputs + COLUMNS - 1u) / COLUMNS;
    let local = tile - layer.weight_tile;
    let row_tile = (local / input_tiles) * ROWS;
    let column_tile = (local % input_tiles) * COLUMNS;
    let are_aligned = ((layer.inputs | layer.x | layer.outputs | layer.delta) & 3u) == 0u;
    // A bound by the uniform alone would be unrolled, and the kernel compiled anew at every
    // dispatch, by Mesa's software driver.
    let batch = select(0u, params.rows, layer.inputs > 0u);
",
    around: ["", ""],
    sizes: ["layer.outputs", "layer.inputs", "batch"],
    fours: [Across, Across],
    places: ["layer.delta + {k} * layer.outputs + {r}", "layer.x + {k} * layer.inputs + {c}"],
    inner: &[
        Inner { condition: "layer.delta_arena == 0u && are_aligned", rows: ("even_delta", true), columns: ("odd", true) },
        Inner { condition: "layer.delta_arena == 1u && are_aligned", rows: ("odd_delta", true), columns: ("even", true) },
        Inner { condition: "layer.delta_arena == 0u", rows: ("even_delta", false), columns: ("odd", false) },
        Inner { condition: "layer.delta_arena == 1u", rows: ("odd_delta", false), columns: ("even", false) },
        Inner { condition: "layer.x_odd == 1u", rows: ("logits_delta", false), columns: ("odd", false) },
        Inner { condition: "true", rows: ("logits_delta", false), columns: ("even", false) },
    ],
    sums_rows: true,
    tail: "    let rows = min(ROWS, layer.outputs - row_tile);
    let first = layer.weight + row_tile * layer.inputs + column;
    var fine = true;
    if ((STORES & 1u) != 0u && params.accumulate == 0u && (layer.inputs & 3u) == 0u) {
        let is_inside = column < layer.inputs;
        var exponents = vec4<u32>();
EACH        if (is_inside && {r}u < rows) {
            gradients[(first + {r}u * layer.inputs) >> 2u] = s{r};
            exponents = max(exponents, bitcast<vec4<u32>>(s{r}) & vec4(0x7f800000u));
        }
END        fine = !is_unfinite(exponents);
    } else if ((STORES & 2u) != 0u) {
        var sums = ALL;
        for (var i = 0u; i < 4u * rows; i++) {
            if (column + (i & 3u) < layer.inputs) {
                fine = store(first + (i >> 2u) * layer.inputs + (i & 3u), sums[i >> 2u][i & 3u]) && fine;
            }
        }
    }
    if (column_tile == 0u && lane < ROWS / 4u) {
        for (var c = 0u; c < 4u; c++) {
            if (4u * lane + c < rows) {
                fine = store(layer.bias + row_tile + 4u * lane + c, t[c]) && fine;
            }
        }
    }
    if (!fine) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.gradient_flag], step.number);
    }
",
};

/// Output layers with their loss. Lanes are rows here, and each holds all classes: a head has few
/// of them, and what follows the product goes row by row without a word between lanes.
const HEADS: &str = "// z = x · wᵀ + b,   loss = ln Σ e^z − z_label,   dz = w · (softmax(z) − one_hot(label)) / rows, of heads of at most 32 classes
//
// For software adapters: operands from mirrors, no workgroup memory and no barrier, one subgroup of
// 8 lanes a workgroup, no branch in the inner loops (indices are clamped, terms beyond the end are
// zero). A lane holds two rows, lane and lane + 8 of its tile, and all their classes; the weights
// are handed round by shuffles with constant index; terms are added four by four in ascending
// order. Written by tests/generated.rs.

struct Params {
    rows: u32,         // rows of the chunk
    first_layer: u32,  // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tasks: u32,
    loss: u32,         // partials [T, capacity] of losses
    hits: u32,         // partials [T, capacity] of hits
    capacity: u32,     // row capacity of the partials
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;               // [rows, I]
@group(0) @binding(5) var<storage, read> heads: array<Head>;                      // [T]
@group(0) @binding(6) var<storage, read> labels: array<u32>;                      // [rows, T]
@group(0) @binding(7) var<storage, read_write> logits: array<f32>;                // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> logits_delta: array<f32>;          // [rows, C] a head
@group(0) @binding(9) var<storage, read_write> partials: array<f32>;
@group(0) @binding(10) var<storage, read_write> flags: array<atomic<u32>>;

override ALL_LOGITS: bool = false; // whether the logits of all heads are read after the dispatch, and not of coupled ones alone
override CLASSES: u32 = 32u;       // most classes of a head: code that is masked out costs time all the same

const LOWEST = -3.4028234e38;

// Whether an exponent is that of infinities and NaN.
fn is_unfinite(z: vec2<f32>) -> bool {
    return any((bitcast<vec2<u32>>(z) & vec2(0x7f800000u)) == vec2(0x7f800000u));
}

fn power(z: vec2<f32>) -> vec2<f32> {
    return vec2(exponential(z.x), exponential(z.y));
}
READERS

const ROWS = 16u;

// What the layers of the dispatch need, one bit a loop: code that is masked out costs time all the
// same.
override LOOPS: u32 = 3u;

@compute @workgroup_size(8)
fn heads_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layer_at(params.first_layer + group.x);
    let row_tile = group.y * ROWS;
    let task = layer.task;
    let rows = vec2(row_tile + lane, row_tile + 8u + lane);
    let r0 = min(rows.x, params.rows - 1u);
    let r1 = min(rows.y, params.rows - 1u);
";

const HEADS_TAIL: &str = "    // Rows and classes beyond the end repeat the last ones, so that testing them does no harm.
    var broken = false;
EACH        z{c} += vec2(subgroupShuffle(bias{g}, {l}u));
        broken = broken || is_unfinite(z{c});
END    if (broken) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    let label = vec2(labels[r0 * params.tasks + task], labels[r1 * params.tasks + task]);
    var peak = vec2(LOWEST);
    var best = vec2(NONE);
    var chosen = vec2<f32>();
EACH        let is_higher = (z{c} > peak) & vec2({c}u < layer.outputs);
        best = select(best, vec2({c}u), is_higher);
        peak = select(peak, z{c}, is_higher);
        chosen = select(chosen, z{c}, label == vec2({c}u));
END    // Class by class in ascending order.
    var others = vec2<f32>();
EACH        e{c} = power(z{c} - peak);
        others += select(vec2<f32>(), e{c}, (best != vec2({c}u)) & vec2({c}u < layer.outputs));
END    let is_labelled = label < vec2(layer.outputs);
    let scale = select(vec2<f32>(), vec2(heads[task].weight * step.inverse_rows), is_labelled);
    let share = scale / (1.0 + others);
    let first = vec2(layer.y) + rows * layer.outputs;
    let is_row = rows < vec2(params.rows);
EACH        let d = share * e{c} - select(vec2<f32>(), scale, label == vec2({c}u));
        if (is_row.x && {c}u < layer.outputs) {
            logits_delta[first.x + {c}u] = d.x;
        }
        if (is_row.y && {c}u < layer.outputs) {
            logits_delta[first.y + {c}u] = d.y;
        }
END    if (ALL_LOGITS || heads[task].coupled == 1u) {
EACH        if (is_row.x && {c}u < layer.outputs) {
            logits[first.x + {c}u] = z{c}.x;
        }
        if (is_row.y && {c}u < layer.outputs) {
            logits[first.y + {c}u] = z{c}.y;
        }
END    }
    let log_sum = vec2(logarithm_1p(others.x), logarithm_1p(others.y));
    let loss = select(vec2<f32>(), step.inverse_rows * (log_sum + (peak - chosen)), is_labelled);
    let hit = select(vec2<f32>(), vec2(1.0), label == best);
    let partial = task * params.capacity;
    if (is_row.x) {
        partials[params.loss + partial + rows.x] = loss.x;
        partials[params.hits + partial + rows.x] = hit.x;
    }
    if (is_row.y) {
        partials[params.loss + partial + rows.y] = loss.y;
        partials[params.hits + partial + rows.y] = hit.y;
    }
}
";

/// Most classes of a head.
const CLASSES: usize = 32;

/// Classes in groups of four, each for heads of so many classes alone; `{c}` is the class, `{g}`
/// its eight, `{l}` its place there.
fn each_class(text: &str) -> String {
    let of = |c: usize| {
        let text = fill(
            text,
            &[("c", &c.to_string()), ("g", &(c / 8).to_string()), ("l", &(c % 8).to_string())],
        );
        if text.contains("let ") { format!("        {{\n{text}        }}\n") } else { text }
    };
    (0..CLASSES)
        .step_by(4)
        .map(|first| {
            format!(
                "    if (CLASSES > {first}u) {{\n{}    }}\n",
                (first..first + 4).map(of).collect::<String>()
            )
        })
        .collect()
}

fn heads_loop(out: &mut String, bit: usize, is_aligned: bool) {
    let otherwise = if bit > 1 { "} else " } else { "" };
    let condition = if is_aligned { "((layer.inputs | layer.x) & 3u) == 0u" } else { "true" };
    line(
        out,
        &format!(
            "    {otherwise}if ((LOOPS & {bit}u) != 0u && (LOOPS == {bit}u || ({condition}))) {{"
        ),
    );
    line(out, "    for (var base = 0u; base < layer.inputs; base += 4u) {");
    if !is_aligned {
        line(out, "        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.inputs);");
    }
    for i in 0..2 {
        let place = format!("layer.x + r{i} * layer.inputs + base");
        line(
            out,
            &format!(
                "        let a{i} = {};",
                ended(&fetch(("x", is_aligned), &place), is_aligned)
            ),
        );
    }
    XYZW.iter().for_each(|c| line(out, &format!("        let x_{c} = vec2(a0.{c}, a1.{c});")));
    for eight in 0..CLASSES / 8 {
        let place = format!("layer.weight + c{eight} * layer.inputs + base");
        line(out, &format!("        if (CLASSES > {}u) {{", 8 * eight));
        line(
            out,
            &format!(
                "        let w = {};",
                ended(&fetch(("parameters", is_aligned), &place), is_aligned)
            ),
        );
        for c in 8 * eight..8 * eight + 8 {
            if c % 8 == 4 {
                line(out, &format!("        if (CLASSES > {c}u) {{"));
            }
            let terms = XYZW.map(|k| format!("x_{k} * subgroupShuffle(w.{k}, {}u)", c % 8));
            line(out, &format!("        z{c} += {};", terms.join(" + ")));
        }
        line(out, "        }\n        }");
    }
    line(out, "    }");
}

fn heads() -> String {
    let mut out = HEADS.to_string();
    (0..CLASSES / 8).for_each(|g| {
        line(&mut out, &format!("    let c{g} = min({}u + lane, layer.outputs - 1u);", 8 * g))
    });
    (0..CLASSES / 8).for_each(|g| {
        line(&mut out, &format!("    let bias{g} = one_parameters(layer.bias + c{g});"))
    });
    (0..CLASSES).for_each(|c| {
        line(&mut out, &format!("    var z{c} = vec2<f32>();\n    var e{c} = vec2<f32>();"))
    });
    heads_loop(&mut out, 1, true);
    heads_loop(&mut out, 2, false);
    line(&mut out, "    }");
    out += &repeated(HEADS_TAIL, &each_class);
    out.replacen("READERS\n", &readers(&out), 1)
}

const DIRECT: &[Direct] = &[
    FORWARD,
    Direct { name: "dense_forward_direct_32", rows: 32, ..FORWARD },
    BACKWARD_INPUT,
    Direct { name: "dense_backward_input_direct_32", rows: 32, ..BACKWARD_INPUT },
    BACKWARD_WEIGHT,
    Direct { name: "dense_backward_weight_direct_32", rows: 32, ..BACKWARD_WEIGHT },
];

fn shader(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shaders").join(format!("{name}.wgsl"))
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_string(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
}

/// `Params` of the kernel that is stood in for.
fn params(kernel: &str) -> String {
    let text = std::fs::read_to_string(shader(kernel)).expect("the tiled kernel");
    let begin = text.find("struct Params").expect("Params");
    text[begin..begin + text[begin..].find("\n}\n").expect("its end") + 3].to_string()
}

/// The functions that read the mirrors of a kernel, as its text calls them.
fn readers(text: &str) -> String {
    let mirrors = text.lines().filter_map(|l| l.split_once(": texture_storage_2d<rgba32"));
    mirrors
        .map(|(before, after)| {
            readers_of(text, before.rsplit(' ').next().expect("a name"), after.starts_with("float"))
        })
        .collect()
}

fn readers_of(text: &str, mirror: &str, is_float: bool) -> String {
    let kind = if is_float { "f32" } else { "u32" };
    let function = |head: &str, body: &str| format!("\nfn {head} {{\n    return {body};\n}}\n");
    let mut out = function(
        &format!("four_{mirror}(element: u32) -> vec4<{kind}>"),
        &format!("textureLoad({mirror}, texel_of(element))"),
    );
    if text.contains(&format!("any_four_{mirror}(")) {
        let body = format!("four_of(four_{mirror}(element), four_{mirror}(element + 4u), element)");
        out += &function(&format!("any_four_{mirror}(element: u32) -> vec4<f32>"), &body);
    }
    if text.contains(&format!("one_{mirror}(")) {
        out += &function(
            &format!("one_{mirror}(element: u32) -> {kind}"),
            &format!("four_{mirror}(element)[element & 3u]"),
        );
    }
    if mirror == "layers" {
        let texels: Vec<String> =
            (0..5).map(|i| format!("four_layers(20u * i + {}u)", 4 * i)).collect();
        out += &function("layer_at(i: u32) -> Dense", &format!("dense_of({})", texels.join(", ")));
    }
    out
}

fn generate(d: &Direct) -> String {
    let groups = if d.sums_rows { "    @builtin(num_workgroups) groups: vec3<u32>,\n" } else { "" };
    let stores =
        (0..4).take_while(|bit| d.tail.contains(&format!("STORES & {}u", 1 << bit))).count();
    let mut out = format!(
        "// {}
//
// For software adapters, in place of `{}.wgsl`: operands from mirrors, no workgroup memory and no
// barrier, one subgroup of 8 lanes a workgroup, no branch in the inner loops (indices are clamped,
// terms beyond the end are zero). A lane holds four columns of all rows of its tile; the row
// operand is handed round by shuffles with constant index; terms are added four by four in
// ascending order. Written by tests/generated.rs.

{}
{}READERS

const ROWS = {}u;
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit a loop{}: code that is masked out costs time all
// the same.
override LOOPS: u32 = {}u;
{}
@compute @workgroup_size(8)
fn {}(
    @builtin(workgroup_id) group: vec3<u32>,
{groups}    @builtin(local_invocation_index) lane: u32,
) {{
{}",
        d.formula,
        d.kernel,
        params(d.kernel),
        d.head,
        d.rows,
        if stores > 0 { " and one bit a way to store" } else { "" },
        (1 << d.inner.len()) - 1,
        if stores > 0 {
            format!("override STORES: u32 = {}u;\n", (1 << stores) - 1)
        } else {
            String::new()
        },
        d.name,
        d.frame
    );
    body(&mut out, d);
    out.push_str("}\n");
    out.replacen("READERS\n", &readers(&out), 1)
}

fn body(out: &mut String, d: &Direct) {
    let [rows, columns, _] = d.sizes;
    line(out, "    let column = column_tile + 4u * lane;");
    if d.fours[0] == Steps {
        (0..d.rows / 8).for_each(|h| {
            line(out, &format!("    let r{h} = min(row_tile + {}u + lane, {rows} - 1u);", 8 * h))
        });
    }
    if d.fours[1] == Steps {
        (0..4).for_each(|c| {
            line(out, &format!("    let c{c} = min(column + {c}u, {columns} - 1u);"))
        });
    }
    (0..d.rows).for_each(|r| line(out, &format!("    var s{r} = vec4<f32>();")));
    if d.sums_rows {
        line(out, "    var t = vec4<f32>();");
    }
    out.push_str(d.around[0]);
    for (i, inner) in d.inner.iter().enumerate() {
        let bit = 1 << i;
        let condition =
            format!("if ((LOOPS & {bit}u) != 0u && (LOOPS == {bit}u || ({}))) ", inner.condition);
        line(out, &format!("    {}{condition}{{", if i > 0 { "} else " } else { "" }));
        steps(out, d, inner);
    }
    out.push_str("    }\n");
    out.push_str(d.around[1]);
    out.push_str(&tail(d));
}

fn tail(d: &Direct) -> String {
    let list = |name: &str| {
        format!(
            "array({})",
            (0..d.rows).map(|r| format!("{name}{r}")).collect::<Vec<_>>().join(", ")
        )
    };
    let text = d.tail.replace("= ALL;", &format!("= {};", list("s")));
    repeated(&text, &|each| (0..d.rows).map(|r| each.replace("{r}", &r.to_string())).collect())
}

/// The text with what stands between `EACH` and `END` replaced.
fn repeated(text: &str, repeat: &dyn Fn(&str) -> String) -> String {
    let mut text = text.to_string();
    while let Some((before, (each, after))) =
        text.split_once("EACH").and_then(|(b, rest)| Some((b, rest.split_once("END")?)))
    {
        text = format!("{before}{}{after}", repeat(each));
    }
    text
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string");
}

/// The loop over inner steps, four a turn.
fn steps(out: &mut String, d: &Direct, inner: &Inner) {
    line(out, &format!("    for (var base = 0u; base < {}; base += 4u) {{", d.sizes[2]));
    row_loads(out, d, inner);
    column_loads(out, d, inner);
    for r in 0..d.rows {
        let values: Vec<String> = (0..4).map(|i| row_value(d, r, i)).collect();
        let terms: Vec<String> =
            values.iter().enumerate().map(|(i, a)| format!("{a} * b{i}")).collect();
        line(out, &format!("        s{r} += {};", terms.join(" + ")));
    }
    out.push_str("    }\n");
    if d.sums_rows {
        row_sums(out, d, inner);
    }
}

/// Sums of the row operand over the inner steps, in the first column tile: four rows a lane, in the
/// lanes that fetch the first step of a turn.
fn row_sums(out: &mut String, d: &Direct, inner: &Inner) {
    line(out, "    if (column_tile == 0u) {");
    line(out, &format!("    for (var base = 0u; base < {}; base += 4u) {{", d.sizes[2]));
    row_loads(out, d, inner);
    let quads = d.rows / 4;
    let later = |load: usize, step: usize| match step {
        0 => format!("a{load}"),
        _ => format!("subgroupShuffle(a{load}, (lane + {}u) & 7u)", quads * step),
    };
    let per_load = 8 / quads;
    let terms: Vec<String> = (0..4).map(|i| later(i / per_load, i % per_load)).collect();
    line(out, &format!("        t += {};", terms.join(" + ")));
    out.push_str("    }\n    }\n");
}

fn fetch((mirror, is_aligned): (&str, bool), place: &str) -> String {
    format!("{}_{mirror}({place})", if is_aligned { "four" } else { "any_four" })
}

/// Four steps that begin at `base`, zeros beyond the end.
fn ended(fetched: &str, is_aligned: bool) -> String {
    if is_aligned { fetched.into() } else { format!("select(vec4<f32>(), {fetched}, is_step)") }
}

/// `a0`, `a1`: the row operand of a turn, each number in one lane.
fn row_loads(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    if d.fours[0] == Steps {
        if !inner.rows.1 {
            line(
                out,
                &format!(
                    "        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4({count});"
                ),
            );
        }
        for half in 0..d.rows / 8 {
            let place = fill(d.places[0], &[("r", &format!("r{half}")), ("k", "base")]);
            line(
                out,
                &format!(
                    "        let a{half} = {};",
                    ended(&fetch(inner.rows, &place), inner.rows.1)
                ),
            );
        }
        return;
    }
    let quads = d.rows / 4;
    let per_load = 8 / quads;
    for load in 0..4 / per_load {
        line(
            out,
            &format!("        let step{load} = base + {}u + lane / {quads}u;", per_load * load),
        );
        let row = format!("(row_tile + 4u * (lane % {quads}u))");
        let place =
            fill(d.places[0], &[("r", &row), ("k", &format!("min(step{load}, {count} - 1u)"))]);
        line(
            out,
            &format!(
                "        let a{load} = select(vec4<f32>(), {}, step{load} < {count});",
                fetch(inner.rows, &place)
            ),
        );
    }
}

/// The row operand at row `r` and step `i` of the turn, in every lane. Where it is used, not
/// before: 64 live values would spill.
fn row_value(d: &Direct, r: usize, i: usize) -> String {
    if d.fours[0] == Steps {
        return format!("subgroupShuffle(a{}.{}, {}u)", r / 8, XYZW[i], r % 8);
    }
    let per_load = 32 / d.rows;
    format!(
        "subgroupShuffle(a{}.{}, {}u)",
        i / per_load,
        XYZW[r % 4],
        d.rows / 4 * (i % per_load) + r / 4
    )
}

/// The column operand at the steps of a turn: `b{i}` holds the lane's four columns at step `i`.
fn column_loads(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    let fetched =
        |k: &str, c: &str| fetch(inner.columns, &fill(d.places[1], &[("k", k), ("c", c)]));
    if d.fours[1] == Steps {
        for c in 0..4 {
            line(
                out,
                &format!(
                    "        let p{c} = {};",
                    ended(&fetched("base", &format!("c{c}")), inner.columns.1)
                ),
            );
        }
    }
    for (i, component) in XYZW.iter().enumerate() {
        let b = match d.fours[1] {
            Steps => format!("vec4(p0.{0}, p1.{0}, p2.{0}, p3.{0})", component),
            Across => fetched(&format!("min(base + {i}u, {count} - 1u)"), "column"),
        };
        line(out, &format!("        let b{i} = {b};"));
    }
}

/// Compares a file with what its generator writes, or writes it.
fn compare(name: &str, text: &str) {
    let path = shader(name);
    if std::env::var_os("TANDEM_WRITE_SHADERS").is_some() {
        std::fs::write(&path, text).expect("write");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} differs from its generator; run TANDEM_WRITE_SHADERS=1 cargo test --test generated",
        path.display()
    );
}

#[test]
fn direct_kernels_are_what_their_generator_writes() {
    for d in DIRECT {
        compare(d.name, &generate(d));
    }
    compare("heads_cross_entropy", &heads());
}

// The shapes of tiles for GPUs.

/// Shapes apart from that of the files themselves, by the constants at their head: an invocation's
/// rows and columns, invocations one below another and side by side, inner steps in workgroup
/// memory.
///
/// 64 sums an invocation are the most that registers hold; with 128 × 128 of them workgroup memory
/// holds 8 steps.
const SHAPES: &[[usize; 5]] =
    &[[8, 8, 16, 16, 8], [8, 8, 8, 8, 16], [4, 4, 16, 4, 16], [4, 4, 4, 16, 16]];
const CONSTANTS: [&str; 5] = ["ROWS_EACH", "COLUMNS_EACH", "DOWN", "ACROSS", "DEPTH"];
const TILED: &[&str] = &["dense_forward", "dense_backward_input", "dense_backward_weight"];

/// The text with `old` replaced, which it has once.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

fn with_constant(text: &str, name: &str, value: usize) -> String {
    let begin = text.find(&format!("\nconst {name} = ")).unwrap_or_else(|| panic!("no {name}")) + 1;
    let end = begin + text[begin..].find(';').expect("its end");
    format!("{}const {name} = {value}u{}", &text[..begin], &text[end..])
}

/// Name and text of a shape of a kernel.
fn shaped(kernel: &str, shape: &[usize; 5]) -> (String, String) {
    let [rows, columns, down, across, _] = shape;
    let name = format!("{kernel}_{}x{}", rows * down, columns * across);
    let text = std::fs::read_to_string(shader(kernel)).expect("the tiled kernel");
    let note = format!(
        "// The shape of the tile; the rest is that of {kernel}.wgsl. Written by tests/generated.rs.\n"
    );
    let text = replaced(
        &text,
        "// The shape of the tile. The other shapes are files of their own, with other numbers here, by tests/generated.rs.\n",
        &note,
    );
    let text = replaced(&text, &format!("\nfn {kernel}("), &format!("\nfn {name}("));
    let text = CONSTANTS
        .iter()
        .zip(shape)
        .fold(text, |text, (constant, value)| with_constant(&text, constant, *value));
    (name, text)
}

#[test]
fn shapes_are_what_their_generator_writes() {
    for (name, text) in
        TILED.iter().flat_map(|kernel| SHAPES.iter().map(|shape| shaped(kernel, shape)))
    {
        compare(&name, &text);
    }
}

// Matrix units.

/// Units apart from that of the files themselves: what operands are, and the side of their
/// matrices.
const UNITS: &[(&str, usize)] = &[("f16", 8), ("f16", 16)];

/// Name and text of the kernel of a product for a unit.
fn for_unit(kernel: &str, (element, side): (&str, usize)) -> (String, String) {
    let base = format!("{kernel}_matrix_f32_8");
    let name = format!("{kernel}_matrix_{element}_{side}");
    let text = std::fs::read_to_string(shader(&base)).expect("the kernel of the f32 unit");
    let text = replaced(&text, "\nenable wgpu", &format!("\nenable {element};\nenable wgpu"));
    let text = replaced(
        &text,
        "// The unit and what follows from it. The files of the other units are written from this one, by tests/generated.rs.\n",
        &format!(
            "// The unit and what follows from it; the rest is that of {base}.wgsl. Written by tests/generated.rs.\n"
        ),
    );
    let text = replaced(&text, "alias Element = f32;", &format!("alias Element = {element};"));
    let matrix = |text: String, of: &str, role: &str| {
        replaced(
            &text,
            &format!("coop_mat8x8<f32, {role}>"),
            &format!("coop_mat{side}x{side}<{of}, {role}>"),
        )
    };
    let text = matrix(matrix(matrix(text, element, "A"), element, "B"), "f32", "C");
    let text = replaced(&text, &format!("\nfn {base}("), &format!("\nfn {name}("));
    (name, with_constant(&text, "SIDE", side))
}

/// The function of a name, from its head to its end.
fn function<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begin = text.find(&format!("\nfn {name}("))? + 1;
    Some(&text[begin..begin + text[begin..].find("\n}\n")?])
}

/// What the kernels for units fetch and store, and where, they do as the tiled ones do, word by
/// word.
#[test]
fn units_fetch_and_store_as_tiles_do() {
    let read = |name: &str| std::fs::read_to_string(shader(name)).expect("a kernel");
    for kernel in TILED {
        let (tiled, unit) = (read(kernel), read(&format!("{kernel}_matrix_f32_8")));
        let names = tiled.lines().filter_map(|line| line.strip_prefix("fn ")?.split('(').next());
        let shared: Vec<&str> = names.filter(|name| function(&unit, name).is_some()).collect();
        assert!(shared.len() >= 5, "{kernel}: {shared:?}");
        for name in shared {
            assert_eq!(function(&tiled, name), function(&unit, name), "{kernel}: {name}");
        }
    }
}

#[test]
fn units_are_what_their_generator_writes() {
    for (name, text) in
        TILED.iter().flat_map(|kernel| UNITS.iter().map(|unit| for_unit(kernel, *unit)))
    {
        compare(&name, &text);
    }
}

/// The tiles that schedules reckon with are those of the files.
#[test]
fn ladders_name_every_shape() {
    for kernel in TILED {
        let plain = tandem::kernels::by_name(kernel).expect("a kernel");
        let ladder = tandem::kernels::tuning::ladder(plain);
        let found: Vec<_> =
            ladder.iter().map(|p| (p.kernel.name.to_string(), p.rows * p.columns)).collect();
        let mut expected: Vec<_> =
            SHAPES.iter().map(|s| (shaped(kernel, s).0, s[..4].iter().product())).collect();
        expected.insert(2, (kernel.to_string(), 32 * 32));
        assert_eq!(found, expected, "left: tuning::ladder, right: the files");
        assert!(ladder.iter().all(|p| p.kernel.name == *kernel
            || p.kernel.name.ends_with(&format!("_{}x{}", p.rows, p.columns))));
    }
}
