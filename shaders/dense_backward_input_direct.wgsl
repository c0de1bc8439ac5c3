// delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope
//
// For software adapters, in place of `dense_backward_input.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loop (indices are clamped, terms beyond the end are zero). Lanes lie along the columns, each with 4 of them, 8 apart, for 16
// rows. The row operand is loaded with lanes along 8 inner steps and handed round by shuffles with constant index; terms are added in
// ascending order. Written by tests/generated.rs.

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> destinations: array<Destination>;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> next_delta: array<f32>;     // [rows, O] of hidden sources
@group(0) @binding(5) var<storage, read> logits_delta: array<f32>;   // [rows, C] of output sources
@group(0) @binding(6) var<storage, read> slope: array<f32>;          // [rows, I]
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;    // [rows, I]

const LOGITS = 2u;
const ROWS = 16u;
const COLUMNS = 32u;
const LANES = 8u;

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

@compute @workgroup_size(8)
fn dense_backward_input_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
    let r0 = min(row_tile + 0u, params.rows - 1u);
    let r1 = min(row_tile + 1u, params.rows - 1u);
    let r2 = min(row_tile + 2u, params.rows - 1u);
    let r3 = min(row_tile + 3u, params.rows - 1u);
    let r4 = min(row_tile + 4u, params.rows - 1u);
    let r5 = min(row_tile + 5u, params.rows - 1u);
    let r6 = min(row_tile + 6u, params.rows - 1u);
    let r7 = min(row_tile + 7u, params.rows - 1u);
    let r8 = min(row_tile + 8u, params.rows - 1u);
    let r9 = min(row_tile + 9u, params.rows - 1u);
    let r10 = min(row_tile + 10u, params.rows - 1u);
    let r11 = min(row_tile + 11u, params.rows - 1u);
    let r12 = min(row_tile + 12u, params.rows - 1u);
    let r13 = min(row_tile + 13u, params.rows - 1u);
    let r14 = min(row_tile + 14u, params.rows - 1u);
    let r15 = min(row_tile + 15u, params.rows - 1u);
    let c0 = min(column_tile + lane + 0u, destination.width - 1u);
    let c1 = min(column_tile + lane + 8u, destination.width - 1u);
    let c2 = min(column_tile + lane + 16u, destination.width - 1u);
    let c3 = min(column_tile + lane + 24u, destination.width - 1u);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    var s8 = vec4<f32>();
    var s9 = vec4<f32>();
    var s10 = vec4<f32>();
    var s11 = vec4<f32>();
    var s12 = vec4<f32>();
    var s13 = vec4<f32>();
    var s14 = vec4<f32>();
    var s15 = vec4<f32>();
    for (var s = 0u; s < destination.sources; s++) {
    let layer = layers[destination.first_source + s];
    for (var base = 0u; base < layer.outputs; base += LANES) {
        let k = min(base + lane, layer.outputs - 1u);
        let inside = base + lane < layer.outputs;
        let a0 = select(0.0, source_delta(layer.delta_arena, layer.delta + r0 * layer.outputs + k), inside);
        let a1 = select(0.0, source_delta(layer.delta_arena, layer.delta + r1 * layer.outputs + k), inside);
        let a2 = select(0.0, source_delta(layer.delta_arena, layer.delta + r2 * layer.outputs + k), inside);
        let a3 = select(0.0, source_delta(layer.delta_arena, layer.delta + r3 * layer.outputs + k), inside);
        let a4 = select(0.0, source_delta(layer.delta_arena, layer.delta + r4 * layer.outputs + k), inside);
        let a5 = select(0.0, source_delta(layer.delta_arena, layer.delta + r5 * layer.outputs + k), inside);
        let a6 = select(0.0, source_delta(layer.delta_arena, layer.delta + r6 * layer.outputs + k), inside);
        let a7 = select(0.0, source_delta(layer.delta_arena, layer.delta + r7 * layer.outputs + k), inside);
        let a8 = select(0.0, source_delta(layer.delta_arena, layer.delta + r8 * layer.outputs + k), inside);
        let a9 = select(0.0, source_delta(layer.delta_arena, layer.delta + r9 * layer.outputs + k), inside);
        let a10 = select(0.0, source_delta(layer.delta_arena, layer.delta + r10 * layer.outputs + k), inside);
        let a11 = select(0.0, source_delta(layer.delta_arena, layer.delta + r11 * layer.outputs + k), inside);
        let a12 = select(0.0, source_delta(layer.delta_arena, layer.delta + r12 * layer.outputs + k), inside);
        let a13 = select(0.0, source_delta(layer.delta_arena, layer.delta + r13 * layer.outputs + k), inside);
        let a14 = select(0.0, source_delta(layer.delta_arena, layer.delta + r14 * layer.outputs + k), inside);
        let a15 = select(0.0, source_delta(layer.delta_arena, layer.delta + r15 * layer.outputs + k), inside);
        let k0 = min(base + 0u, layer.outputs - 1u);
        let b0 = vec4(
            parameters[layer.weight + k0 * layer.inputs + c0],
            parameters[layer.weight + k0 * layer.inputs + c1],
            parameters[layer.weight + k0 * layer.inputs + c2],
            parameters[layer.weight + k0 * layer.inputs + c3],
        );
        let k1 = min(base + 1u, layer.outputs - 1u);
        let b1 = vec4(
            parameters[layer.weight + k1 * layer.inputs + c0],
            parameters[layer.weight + k1 * layer.inputs + c1],
            parameters[layer.weight + k1 * layer.inputs + c2],
            parameters[layer.weight + k1 * layer.inputs + c3],
        );
        let k2 = min(base + 2u, layer.outputs - 1u);
        let b2 = vec4(
            parameters[layer.weight + k2 * layer.inputs + c0],
            parameters[layer.weight + k2 * layer.inputs + c1],
            parameters[layer.weight + k2 * layer.inputs + c2],
            parameters[layer.weight + k2 * layer.inputs + c3],
        );
        let k3 = min(base + 3u, layer.outputs - 1u);
        let b3 = vec4(
            parameters[layer.weight + k3 * layer.inputs + c0],
            parameters[layer.weight + k3 * layer.inputs + c1],
            parameters[layer.weight + k3 * layer.inputs + c2],
            parameters[layer.weight + k3 * layer.inputs + c3],
        );
        s0 = s0 + subgroupShuffle(a0, 0u) * b0 + subgroupShuffle(a0, 1u) * b1 + subgroupShuffle(a0, 2u) * b2 + subgroupShuffle(a0, 3u) * b3;
        s1 = s1 + subgroupShuffle(a1, 0u) * b0 + subgroupShuffle(a1, 1u) * b1 + subgroupShuffle(a1, 2u) * b2 + subgroupShuffle(a1, 3u) * b3;
        s2 = s2 + subgroupShuffle(a2, 0u) * b0 + subgroupShuffle(a2, 1u) * b1 + subgroupShuffle(a2, 2u) * b2 + subgroupShuffle(a2, 3u) * b3;
        s3 = s3 + subgroupShuffle(a3, 0u) * b0 + subgroupShuffle(a3, 1u) * b1 + subgroupShuffle(a3, 2u) * b2 + subgroupShuffle(a3, 3u) * b3;
        s4 = s4 + subgroupShuffle(a4, 0u) * b0 + subgroupShuffle(a4, 1u) * b1 + subgroupShuffle(a4, 2u) * b2 + subgroupShuffle(a4, 3u) * b3;
        s5 = s5 + subgroupShuffle(a5, 0u) * b0 + subgroupShuffle(a5, 1u) * b1 + subgroupShuffle(a5, 2u) * b2 + subgroupShuffle(a5, 3u) * b3;
        s6 = s6 + subgroupShuffle(a6, 0u) * b0 + subgroupShuffle(a6, 1u) * b1 + subgroupShuffle(a6, 2u) * b2 + subgroupShuffle(a6, 3u) * b3;
        s7 = s7 + subgroupShuffle(a7, 0u) * b0 + subgroupShuffle(a7, 1u) * b1 + subgroupShuffle(a7, 2u) * b2 + subgroupShuffle(a7, 3u) * b3;
        s8 = s8 + subgroupShuffle(a8, 0u) * b0 + subgroupShuffle(a8, 1u) * b1 + subgroupShuffle(a8, 2u) * b2 + subgroupShuffle(a8, 3u) * b3;
        s9 = s9 + subgroupShuffle(a9, 0u) * b0 + subgroupShuffle(a9, 1u) * b1 + subgroupShuffle(a9, 2u) * b2 + subgroupShuffle(a9, 3u) * b3;
        s10 = s10 + subgroupShuffle(a10, 0u) * b0 + subgroupShuffle(a10, 1u) * b1 + subgroupShuffle(a10, 2u) * b2 + subgroupShuffle(a10, 3u) * b3;
        s11 = s11 + subgroupShuffle(a11, 0u) * b0 + subgroupShuffle(a11, 1u) * b1 + subgroupShuffle(a11, 2u) * b2 + subgroupShuffle(a11, 3u) * b3;
        s12 = s12 + subgroupShuffle(a12, 0u) * b0 + subgroupShuffle(a12, 1u) * b1 + subgroupShuffle(a12, 2u) * b2 + subgroupShuffle(a12, 3u) * b3;
        s13 = s13 + subgroupShuffle(a13, 0u) * b0 + subgroupShuffle(a13, 1u) * b1 + subgroupShuffle(a13, 2u) * b2 + subgroupShuffle(a13, 3u) * b3;
        s14 = s14 + subgroupShuffle(a14, 0u) * b0 + subgroupShuffle(a14, 1u) * b1 + subgroupShuffle(a14, 2u) * b2 + subgroupShuffle(a14, 3u) * b3;
        s15 = s15 + subgroupShuffle(a15, 0u) * b0 + subgroupShuffle(a15, 1u) * b1 + subgroupShuffle(a15, 2u) * b2 + subgroupShuffle(a15, 3u) * b3;
        let k4 = min(base + 4u, layer.outputs - 1u);
        let b4 = vec4(
            parameters[layer.weight + k4 * layer.inputs + c0],
            parameters[layer.weight + k4 * layer.inputs + c1],
            parameters[layer.weight + k4 * layer.inputs + c2],
            parameters[layer.weight + k4 * layer.inputs + c3],
        );
        let k5 = min(base + 5u, layer.outputs - 1u);
        let b5 = vec4(
            parameters[layer.weight + k5 * layer.inputs + c0],
            parameters[layer.weight + k5 * layer.inputs + c1],
            parameters[layer.weight + k5 * layer.inputs + c2],
            parameters[layer.weight + k5 * layer.inputs + c3],
        );
        let k6 = min(base + 6u, layer.outputs - 1u);
        let b6 = vec4(
            parameters[layer.weight + k6 * layer.inputs + c0],
            parameters[layer.weight + k6 * layer.inputs + c1],
            parameters[layer.weight + k6 * layer.inputs + c2],
            parameters[layer.weight + k6 * layer.inputs + c3],
        );
        let k7 = min(base + 7u, layer.outputs - 1u);
        let b7 = vec4(
            parameters[layer.weight + k7 * layer.inputs + c0],
            parameters[layer.weight + k7 * layer.inputs + c1],
            parameters[layer.weight + k7 * layer.inputs + c2],
            parameters[layer.weight + k7 * layer.inputs + c3],
        );
        s0 = s0 + subgroupShuffle(a0, 4u) * b4 + subgroupShuffle(a0, 5u) * b5 + subgroupShuffle(a0, 6u) * b6 + subgroupShuffle(a0, 7u) * b7;
        s1 = s1 + subgroupShuffle(a1, 4u) * b4 + subgroupShuffle(a1, 5u) * b5 + subgroupShuffle(a1, 6u) * b6 + subgroupShuffle(a1, 7u) * b7;
        s2 = s2 + subgroupShuffle(a2, 4u) * b4 + subgroupShuffle(a2, 5u) * b5 + subgroupShuffle(a2, 6u) * b6 + subgroupShuffle(a2, 7u) * b7;
        s3 = s3 + subgroupShuffle(a3, 4u) * b4 + subgroupShuffle(a3, 5u) * b5 + subgroupShuffle(a3, 6u) * b6 + subgroupShuffle(a3, 7u) * b7;
        s4 = s4 + subgroupShuffle(a4, 4u) * b4 + subgroupShuffle(a4, 5u) * b5 + subgroupShuffle(a4, 6u) * b6 + subgroupShuffle(a4, 7u) * b7;
        s5 = s5 + subgroupShuffle(a5, 4u) * b4 + subgroupShuffle(a5, 5u) * b5 + subgroupShuffle(a5, 6u) * b6 + subgroupShuffle(a5, 7u) * b7;
        s6 = s6 + subgroupShuffle(a6, 4u) * b4 + subgroupShuffle(a6, 5u) * b5 + subgroupShuffle(a6, 6u) * b6 + subgroupShuffle(a6, 7u) * b7;
        s7 = s7 + subgroupShuffle(a7, 4u) * b4 + subgroupShuffle(a7, 5u) * b5 + subgroupShuffle(a7, 6u) * b6 + subgroupShuffle(a7, 7u) * b7;
        s8 = s8 + subgroupShuffle(a8, 4u) * b4 + subgroupShuffle(a8, 5u) * b5 + subgroupShuffle(a8, 6u) * b6 + subgroupShuffle(a8, 7u) * b7;
        s9 = s9 + subgroupShuffle(a9, 4u) * b4 + subgroupShuffle(a9, 5u) * b5 + subgroupShuffle(a9, 6u) * b6 + subgroupShuffle(a9, 7u) * b7;
        s10 = s10 + subgroupShuffle(a10, 4u) * b4 + subgroupShuffle(a10, 5u) * b5 + subgroupShuffle(a10, 6u) * b6 + subgroupShuffle(a10, 7u) * b7;
        s11 = s11 + subgroupShuffle(a11, 4u) * b4 + subgroupShuffle(a11, 5u) * b5 + subgroupShuffle(a11, 6u) * b6 + subgroupShuffle(a11, 7u) * b7;
        s12 = s12 + subgroupShuffle(a12, 4u) * b4 + subgroupShuffle(a12, 5u) * b5 + subgroupShuffle(a12, 6u) * b6 + subgroupShuffle(a12, 7u) * b7;
        s13 = s13 + subgroupShuffle(a13, 4u) * b4 + subgroupShuffle(a13, 5u) * b5 + subgroupShuffle(a13, 6u) * b6 + subgroupShuffle(a13, 7u) * b7;
        s14 = s14 + subgroupShuffle(a14, 4u) * b4 + subgroupShuffle(a14, 5u) * b5 + subgroupShuffle(a14, 6u) * b6 + subgroupShuffle(a14, 7u) * b7;
        s15 = s15 + subgroupShuffle(a15, 4u) * b4 + subgroupShuffle(a15, 5u) * b5 + subgroupShuffle(a15, 6u) * b6 + subgroupShuffle(a15, 7u) * b7;
    }
    }
    store(destination, row_tile + 0u, column_tile + lane + 0u, s0.x);
    store(destination, row_tile + 0u, column_tile + lane + 8u, s0.y);
    store(destination, row_tile + 0u, column_tile + lane + 16u, s0.z);
    store(destination, row_tile + 0u, column_tile + lane + 24u, s0.w);
    store(destination, row_tile + 1u, column_tile + lane + 0u, s1.x);
    store(destination, row_tile + 1u, column_tile + lane + 8u, s1.y);
    store(destination, row_tile + 1u, column_tile + lane + 16u, s1.z);
    store(destination, row_tile + 1u, column_tile + lane + 24u, s1.w);
    store(destination, row_tile + 2u, column_tile + lane + 0u, s2.x);
    store(destination, row_tile + 2u, column_tile + lane + 8u, s2.y);
    store(destination, row_tile + 2u, column_tile + lane + 16u, s2.z);
    store(destination, row_tile + 2u, column_tile + lane + 24u, s2.w);
    store(destination, row_tile + 3u, column_tile + lane + 0u, s3.x);
    store(destination, row_tile + 3u, column_tile + lane + 8u, s3.y);
    store(destination, row_tile + 3u, column_tile + lane + 16u, s3.z);
    store(destination, row_tile + 3u, column_tile + lane + 24u, s3.w);
    store(destination, row_tile + 4u, column_tile + lane + 0u, s4.x);
    store(destination, row_tile + 4u, column_tile + lane + 8u, s4.y);
    store(destination, row_tile + 4u, column_tile + lane + 16u, s4.z);
    store(destination, row_tile + 4u, column_tile + lane + 24u, s4.w);
    store(destination, row_tile + 5u, column_tile + lane + 0u, s5.x);
    store(destination, row_tile + 5u, column_tile + lane + 8u, s5.y);
    store(destination, row_tile + 5u, column_tile + lane + 16u, s5.z);
    store(destination, row_tile + 5u, column_tile + lane + 24u, s5.w);
    store(destination, row_tile + 6u, column_tile + lane + 0u, s6.x);
    store(destination, row_tile + 6u, column_tile + lane + 8u, s6.y);
    store(destination, row_tile + 6u, column_tile + lane + 16u, s6.z);
    store(destination, row_tile + 6u, column_tile + lane + 24u, s6.w);
    store(destination, row_tile + 7u, column_tile + lane + 0u, s7.x);
    store(destination, row_tile + 7u, column_tile + lane + 8u, s7.y);
    store(destination, row_tile + 7u, column_tile + lane + 16u, s7.z);
    store(destination, row_tile + 7u, column_tile + lane + 24u, s7.w);
    store(destination, row_tile + 8u, column_tile + lane + 0u, s8.x);
    store(destination, row_tile + 8u, column_tile + lane + 8u, s8.y);
    store(destination, row_tile + 8u, column_tile + lane + 16u, s8.z);
    store(destination, row_tile + 8u, column_tile + lane + 24u, s8.w);
    store(destination, row_tile + 9u, column_tile + lane + 0u, s9.x);
    store(destination, row_tile + 9u, column_tile + lane + 8u, s9.y);
    store(destination, row_tile + 9u, column_tile + lane + 16u, s9.z);
    store(destination, row_tile + 9u, column_tile + lane + 24u, s9.w);
    store(destination, row_tile + 10u, column_tile + lane + 0u, s10.x);
    store(destination, row_tile + 10u, column_tile + lane + 8u, s10.y);
    store(destination, row_tile + 10u, column_tile + lane + 16u, s10.z);
    store(destination, row_tile + 10u, column_tile + lane + 24u, s10.w);
    store(destination, row_tile + 11u, column_tile + lane + 0u, s11.x);
    store(destination, row_tile + 11u, column_tile + lane + 8u, s11.y);
    store(destination, row_tile + 11u, column_tile + lane + 16u, s11.z);
    store(destination, row_tile + 11u, column_tile + lane + 24u, s11.w);
    store(destination, row_tile + 12u, column_tile + lane + 0u, s12.x);
    store(destination, row_tile + 12u, column_tile + lane + 8u, s12.y);
    store(destination, row_tile + 12u, column_tile + lane + 16u, s12.z);
    store(destination, row_tile + 12u, column_tile + lane + 24u, s12.w);
    store(destination, row_tile + 13u, column_tile + lane + 0u, s13.x);
    store(destination, row_tile + 13u, column_tile + lane + 8u, s13.y);
    store(destination, row_tile + 13u, column_tile + lane + 16u, s13.z);
    store(destination, row_tile + 13u, column_tile + lane + 24u, s13.w);
    store(destination, row_tile + 14u, column_tile + lane + 0u, s14.x);
    store(destination, row_tile + 14u, column_tile + lane + 8u, s14.y);
    store(destination, row_tile + 14u, column_tile + lane + 16u, s14.z);
    store(destination, row_tile + 14u, column_tile + lane + 24u, s14.w);
    store(destination, row_tile + 15u, column_tile + lane + 0u, s15.x);
    store(destination, row_tile + 15u, column_tile + lane + 8u, s15.y);
    store(destination, row_tile + 15u, column_tile + lane + 16u, s15.z);
    store(destination, row_tile + 15u, column_tile + lane + 24u, s15.w);
}
