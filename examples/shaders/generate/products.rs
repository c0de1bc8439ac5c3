//! The three products for software adapters: what their files have that the others have not.

use super::unrolled::Four::{Across, Steps};
use super::unrolled::{Direct, Inner};

/// Each product in tiles of 16 and of 32 rows.
pub const DIRECT: &[Direct] = &[
    FORWARD,
    Direct { name: "dense_forward_direct_32", rows: 32, ..FORWARD },
    BACKWARD_INPUT,
    Direct { name: "dense_backward_input_direct_32", rows: 32, ..BACKWARD_INPUT },
    BACKWARD_WEIGHT,
    Direct { name: "dense_backward_weight_direct_32", rows: 32, ..BACKWARD_WEIGHT },
];

const FORWARD: Direct = Direct {
    name: "dense_forward_direct",
    rows: 16,
    kernel: "dense_forward",
    formula: "y = act(x · wᵀ + b),   slope = dy/dz,   both with dropout;   z = x · wᵀ + b is \
              tested for values\n// that are not finite",
    head: "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;            // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;            // [rows, O] and \
           slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // the activation of all layers; see `activate` for its codes
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

// The layer that a tile belongs to.
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

// Whether one of the exponents is that of infinity and NaN.
fn is_unfinite(exponents: vec4<u32>) -> bool {
    return any(exponents == vec4(0x7f800000u));
}

// An output and its slope, with dropout.
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

// Four outputs of an activation with few operations.
fn short_value(z: vec4<f32>) -> vec4<f32> {
    if (ACTIVATION == 4u) {
        return z;
    }
    return select(vec4<f32>(), z, z > vec4<f32>());
}

// Four slopes of an activation with few operations.
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
        Inner {
            condition: "((layer.inputs | layer.x) & 3u) == 0u",
            rows: ("x", true),
            columns: ("parameters", true),
        },
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
    } else if ((STORES & 2u) != 0u && is_short() && ((layer.outputs | layer.y | layer.slope) & 3u) \
           == 0u) {
EACH        if (is_inside && {r}u < rows) {
            y[(first + {r}u * layer.outputs) >> 2u] = short_value(s{r});
            y[(first_slope + {r}u * layer.outputs) >> 2u] = short_slope(s{r});
        }
END    } else if ((STORES & 2u) != 0u && !is_short() && ((layer.outputs | layer.y | layer.slope) & \
           3u) == 0u) {
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
@group(0) @binding(4) var next_delta: texture_storage_2d<rgba32float, read>;     // [rows, O] of \
           hidden sources
@group(0) @binding(5) var logits_delta: texture_storage_2d<rgba32float, read>;   // [rows, C] of \
           output sources
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
    sources: u32,      // their number; each names the next one
    tile: u32,         // column tiles of the dispatch before this destination
    pad_0: u32,        // makes whole vec4s
    pad_1: u32,
}

// A line of the table of destinations, from its two texels.
fn destination_at(i: u32) -> Destination {
    let a = four_destinations(8u * i);
    let b = four_destinations(8u * i + 4u);
    return Destination(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

// The destination that a tile belongs to.
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
        "    var reader = destination.first_source;\n    for (var s = 0u; s < \
         destination.sources; s++) {\n    let layer = layer_at(reader);\n    reader = \
         layer.next_reader;
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
        Inner {
            condition: "is_hidden",
            rows: ("next_delta", false),
            columns: ("parameters", false),
        },
        Inner {
            condition: "(layer.inputs & 3u) == 0u",
            rows: ("logits_delta", false),
            columns: ("parameters", true),
        },
        Inner { condition: "true", rows: ("logits_delta", false), columns: ("parameters", false) },
    ],
    sums_rows: false,
    tail: "    let rows = min(ROWS, params.rows - row_tile);
    let first = destination.delta + row_tile * destination.width + column;
    let first_slope = destination.slope + row_tile * destination.width + column;
    if ((STORES & 1u) != 0u && ((destination.width | destination.delta | destination.slope) & 3u) \
           == 0u) {
        let is_inside = column < destination.width;
EACH        if (is_inside && {r}u < rows) {
            delta[(first + {r}u * destination.width) >> 2u] = s{r} * select(vec4(1.0), \
           four_slope(first_slope + {r}u * destination.width), SLOPES);
        }
END    } else if ((STORES & 2u) != 0u) {
        var sums = ALL;
        for (var i = 0u; i < 4u * rows; i++) {
            let place = (i >> 2u) * destination.width + (i & 3u);
            if (column + (i & 3u) < destination.width) {
                delta[(first + place) >> 2u][(first + place) & 3u] = sums[i >> 2u][i & 3u] * \
           select(1.0, one_slope(first_slope + place), SLOPES);
            }
        }
    }
",
};

const BACKWARD_WEIGHT: Direct = Direct {
    name: "dense_backward_weight_direct",
    rows: 16,
    kernel: "dense_backward_weight",
    formula: "dw = deltaᵀ · x,   db = Σ over the rows of delta",
    head: "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var even: texture_storage_2d<rgba32float, read>;           // activations \
           [rows, I]
@group(0) @binding(4) var odd: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var even_delta: texture_storage_2d<rgba32float, read>;     // deltas [rows, \
           O]
@group(0) @binding(6) var odd_delta: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var logits_delta: texture_storage_2d<rgba32float, read>;   // [rows, C] per \
           head
@group(0) @binding(8) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

// The layer that a tile belongs to.
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

// Whether one of the exponents is that of infinity and NaN.
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
    // Mesa's software driver would unroll a loop that the uniform alone bounds, and compile the
    // kernel anew at every dispatch.
    let batch = select(0u, params.rows, layer.inputs > 0u);
",
    around: ["", ""],
    sizes: ["layer.outputs", "layer.inputs", "batch"],
    fours: [Across, Across],
    places: ["layer.delta + {k} * layer.outputs + {r}", "layer.x + {k} * layer.inputs + {c}"],
    inner: &[
        Inner {
            condition: "layer.delta_arena == 0u && are_aligned",
            rows: ("even_delta", true),
            columns: ("odd", true),
        },
        Inner {
            condition: "layer.delta_arena == 1u && are_aligned",
            rows: ("odd_delta", true),
            columns: ("even", true),
        },
        Inner {
            condition: "layer.delta_arena == 0u",
            rows: ("even_delta", false),
            columns: ("odd", false),
        },
        Inner {
            condition: "layer.delta_arena == 1u",
            rows: ("odd_delta", false),
            columns: ("even", false),
        },
        Inner {
            condition: "layer.x_odd == 1u",
            rows: ("logits_delta", false),
            columns: ("odd", false),
        },
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
                fine = store(first + (i >> 2u) * layer.inputs + (i & 3u), sums[i >> 2u][i & 3u]) \
           && fine;
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
