// delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope
//
// A group of destinations in one dispatch: workgroup (i, j) computes 32 rows × 32 units of the destination that column tile i falls
// into. The trunk's output has all heads as its sources; they are added in table order, each over its outputs in ascending order.

struct Params {
    rows: u32,              // rows of the chunk
    first_destination: u32, // the group: destinations [first_destination, first_destination + destinations)
    destinations: u32,
}

struct Destination {
    width: u32,
    slope: u32,        // [rows, width] in the activation arena
    delta: u32,        // [rows, width] in the delta arena
    first_source: u32, // layers [first_source, first_source + sources) read this activation
    sources: u32,
    tile: u32,         // column tiles of the dispatch before this destination
    pad_0: u32,        // to whole vec4s
    pad_1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> destinations: array<Destination>;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> next_delta: array<f32>;     // [rows, O] of hidden sources
@group(0) @binding(5) var<storage, read> logits_delta: array<f32>;   // [rows, C] of output sources
@group(0) @binding(6) var<storage, read> slope: array<f32>;          // [rows, I]
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;    // [rows, I]

const TILE = 32u;
const DEPTH = 16u;
const STRIDE = 33u;
const LOGITS = 2u;

var<workgroup> d_tile: array<f32, 528>; // [DEPTH, STRIDE]
var<workgroup> w_tile: array<f32, 528>;

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

fn source_delta(arena: u32, index: u32) -> f32 {
    if (arena == LOGITS) {
        return logits_delta[index];
    }
    return next_delta[index];
}

fn store(destination: Destination, row: u32, column: u32, sum: f32) {
    if (row < params.rows && column < destination.width) {
        let place = row * destination.width + column;
        delta[destination.delta + place] = sum * slope[destination.slope + place];
    }
}

fn four(first: u32) -> vec4<f32> {
    return vec4(w_tile[first], w_tile[first + 1u], w_tile[first + 2u], w_tile[first + 3u]);
}

@compute @workgroup_size(64)
fn dense_backward_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * TILE;
    let column_tile = (group.x - destination.tile) * TILE;
    // Loading: 8 neighbouring outputs of one row of deltas, 8 neighbouring inputs of one row of weights.
    let d_line = lane / 2u;
    let d_start = (lane % 2u) * 8u;
    let w_line = lane / 4u;
    let w_start = (lane % 4u) * 8u;
    let row = (lane / 8u) * 4u;
    let column = (lane % 8u) * 4u;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var s = 0u; s < destination.sources; s++) {
        let layer = layers[destination.first_source + s];
        for (var base = 0u; base < layer.outputs; base += DEPTH) {
            for (var i = 0u; i < 8u; i++) {
                let k = d_start + i;
                var d = 0.0;
                if (base + k < layer.outputs && row_tile + d_line < params.rows) {
                    d = source_delta(layer.delta_arena, layer.delta + (row_tile + d_line) * layer.outputs + base + k);
                }
                d_tile[k * STRIDE + d_line] = d;
                let c = w_start + i;
                var w = 0.0;
                if (base + w_line < layer.outputs && column_tile + c < layer.inputs) {
                    w = parameters[layer.weight + (base + w_line) * layer.inputs + column_tile + c];
                }
                w_tile[w_line * STRIDE + c] = w;
            }
            workgroupBarrier();
            for (var k = 0u; k < DEPTH; k += 4u) {
                let p0 = (k + 0u) * STRIDE + row;
                let p1 = (k + 1u) * STRIDE + row;
                let p2 = (k + 2u) * STRIDE + row;
                let p3 = (k + 3u) * STRIDE + row;
                let b0 = four((k + 0u) * STRIDE + column);
                let b1 = four((k + 1u) * STRIDE + column);
                let b2 = four((k + 2u) * STRIDE + column);
                let b3 = four((k + 3u) * STRIDE + column);
                sum0 += d_tile[p0] * b0 + d_tile[p1] * b1 + d_tile[p2] * b2 + d_tile[p3] * b3;
                sum1 += d_tile[p0 + 1u] * b0 + d_tile[p1 + 1u] * b1 + d_tile[p2 + 1u] * b2 + d_tile[p3 + 1u] * b3;
                sum2 += d_tile[p0 + 2u] * b0 + d_tile[p1 + 2u] * b1 + d_tile[p2 + 2u] * b2 + d_tile[p3 + 2u] * b3;
                sum3 += d_tile[p0 + 3u] * b0 + d_tile[p1 + 3u] * b1 + d_tile[p2 + 3u] * b2 + d_tile[p3 + 3u] * b3;
            }
            workgroupBarrier();
        }
    }
    for (var c = 0u; c < 4u; c++) {
        store(destination, row_tile + row, column_tile + column + c, sum0[c]);
        store(destination, row_tile + row + 1u, column_tile + column + c, sum1[c]);
        store(destination, row_tile + row + 2u, column_tile + column + c, sum2[c]);
        store(destination, row_tile + row + 3u, column_tile + column + c, sum3[c]);
    }
}
