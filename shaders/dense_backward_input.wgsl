// delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope
//
// One dispatch computes a group of destinations: workgroup (i, j) computes ROWS × COLUMNS deltas of
// the destination that column tile i belongs to, in registers. The sources of the trunk's output
// are the first layers of all heads. Sources are added in the order of the table, each over its
// outputs in ascending order, in chains of multiply-adds (`chain_of`) whatever the shape of the
// tile. Operands pass through workgroup memory as they lie: deltas in vec4s of outputs, weights in
// vec4s of inputs.
//
// The learned inputs are a destination without slopes. They are the first inputs of their sources,
// which have more.
//
// Indices: rows are below params.rows, outputs below those of the source, inputs below its inputs,
// and units below the destination's width, or nothing is read or written. Tables are read at
// destinations of the group, which has at least one, and at their sources. Places in workgroup
// memory are below the products of the constants.

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
@group(0) @binding(1) var<storage, read> destinations: array<Destination>;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
// [rows, O] of hidden sources
@group(0) @binding(4) var<storage, read> next_delta: array<vec4<f32>>;
// [rows, C] of output sources
@group(0) @binding(5) var<storage, read> logits_delta: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> slope: array<vec4<f32>>;          // [rows, I]
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;           // [rows, I]

// The shape of the tile. The other shapes are in tiles/, generated from this file.
const ROWS_EACH = 4u;    // rows per invocation
const COLUMNS_EACH = 4u; // columns per invocation, a multiple of four
const DOWN = 8u;         // invocations of a workgroup below one another
const ACROSS = 8u;       // invocations of a workgroup side by side
const DEPTH = 16u;       // inner steps in workgroup memory

const ROWS = DOWN * ROWS_EACH;
const COLUMNS = ACROSS * COLUMNS_EACH;
const INVOCATIONS = DOWN * ACROSS;
const QUADS = COLUMNS_EACH / 4u;
const STEPS = DEPTH / 4u; // groups of four inner steps
// Whether registers also hold the sums of earlier chains; else they wait in the places of the
// results.
const KEPT = ROWS_EACH * COLUMNS_EACH <= 16u;
// vec4s from row to row, and from inner step to inner step, in workgroup memory: odd against bank
// conflicts
const D_STRIDE = STEPS + 1u;
const W_STRIDE = COLUMNS / 4u + 1u;
const_assert DEPTH % 8u == 0u && ROWS * STEPS % INVOCATIONS == 0u
    && DEPTH * COLUMNS / 4u % INVOCATIONS == 0u;

const FOUR = vec4(0u, 1u, 2u, 3u);
const LOGITS = 2u;

// Whether the destinations have slopes.
override SLOPES: bool = true;
// Whether terms are added by fours (`with_fours`), over all sources together.
override FOURS: bool = false;

var<workgroup> d_tile: array<vec4<f32>, ROWS * D_STRIDE>;
var<workgroup> w_tile: array<vec4<f32>, DEPTH * W_STRIDE>;

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

// Stores the sums of an invocation, whose first row and column are given.
fn store_sums(destination: Destination, row: u32, column: u32,
    sums: array<vec4<f32>, ROWS_EACH * QUADS>, first: bool, last: bool) {
    for (var r = 0u; r < ROWS_EACH; r++) {
        for (var q = 0u; q < QUADS; q++) {
            let four = sums[r * QUADS + q];
            for (var c = 0u; c < 4u; c++) {
                store(destination, row + r * DOWN, column + 4u * q * ACROSS + c, four[c], first,
                    last);
            }
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_backward_input(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
    let row = lane / ACROSS;
    let quad = lane % ACROSS;
    var reader = destination.first_source;
    var sums: array<vec4<f32>, ROWS_EACH * QUADS>;
    var totals: array<vec4<f32>, ROWS_EACH * QUADS>;
    for (var s = 0u; s < destination.sources; s++) {
        let layer = layers[reader];
        reader = layer.next_reader;
        let whole_d = ((layer.outputs | layer.delta) & 3u) == 0u;
        let whole_w = ((layer.inputs | layer.weight) & 3u) == 0u;
        let chain = chain_of(layer.outputs, FOURS);
        for (var begin = 0u; begin < layer.outputs; begin += chain) {
            let end = min(begin + chain, layer.outputs);
            if (!FOURS) {
                sums = array<vec4<f32>, ROWS_EACH * QUADS>();
            }
            for (var base = begin; base < end; base += DEPTH) {
                for (var i = lane; i < ROWS * STEPS; i += INVOCATIONS) {
                    d_tile[i / STEPS * D_STRIDE + i % STEPS] = four_deltas(layer,
                        row_tile + i / STEPS, base + 4u * (i % STEPS), whole_d);
                }
                for (var i = lane; i < DEPTH * COLUMNS / 4u; i += INVOCATIONS) {
                    let k = i / (COLUMNS / 4u);
                    let q = i % (COLUMNS / 4u);
                    w_tile[k * W_STRIDE + q] = four_weights(layer, base + k, column_tile + 4u * q,
                        whole_w);
                }
                workgroupBarrier();
                for (var k = 0u; k < STEPS; k++) {
                    var b: array<vec4<f32>, COLUMNS_EACH>;
                    for (var i = 0u; i < COLUMNS_EACH; i++) {
                        b[i] = w_tile[(4u * k + i % 4u) * W_STRIDE + i / 4u * ACROSS + quad];
                    }
                    for (var r = 0u; r < ROWS_EACH; r++) {
                        let a = d_tile[(r * DOWN + row) * D_STRIDE + k];
                        for (var q = 0u; q < QUADS; q++) {
                            sums[r * QUADS + q] = with_fours(sums[r * QUADS + q], a,
                                mat4x4(b[4u * q], b[4u * q + 1u], b[4u * q + 2u], b[4u * q + 3u]),
                                FOURS);
                        }
                    }
                }
                workgroupBarrier();
            }
            if (KEPT && !FOURS) {
                for (var i = 0u; i < ROWS_EACH * QUADS; i++) {
                    totals[i] += sums[i];
                }
            } else if (!FOURS) {
                store_sums(destination, row_tile + row, column_tile + 4u * quad, sums,
                    s + begin == 0u, s + 1u == destination.sources && end == layer.outputs);
            }
        }
    }
    if (FOURS) {
        store_sums(destination, row_tile + row, column_tile + 4u * quad, sums, true, true);
    } else if (KEPT) {
        store_sums(destination, row_tile + row, column_tile + 4u * quad, totals, true, true);
    }
}
