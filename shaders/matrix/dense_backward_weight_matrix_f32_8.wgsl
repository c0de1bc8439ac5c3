// dw = deltaᵀ · x,   db = Σ over the rows of delta
//
// For matrix units, in place of `dense_backward_weight.wgsl`: operands are rounded to the type of
// the unit when they are written to workgroup memory, sums are f32, and the unit adds in an order
// of its own. A subgroup computes 2 × 2 matrices of the tile, which are stored through workgroup
// memory.
//
// Indices: rows are below params.rows, and outputs and inputs below those of the layer, or nothing
// is read or written. Tables are read at layers of the group, which has at least one, with at least
// one input each. Places in workgroup memory are below the products of the constants.

enable wgpu_cooperative_matrix;

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

// The unit and what follows from it. The other units are generated from this file.
const SIDE = 8u;              // rows and columns of the matrices of the unit
alias Element = f32;          // an element of its operands
alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sums = coop_mat8x8<f32, C>;
const DEPTH = 32u;            // inner steps in workgroup memory

// invocations of a workgroup: at least four subgroups, of which each computes 2 × 2 matrices
override INVOCATIONS: u32 = 128u;

const ROWS = 4u * SIDE;
const COLUMNS = 4u * SIDE;
const D_STRIDE = ROWS + 8u;    // elements from row to row of the batch in workgroup memory
const X_STRIDE = COLUMNS + 8u;

const QUADS = ROWS / 4u;        // groups of four outputs
// invocations that fetch deltas: a fixed number, so that sums have a fixed order
const BRINGERS = 2u * QUADS;

const FOUR = vec4(0u, 1u, 2u, 3u);

var<workgroup> d_tile: array<Element, DEPTH * D_STRIDE>;
var<workgroup> x_tile: array<Element, DEPTH * X_STRIDE>;
// One matrix of each subgroup.
var<workgroup> sums: array<f32, 4u * SIDE * SIDE>;
// For each invocation that fetches deltas the sums of those of its four outputs, as f32.
var<workgroup> bias: array<vec4<f32>, BRINGERS>;

// Row and column within the tile of element `i` of the matrices in `sums`, each the first one of
// its subgroup.
fn place_of(i: u32) -> vec2<u32> {
    let subgroup = i / (SIDE * SIDE);
    let within = i % (SIDE * SIDE);
    return vec2(subgroup / 2u, subgroup % 2u) * 2u * SIDE + vec2(within / SIDE, within % SIDE);
}

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

// Stores the elements of the matrices in `sums`.
fn store_all(layer: Dense, output: u32, input: u32, lane: u32) {
    for (var i = lane; i < 4u * SIDE * SIDE; i += INVOCATIONS) {
        let place = vec2(output, input) + place_of(i);
        if (place.x < layer.outputs && place.y < layer.inputs) {
            store(layer.weight + place.x * layer.inputs + place.y, layer.gradient_flag,
                sums[i] * step.inverse_scale, true);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_backward_weight_matrix_f32_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) id: u32,
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
    var bias_sums = vec4<f32>();
    // Where subgroups have fewer lanes than they may have, there are more than four: the others
    // repeat what the first four do.
    let subgroup = id % 4u;
    var sums_00 = Sums();
    var sums_01 = Sums();
    var sums_10 = Sums();
    var sums_11 = Sums();
    let top = subgroup / 2u * 2u * SIDE;
    let left = subgroup % 2u * 2u * SIDE;
    for (var base = 0u; base < params.rows; base += DEPTH) {
        if (lane < BRINGERS) {
            for (var i = lane; i < DEPTH * QUADS; i += BRINGERS) {
                let k = i / QUADS;
                let output = 4u * (i % QUADS);
                let four = four_deltas(layer, base + k, output_tile + output, whole_d);
                bias_sums += four;
                for (var c = 0u; c < 4u; c++) {
                    d_tile[k * D_STRIDE + output + c] = Element(four[c] * step.delta_scale);
                }
            }
        }
        for (var i = lane; i < DEPTH * COLUMNS / 4u; i += INVOCATIONS) {
            let k = i / (COLUMNS / 4u);
            let input = 4u * (i % (COLUMNS / 4u));
            let four = four_inputs(layer, base + k, input_tile + input, whole_x);
            for (var c = 0u; c < 4u; c++) {
                x_tile[k * X_STRIDE + input + c] = Element(four[c]);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += SIDE) {
            let a_0 = coopLoad<Left>(&d_tile[k * D_STRIDE + top], D_STRIDE);
            let a_1 = coopLoad<Left>(&d_tile[k * D_STRIDE + top + SIDE], D_STRIDE);
            let b_0 = coopLoadT<Right>(&x_tile[k * X_STRIDE + left], X_STRIDE);
            let b_1 = coopLoadT<Right>(&x_tile[k * X_STRIDE + left + SIDE], X_STRIDE);
            sums_00 = coopMultiplyAdd(a_0, b_0, sums_00);
            sums_01 = coopMultiplyAdd(a_0, b_1, sums_01);
            sums_10 = coopMultiplyAdd(a_1, b_0, sums_10);
            sums_11 = coopMultiplyAdd(a_1, b_1, sums_11);
        }
        workgroupBarrier();
    }
    if (lane < BRINGERS) {
        bias[lane] = bias_sums;
    }
    coopStoreT(sums_00, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, output_tile + 0u * SIDE, input_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_01, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, output_tile + 0u * SIDE, input_tile + 1u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_10, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, output_tile + 1u * SIDE, input_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_11, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, output_tile + 1u * SIDE, input_tile + 1u * SIDE, lane);
    workgroupBarrier();
    // Sums of the same outputs lie QUADS apart.
    if (input_tile == 0u && lane < QUADS) {
        let all = bias[lane] + bias[lane + QUADS];
        for (var c = 0u; c < 4u; c++) {
            if (output_tile + 4u * lane + c < layer.outputs) {
                store(layer.bias + output_tile + 4u * lane + c, layer.gradient_flag, all[c],
                    true);
            }
        }
    }
}
