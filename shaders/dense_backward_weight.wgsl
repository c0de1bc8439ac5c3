// dw = deltaᵀ · x,   db = Σ over the rows of delta
//
// One dispatch computes all layers of the network: a workgroup computes ROWS outputs × COLUMNS
// inputs of the layer that its tile belongs to, in registers. Operands pass through workgroup
// memory as they lie, DEPTH rows of the batch at a time in ascending order. Terms are added in
// chains of multiply-adds (`chain_of`) whatever the shape of the tile. The workgroups of a layer's
// first column of tiles also sum the gradient of the bias, from the deltas that they have in any
// case. Gradients are tested for values that are not finite when they are stored.
//
// Indices: rows are below params.rows, and outputs and inputs below those of the layer, or nothing
// is read or written. Tables are read at layers of the group, which has at least one, with at least
// one input each. Places in workgroup memory are below the products of the constants.

struct Params {
    rows: u32,          // rows of the chunk
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tiles: u32,         // tiles of all layers together
    accumulate: u32,    // 0: the first chunk overwrites; 1: later chunks add
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> even: array<vec4<f32>>;           // activations [rows, I]
@group(0) @binding(4) var<storage, read> odd: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> even_delta: array<vec4<f32>>;   // deltas [rows, O]
@group(0) @binding(6) var<storage, read> odd_delta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> logits_delta: array<vec4<f32>>; // [rows, C] per head
@group(0) @binding(8) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

override FOURS: bool = false; // whether terms are added by fours (`with_fours`)

// The shape of the tile. The other shapes are in tiles/, generated from this file.
const ROWS_EACH = 4u;    // outputs per invocation, a multiple of four
const COLUMNS_EACH = 4u; // inputs per invocation, a multiple of four
const DOWN = 8u;         // invocations of a workgroup below one another
const ACROSS = 8u;       // invocations of a workgroup side by side
const DEPTH = 16u;       // inner steps in workgroup memory

const ROWS = DOWN * ROWS_EACH;
const COLUMNS = ACROSS * COLUMNS_EACH;
const INVOCATIONS = DOWN * ACROSS;
const QUADS = COLUMNS_EACH / 4u;
// Whether registers also hold the sums of earlier chains; else they wait in the places of the
// results.
const KEPT = ROWS_EACH * COLUMNS_EACH <= 16u;
// vec4s from row to row of the batch in workgroup memory
const D_STRIDE = ROWS / 4u;
const X_STRIDE = COLUMNS / 4u;
const_assert DEPTH % 4u == 0u && DEPTH * ROWS / 4u % INVOCATIONS == 0u
    && DEPTH * COLUMNS / 4u % INVOCATIONS == 0u && ROWS / 4u <= INVOCATIONS;

const FOUR = vec4(0u, 1u, 2u, 3u);

var<workgroup> d_tile: array<vec4<f32>, DEPTH * D_STRIDE>;
var<workgroup> x_tile: array<vec4<f32>, DEPTH * X_STRIDE>;

// Raises a flag, and the latch, for a value that is not finite.
fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

// The layer that a tile belongs to.
fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (layers[middle].weight_tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// An element of an arena of activations.
fn activation(is_odd: u32, place: u32) -> f32 {
    if (is_odd == 1u) {
        return odd[place / 4u][place % 4u];
    }
    return even[place / 4u][place % 4u];
}

// An element of an arena of deltas: 0 even, 1 odd, 2 logits.
fn delta(arena: u32, place: u32) -> f32 {
    switch arena {
        case 0u: {
            return even_delta[place / 4u][place % 4u];
        }
        case 1u: {
            return odd_delta[place / 4u][place % 4u];
        }
        default: {
            return logits_delta[place / 4u][place % 4u];
        }
    }
}

// Four elements of an arena of deltas, from a multiple of four on.
fn whole_deltas(arena: u32, place: u32) -> vec4<f32> {
    switch arena {
        case 0u: {
            return even_delta[place / 4u];
        }
        case 1u: {
            return odd_delta[place / 4u];
        }
        default: {
            return logits_delta[place / 4u];
        }
    }
}

// Four deltas of a row from an output on, zeros beyond the end; `whole` says that they begin at a
// multiple of four.
fn four_deltas(layer: Dense, row: u32, output: u32, whole: bool) -> vec4<f32> {
    if (row >= params.rows || output >= layer.outputs) {
        return vec4<f32>();
    }
    let place = layer.delta + row * layer.outputs + output;
    let arena = layer.delta_arena;
    if (whole) {
        return whole_deltas(arena, place);
    }
    let p = place + min(FOUR, vec4(layer.outputs - 1u - output));
    let found = vec4(delta(arena, p.x), delta(arena, p.y), delta(arena, p.z), delta(arena, p.w));
    return select(vec4<f32>(), found, FOUR < vec4(layer.outputs - output));
}

// Four inputs of a row from an input on, in the same way.
fn four_inputs(layer: Dense, row: u32, input: u32, whole: bool) -> vec4<f32> {
    if (row >= params.rows || input >= layer.inputs) {
        return vec4<f32>();
    }
    let place = layer.x + row * layer.inputs + input;
    let is_odd = layer.x_odd;
    if (whole && is_odd == 1u) {
        return odd[place / 4u];
    }
    if (whole) {
        return even[place / 4u];
    }
    let p = place + min(FOUR, vec4(layer.inputs - 1u - input));
    let found = vec4(activation(is_odd, p.x), activation(is_odd, p.y), activation(is_odd, p.z),
        activation(is_odd, p.w));
    return select(vec4<f32>(), found, FOUR < vec4(layer.inputs - input));
}

// Stores the sum of a chain, added to those of earlier chains and chunks, and tests it.
fn store(place: u32, flag: u32, sum: f32, first: bool) {
    var value = sum;
    if (params.accumulate == 1u || !first) {
        value = gradients[place] + sum;
    }
    if (!is_finite(value)) {
        raise(flag);
    }
    gradients[place] = value;
}

// Stores the gradients of four weights of an output, as far as the layer has them.
fn store_four(layer: Dense, output: u32, input: u32, sums: vec4<f32>, first: bool) {
    if (output >= layer.outputs) {
        return;
    }
    for (var c = 0u; c < 4u; c++) {
        if (input + c < layer.inputs) {
            store(layer.weight + output * layer.inputs + input + c, layer.gradient_flag, sums[c],
                first);
        }
    }
}

// Stores the sums of an invocation, whose first output and input are given.
fn store_sums(layer: Dense, output: u32, input: u32, sums: array<vec4<f32>, ROWS_EACH * QUADS>,
    first: bool) {
    for (var r = 0u; r < ROWS_EACH; r++) {
        for (var q = 0u; q < QUADS; q++) {
            store_four(layer, output + 4u * (r / 4u * DOWN) + r % 4u, input + 4u * q * ACROSS,
                sums[r * QUADS + q], first);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) {
        return;
    }
    let layer = layers[layer_of(tile)];
    let input_tiles = (layer.inputs + COLUMNS - 1u) / COLUMNS;
    let local = tile - layer.weight_tile;
    let output_tile = (local / input_tiles) * ROWS;
    let input_tile = (local % input_tiles) * COLUMNS;
    let whole_d = ((layer.outputs | layer.delta) & 3u) == 0u;
    let whole_x = ((layer.inputs | layer.x) & 3u) == 0u;
    let row = lane / ACROSS;
    let quad = lane % ACROSS;
    // Each of the first invocations sums four outputs of the bias.
    let biased = select(0u, ROWS / 4u, input_tile == 0u);
    var biases = vec4<f32>();
    var sums: array<vec4<f32>, ROWS_EACH * QUADS>;
    var totals: array<vec4<f32>, ROWS_EACH * QUADS>;
    let chain = chain_of(params.rows, FOURS);
    for (var begin = 0u; begin < params.rows; begin += chain) {
        let end = min(begin + chain, params.rows);
        sums = array<vec4<f32>, ROWS_EACH * QUADS>();
        var bias = vec4<f32>();
        for (var base = begin; base < end; base += DEPTH) {
            for (var i = lane; i < DEPTH * ROWS / 4u; i += INVOCATIONS) {
                d_tile[i] = four_deltas(layer, base + i / D_STRIDE,
                    output_tile + 4u * (i % D_STRIDE), whole_d);
            }
            for (var i = lane; i < DEPTH * COLUMNS / 4u; i += INVOCATIONS) {
                x_tile[i] = four_inputs(layer, base + i / X_STRIDE,
                    input_tile + 4u * (i % X_STRIDE), whole_x);
            }
            workgroupBarrier();
            for (var k = 0u; k < DEPTH; k += 4u) {
                var b: array<vec4<f32>, COLUMNS_EACH>;
                for (var i = 0u; i < COLUMNS_EACH; i++) {
                    b[i] = x_tile[(k + i % 4u) * X_STRIDE + i / 4u * ACROSS + quad];
                }
                for (var r = 0u; r < ROWS_EACH / 4u; r++) {
                    let first = k * D_STRIDE + r * DOWN + row;
                    let d0 = d_tile[first];
                    let d1 = d_tile[first + D_STRIDE];
                    let d2 = d_tile[first + 2u * D_STRIDE];
                    let d3 = d_tile[first + 3u * D_STRIDE];
                    for (var c = 0u; c < 4u; c++) {
                        for (var q = 0u; q < QUADS; q++) {
                            let s = (4u * r + c) * QUADS + q;
                            sums[s] = with_fours(sums[s], vec4(d0[c], d1[c], d2[c], d3[c]),
                                mat4x4(b[4u * q], b[4u * q + 1u], b[4u * q + 2u], b[4u * q + 3u]),
                                FOURS);
                        }
                    }
                }
            }
            if (lane < biased) {
                for (var k = lane; k < DEPTH * D_STRIDE; k += 4u * D_STRIDE) {
                    bias += d_tile[k] + d_tile[k + D_STRIDE] + d_tile[k + 2u * D_STRIDE]
                        + d_tile[k + 3u * D_STRIDE];
                }
            }
            workgroupBarrier();
        }
        biases += bias;
        if (FOURS || KEPT) {
            for (var i = 0u; i < ROWS_EACH * QUADS; i++) {
                totals[i] += sums[i];
            }
        } else {
            store_sums(layer, output_tile + 4u * row, input_tile + 4u * quad, sums, begin == 0u);
        }
    }
    if (FOURS || KEPT) {
        store_sums(layer, output_tile + 4u * row, input_tile + 4u * quad, totals, true);
    }
    if (lane < biased) {
        for (var c = 0u; c < 4u; c++) {
            let output = output_tile + 4u * lane + c;
            if (output < layer.outputs) {
                store(layer.bias + output, layer.gradient_flag, biases[c], true);
            }
        }
    }
}
