// dw = deltaᵀ · x,   db = column sums of delta
//
// For software adapters, in place of `dense_backward_weight.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loops (indices are clamped, terms beyond the end are zero). A lane holds vec4s of columns of all rows of its tile. Loads bring a
// vec4 where sizes allow; the row operand is handed round by shuffles with constant index; terms are added four
// by four in ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,          // rows of the chunk
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tiles: u32,         // of all layers together
    accumulate: u32,    // 0: the first chunk overwrites; 1: later ones add
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> even: array<vec4<f32>>;           // activations [rows, I]
@group(0) @binding(4) var<storage, read> odd: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> even_delta: array<vec4<f32>>;     // deltas [rows, O]
@group(0) @binding(6) var<storage, read> odd_delta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> logits_delta: array<vec4<f32>>;   // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

const LOGITS = 2u;
const ROWS = 16u;
const COLUMNS = 32u;

fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

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

fn activation(is_odd: u32, index: u32) -> f32 {
    if (is_odd == 1u) {
        return odd[index >> 2u][index & 3u];
    }
    return even[index >> 2u][index & 3u];
}

fn delta(arena: u32, index: u32) -> f32 {
    switch arena {
        case 0u: {
            return even_delta[index >> 2u][index & 3u];
        }
        case 1u: {
            return odd_delta[index >> 2u][index & 3u];
        }
        default: {
            return logits_delta[index >> 2u][index & 3u];
        }
    }
}

