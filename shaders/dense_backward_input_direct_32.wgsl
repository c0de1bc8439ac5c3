// delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope
//
// For software adapters, in place of `dense_backward_input.wgsl`: operands from mirrors, no workgroup memory and no
// barrier, one subgroup of 8 lanes a workgroup, no branch in the inner loops (indices are clamped,
// terms beyond the end are zero). A lane holds four columns of all rows of its tile; the row
// operand is handed round by shuffles with constant index; terms are added four by four in
// ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,              // rows of the chunk
    first_destination: u32, // the group: destinations [first_destination, first_destination + destinations)
    destinations: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
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

fn four_destinations(element: u32) -> vec4<u32> {
    return textureLoad(destinations, texel_of(element));
}

fn one_destinations(element: u32) -> u32 {
    return four_destinations(element)[element & 3u];
}

fn four_layers(element: u32) -> vec4<u32> {
    return textureLoad(layers, texel_of(element));
}

fn layer_at(i: u32) -> Dense {
    return dense_of(four_layers(20u * i + 0u), four_layers(20u * i + 4u), four_layers(20u * i + 8u), four_layers(20u * i + 12u), four_layers(20u * i + 16u));
}

fn four_parameters(element: u32) -> vec4<f32> {
    return textureLoad(parameters, texel_of(element));
}

fn any_four_parameters(element: u32) -> vec4<f32> {
    return four_of(four_parameters(element), four_parameters(element + 4u), element);
}

fn four_next_delta(element: u32) -> vec4<f32> {
    return textureLoad(next_delta, texel_of(element));
}

fn any_four_next_delta(element: u32) -> vec4<f32> {
    return four_of(four_next_delta(element), four_next_delta(element + 4u), element);
}

fn four_logits_delta(element: u32) -> vec4<f32> {
    return textureLoad(logits_delta, texel_of(element));
}

fn any_four_logits_delta(element: u32) -> vec4<f32> {
    return four_of(four_logits_delta(element), four_logits_delta(element + 4u), element);
}

fn four_slope(element: u32) -> vec4<f32> {
    return textureLoad(slope, texel_of(element));
}

fn one_slope(element: u32) -> f32 {
    return four_slope(element)[element & 3u];
}

const ROWS = 32u;
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit a loop and one bit a way to store: code that is masked out costs time all
// the same.
override LOOPS: u32 = 15u;
override STORES: u32 = 3u;

