// dw = deltaᵀ · x,   db = column sums of delta
//
// For software adapters, in place of `dense_backward_weight.wgsl`: operands from mirrors, no workgroup memory and no
// barrier, one subgroup of 8 lanes a workgroup, no branch in the inner loops (indices are clamped,
// terms beyond the end are zero). A lane holds four columns of all rows of its tile; the row
// operand is handed round by shuffles with constant index; terms are added four by four in
// ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,          // rows of the chunk
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tiles: u32,         // of all layers together
    accumulate: u32,    // 0: the first chunk overwrites; 1: later ones add
}

@group(0) @binding(0) var<uniform> params: Params;
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

fn four_layers(element: u32) -> vec4<u32> {
    return textureLoad(layers, texel_of(element));
}

fn one_layers(element: u32) -> u32 {
    return four_layers(element)[element & 3u];
}

fn layer_at(i: u32) -> Dense {
    return dense_of(four_layers(20u * i + 0u), four_layers(20u * i + 4u), four_layers(20u * i + 8u), four_layers(20u * i + 12u), four_layers(20u * i + 16u));
}

fn four_even(element: u32) -> vec4<f32> {
    return textureLoad(even, texel_of(element));
}

fn any_four_even(element: u32) -> vec4<f32> {
    return four_of(four_even(element), four_even(element + 4u), element);
}

fn four_odd(element: u32) -> vec4<f32> {
    return textureLoad(odd, texel_of(element));
}

fn any_four_odd(element: u32) -> vec4<f32> {
    return four_of(four_odd(element), four_odd(element + 4u), element);
}

fn four_even_delta(element: u32) -> vec4<f32> {
    return textureLoad(even_delta, texel_of(element));
}

fn any_four_even_delta(element: u32) -> vec4<f32> {
    return four_of(four_even_delta(element), four_even_delta(element + 4u), element);
}

fn four_odd_delta(element: u32) -> vec4<f32> {
    return textureLoad(odd_delta, texel_of(element));
}

fn any_four_odd_delta(element: u32) -> vec4<f32> {
    return four_of(four_odd_delta(element), four_odd_delta(element + 4u), element);
}

fn four_logits_delta(element: u32) -> vec4<f32> {
    return textureLoad(logits_delta, texel_of(element));
}

fn any_four_logits_delta(element: u32) -> vec4<f32> {
    return four_of(four_logits_delta(element), four_logits_delta(element + 4u), element);
}

const ROWS = 16u;
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit a loop and one bit a way to store: code that is masked out costs time all
// the same.
override LOOPS: u32 = 63u;
override STORES: u32 = 3u;