fn store(place: u32, flag: u32, sum: f32) {
    var value = sum;
    if (params.accumulate == 1u) {
        value = gradients[place] + sum;
    }
    if (!is_finite(value)) {
        raise(flag);
    }
    gradients[place] = value;
}

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
    let layer = layers[layer_of(tile)];
    let input_tiles = (layer.inputs + COLUMNS - 1u) / COLUMNS;
    let local = tile - layer.weight_tile;
    let row_tile = (local / input_tiles) * ROWS;
    let column_tile = (local % input_tiles) * COLUMNS;
    let aligned = ((layer.inputs | layer.x) & 3u) == 0u;
    let both_aligned = aligned && ((layer.outputs | layer.delta) & 3u) == 0u;
    let c00 = min(column_tile + 0u + 4u * lane + 0u, layer.inputs - 1u);
    let c01 = min(column_tile + 0u + 4u * lane + 1u, layer.inputs - 1u);
    let c02 = min(column_tile + 0u + 4u * lane + 2u, layer.inputs - 1u);
    let c03 = min(column_tile + 0u + 4u * lane + 3u, layer.inputs - 1u);
    let quad0 = min(column_tile + 0u + 4u * lane, max(layer.inputs, 4u) - 4u);
    var s0_0 = vec4<f32>();
    var s1_0 = vec4<f32>();
    var s2_0 = vec4<f32>();
    var s3_0 = vec4<f32>();
    var s4_0 = vec4<f32>();
    var s5_0 = vec4<f32>();
    var s6_0 = vec4<f32>();
    var s7_0 = vec4<f32>();
    var s8_0 = vec4<f32>();
    var s9_0 = vec4<f32>();
    var s10_0 = vec4<f32>();
    var s11_0 = vec4<f32>();
    var s12_0 = vec4<f32>();
    var s13_0 = vec4<f32>();
    var s14_0 = vec4<f32>();
    var s15_0 = vec4<f32>();
    var t0 = 0.0;
    var t1 = 0.0;
    var t2 = 0.0;
    var t3 = 0.0;
    var t4 = 0.0;
    var t5 = 0.0;
    var t6 = 0.0;
    var t7 = 0.0;
    var t8 = 0.0;
    var t9 = 0.0;
    var t10 = 0.0;
    var t11 = 0.0;
    var t12 = 0.0;
    var t13 = 0.0;
    var t14 = 0.0;
    var t15 = 0.0;
    if (both_aligned && layer.delta_arena == 0u && layer.x_odd == 1u) {
    for (var base = 0u; base < params.rows; base += 4u) {
        let rows_quad = min(row_tile + 4u * (lane % 4u), layer.outputs - 4u);
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), even_delta[(layer.delta + min(step0, params.rows - 1u) * layer.outputs + rows_quad) >> 2u], step0 < params.rows);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), even_delta[(layer.delta + min(step1, params.rows - 1u) * layer.outputs + rows_quad) >> 2u], step1 < params.rows);
        let b0_0 = odd[(layer.x + min(base + 0u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b1_0 = odd[(layer.x + min(base + 1u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b2_0 = odd[(layer.x + min(base + 2u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b3_0 = odd[(layer.x + min(base + 3u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        s0_0 += subgroupShuffle(a0.x, 0u) * b0_0 + subgroupShuffle(a0.x, 4u) * b1_0 + subgroupShuffle(a1.x, 0u) * b2_0 + subgroupShuffle(a1.x, 4u) * b3_0;
        t0 += subgroupShuffle(a0.x, 0u) + subgroupShuffle(a0.x, 4u) + subgroupShuffle(a1.x, 0u) + subgroupShuffle(a1.x, 4u);
        s1_0 += subgroupShuffle(a0.y, 0u) * b0_0 + subgroupShuffle(a0.y, 4u) * b1_0 + subgroupShuffle(a1.y, 0u) * b2_0 + subgroupShuffle(a1.y, 4u) * b3_0;
        t1 += subgroupShuffle(a0.y, 0u) + subgroupShuffle(a0.y, 4u) + subgroupShuffle(a1.y, 0u) + subgroupShuffle(a1.y, 4u);
        s2_0 += subgroupShuffle(a0.z, 0u) * b0_0 + subgroupShuffle(a0.z, 4u) * b1_0 + subgroupShuffle(a1.z, 0u) * b2_0 + subgroupShuffle(a1.z, 4u) * b3_0;
        t2 += subgroupShuffle(a0.z, 0u) + subgroupShuffle(a0.z, 4u) + subgroupShuffle(a1.z, 0u) + subgroupShuffle(a1.z, 4u);
        s3_0 += subgroupShuffle(a0.w, 0u) * b0_0 + subgroupShuffle(a0.w, 4u) * b1_0 + subgroupShuffle(a1.w, 0u) * b2_0 + subgroupShuffle(a1.w, 4u) * b3_0;
        t3 += subgroupShuffle(a0.w, 0u) + subgroupShuffle(a0.w, 4u) + subgroupShuffle(a1.w, 0u) + subgroupShuffle(a1.w, 4u);
        s4_0 += subgroupShuffle(a0.x, 1u) * b0_0 + subgroupShuffle(a0.x, 5u) * b1_0 + subgroupShuffle(a1.x, 1u) * b2_0 + subgroupShuffle(a1.x, 5u) * b3_0;
        t4 += subgroupShuffle(a0.x, 1u) + subgroupShuffle(a0.x, 5u) + subgroupShuffle(a1.x, 1u) + subgroupShuffle(a1.x, 5u);
        s5_0 += subgroupShuffle(a0.y, 1u) * b0_0 + subgroupShuffle(a0.y, 5u) * b1_0 + subgroupShuffle(a1.y, 1u) * b2_0 + subgroupShuffle(a1.y, 5u) * b3_0;
        t5 += subgroupShuffle(a0.y, 1u) + subgroupShuffle(a0.y, 5u) + subgroupShuffle(a1.y, 1u) + subgroupShuffle(a1.y, 5u);
        s6_0 += subgroupShuffle(a0.z, 1u) * b0_0 + subgroupShuffle(a0.z, 5u) * b1_0 + subgroupShuffle(a1.z, 1u) * b2_0 + subgroupShuffle(a1.z, 5u) * b3_0;
        t6 += subgroupShuffle(a0.z, 1u) + subgroupShuffle(a0.z, 5u) + subgroupShuffle(a1.z, 1u) + subgroupShuffle(a1.z, 5u);
        s7_0 += subgroupShuffle(a0.w, 1u) * b0_0 + subgroupShuffle(a0.w, 5u) * b1_0 + subgroupShuffle(a1.w, 1u) * b2_0 + subgroupShuffle(a1.w, 5u) * b3_0;
        t7 += subgroupShuffle(a0.w, 1u) + subgroupShuffle(a0.w, 5u) + subgroupShuffle(a1.w, 1u) + subgroupShuffle(a1.w, 5u);
        s8_0 += subgroupShuffle(a0.x, 2u) * b0_0 + subgroupShuffle(a0.x, 6u) * b1_0 + subgroupShuffle(a1.x, 2u) * b2_0 + subgroupShuffle(a1.x, 6u) * b3_0;
        t8 += subgroupShuffle(a0.x, 2u) + subgroupShuffle(a0.x, 6u) + subgroupShuffle(a1.x, 2u) + subgroupShuffle(a1.x, 6u);
        s9_0 += subgroupShuffle(a0.y, 2u) * b0_0 + subgroupShuffle(a0.y, 6u) * b1_0 + subgroupShuffle(a1.y, 2u) * b2_0 + subgroupShuffle(a1.y, 6u) * b3_0;
        t9 += subgroupShuffle(a0.y, 2u) + subgroupShuffle(a0.y, 6u) + subgroupShuffle(a1.y, 2u) + subgroupShuffle(a1.y, 6u);
        s10_0 += subgroupShuffle(a0.z, 2u) * b0_0 + subgroupShuffle(a0.z, 6u) * b1_0 + subgroupShuffle(a1.z, 2u) * b2_0 + subgroupShuffle(a1.z, 6u) * b3_0;
        t10 += subgroupShuffle(a0.z, 2u) + subgroupShuffle(a0.z, 6u) + subgroupShuffle(a1.z, 2u) + subgroupShuffle(a1.z, 6u);
        s11_0 += subgroupShuffle(a0.w, 2u) * b0_0 + subgroupShuffle(a0.w, 6u) * b1_0 + subgroupShuffle(a1.w, 2u) * b2_0 + subgroupShuffle(a1.w, 6u) * b3_0;
        t11 += subgroupShuffle(a0.w, 2u) + subgroupShuffle(a0.w, 6u) + subgroupShuffle(a1.w, 2u) + subgroupShuffle(a1.w, 6u);
        s12_0 += subgroupShuffle(a0.x, 3u) * b0_0 + subgroupShuffle(a0.x, 7u) * b1_0 + subgroupShuffle(a1.x, 3u) * b2_0 + subgroupShuffle(a1.x, 7u) * b3_0;
        t12 += subgroupShuffle(a0.x, 3u) + subgroupShuffle(a0.x, 7u) + subgroupShuffle(a1.x, 3u) + subgroupShuffle(a1.x, 7u);
        s13_0 += subgroupShuffle(a0.y, 3u) * b0_0 + subgroupShuffle(a0.y, 7u) * b1_0 + subgroupShuffle(a1.y, 3u) * b2_0 + subgroupShuffle(a1.y, 7u) * b3_0;
        t13 += subgroupShuffle(a0.y, 3u) + subgroupShuffle(a0.y, 7u) + subgroupShuffle(a1.y, 3u) + subgroupShuffle(a1.y, 7u);
        s14_0 += subgroupShuffle(a0.z, 3u) * b0_0 + subgroupShuffle(a0.z, 7u) * b1_0 + subgroupShuffle(a1.z, 3u) * b2_0 + subgroupShuffle(a1.z, 7u) * b3_0;
        t14 += subgroupShuffle(a0.z, 3u) + subgroupShuffle(a0.z, 7u) + subgroupShuffle(a1.z, 3u) + subgroupShuffle(a1.z, 7u);
        s15_0 += subgroupShuffle(a0.w, 3u) * b0_0 + subgroupShuffle(a0.w, 7u) * b1_0 + subgroupShuffle(a1.w, 3u) * b2_0 + subgroupShuffle(a1.w, 7u) * b3_0;
        t15 += subgroupShuffle(a0.w, 3u) + subgroupShuffle(a0.w, 7u) + subgroupShuffle(a1.w, 3u) + subgroupShuffle(a1.w, 7u);
    }
    } else if (both_aligned && layer.delta_arena == 1u && layer.x_odd == 0u) {
    for (var base = 0u; base < params.rows; base += 4u) {
        let rows_quad = min(row_tile + 4u * (lane % 4u), layer.outputs - 4u);
        let step0 = base + 0u + lane / 4u;
        let a0 = select(vec4<f32>(), odd_delta[(layer.delta + min(step0, params.rows - 1u) * layer.outputs + rows_quad) >> 2u], step0 < params.rows);
        let step1 = base + 2u + lane / 4u;
        let a1 = select(vec4<f32>(), odd_delta[(layer.delta + min(step1, params.rows - 1u) * layer.outputs + rows_quad) >> 2u], step1 < params.rows);
        let b0_0 = even[(layer.x + min(base + 0u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b1_0 = even[(layer.x + min(base + 1u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b2_0 = even[(layer.x + min(base + 2u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        let b3_0 = even[(layer.x + min(base + 3u, params.rows - 1u) * layer.inputs + quad0) >> 2u];
        s0_0 += subgroupShuffle(a0.x, 0u) * b0_0 + subgroupShuffle(a0.x, 4u) * b1_0 + subgroupShuffle(a1.x, 0u) * b2_0 + subgroupShuffle(a1.x, 4u) * b3_0;
        t0 += subgroupShuffle(a0.x, 0u) + subgroupShuffle(a0.x, 4u) + subgroupShuffle(a1.x, 0u) + subgroupShuffle(a1.x, 4u);
        s1_0 += subgroupShuffle(a0.y, 0u) * b0_0 + subgroupShuffle(a0.y, 4u) * b1_0 + subgroupShuffle(a1.y, 0u) * b2_0 + subgroupShuffle(a1.y, 4u) * b3_0;
        t1 += subgroupShuffle(a0.y, 0u) + subgroupShuffle(a0.y, 4u) + subgroupShuffle(a1.y, 0u) + subgroupShuffle(a1.y, 4u);
        s2_0 += subgroupShuffle(a0.z, 0u) * b0_0 + subgroupShuffle(a0.z, 4u) * b1_0 + subgroupShuffle(a1.z, 0u) * b2_0 + subgroupShuffle(a1.z, 4u) * b3_0;
        t2 += subgroupShuffle(a0.z, 0u) + subgroupShuffle(a0.z, 4u) + subgroupShuffle(a1.z, 0u) + subgroupShuffle(a1.z, 4u);
        s3_0 += subgroupShuffle(a0.w, 0u) * b0_0 + subgroupShuffle(a0.w, 4u) * b1_0 + subgroupShuffle(a1.w, 0u) * b2_0 + subgroupShuffle(a1.w, 4u) * b3_0;
        t3 += subgroupShuffle(a0.w, 0u) + subgroupShuffle(a0.w, 4u) + subgroupShuffle(a1.w, 0u) + subgroupShuffle(a1.w, 4u);
        s4_0 += subgroupShuffle(a0.x, 1u) * b0_0 + subgroupShuffle(a0.x, 5u) * b1_0 + subgroupShuffle(a1.x, 1u) * b2_0 + subgroupShuffle(a1.x, 5u) * b3_0;
        t4 += subgroupShuffle(a0.x, 1u) + subgroupShuffle(a0.x, 5u) + subgroupShuffle(a1.x, 1u) + subgroupShuffle(a1.x, 5u);
        s5_0 += subgroupShuffle(a0.y, 1u) * b0_0 + subgroupShuffle(a0.y, 5u) * b1_0 + subgroupShuffle(a1.y, 1u) * b2_0 + subgroupShuffle(a1.y, 5u) * b3_0;
        t5 += subgroupShuffle(a0.y, 1u) + subgroupShuffle(a0.y, 5u) + subgroupShuffle(a1.y, 1u) + subgroupShuffle(a1.y, 5u);
        s6_0 += subgroupShuffle(a0.z, 1u) * b0_0 + subgroupShuffle(a0.z, 5u) * b1_0 + subgroupShuffle(a1.z, 1u) * b2_0 + subgroupShuffle(a1.z, 5u) * b3_0;
        t6 += subgroupShuffle(a0.z, 1u) + subgroupShuffle(a0.z, 5u) + subgroupShuffle(a1.z, 1u) + subgroupShuffle(a1.z, 5u);
        s7_0 += subgroupShuffle(a0.w, 1u) * b0_0 + subgroupShuffle(a0.w, 5u) * b1_0 + subgroupShuffle(a1.w, 1u) * b2_0 + subgroupShuffle(a1.w, 5u) * b3_0;
        t7 += subgroupShuffle(a0.w, 1u) + subgroupShuffle(a0.w, 5u) + subgroupShuffle(a1.w, 1u) + subgroupShuffle(a1.w, 5u);
        s8_0 += subgroupShuffle(a0.x, 2u) * b0_0 + subgroupShuffle(a0.x, 6u) * b1_0 + subgroupShuffle(a1.x, 2u) * b2_0 + subgroupShuffle(a1.x, 6u) * b3_0;
        t8 += subgroupShuffle(a0.x, 2u) + subgroupShuffle(a0.x, 6u) + subgroupShuffle(a1.x, 2u) + subgroupShuffle(a1.x, 6u);
        s9_0 += subgroupShuffle(a0.y, 2u) * b0_0 + subgroupShuffle(a0.y, 6u) * b1_0 + subgroupShuffle(a1.y, 2u) * b2_0 + subgroupShuffle(a1.y, 6u) * b3_0;
        t9 += subgroupShuffle(a0.y, 2u) + subgroupShuffle(a0.y, 6u) + subgroupShuffle(a1.y, 2u) + subgroupShuffle(a1.y, 6u);
        s10_0 += subgroupShuffle(a0.z, 2u) * b0_0 + subgroupShuffle(a0.z, 6u) * b1_0 + subgroupShuffle(a1.z, 2u) * b2_0 + subgroupShuffle(a1.z, 6u) * b3_0;
        t10 += subgroupShuffle(a0.z, 2u) + subgroupShuffle(a0.z, 6u) + subgroupShuffle(a1.z, 2u) + subgroupShuffle(a1.z, 6u);
        s11_0 += subgroupShuffle(a0.w, 2u) * b0_0 + subgroupShuffle(a0.w, 6u) * b1_0 + subgroupShuffle(a1.w, 2u) * b2_0 + subgroupShuffle(a1.w, 6u) * b3_0;
        t11 += subgroupShuffle(a0.w, 2u) + subgroupShuffle(a0.w, 6u) + subgroupShuffle(a1.w, 2u) + subgroupShuffle(a1.w, 6u);
        s12_0 += subgroupShuffle(a0.x, 3u) * b0_0 + subgroupShuffle(a0.x, 7u) * b1_0 + subgroupShuffle(a1.x, 3u) * b2_0 + subgroupShuffle(a1.x, 7u) * b3_0;
        t12 += subgroupShuffle(a0.x, 3u) + subgroupShuffle(a0.x, 7u) + subgroupShuffle(a1.x, 3u) + subgroupShuffle(a1.x, 7u);
        s13_0 += subgroupShuffle(a0.y, 3u) * b0_0 + subgroupShuffle(a0.y, 7u) * b1_0 + subgroupShuffle(a1.y, 3u) * b2_0 + subgroupShuffle(a1.y, 7u) * b3_0;
        t13 += subgroupShuffle(a0.y, 3u) + subgroupShuffle(a0.y, 7u) + subgroupShuffle(a1.y, 3u) + subgroupShuffle(a1.y, 7u);
        s14_0 += subgroupShuffle(a0.z, 3u) * b0_0 + subgroupShuffle(a0.z, 7u) * b1_0 + subgroupShuffle(a1.z, 3u) * b2_0 + subgroupShuffle(a1.z, 7u) * b3_0;
        t14 += subgroupShuffle(a0.z, 3u) + subgroupShuffle(a0.z, 7u) + subgroupShuffle(a1.z, 3u) + subgroupShuffle(a1.z, 7u);
        s15_0 += subgroupShuffle(a0.w, 3u) * b0_0 + subgroupShuffle(a0.w, 7u) * b1_0 + subgroupShuffle(a1.w, 3u) * b2_0 + subgroupShuffle(a1.w, 7u) * b3_0;
        t15 += subgroupShuffle(a0.w, 3u) + subgroupShuffle(a0.w, 7u) + subgroupShuffle(a1.w, 3u) + subgroupShuffle(a1.w, 7u);
    }
    } else if (aligned && layer.delta_arena == LOGITS && layer.x_odd == 1u) {
    for (var block = 0u; block < params.rows; block += 16u) {
    var u0_0 = vec4<f32>();
    var u1_0 = vec4<f32>();
    var u2_0 = vec4<f32>();
    var u3_0 = vec4<f32>();
    var u4_0 = vec4<f32>();
    var u5_0 = vec4<f32>();
    var u6_0 = vec4<f32>();
    var u7_0 = vec4<f32>();
    var u8_0 = vec4<f32>();
    var u9_0 = vec4<f32>();
    var u10_0 = vec4<f32>();
    var u11_0 = vec4<f32>();
    var u12_0 = vec4<f32>();
    var u13_0 = vec4<f32>();
    var u14_0 = vec4<f32>();
    var u15_0 = vec4<f32>();
    var w0 = 0.0;
    var w1 = 0.0;
    var w2 = 0.0;
    var w3 = 0.0;
    var w4 = 0.0;
    var w5 = 0.0;
    var w6 = 0.0;
    var w7 = 0.0;
    var w8 = 0.0;
    var w9 = 0.0;
    var w10 = 0.0;
    var w11 = 0.0;
    var w12 = 0.0;
    var w13 = 0.0;
    var w14 = 0.0;
    var w15 = 0.0;
    for (var base = block; base < min(block + 16u, params.rows); base++) {
        let a0 = logits_delta[(layer.delta + base * layer.outputs + min(row_tile + 0u + lane, layer.outputs - 1u)) >> 2u][(layer.delta + base * layer.outputs + min(row_tile + 0u + lane, layer.outputs - 1u)) & 3u];
        let a1 = logits_delta[(layer.delta + base * layer.outputs + min(row_tile + 8u + lane, layer.outputs - 1u)) >> 2u][(layer.delta + base * layer.outputs + min(row_tile + 8u + lane, layer.outputs - 1u)) & 3u];
        let b0_0 = odd[(layer.x + base * layer.inputs + quad0) >> 2u];
        u0_0 += subgroupShuffle(a0, 0u) * b0_0;
        w0 += subgroupShuffle(a0, 0u);
        u1_0 += subgroupShuffle(a0, 1u) * b0_0;
        w1 += subgroupShuffle(a0, 1u);
        u2_0 += subgroupShuffle(a0, 2u) * b0_0;
        w2 += subgroupShuffle(a0, 2u);
        u3_0 += subgroupShuffle(a0, 3u) * b0_0;
        w3 += subgroupShuffle(a0, 3u);
        u4_0 += subgroupShuffle(a0, 4u) * b0_0;
        w4 += subgroupShuffle(a0, 4u);
        u5_0 += subgroupShuffle(a0, 5u) * b0_0;
        w5 += subgroupShuffle(a0, 5u);
        u6_0 += subgroupShuffle(a0, 6u) * b0_0;
        w6 += subgroupShuffle(a0, 6u);
        u7_0 += subgroupShuffle(a0, 7u) * b0_0;
        w7 += subgroupShuffle(a0, 7u);
        u8_0 += subgroupShuffle(a1, 0u) * b0_0;
        w8 += subgroupShuffle(a1, 0u);
        u9_0 += subgroupShuffle(a1, 1u) * b0_0;
        w9 += subgroupShuffle(a1, 1u);
        u10_0 += subgroupShuffle(a1, 2u) * b0_0;
        w10 += subgroupShuffle(a1, 2u);
        u11_0 += subgroupShuffle(a1, 3u) * b0_0;
        w11 += subgroupShuffle(a1, 3u);
        u12_0 += subgroupShuffle(a1, 4u) * b0_0;
        w12 += subgroupShuffle(a1, 4u);
        u13_0 += subgroupShuffle(a1, 5u) * b0_0;
        w13 += subgroupShuffle(a1, 5u);
        u14_0 += subgroupShuffle(a1, 6u) * b0_0;
        w14 += subgroupShuffle(a1, 6u);
        u15_0 += subgroupShuffle(a1, 7u) * b0_0;
        w15 += subgroupShuffle(a1, 7u);
    }
    s0_0 += u0_0;
    t0 += w0;
    s1_0 += u1_0;
    t1 += w1;
    s2_0 += u2_0;
    t2 += w2;
    s3_0 += u3_0;
    t3 += w3;
    s4_0 += u4_0;
    t4 += w4;
    s5_0 += u5_0;
    t5 += w5;
    s6_0 += u6_0;
    t6 += w6;
    s7_0 += u7_0;
    t7 += w7;
    s8_0 += u8_0;
    t8 += w8;
    s9_0 += u9_0;
    t9 += w9;
    s10_0 += u10_0;
    t10 += w10;
    s11_0 += u11_0;
    t11 += w11;
    s12_0 += u12_0;
    t12 += w12;
    s13_0 += u13_0;
    t13 += w13;
    s14_0 += u14_0;
    t14 += w14;
    s15_0 += u15_0;
    t15 += w15;
    }
    } else if (aligned && layer.delta_arena == LOGITS && layer.x_odd == 0u) {
    for (var block = 0u; block < params.rows; block += 16u) {
    var u0_0 = vec4<f32>();
    var u1_0 = vec4<f32>();
    var u2_0 = vec4<f32>();
    var u3_0 = vec4<f32>();
    var u4_0 = vec4<f32>();
    var u5_0 = vec4<f32>();
    var u6_0 = vec4<f32>();
    var u7_0 = vec4<f32>();
    var u8_0 = vec4<f32>();
    var u9_0 = vec4<f32>();
    var u10_0 = vec4<f32>();
    var u11_0 = vec4<f32>();
    var u12_0 = vec4<f32>();
    var u13_0 = vec4<f32>();
    var u14_0 = vec4<f32>();
    var u15_0 = vec4<f32>();
    var w0 = 0.0;
    var w1 = 0.0;
    var w2 = 0.0;
    var w3 = 0.0;
    var w4 = 0.0;
    var w5 = 0.0;
    var w6 = 0.0;
    var w7 = 0.0;
    var w8 = 0.0;
    var w9 = 0.0;
    var w10 = 0.0;
    var w11 = 0.0;
    var w12 = 0.0;
    var w13 = 0.0;
    var w14 = 0.0;
    var w15 = 0.0;
    for (var base = block; base < min(block + 16u, params.rows); base++) {
        let a0 = logits_delta[(layer.delta + base * layer.outputs + min(row_tile + 0u + lane, layer.outputs - 1u)) >> 2u][(layer.delta + base * layer.outputs + min(row_tile + 0u + lane, layer.outputs - 1u)) & 3u];
        let a1 = logits_delta[(layer.delta + base * layer.outputs + min(row_tile + 8u + lane, layer.outputs - 1u)) >> 2u][(layer.delta + base * layer.outputs + min(row_tile + 8u + lane, layer.outputs - 1u)) & 3u];
        let b0_0 = even[(layer.x + base * layer.inputs + quad0) >> 2u];
        u0_0 += subgroupShuffle(a0, 0u) * b0_0;
        w0 += subgroupShuffle(a0, 0u);
        u1_0 += subgroupShuffle(a0, 1u) * b0_0;
        w1 += subgroupShuffle(a0, 1u);
        u2_0 += subgroupShuffle(a0, 2u) * b0_0;
        w2 += subgroupShuffle(a0, 2u);
        u3_0 += subgroupShuffle(a0, 3u) * b0_0;
        w3 += subgroupShuffle(a0, 3u);
        u4_0 += subgroupShuffle(a0, 4u) * b0_0;
        w4 += subgroupShuffle(a0, 4u);
        u5_0 += subgroupShuffle(a0, 5u) * b0_0;
        w5 += subgroupShuffle(a0, 5u);
        u6_0 += subgroupShuffle(a0, 6u) * b0_0;
        w6 += subgroupShuffle(a0, 6u);
        u7_0 += subgroupShuffle(a0, 7u) * b0_0;
        w7 += subgroupShuffle(a0, 7u);
        u8_0 += subgroupShuffle(a1, 0u) * b0_0;
        w8 += subgroupShuffle(a1, 0u);
        u9_0 += subgroupShuffle(a1, 1u) * b0_0;
        w9 += subgroupShuffle(a1, 1u);
        u10_0 += subgroupShuffle(a1, 2u) * b0_0;
        w10 += subgroupShuffle(a1, 2u);
        u11_0 += subgroupShuffle(a1, 3u) * b0_0;
        w11 += subgroupShuffle(a1, 3u);
        u12_0 += subgroupShuffle(a1, 4u) * b0_0;
        w12 += subgroupShuffle(a1, 4u);
        u13_0 += subgroupShuffle(a1, 5u) * b0_0;
        w13 += subgroupShuffle(a1, 5u);
        u14_0 += subgroupShuffle(a1, 6u) * b0_0;
        w14 += subgroupShuffle(a1, 6u);
        u15_0 += subgroupShuffle(a1, 7u) * b0_0;
        w15 += subgroupShuffle(a1, 7u);
    }
    s0_0 += u0_0;
    t0 += w0;
    s1_0 += u1_0;
    t1 += w1;
    s2_0 += u2_0;
    t2 += w2;
    s3_0 += u3_0;
    t3 += w3;
    s4_0 += u4_0;
    t4 += w4;
    s5_0 += u5_0;
    t5 += w5;
    s6_0 += u6_0;
    t6 += w6;
    s7_0 += u7_0;
    t7 += w7;
    s8_0 += u8_0;
    t8 += w8;
    s9_0 += u9_0;
    t9 += w9;
    s10_0 += u10_0;
    t10 += w10;
    s11_0 += u11_0;
    t11 += w11;
    s12_0 += u12_0;
    t12 += w12;
    s13_0 += u13_0;
    t13 += w13;
    s14_0 += u14_0;
    t14 += w14;
    s15_0 += u15_0;
    t15 += w15;
    }
    } else {
    for (var block = 0u; block < params.rows; block += 16u) {
    var u0_0 = vec4<f32>();
    var u1_0 = vec4<f32>();
    var u2_0 = vec4<f32>();
    var u3_0 = vec4<f32>();
    var u4_0 = vec4<f32>();
    var u5_0 = vec4<f32>();
    var u6_0 = vec4<f32>();
    var u7_0 = vec4<f32>();
    var u8_0 = vec4<f32>();
    var u9_0 = vec4<f32>();
    var u10_0 = vec4<f32>();
    var u11_0 = vec4<f32>();
    var u12_0 = vec4<f32>();
    var u13_0 = vec4<f32>();
    var u14_0 = vec4<f32>();
    var u15_0 = vec4<f32>();
    var w0 = 0.0;
    var w1 = 0.0;
    var w2 = 0.0;
    var w3 = 0.0;
    var w4 = 0.0;
    var w5 = 0.0;
    var w6 = 0.0;
    var w7 = 0.0;
    var w8 = 0.0;
    var w9 = 0.0;
    var w10 = 0.0;
    var w11 = 0.0;
    var w12 = 0.0;
    var w13 = 0.0;
    var w14 = 0.0;
    var w15 = 0.0;
    for (var base = block; base < min(block + 16u, params.rows); base++) {
        let a0 = delta(layer.delta_arena, layer.delta + base * layer.outputs + min(row_tile + 0u + lane, layer.outputs - 1u));
        let a1 = delta(layer.delta_arena, layer.delta + base * layer.outputs + min(row_tile + 8u + lane, layer.outputs - 1u));
        let b0_0 = vec4(
            activation(layer.x_odd, layer.x + base * layer.inputs + c00),
            activation(layer.x_odd, layer.x + base * layer.inputs + c01),
            activation(layer.x_odd, layer.x + base * layer.inputs + c02),
            activation(layer.x_odd, layer.x + base * layer.inputs + c03),
        );
        u0_0 += subgroupShuffle(a0, 0u) * b0_0;
        w0 += subgroupShuffle(a0, 0u);
        u1_0 += subgroupShuffle(a0, 1u) * b0_0;
        w1 += subgroupShuffle(a0, 1u);
        u2_0 += subgroupShuffle(a0, 2u) * b0_0;
        w2 += subgroupShuffle(a0, 2u);
        u3_0 += subgroupShuffle(a0, 3u) * b0_0;
        w3 += subgroupShuffle(a0, 3u);
        u4_0 += subgroupShuffle(a0, 4u) * b0_0;
        w4 += subgroupShuffle(a0, 4u);
        u5_0 += subgroupShuffle(a0, 5u) * b0_0;
        w5 += subgroupShuffle(a0, 5u);
        u6_0 += subgroupShuffle(a0, 6u) * b0_0;
        w6 += subgroupShuffle(a0, 6u);
        u7_0 += subgroupShuffle(a0, 7u) * b0_0;
        w7 += subgroupShuffle(a0, 7u);
        u8_0 += subgroupShuffle(a1, 0u) * b0_0;
        w8 += subgroupShuffle(a1, 0u);
        u9_0 += subgroupShuffle(a1, 1u) * b0_0;
        w9 += subgroupShuffle(a1, 1u);
        u10_0 += subgroupShuffle(a1, 2u) * b0_0;
        w10 += subgroupShuffle(a1, 2u);
        u11_0 += subgroupShuffle(a1, 3u) * b0_0;
        w11 += subgroupShuffle(a1, 3u);
        u12_0 += subgroupShuffle(a1, 4u) * b0_0;
        w12 += subgroupShuffle(a1, 4u);
        u13_0 += subgroupShuffle(a1, 5u) * b0_0;
        w13 += subgroupShuffle(a1, 5u);
        u14_0 += subgroupShuffle(a1, 6u) * b0_0;
        w14 += subgroupShuffle(a1, 6u);
        u15_0 += subgroupShuffle(a1, 7u) * b0_0;
        w15 += subgroupShuffle(a1, 7u);
    }
    s0_0 += u0_0;
    t0 += w0;
    s1_0 += u1_0;
    t1 += w1;
    s2_0 += u2_0;
    t2 += w2;
    s3_0 += u3_0;
    t3 += w3;
    s4_0 += u4_0;
    t4 += w4;
    s5_0 += u5_0;
    t5 += w5;
    s6_0 += u6_0;
    t6 += w6;
    s7_0 += u7_0;
    t7 += w7;
    s8_0 += u8_0;
    t8 += w8;
    s9_0 += u9_0;
    t9 += w9;
    s10_0 += u10_0;
    t10 += w10;
    s11_0 += u11_0;
    t11 += w11;
    s12_0 += u12_0;
    t12 += w12;
    s13_0 += u13_0;
    t13 += w13;
    s14_0 += u14_0;
    t14 += w14;
    s15_0 += u15_0;
    t15 += w15;
    }
    }
    var sums: array<vec4<f32>, 16>;
    sums[0] = s0_0;
    sums[1] = s1_0;
    sums[2] = s2_0;
    sums[3] = s3_0;
    sums[4] = s4_0;
    sums[5] = s5_0;
    sums[6] = s6_0;
    sums[7] = s7_0;
    sums[8] = s8_0;
    sums[9] = s9_0;
    sums[10] = s10_0;
    sums[11] = s11_0;
    sums[12] = s12_0;
    sums[13] = s13_0;
    sums[14] = s14_0;
    sums[15] = s15_0;
    for (var i = 0u; i < 64u; i++) {
        let row = row_tile + i / 4u;
        let column = column_tile + 32u * ((i >> 2u) % 1u) + 4u * lane + (i & 3u);
        if (row < layer.outputs && column < layer.inputs) { store(layer.weight + row * layer.inputs + column, layer.gradient_flag, sums[i >> 2u][i & 3u]); }
    }
    if (column_tile == 0u && lane == 0u) {
        sums[0][0] = t0;
        sums[0][1] = t1;
        sums[0][2] = t2;
        sums[0][3] = t3;
        sums[1][0] = t4;
        sums[1][1] = t5;
        sums[1][2] = t6;
        sums[1][3] = t7;
        sums[2][0] = t8;
        sums[2][1] = t9;
        sums[2][2] = t10;
        sums[2][3] = t11;
        sums[3][0] = t12;
        sums[3][1] = t13;
        sums[3][2] = t14;
        sums[3][3] = t15;
        for (var r = 0u; r < min(ROWS, layer.outputs - row_tile); r++) {
            store(layer.bias + row_tile + r, layer.gradient_flag, sums[r >> 2u][r & 3u]);
        }
    }
}
