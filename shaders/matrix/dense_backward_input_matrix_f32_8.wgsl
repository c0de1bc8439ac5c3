// delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope
//
// For matrix units, in place of `dense_backward_input.wgsl`: operands are rounded to the type of
// the unit when they are written to workgroup memory, sums are f32, and the unit adds in an order
// of its own. A subgroup computes 2 × 2 matrices of the tile, which are stored through workgroup
// memory.
//
// The learned inputs are a destination without slopes. They are the first inputs of their sources,
// which have more.
//
// Indices: rows are below params.rows, outputs below those of the source, inputs below its inputs,
// and units below the destination's width, or nothing is read or written. Tables are read at
// destinations of the group, which has at least one, and at their sources. Places in workgroup
// memory are below the products of the constants.

enable wgpu_cooperative_matrix;

struct Params {
    rows: u32,              // rows of the chunk
    // the group: destinations [first_destination, first_destination + destinations)
    first_destination: u32,
    destinations: u32,
}

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> destinations: array<Destination>;
@group(0) @binding(3) var<storage, read> layers: array<Dense>;
@group(0) @binding(4) var<storage, read> parameters: array<vec4<f32>>;
// [rows, O] of hidden sources
@group(0) @binding(5) var<storage, read> next_delta: array<vec4<f32>>;
// [rows, C] of output sources
@group(0) @binding(6) var<storage, read> logits_delta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> slope: array<vec4<f32>>;          // [rows, I]
@group(0) @binding(8) var<storage, read_write> delta: array<f32>;           // [rows, I]

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
const D_STRIDE = DEPTH + 8u;   // elements from row to row in workgroup memory
const W_STRIDE = COLUMNS + 8u; // elements from inner step to inner step

const FOUR = vec4(0u, 1u, 2u, 3u);
const LOGITS = 2u;

// Whether the destinations have slopes.
override SLOPES: bool = true;

var<workgroup> d_tile: array<Element, ROWS * D_STRIDE>;
var<workgroup> w_tile: array<Element, DEPTH * W_STRIDE>;
// One matrix of each subgroup.
var<workgroup> sums: array<f32, 4u * SIDE * SIDE>;

// Row and column within the tile of element `i` of the matrices in `sums`, each the first one of
// its subgroup.
fn place_of(i: u32) -> vec2<u32> {
    let subgroup = i / (SIDE * SIDE);
    let within = i % (SIDE * SIDE);
    return vec2(subgroup / 2u, subgroup % 2u) * 2u * SIDE + vec2(within / SIDE, within % SIDE);
}