@compute @workgroup_size(8)
fn dense_backward_weight_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
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
    let column = column_tile + 4u * lane;
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
    var t = vec4<f32>();
    if ((LOOPS & 1u) != 0u && (LOOPS == 1u || (layer.delta_arena == 0u && are_aligned))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), four_even_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), four_even_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = four_odd(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = four_odd(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = four_odd(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = four_odd(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), four_even_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), four_even_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    } else if ((LOOPS & 2u) != 0u && (LOOPS == 2u || (layer.delta_arena == 1u && are_aligned))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), four_odd_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), four_odd_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = four_even(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = four_even(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = four_even(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = four_even(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), four_odd_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), four_odd_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    } else if ((LOOPS & 4u) != 0u && (LOOPS == 4u || (layer.delta_arena == 0u))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_even_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_even_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = any_four_odd(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = any_four_odd(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = any_four_odd(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = any_four_odd(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_even_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_even_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    } else if ((LOOPS & 8u) != 0u && (LOOPS == 8u || (layer.delta_arena == 1u))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_odd_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_odd_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = any_four_even(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = any_four_even(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = any_four_even(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = any_four_even(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_odd_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_odd_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    } else if ((LOOPS & 16u) != 0u && (LOOPS == 16u || (layer.x_odd == 1u))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = any_four_odd(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = any_four_odd(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = any_four_odd(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = any_four_odd(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    } else if ((LOOPS & 32u) != 0u && (LOOPS == 32u || (true))) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        let b0 = any_four_even(layer.x + min(base + 0u, batch - 1u) * layer.inputs + column);
        let b1 = any_four_even(layer.x + min(base + 1u, batch - 1u) * layer.inputs + column);
        let b2 = any_four_even(layer.x + min(base + 2u, batch - 1u) * layer.inputs + column);
        let b3 = any_four_even(layer.x + min(base + 3u, batch - 1u) * layer.inputs + column);
        s0 += subgroupShuffle(a0.x, 0u) * b0 + subgroupShuffle(a0.x, 4u) * b1 + subgroupShuffle(a1.x, 0u) * b2 + subgroupShuffle(a1.x, 4u) * b3;
        s1 += subgroupShuffle(a0.y, 0u) * b0 + subgroupShuffle(a0.y, 4u) * b1 + subgroupShuffle(a1.y, 0u) * b2 + subgroupShuffle(a1.y, 4u) * b3;
        s2 += subgroupShuffle(a0.z, 0u) * b0 + subgroupShuffle(a0.z, 4u) * b1 + subgroupShuffle(a1.z, 0u) * b2 + subgroupShuffle(a1.z, 4u) * b3;
        s3 += subgroupShuffle(a0.w, 0u) * b0 + subgroupShuffle(a0.w, 4u) * b1 + subgroupShuffle(a1.w, 0u) * b2 + subgroupShuffle(a1.w, 4u) * b3;
        s4 += subgroupShuffle(a0.x, 1u) * b0 + subgroupShuffle(a0.x, 5u) * b1 + subgroupShuffle(a1.x, 1u) * b2 + subgroupShuffle(a1.x, 5u) * b3;
        s5 += subgroupShuffle(a0.y, 1u) * b0 + subgroupShuffle(a0.y, 5u) * b1 + subgroupShuffle(a1.y, 1u) * b2 + subgroupShuffle(a1.y, 5u) * b3;
        s6 += subgroupShuffle(a0.z, 1u) * b0 + subgroupShuffle(a0.z, 5u) * b1 + subgroupShuffle(a1.z, 1u) * b2 + subgroupShuffle(a1.z, 5u) * b3;
        s7 += subgroupShuffle(a0.w, 1u) * b0 + subgroupShuffle(a0.w, 5u) * b1 + subgroupShuffle(a1.w, 1u) * b2 + subgroupShuffle(a1.w, 5u) * b3;
        s8 += subgroupShuffle(a0.x, 2u) * b0 + subgroupShuffle(a0.x, 6u) * b1 + subgroupShuffle(a1.x, 2u) * b2 + subgroupShuffle(a1.x, 6u) * b3;
        s9 += subgroupShuffle(a0.y, 2u) * b0 + subgroupShuffle(a0.y, 6u) * b1 + subgroupShuffle(a1.y, 2u) * b2 + subgroupShuffle(a1.y, 6u) * b3;
        s10 += subgroupShuffle(a0.z, 2u) * b0 + subgroupShuffle(a0.z, 6u) * b1 + subgroupShuffle(a1.z, 2u) * b2 + subgroupShuffle(a1.z, 6u) * b3;
        s11 += subgroupShuffle(a0.w, 2u) * b0 + subgroupShuffle(a0.w, 6u) * b1 + subgroupShuffle(a1.w, 2u) * b2 + subgroupShuffle(a1.w, 6u) * b3;
        s12 += subgroupShuffle(a0.x, 3u) * b0 + subgroupShuffle(a0.x, 7u) * b1 + subgroupShuffle(a1.x, 3u) * b2 + subgroupShuffle(a1.x, 7u) * b3;
        s13 += subgroupShuffle(a0.y, 3u) * b0 + subgroupShuffle(a0.y, 7u) * b1 + subgroupShuffle(a1.y, 3u) * b2 + subgroupShuffle(a1.y, 7u) * b3;
        s14 += subgroupShuffle(a0.z, 3u) * b0 + subgroupShuffle(a0.z, 7u) * b1 + subgroupShuffle(a1.z, 3u) * b2 + subgroupShuffle(a1.z, 7u) * b3;
        s15 += subgroupShuffle(a0.w, 3u) * b0 + subgroupShuffle(a0.w, 7u) * b1 + subgroupShuffle(a1.w, 3u) * b2 + subgroupShuffle(a1.w, 7u) * b3;
    }
    if (column_tile == 0u) {
    for (var base = 0u; base < batch; base += 4u) {
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step0, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step0 < batch);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), any_four_logits_delta(layer.delta + min(step1, batch - 1u) * layer.outputs + (row_tile + 4u * (lane % 4u))), step1 < batch);
        t += a0 + subgroupShuffle(a0, (lane + 4u) & 7u) + a1 + subgroupShuffle(a1, (lane + 4u) & 7u);
    }
    }
    }
    let rows = min(ROWS, layer.outputs - row_tile);
    let first = layer.weight + row_tile * layer.inputs + column;
    var fine = true;
    if ((STORES & 1u) != 0u && params.accumulate == 0u && (layer.inputs & 3u) == 0u) {
        let is_inside = column < layer.inputs;
        var exponents = vec4<u32>();
        if (is_inside && 0u < rows) {
            gradients[(first + 0u * layer.inputs) >> 2u] = s0;
            exponents = max(exponents, bitcast<vec4<u32>>(s0) & vec4(0x7f800000u));
        }
        if (is_inside && 1u < rows) {
            gradients[(first + 1u * layer.inputs) >> 2u] = s1;
            exponents = max(exponents, bitcast<vec4<u32>>(s1) & vec4(0x7f800000u));
        }
        if (is_inside && 2u < rows) {
            gradients[(first + 2u * layer.inputs) >> 2u] = s2;
            exponents = max(exponents, bitcast<vec4<u32>>(s2) & vec4(0x7f800000u));
        }
        if (is_inside && 3u < rows) {
            gradients[(first + 3u * layer.inputs) >> 2u] = s3;
            exponents = max(exponents, bitcast<vec4<u32>>(s3) & vec4(0x7f800000u));
        }
        if (is_inside && 4u < rows) {
            gradients[(first + 4u * layer.inputs) >> 2u] = s4;
            exponents = max(exponents, bitcast<vec4<u32>>(s4) & vec4(0x7f800000u));
        }
        if (is_inside && 5u < rows) {
            gradients[(first + 5u * layer.inputs) >> 2u] = s5;
            exponents = max(exponents, bitcast<vec4<u32>>(s5) & vec4(0x7f800000u));
        }
        if (is_inside && 6u < rows) {
            gradients[(first + 6u * layer.inputs) >> 2u] = s6;
            exponents = max(exponents, bitcast<vec4<u32>>(s6) & vec4(0x7f800000u));
        }
        if (is_inside && 7u < rows) {
            gradients[(first + 7u * layer.inputs) >> 2u] = s7;
            exponents = max(exponents, bitcast<vec4<u32>>(s7) & vec4(0x7f800000u));
        }
        if (is_inside && 8u < rows) {
            gradients[(first + 8u * layer.inputs) >> 2u] = s8;
            exponents = max(exponents, bitcast<vec4<u32>>(s8) & vec4(0x7f800000u));
        }
        if (is_inside && 9u < rows) {
            gradients[(first + 9u * layer.inputs) >> 2u] = s9;
            exponents = max(exponents, bitcast<vec4<u32>>(s9) & vec4(0x7f800000u));
        }
        if (is_inside && 10u < rows) {
            gradients[(first + 10u * layer.inputs) >> 2u] = s10;
            exponents = max(exponents, bitcast<vec4<u32>>(s10) & vec4(0x7f800000u));
        }
        if (is_inside && 11u < rows) {
            gradients[(first + 11u * layer.inputs) >> 2u] = s11;
            exponents = max(exponents, bitcast<vec4<u32>>(s11) & vec4(0x7f800000u));
        }
        if (is_inside && 12u < rows) {
            gradients[(first + 12u * layer.inputs) >> 2u] = s12;
            exponents = max(exponents, bitcast<vec4<u32>>(s12) & vec4(0x7f800000u));
        }
        if (is_inside && 13u < rows) {
            gradients[(first + 13u * layer.inputs) >> 2u] = s13;
            exponents = max(exponents, bitcast<vec4<u32>>(s13) & vec4(0x7f800000u));
        }
        if (is_inside && 14u < rows) {
            gradients[(first + 14u * layer.inputs) >> 2u] = s14;
            exponents = max(exponents, bitcast<vec4<u32>>(s14) & vec4(0x7f800000u));
        }
        if (is_inside && 15u < rows) {
            gradients[(first + 15u * layer.inputs) >> 2u] = s15;
            exponents = max(exponents, bitcast<vec4<u32>>(s15) & vec4(0x7f800000u));
        }
        fine = !is_unfinite(exponents);
    } else if ((STORES & 2u) != 0u) {
        var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
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
}