@compute @workgroup_size(8)
fn dense_backward_input_direct_32(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let destination = destination_at(destination_of(group.x));
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
    let column = column_tile + 4u * lane;
    let r0 = min(row_tile + 0u + lane, params.rows - 1u);
    let r1 = min(row_tile + 8u + lane, params.rows - 1u);
    let r2 = min(row_tile + 16u + lane, params.rows - 1u);
    let r3 = min(row_tile + 24u + lane, params.rows - 1u);
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
    var s16 = vec4<f32>();
    var s17 = vec4<f32>();
    var s18 = vec4<f32>();
    var s19 = vec4<f32>();
    var s20 = vec4<f32>();
    var s21 = vec4<f32>();
    var s22 = vec4<f32>();
    var s23 = vec4<f32>();
    var s24 = vec4<f32>();
    var s25 = vec4<f32>();
    var s26 = vec4<f32>();
    var s27 = vec4<f32>();
    var s28 = vec4<f32>();
    var s29 = vec4<f32>();
    var s30 = vec4<f32>();
    var s31 = vec4<f32>();
    var reader = destination.first_source;
    for (var s = 0u; s < destination.sources; s++) {
    let layer = layer_at(reader);
    reader = layer.next_reader;
    let is_hidden = layer.delta_arena != LOGITS;
    if ((LOOPS & 1u) != 0u && (LOOPS == 1u || (is_hidden && ((layer.inputs | layer.outputs | layer.delta) & 3u) == 0u))) {
    for (var base = 0u; base < layer.outputs; base += 4u) {
        let a0 = four_next_delta(layer.delta + r0 * layer.outputs + base);
        let a1 = four_next_delta(layer.delta + r1 * layer.outputs + base);
        let a2 = four_next_delta(layer.delta + r2 * layer.outputs + base);
        let a3 = four_next_delta(layer.delta + r3 * layer.outputs + base);
        let b0 = four_parameters(layer.weight + min(base + 0u, layer.outputs - 1u) * layer.inputs + column);
        let b1 = four_parameters(layer.weight + min(base + 1u, layer.outputs - 1u) * layer.inputs + column);
        let b2 = four_parameters(layer.weight + min(base + 2u, layer.outputs - 1u) * layer.inputs + column);
        let b3 = four_parameters(layer.weight + min(base + 3u, layer.outputs - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.y, 0u) * b1 + subgroupShuffle(a0.z, 0u) * b2 + subgroupShuffle(a0.w, 0u) * b3;
        s1 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.y, 1u) * b1 + subgroupShuffle(a0.z, 1u) * b2 + subgroupShuffle(a0.w, 1u) * b3;
        s2 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.y, 2u) * b1 + subgroupShuffle(a0.z, 2u) * b2 + subgroupShuffle(a0.w, 2u) * b3;
        s3 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.y, 3u) * b1 + subgroupShuffle(a0.z, 3u) * b2 + subgroupShuffle(a0.w, 3u) * b3;
        s4 += subgroupShuffle(a0.x, 4u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a0.z, 4u) * b2 + subgroupShuffle(a0.w, 4u) * b3;
        s5 += subgroupShuffle(a0.x, 5u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a0.z, 5u) * b2 + subgroupShuffle(a0.w, 5u) * b3;
        s6 += subgroupShuffle(a0.x, 6u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a0.z, 6u) * b2 + subgroupShuffle(a0.w, 6u) * b3;
        s7 += subgroupShuffle(a0.x, 7u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a0.z, 7u) * b2 + subgroupShuffle(a0.w, 7u) * b3;
        s8 += subgroupShuffle(a1.x, 0u) * b0 + subgroupShuffle(a1.y, 0u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.w, 0u) * b3;
        s9 += subgroupShuffle(a1.x, 1u) * b0 + subgroupShuffle(a1.y, 1u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.w, 1u) * b3;
        s10 += subgroupShuffle(a1.x, 2u) * b0 + subgroupShuffle(a1.y, 2u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.w, 2u) * b3;
        s11 += subgroupShuffle(a1.x, 3u) * b0 + subgroupShuffle(a1.y, 3u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.w, 3u) * b3;
        s12 += subgroupShuffle(a1.x, 4u) * b0 + subgroupShuffle(a1.y, 4u) * b1 + subgroupShuffle(a1.z, 4u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s13 += subgroupShuffle(a1.x, 5u) * b0 + subgroupShuffle(a1.y, 5u) * b1 + subgroupShuffle(a1.z, 5u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s14 += subgroupShuffle(a1.x, 6u) * b0 + subgroupShuffle(a1.y, 6u) * b1 + subgroupShuffle(a1.z, 6u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s15 += subgroupShuffle(a1.x, 7u) * b0 + subgroupShuffle(a1.y, 7u) * b1 + subgroupShuffle(a1.z, 7u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
        s16 += subgroupShuffle(a2.x, 0u) * b0 + subgroupShuffle(a2.y, 0u) * b1 + subgroupShuffle(a2.z, 0u) * b2 + subgroupShuffle(a2.w, 0u) * b3;
        s17 += subgroupShuffle(a2.x, 1u) * b0 + subgroupShuffle(a2.y, 1u) * b1 + subgroupShuffle(a2.z, 1u) * b2 + subgroupShuffle(a2.w, 1u) * b3;
        s18 += subgroupShuffle(a2.x, 2u) * b0 + subgroupShuffle(a2.y, 2u) * b1 + subgroupShuffle(a2.z, 2u) * b2 + subgroupShuffle(a2.w, 2u) * b3;
        s19 += subgroupShuffle(a2.x, 3u) * b0 + subgroupShuffle(a2.y, 3u) * b1 + subgroupShuffle(a2.z, 3u) * b2 + subgroupShuffle(a2.w, 3u) * b3;
        s20 += subgroupShuffle(a2.x, 4u) * b0 + subgroupShuffle(a2.y, 4u) * b1 + subgroupShuffle(a2.z, 4u) * b2 + subgroupShuffle(a2.w, 4u) * b3;
        s21 += subgroupShuffle(a2.x, 5u) * b0 + subgroupShuffle(a2.y, 5u) * b1 + subgroupShuffle(a2.z, 5u) * b2 + subgroupShuffle(a2.w, 5u) * b3;
        s22 += subgroupShuffle(a2.x, 6u) * b0 + subgroupShuffle(a2.y, 6u) * b1 + subgroupShuffle(a2.z, 6u) * b2 + subgroupShuffle(a2.w, 6u) * b3;
        s23 += subgroupShuffle(a2.x, 7u) * b0 + subgroupShuffle(a2.y, 7u) * b1 + subgroupShuffle(a2.z, 7u) * b2 + subgroupShuffle(a2.w, 7u) * b3;
        s24 += subgroupShuffle(a3.x, 0u) * b0 + subgroupShuffle(a3.y, 0u) * b1 + subgroupShuffle(a3.z, 0u) * b2 + subgroupShuffle(a3.w, 0u) * b3;
        s25 += subgroupShuffle(a3.x, 1u) * b0 + subgroupShuffle(a3.y, 1u) * b1 + subgroupShuffle(a3.z, 1u) * b2 + subgroupShuffle(a3.w, 1u) * b3;
        s26 += subgroupShuffle(a3.x, 2u) * b0 + subgroupShuffle(a3.y, 2u) * b1 + subgroupShuffle(a3.z, 2u) * b2 + subgroupShuffle(a3.w, 2u) * b3;
        s27 += subgroupShuffle(a3.x, 3u) * b0 + subgroupShuffle(a3.y, 3u) * b1 + subgroupShuffle(a3.z, 3u) * b2 + subgroupShuffle(a3.w, 3u) * b3;
        s28 += subgroupShuffle(a3.x, 4u) * b0 + subgroupShuffle(a3.y, 4u) * b1 + subgroupShuffle(a3.z, 4u) * b2 + subgroupShuffle(a3.w, 4u) * b3;
        s29 += subgroupShuffle(a3.x, 5u) * b0 + subgroupShuffle(a3.y, 5u) * b1 + subgroupShuffle(a3.z, 5u) * b2 + subgroupShuffle(a3.w, 5u) * b3;
        s30 += subgroupShuffle(a3.x, 6u) * b0 + subgroupShuffle(a3.y, 6u) * b1 + subgroupShuffle(a3.z, 6u) * b2 + subgroupShuffle(a3.w, 6u) * b3;
        s31 += subgroupShuffle(a3.x, 7u) * b0 + subgroupShuffle(a3.y, 7u) * b1 + subgroupShuffle(a3.z, 7u) * b2 + subgroupShuffle(a3.w, 7u) * b3;
    }
    } else if ((LOOPS & 2u) != 0u && (LOOPS == 2u || (is_hidden))) {
    for (var base = 0u; base < layer.outputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.outputs);
        let a0 = select(vec4<f32>(), any_four_next_delta(layer.delta + r0 * layer.outputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_next_delta(layer.delta + r1 * layer.outputs + base), is_step);
        let a2 = select(vec4<f32>(), any_four_next_delta(layer.delta + r2 * layer.outputs + base), is_step);
        let a3 = select(vec4<f32>(), any_four_next_delta(layer.delta + r3 * layer.outputs + base), is_step);
        let b0 = any_four_parameters(layer.weight + min(base + 0u, layer.outputs - 1u) * layer.inputs + column);
        let b1 = any_four_parameters(layer.weight + min(base + 1u, layer.outputs - 1u) * layer.inputs + column);
        let b2 = any_four_parameters(layer.weight + min(base + 2u, layer.outputs - 1u) * layer.inputs + column);
        let b3 = any_four_parameters(layer.weight + min(base + 3u, layer.outputs - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.y, 0u) * b1 + subgroupShuffle(a0.z, 0u) * b2 + subgroupShuffle(a0.w, 0u) * b3;
        s1 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.y, 1u) * b1 + subgroupShuffle(a0.z, 1u) * b2 + subgroupShuffle(a0.w, 1u) * b3;
        s2 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.y, 2u) * b1 + subgroupShuffle(a0.z, 2u) * b2 + subgroupShuffle(a0.w, 2u) * b3;
        s3 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.y, 3u) * b1 + subgroupShuffle(a0.z, 3u) * b2 + subgroupShuffle(a0.w, 3u) * b3;
        s4 += subgroupShuffle(a0.x, 4u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a0.z, 4u) * b2 + subgroupShuffle(a0.w, 4u) * b3;
        s5 += subgroupShuffle(a0.x, 5u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a0.z, 5u) * b2 + subgroupShuffle(a0.w, 5u) * b3;
        s6 += subgroupShuffle(a0.x, 6u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a0.z, 6u) * b2 + subgroupShuffle(a0.w, 6u) * b3;
        s7 += subgroupShuffle(a0.x, 7u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a0.z, 7u) * b2 + subgroupShuffle(a0.w, 7u) * b3;
        s8 += subgroupShuffle(a1.x, 0u) * b0 + subgroupShuffle(a1.y, 0u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.w, 0u) * b3;
        s9 += subgroupShuffle(a1.x, 1u) * b0 + subgroupShuffle(a1.y, 1u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.w, 1u) * b3;
        s10 += subgroupShuffle(a1.x, 2u) * b0 + subgroupShuffle(a1.y, 2u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.w, 2u) * b3;
        s11 += subgroupShuffle(a1.x, 3u) * b0 + subgroupShuffle(a1.y, 3u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.w, 3u) * b3;
        s12 += subgroupShuffle(a1.x, 4u) * b0 + subgroupShuffle(a1.y, 4u) * b1 + subgroupShuffle(a1.z, 4u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s13 += subgroupShuffle(a1.x, 5u) * b0 + subgroupShuffle(a1.y, 5u) * b1 + subgroupShuffle(a1.z, 5u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s14 += subgroupShuffle(a1.x, 6u) * b0 + subgroupShuffle(a1.y, 6u) * b1 + subgroupShuffle(a1.z, 6u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s15 += subgroupShuffle(a1.x, 7u) * b0 + subgroupShuffle(a1.y, 7u) * b1 + subgroupShuffle(a1.z, 7u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
        s16 += subgroupShuffle(a2.x, 0u) * b0 + subgroupShuffle(a2.y, 0u) * b1 + subgroupShuffle(a2.z, 0u) * b2 + subgroupShuffle(a2.w, 0u) * b3;
        s17 += subgroupShuffle(a2.x, 1u) * b0 + subgroupShuffle(a2.y, 1u) * b1 + subgroupShuffle(a2.z, 1u) * b2 + subgroupShuffle(a2.w, 1u) * b3;
        s18 += subgroupShuffle(a2.x, 2u) * b0 + subgroupShuffle(a2.y, 2u) * b1 + subgroupShuffle(a2.z, 2u) * b2 + subgroupShuffle(a2.w, 2u) * b3;
        s19 += subgroupShuffle(a2.x, 3u) * b0 + subgroupShuffle(a2.y, 3u) * b1 + subgroupShuffle(a2.z, 3u) * b2 + subgroupShuffle(a2.w, 3u) * b3;
        s20 += subgroupShuffle(a2.x, 4u) * b0 + subgroupShuffle(a2.y, 4u) * b1 + subgroupShuffle(a2.z, 4u) * b2 + subgroupShuffle(a2.w, 4u) * b3;
        s21 += subgroupShuffle(a2.x, 5u) * b0 + subgroupShuffle(a2.y, 5u) * b1 + subgroupShuffle(a2.z, 5u) * b2 + subgroupShuffle(a2.w, 5u) * b3;
        s22 += subgroupShuffle(a2.x, 6u) * b0 + subgroupShuffle(a2.y, 6u) * b1 + subgroupShuffle(a2.z, 6u) * b2 + subgroupShuffle(a2.w, 6u) * b3;
        s23 += subgroupShuffle(a2.x, 7u) * b0 + subgroupShuffle(a2.y, 7u) * b1 + subgroupShuffle(a2.z, 7u) * b2 + subgroupShuffle(a2.w, 7u) * b3;
        s24 += subgroupShuffle(a3.x, 0u) * b0 + subgroupShuffle(a3.y, 0u) * b1 + subgroupShuffle(a3.z, 0u) * b2 + subgroupShuffle(a3.w, 0u) * b3;
        s25 += subgroupShuffle(a3.x, 1u) * b0 + subgroupShuffle(a3.y, 1u) * b1 + subgroupShuffle(a3.z, 1u) * b2 + subgroupShuffle(a3.w, 1u) * b3;
        s26 += subgroupShuffle(a3.x, 2u) * b0 + subgroupShuffle(a3.y, 2u) * b1 + subgroupShuffle(a3.z, 2u) * b2 + subgroupShuffle(a3.w, 2u) * b3;
        s27 += subgroupShuffle(a3.x, 3u) * b0 + subgroupShuffle(a3.y, 3u) * b1 + subgroupShuffle(a3.z, 3u) * b2 + subgroupShuffle(a3.w, 3u) * b3;
        s28 += subgroupShuffle(a3.x, 4u) * b0 + subgroupShuffle(a3.y, 4u) * b1 + subgroupShuffle(a3.z, 4u) * b2 + subgroupShuffle(a3.w, 4u) * b3;
        s29 += subgroupShuffle(a3.x, 5u) * b0 + subgroupShuffle(a3.y, 5u) * b1 + subgroupShuffle(a3.z, 5u) * b2 + subgroupShuffle(a3.w, 5u) * b3;
        s30 += subgroupShuffle(a3.x, 6u) * b0 + subgroupShuffle(a3.y, 6u) * b1 + subgroupShuffle(a3.z, 6u) * b2 + subgroupShuffle(a3.w, 6u) * b3;
        s31 += subgroupShuffle(a3.x, 7u) * b0 + subgroupShuffle(a3.y, 7u) * b1 + subgroupShuffle(a3.z, 7u) * b2 + subgroupShuffle(a3.w, 7u) * b3;
    }
    } else if ((LOOPS & 4u) != 0u && (LOOPS == 4u || ((layer.inputs & 3u) == 0u))) {
    for (var base = 0u; base < layer.outputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.outputs);
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r0 * layer.outputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r1 * layer.outputs + base), is_step);
        let a2 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r2 * layer.outputs + base), is_step);
        let a3 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r3 * layer.outputs + base), is_step);
        let b0 = four_parameters(layer.weight + min(base + 0u, layer.outputs - 1u) * layer.inputs + column);
        let b1 = four_parameters(layer.weight + min(base + 1u, layer.outputs - 1u) * layer.inputs + column);
        let b2 = four_parameters(layer.weight + min(base + 2u, layer.outputs - 1u) * layer.inputs + column);
        let b3 = four_parameters(layer.weight + min(base + 3u, layer.outputs - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.y, 0u) * b1 + subgroupShuffle(a0.z, 0u) * b2 + subgroupShuffle(a0.w, 0u) * b3;
        s1 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.y, 1u) * b1 + subgroupShuffle(a0.z, 1u) * b2 + subgroupShuffle(a0.w, 1u) * b3;
        s2 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.y, 2u) * b1 + subgroupShuffle(a0.z, 2u) * b2 + subgroupShuffle(a0.w, 2u) * b3;
        s3 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.y, 3u) * b1 + subgroupShuffle(a0.z, 3u) * b2 + subgroupShuffle(a0.w, 3u) * b3;
        s4 += subgroupShuffle(a0.x, 4u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a0.z, 4u) * b2 + subgroupShuffle(a0.w, 4u) * b3;
        s5 += subgroupShuffle(a0.x, 5u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a0.z, 5u) * b2 + subgroupShuffle(a0.w, 5u) * b3;
        s6 += subgroupShuffle(a0.x, 6u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a0.z, 6u) * b2 + subgroupShuffle(a0.w, 6u) * b3;
        s7 += subgroupShuffle(a0.x, 7u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a0.z, 7u) * b2 + subgroupShuffle(a0.w, 7u) * b3;
        s8 += subgroupShuffle(a1.x, 0u) * b0 + subgroupShuffle(a1.y, 0u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.w, 0u) * b3;
        s9 += subgroupShuffle(a1.x, 1u) * b0 + subgroupShuffle(a1.y, 1u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.w, 1u) * b3;
        s10 += subgroupShuffle(a1.x, 2u) * b0 + subgroupShuffle(a1.y, 2u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.w, 2u) * b3;
        s11 += subgroupShuffle(a1.x, 3u) * b0 + subgroupShuffle(a1.y, 3u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.w, 3u) * b3;
        s12 += subgroupShuffle(a1.x, 4u) * b0 + subgroupShuffle(a1.y, 4u) * b1 + subgroupShuffle(a1.z, 4u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s13 += subgroupShuffle(a1.x, 5u) * b0 + subgroupShuffle(a1.y, 5u) * b1 + subgroupShuffle(a1.z, 5u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s14 += subgroupShuffle(a1.x, 6u) * b0 + subgroupShuffle(a1.y, 6u) * b1 + subgroupShuffle(a1.z, 6u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s15 += subgroupShuffle(a1.x, 7u) * b0 + subgroupShuffle(a1.y, 7u) * b1 + subgroupShuffle(a1.z, 7u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
        s16 += subgroupShuffle(a2.x, 0u) * b0 + subgroupShuffle(a2.y, 0u) * b1 + subgroupShuffle(a2.z, 0u) * b2 + subgroupShuffle(a2.w, 0u) * b3;
        s17 += subgroupShuffle(a2.x, 1u) * b0 + subgroupShuffle(a2.y, 1u) * b1 + subgroupShuffle(a2.z, 1u) * b2 + subgroupShuffle(a2.w, 1u) * b3;
        s18 += subgroupShuffle(a2.x, 2u) * b0 + subgroupShuffle(a2.y, 2u) * b1 + subgroupShuffle(a2.z, 2u) * b2 + subgroupShuffle(a2.w, 2u) * b3;
        s19 += subgroupShuffle(a2.x, 3u) * b0 + subgroupShuffle(a2.y, 3u) * b1 + subgroupShuffle(a2.z, 3u) * b2 + subgroupShuffle(a2.w, 3u) * b3;
        s20 += subgroupShuffle(a2.x, 4u) * b0 + subgroupShuffle(a2.y, 4u) * b1 + subgroupShuffle(a2.z, 4u) * b2 + subgroupShuffle(a2.w, 4u) * b3;
        s21 += subgroupShuffle(a2.x, 5u) * b0 + subgroupShuffle(a2.y, 5u) * b1 + subgroupShuffle(a2.z, 5u) * b2 + subgroupShuffle(a2.w, 5u) * b3;
        s22 += subgroupShuffle(a2.x, 6u) * b0 + subgroupShuffle(a2.y, 6u) * b1 + subgroupShuffle(a2.z, 6u) * b2 + subgroupShuffle(a2.w, 6u) * b3;
        s23 += subgroupShuffle(a2.x, 7u) * b0 + subgroupShuffle(a2.y, 7u) * b1 + subgroupShuffle(a2.z, 7u) * b2 + subgroupShuffle(a2.w, 7u) * b3;
        s24 += subgroupShuffle(a3.x, 0u) * b0 + subgroupShuffle(a3.y, 0u) * b1 + subgroupShuffle(a3.z, 0u) * b2 + subgroupShuffle(a3.w, 0u) * b3;
        s25 += subgroupShuffle(a3.x, 1u) * b0 + subgroupShuffle(a3.y, 1u) * b1 + subgroupShuffle(a3.z, 1u) * b2 + subgroupShuffle(a3.w, 1u) * b3;
        s26 += subgroupShuffle(a3.x, 2u) * b0 + subgroupShuffle(a3.y, 2u) * b1 + subgroupShuffle(a3.z, 2u) * b2 + subgroupShuffle(a3.w, 2u) * b3;
        s27 += subgroupShuffle(a3.x, 3u) * b0 + subgroupShuffle(a3.y, 3u) * b1 + subgroupShuffle(a3.z, 3u) * b2 + subgroupShuffle(a3.w, 3u) * b3;
        s28 += subgroupShuffle(a3.x, 4u) * b0 + subgroupShuffle(a3.y, 4u) * b1 + subgroupShuffle(a3.z, 4u) * b2 + subgroupShuffle(a3.w, 4u) * b3;
        s29 += subgroupShuffle(a3.x, 5u) * b0 + subgroupShuffle(a3.y, 5u) * b1 + subgroupShuffle(a3.z, 5u) * b2 + subgroupShuffle(a3.w, 5u) * b3;
        s30 += subgroupShuffle(a3.x, 6u) * b0 + subgroupShuffle(a3.y, 6u) * b1 + subgroupShuffle(a3.z, 6u) * b2 + subgroupShuffle(a3.w, 6u) * b3;
        s31 += subgroupShuffle(a3.x, 7u) * b0 + subgroupShuffle(a3.y, 7u) * b1 + subgroupShuffle(a3.z, 7u) * b2 + subgroupShuffle(a3.w, 7u) * b3;
    }
    } else if ((LOOPS & 8u) != 0u && (LOOPS == 8u || (true))) {
    for (var base = 0u; base < layer.outputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.outputs);
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r0 * layer.outputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r1 * layer.outputs + base), is_step);
        let a2 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r2 * layer.outputs + base), is_step);
        let a3 = select(vec4<f32>(), any_four_logits_delta(layer.delta + r3 * layer.outputs + base), is_step);
        let b0 = any_four_parameters(layer.weight + min(base + 0u, layer.outputs - 1u) * layer.inputs + column);
        let b1 = any_four_parameters(layer.weight + min(base + 1u, layer.outputs - 1u) * layer.inputs + column);
        let b2 = any_four_parameters(layer.weight + min(base + 2u, layer.outputs - 1u) * layer.inputs + column);
        let b3 = any_four_parameters(layer.weight + min(base + 3u, layer.outputs - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.y, 0u) * b1 + subgroupShuffle(a0.z, 0u) * b2 + subgroupShuffle(a0.w, 0u) * b3;
        s1 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.y, 1u) * b1 + subgroupShuffle(a0.z, 1u) * b2 + subgroupShuffle(a0.w, 1u) * b3;
        s2 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.y, 2u) * b1 + subgroupShuffle(a0.z, 2u) * b2 + subgroupShuffle(a0.w, 2u) * b3;
        s3 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.y, 3u) * b1 + subgroupShuffle(a0.z, 3u) * b2 + subgroupShuffle(a0.w, 3u) * b3;
        s4 += subgroupShuffle(a0.x, 4u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a0.z, 4u) * b2 + subgroupShuffle(a0.w, 4u) * b3;
        s5 += subgroupShuffle(a0.x, 5u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a0.z, 5u) * b2 + subgroupShuffle(a0.w, 5u) * b3;
        s6 += subgroupShuffle(a0.x, 6u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a0.z, 6u) * b2 + subgroupShuffle(a0.w, 6u) * b3;
        s7 += subgroupShuffle(a0.x, 7u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a0.z, 7u) * b2 + subgroupShuffle(a0.w, 7u) * b3;
        s8 += subgroupShuffle(a1.x, 0u) * b0 + subgroupShuffle(a1.y, 0u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.w, 0u) * b3;
        s9 += subgroupShuffle(a1.x, 1u) * b0 + subgroupShuffle(a1.y, 1u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.w, 1u) * b3;
        s10 += subgroupShuffle(a1.x, 2u) * b0 + subgroupShuffle(a1.y, 2u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.w, 2u) * b3;
        s11 += subgroupShuffle(a1.x, 3u) * b0 + subgroupShuffle(a1.y, 3u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.w, 3u) * b3;
        s12 += subgroupShuffle(a1.x, 4u) * b0 + subgroupShuffle(a1.y, 4u) * b1 + subgroupShuffle(a1.z, 4u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s13 += subgroupShuffle(a1.x, 5u) * b0 + subgroupShuffle(a1.y, 5u) * b1 + subgroupShuffle(a1.z, 5u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s14 += subgroupShuffle(a1.x, 6u) * b0 + subgroupShuffle(a1.y, 6u) * b1 + subgroupShuffle(a1.z, 6u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s15 += subgroupShuffle(a1.x, 7u) * b0 + subgroupShuffle(a1.y, 7u) * b1 + subgroupShuffle(a1.z, 7u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
        s16 += subgroupShuffle(a2.x, 0u) * b0 + subgroupShuffle(a2.y, 0u) * b1 + subgroupShuffle(a2.z, 0u) * b2 + subgroupShuffle(a2.w, 0u) * b3;
        s17 += subgroupShuffle(a2.x, 1u) * b0 + subgroupShuffle(a2.y, 1u) * b1 + subgroupShuffle(a2.z, 1u) * b2 + subgroupShuffle(a2.w, 1u) * b3;
        s18 += subgroupShuffle(a2.x, 2u) * b0 + subgroupShuffle(a2.y, 2u) * b1 + subgroupShuffle(a2.z, 2u) * b2 + subgroupShuffle(a2.w, 2u) * b3;
        s19 += subgroupShuffle(a2.x, 3u) * b0 + subgroupShuffle(a2.y, 3u) * b1 + subgroupShuffle(a2.z, 3u) * b2 + subgroupShuffle(a2.w, 3u) * b3;
        s20 += subgroupShuffle(a2.x, 4u) * b0 + subgroupShuffle(a2.y, 4u) * b1 + subgroupShuffle(a2.z, 4u) * b2 + subgroupShuffle(a2.w, 4u) * b3;
        s21 += subgroupShuffle(a2.x, 5u) * b0 + subgroupShuffle(a2.y, 5u) * b1 + subgroupShuffle(a2.z, 5u) * b2 + subgroupShuffle(a2.w, 5u) * b3;
        s22 += subgroupShuffle(a2.x, 6u) * b0 + subgroupShuffle(a2.y, 6u) * b1 + subgroupShuffle(a2.z, 6u) * b2 + subgroupShuffle(a2.w, 6u) * b3;
        s23 += subgroupShuffle(a2.x, 7u) * b0 + subgroupShuffle(a2.y, 7u) * b1 + subgroupShuffle(a2.z, 7u) * b2 + subgroupShuffle(a2.w, 7u) * b3;
        s24 += subgroupShuffle(a3.x, 0u) * b0 + subgroupShuffle(a3.y, 0u) * b1 + subgroupShuffle(a3.z, 0u) * b2 + subgroupShuffle(a3.w, 0u) * b3;
        s25 += subgroupShuffle(a3.x, 1u) * b0 + subgroupShuffle(a3.y, 1u) * b1 + subgroupShuffle(a3.z, 1u) * b2 + subgroupShuffle(a3.w, 1u) * b3;
        s26 += subgroupShuffle(a3.x, 2u) * b0 + subgroupShuffle(a3.y, 2u) * b1 + subgroupShuffle(a3.z, 2u) * b2 + subgroupShuffle(a3.w, 2u) * b3;
        s27 += subgroupShuffle(a3.x, 3u) * b0 + subgroupShuffle(a3.y, 3u) * b1 + subgroupShuffle(a3.z, 3u) * b2 + subgroupShuffle(a3.w, 3u) * b3;
        s28 += subgroupShuffle(a3.x, 4u) * b0 + subgroupShuffle(a3.y, 4u) * b1 + subgroupShuffle(a3.z, 4u) * b2 + subgroupShuffle(a3.w, 4u) * b3;
        s29 += subgroupShuffle(a3.x, 5u) * b0 + subgroupShuffle(a3.y, 5u) * b1 + subgroupShuffle(a3.z, 5u) * b2 + subgroupShuffle(a3.w, 5u) * b3;
        s30 += subgroupShuffle(a3.x, 6u) * b0 + subgroupShuffle(a3.y, 6u) * b1 + subgroupShuffle(a3.z, 6u) * b2 + subgroupShuffle(a3.w, 6u) * b3;
        s31 += subgroupShuffle(a3.x, 7u) * b0 + subgroupShuffle(a3.y, 7u) * b1 + subgroupShuffle(a3.z, 7u) * b2 + subgroupShuffle(a3.w, 7u) * b3;
    }
    }
    }
    let rows = min(ROWS, params.rows - row_tile);
    let first = destination.delta + row_tile * destination.width + column;
    let first_slope = destination.slope + row_tile * destination.width + column;
    if ((STORES & 1u) != 0u && ((destination.width | destination.delta | destination.slope) & 3u) == 0u) {
        let is_inside = column < destination.width;
        if (is_inside && 0u < rows) {
            delta[(first + 0u * destination.width) >> 2u] = s0 * select(vec4(1.0), four_slope(first_slope + 0u * destination.width), SLOPES);
        }
        if (is_inside && 1u < rows) {
            delta[(first + 1u * destination.width) >> 2u] = s1 * select(vec4(1.0), four_slope(first_slope + 1u * destination.width), SLOPES);
        }
        if (is_inside && 2u < rows) {
            delta[(first + 2u * destination.width) >> 2u] = s2 * select(vec4(1.0), four_slope(first_slope + 2u * destination.width), SLOPES);
        }
        if (is_inside && 3u < rows) {
            delta[(first + 3u * destination.width) >> 2u] = s3 * select(vec4(1.0), four_slope(first_slope + 3u * destination.width), SLOPES);
        }
        if (is_inside && 4u < rows) {
            delta[(first + 4u * destination.width) >> 2u] = s4 * select(vec4(1.0), four_slope(first_slope + 4u * destination.width), SLOPES);
        }
        if (is_inside && 5u < rows) {
            delta[(first + 5u * destination.width) >> 2u] = s5 * select(vec4(1.0), four_slope(first_slope + 5u * destination.width), SLOPES);
        }
        if (is_inside && 6u < rows) {
            delta[(first + 6u * destination.width) >> 2u] = s6 * select(vec4(1.0), four_slope(first_slope + 6u * destination.width), SLOPES);
        }
        if (is_inside && 7u < rows) {
            delta[(first + 7u * destination.width) >> 2u] = s7 * select(vec4(1.0), four_slope(first_slope + 7u * destination.width), SLOPES);
        }
        if (is_inside && 8u < rows) {
            delta[(first + 8u * destination.width) >> 2u] = s8 * select(vec4(1.0), four_slope(first_slope + 8u * destination.width), SLOPES);
        }
        if (is_inside && 9u < rows) {
            delta[(first + 9u * destination.width) >> 2u] = s9 * select(vec4(1.0), four_slope(first_slope + 9u * destination.width), SLOPES);
        }
        if (is_inside && 10u < rows) {
            delta[(first + 10u * destination.width) >> 2u] = s10 * select(vec4(1.0), four_slope(first_slope + 10u * destination.width), SLOPES);
        }
        if (is_inside && 11u < rows) {
            delta[(first + 11u * destination.width) >> 2u] = s11 * select(vec4(1.0), four_slope(first_slope + 11u * destination.width), SLOPES);
        }
        if (is_inside && 12u < rows) {
            delta[(first + 12u * destination.width) >> 2u] = s12 * select(vec4(1.0), four_slope(first_slope + 12u * destination.width), SLOPES);
        }
        if (is_inside && 13u < rows) {
            delta[(first + 13u * destination.width) >> 2u] = s13 * select(vec4(1.0), four_slope(first_slope + 13u * destination.width), SLOPES);
        }
        if (is_inside && 14u < rows) {
            delta[(first + 14u * destination.width) >> 2u] = s14 * select(vec4(1.0), four_slope(first_slope + 14u * destination.width), SLOPES);
        }
        if (is_inside && 15u < rows) {
            delta[(first + 15u * destination.width) >> 2u] = s15 * select(vec4(1.0), four_slope(first_slope + 15u * destination.width), SLOPES);
        }
        if (is_inside && 16u < rows) {
            delta[(first + 16u * destination.width) >> 2u] = s16 * select(vec4(1.0), four_slope(first_slope + 16u * destination.width), SLOPES);
        }
        if (is_inside && 17u < rows) {
            delta[(first + 17u * destination.width) >> 2u] = s17 * select(vec4(1.0), four_slope(first_slope + 17u * destination.width), SLOPES);
        }
        if (is_inside && 18u < rows) {
            delta[(first + 18u * destination.width) >> 2u] = s18 * select(vec4(1.0), four_slope(first_slope + 18u * destination.width), SLOPES);
        }
        if (is_inside && 19u < rows) {
            delta[(first + 19u * destination.width) >> 2u] = s19 * select(vec4(1.0), four_slope(first_slope + 19u * destination.width), SLOPES);
        }
        if (is_inside && 20u < rows) {
            delta[(first + 20u * destination.width) >> 2u] = s20 * select(vec4(1.0), four_slope(first_slope + 20u * destination.width), SLOPES);
        }
        if (is_inside && 21u < rows) {
            delta[(first + 21u * destination.width) >> 2u] = s21 * select(vec4(1.0), four_slope(first_slope + 21u * destination.width), SLOPES);
        }
        if (is_inside && 22u < rows) {
            delta[(first + 22u * destination.width) >> 2u] = s22 * select(vec4(1.0), four_slope(first_slope + 22u * destination.width), SLOPES);
        }
        if (is_inside && 23u < rows) {
            delta[(first + 23u * destination.width) >> 2u] = s23 * select(vec4(1.0), four_slope(first_slope + 23u * destination.width), SLOPES);
        }
        if (is_inside && 24u < rows) {
            delta[(first + 24u * destination.width) >> 2u] = s24 * select(vec4(1.0), four_slope(first_slope + 24u * destination.width), SLOPES);
        }
        if (is_inside && 25u < rows) {
            delta[(first + 25u * destination.width) >> 2u] = s25 * select(vec4(1.0), four_slope(first_slope + 25u * destination.width), SLOPES);
        }
        if (is_inside && 26u < rows) {
            delta[(first + 26u * destination.width) >> 2u] = s26 * select(vec4(1.0), four_slope(first_slope + 26u * destination.width), SLOPES);
        }
        if (is_inside && 27u < rows) {
            delta[(first + 27u * destination.width) >> 2u] = s27 * select(vec4(1.0), four_slope(first_slope + 27u * destination.width), SLOPES);
        }
        if (is_inside && 28u < rows) {
            delta[(first + 28u * destination.width) >> 2u] = s28 * select(vec4(1.0), four_slope(first_slope + 28u * destination.width), SLOPES);
        }
        if (is_inside && 29u < rows) {
            delta[(first + 29u * destination.width) >> 2u] = s29 * select(vec4(1.0), four_slope(first_slope + 29u * destination.width), SLOPES);
        }
        if (is_inside && 30u < rows) {
            delta[(first + 30u * destination.width) >> 2u] = s30 * select(vec4(1.0), four_slope(first_slope + 30u * destination.width), SLOPES);
        }
        if (is_inside && 31u < rows) {
            delta[(first + 31u * destination.width) >> 2u] = s31 * select(vec4(1.0), four_slope(first_slope + 31u * destination.width), SLOPES);
        }
    } else if ((STORES & 2u) != 0u) {
        var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19, s20, s21, s22, s23, s24, s25, s26, s27, s28, s29, s30, s31);
        for (var i = 0u; i < 4u * rows; i++) {
            let place = (i >> 2u) * destination.width + (i & 3u);
            if (column + (i & 3u) < destination.width) {
                delta[(first + place) >> 2u][(first + place) & 3u] = sums[i >> 2u][i & 3u] * select(1.0, one_slope(first_slope + place), SLOPES);
            }
        }
    }
}