// The destination that a tile belongs to.
fn destination_of(tile: u32) -> u32 {
    var low = params.first_destination;
    var high = params.first_destination + params.destinations;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (destinations[middle].tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// A delta of a source, hidden or output layer.
fn source_delta(arena: u32, place: u32) -> f32 {
    if (arena == LOGITS) {
        return logits_delta[place / 4u][place % 4u];
    }
    return next_delta[place / 4u][place % 4u];
}

// Four deltas of a row from output `k` on, zeros beyond the end; `whole` says that they begin at a
// multiple of four.
fn four_deltas(layer: Dense, row: u32, k: u32, whole: bool) -> vec4<f32> {
    if (row >= params.rows || k >= layer.outputs) {
        return vec4<f32>();
    }
    let place = layer.delta + row * layer.outputs + k;
    if (whole && layer.delta_arena == LOGITS) {
        return logits_delta[place / 4u];
    }
    if (whole) {
        return next_delta[place / 4u];
    }
    let p = place + min(FOUR, vec4(layer.outputs - 1u - k));
    let low = vec2(source_delta(layer.delta_arena, p.x), source_delta(layer.delta_arena, p.y));
    let high = vec2(source_delta(layer.delta_arena, p.z), source_delta(layer.delta_arena, p.w));
    return select(vec4<f32>(), vec4(low, high), FOUR < vec4(layer.outputs - k));
}

// Four weights of output `k` from an input on, in the same way.
fn four_weights(layer: Dense, k: u32, input: u32, whole: bool) -> vec4<f32> {
    if (k >= layer.outputs || input >= layer.inputs) {
        return vec4<f32>();
    }
    let place = layer.weight + k * layer.inputs + input;
    if (whole) {
        return parameters[place / 4u];
    }
    let p = place + min(FOUR, vec4(layer.inputs - 1u - input));
    let low = vec2(parameters[p.x / 4u][p.x % 4u], parameters[p.y / 4u][p.y % 4u]);
    let high = vec2(parameters[p.z / 4u][p.z % 4u], parameters[p.w / 4u][p.w % 4u]);
    return select(vec4<f32>(), vec4(low, high), FOUR < vec4(layer.inputs - input));
}

// Stores the sum of a chain, added to those of earlier chains; after the last one a delta, times
// its slope.
fn store(destination: Destination, row: u32, column: u32, chain: f32, first: bool, last: bool) {
    if (row < params.rows && column < destination.width) {
        let place = row * destination.width + column;
        let at = destination.slope + place;
        var value = chain;
        if (!first) {
            value = delta[destination.delta + place] + chain;
        }
        if (SLOPES && last) {
            value *= slope[at / 4u][at % 4u];
        }
        delta[destination.delta + place] = value;
    }
}

// Stores the elements of the matrices in `sums`.
fn store_all(destination: Destination, row: u32, column: u32, lane: u32) {
    for (var i = lane; i < 4u * SIDE * SIDE; i += INVOCATIONS) {
        let place = place_of(i);
        let sum = sums[i] * step.inverse_scale;
        store(destination, row + place.x, column + place.y, sum, true, true);
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_backward_input_matrix_f32_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) id: u32,
) {
    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
    // Where subgroups have fewer lanes than they may have, there are more than four: the others
    // repeat what the first four do.
    let subgroup = id % 4u;
    var sums_00 = Sums();
    var sums_01 = Sums();
    var sums_10 = Sums();
    var sums_11 = Sums();
    let top = subgroup / 2u * 2u * SIDE;
    let left = subgroup % 2u * 2u * SIDE;
    var reader = destination.first_source;
    for (var s = 0u; s < destination.sources; s++) {
        let layer = layers[reader];
        reader = layer.next_reader;
        let whole_d = ((layer.outputs | layer.delta) & 3u) == 0u;
        let whole_w = ((layer.inputs | layer.weight) & 3u) == 0u;
        for (var base = 0u; base < layer.outputs; base += DEPTH) {
            for (var i = lane; i < ROWS * DEPTH / 4u; i += INVOCATIONS) {
                let row = i / (DEPTH / 4u);
                let k = 4u * (i % (DEPTH / 4u));
                let four = four_deltas(layer, row_tile + row, base + k, whole_d) * step.delta_scale;
                for (var c = 0u; c < 4u; c++) {
                    d_tile[row * D_STRIDE + k + c] = Element(four[c]);
                }
            }
            for (var i = lane; i < DEPTH * COLUMNS / 4u; i += INVOCATIONS) {
                let k = i / (COLUMNS / 4u);
                let column = 4u * (i % (COLUMNS / 4u));
                let four = four_weights(layer, base + k, column_tile + column, whole_w);
                for (var c = 0u; c < 4u; c++) {
                    w_tile[k * W_STRIDE + column + c] = Element(four[c]);
                }
            }
            workgroupBarrier();
            for (var k = 0u; k < DEPTH; k += SIDE) {
                let a_0 = coopLoadT<Left>(&d_tile[top * D_STRIDE + k], D_STRIDE);
                let a_1 = coopLoadT<Left>(&d_tile[(top + SIDE) * D_STRIDE + k], D_STRIDE);
                let b_0 = coopLoadT<Right>(&w_tile[k * W_STRIDE + left], W_STRIDE);
                let b_1 = coopLoadT<Right>(&w_tile[k * W_STRIDE + left + SIDE], W_STRIDE);
                sums_00 = coopMultiplyAdd(a_0, b_0, sums_00);
                sums_01 = coopMultiplyAdd(a_0, b_1, sums_01);
                sums_10 = coopMultiplyAdd(a_1, b_0, sums_10);
                sums_11 = coopMultiplyAdd(a_1, b_1, sums_11);
            }
            workgroupBarrier();
        }
    }
    coopStoreT(sums_00, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(destination, row_tile + 0u * SIDE, column_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_01, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(destination, row_tile + 0u * SIDE, column_tile + 1u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_10, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(destination, row_tile + 1u * SIDE, column_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_11, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(destination, row_tile + 1u * SIDE, column_tile + 1u * SIDE, lane);
    workgroupBarrier();
}
