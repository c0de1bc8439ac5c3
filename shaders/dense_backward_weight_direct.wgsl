// dw = deltaᵀ · x,   db = column sums of delta
//
// For software adapters, in place of `dense_backward_weight.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loop (indices are clamped, terms beyond the end are zero). Lanes lie along the columns, each with 4 of them, 8 apart, for 16
// rows. The row operand is loaded with lanes along 8 inner steps and handed round by shuffles with constant index; terms are added in
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
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> even: array<f32>;           // activations [rows, I]
@group(0) @binding(4) var<storage, read> odd: array<f32>;
@group(0) @binding(5) var<storage, read> even_delta: array<f32>;     // deltas [rows, O]
@group(0) @binding(6) var<storage, read> odd_delta: array<f32>;
@group(0) @binding(7) var<storage, read> logits_delta: array<f32>;   // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

const ROWS = 16u;
const COLUMNS = 32u;
const LANES = 8u;

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
        return odd[index];
    }
    return even[index];
}

fn delta(arena: u32, index: u32) -> f32 {
    switch arena {
        case 0u: {
            return even_delta[index];
        }
        case 1u: {
            return odd_delta[index];
        }
        default: {
            return logits_delta[index];
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
    let r0 = min(row_tile + 0u, layer.outputs - 1u);
    let r1 = min(row_tile + 1u, layer.outputs - 1u);
    let r2 = min(row_tile + 2u, layer.outputs - 1u);
    let r3 = min(row_tile + 3u, layer.outputs - 1u);
    let r4 = min(row_tile + 4u, layer.outputs - 1u);
    let r5 = min(row_tile + 5u, layer.outputs - 1u);
    let r6 = min(row_tile + 6u, layer.outputs - 1u);
    let r7 = min(row_tile + 7u, layer.outputs - 1u);
    let r8 = min(row_tile + 8u, layer.outputs - 1u);
    let r9 = min(row_tile + 9u, layer.outputs - 1u);
    let r10 = min(row_tile + 10u, layer.outputs - 1u);
    let r11 = min(row_tile + 11u, layer.outputs - 1u);
    let r12 = min(row_tile + 12u, layer.outputs - 1u);
    let r13 = min(row_tile + 13u, layer.outputs - 1u);
    let r14 = min(row_tile + 14u, layer.outputs - 1u);
    let r15 = min(row_tile + 15u, layer.outputs - 1u);
    let c0 = min(column_tile + lane + 0u, layer.inputs - 1u);
    let c1 = min(column_tile + lane + 8u, layer.inputs - 1u);
    let c2 = min(column_tile + lane + 16u, layer.inputs - 1u);
    let c3 = min(column_tile + lane + 24u, layer.inputs - 1u);
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
    for (var base = 0u; base < params.rows; base += LANES) {
        let k = min(base + lane, params.rows - 1u);
        let inside = base + lane < params.rows;
        let a0 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r0), inside);
        let a1 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r1), inside);
        let a2 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r2), inside);
        let a3 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r3), inside);
        let a4 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r4), inside);
        let a5 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r5), inside);
        let a6 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r6), inside);
        let a7 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r7), inside);
        let a8 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r8), inside);
        let a9 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r9), inside);
        let a10 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r10), inside);
        let a11 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r11), inside);
        let a12 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r12), inside);
        let a13 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r13), inside);
        let a14 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r14), inside);
        let a15 = select(0.0, delta(layer.delta_arena, layer.delta + k * layer.outputs + r15), inside);
        let k0 = min(base + 0u, params.rows - 1u);
        let b0 = vec4(
            activation(layer.x_odd, layer.x + k0 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k0 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k0 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k0 * layer.inputs + c3),
        );
        let k1 = min(base + 1u, params.rows - 1u);
        let b1 = vec4(
            activation(layer.x_odd, layer.x + k1 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k1 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k1 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k1 * layer.inputs + c3),
        );
        let k2 = min(base + 2u, params.rows - 1u);
        let b2 = vec4(
            activation(layer.x_odd, layer.x + k2 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k2 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k2 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k2 * layer.inputs + c3),
        );
        let k3 = min(base + 3u, params.rows - 1u);
        let b3 = vec4(
            activation(layer.x_odd, layer.x + k3 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k3 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k3 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k3 * layer.inputs + c3),
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
        let k4 = min(base + 4u, params.rows - 1u);
        let b4 = vec4(
            activation(layer.x_odd, layer.x + k4 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k4 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k4 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k4 * layer.inputs + c3),
        );
        let k5 = min(base + 5u, params.rows - 1u);
        let b5 = vec4(
            activation(layer.x_odd, layer.x + k5 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k5 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k5 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k5 * layer.inputs + c3),
        );
        let k6 = min(base + 6u, params.rows - 1u);
        let b6 = vec4(
            activation(layer.x_odd, layer.x + k6 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k6 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k6 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k6 * layer.inputs + c3),
        );
        let k7 = min(base + 7u, params.rows - 1u);
        let b7 = vec4(
            activation(layer.x_odd, layer.x + k7 * layer.inputs + c0),
            activation(layer.x_odd, layer.x + k7 * layer.inputs + c1),
            activation(layer.x_odd, layer.x + k7 * layer.inputs + c2),
            activation(layer.x_odd, layer.x + k7 * layer.inputs + c3),
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
    if ((row_tile + 0u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 0u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s0.x); }
    if ((row_tile + 0u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 0u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s0.y); }
    if ((row_tile + 0u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 0u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s0.z); }
    if ((row_tile + 0u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 0u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s0.w); }
    if ((row_tile + 1u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 1u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s1.x); }
    if ((row_tile + 1u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 1u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s1.y); }
    if ((row_tile + 1u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 1u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s1.z); }
    if ((row_tile + 1u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 1u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s1.w); }
    if ((row_tile + 2u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 2u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s2.x); }
    if ((row_tile + 2u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 2u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s2.y); }
    if ((row_tile + 2u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 2u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s2.z); }
    if ((row_tile + 2u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 2u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s2.w); }
    if ((row_tile + 3u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 3u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s3.x); }
    if ((row_tile + 3u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 3u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s3.y); }
    if ((row_tile + 3u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 3u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s3.z); }
    if ((row_tile + 3u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 3u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s3.w); }
    if ((row_tile + 4u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 4u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s4.x); }
    if ((row_tile + 4u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 4u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s4.y); }
    if ((row_tile + 4u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 4u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s4.z); }
    if ((row_tile + 4u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 4u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s4.w); }
    if ((row_tile + 5u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 5u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s5.x); }
    if ((row_tile + 5u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 5u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s5.y); }
    if ((row_tile + 5u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 5u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s5.z); }
    if ((row_tile + 5u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 5u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s5.w); }
    if ((row_tile + 6u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 6u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s6.x); }
    if ((row_tile + 6u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 6u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s6.y); }
    if ((row_tile + 6u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 6u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s6.z); }
    if ((row_tile + 6u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 6u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s6.w); }
    if ((row_tile + 7u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 7u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s7.x); }
    if ((row_tile + 7u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 7u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s7.y); }
    if ((row_tile + 7u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 7u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s7.z); }
    if ((row_tile + 7u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 7u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s7.w); }
    if ((row_tile + 8u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 8u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s8.x); }
    if ((row_tile + 8u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 8u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s8.y); }
    if ((row_tile + 8u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 8u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s8.z); }
    if ((row_tile + 8u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 8u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s8.w); }
    if ((row_tile + 9u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 9u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s9.x); }
    if ((row_tile + 9u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 9u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s9.y); }
    if ((row_tile + 9u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 9u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s9.z); }
    if ((row_tile + 9u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 9u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s9.w); }
    if ((row_tile + 10u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 10u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s10.x); }
    if ((row_tile + 10u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 10u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s10.y); }
    if ((row_tile + 10u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 10u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s10.z); }
    if ((row_tile + 10u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 10u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s10.w); }
    if ((row_tile + 11u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 11u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s11.x); }
    if ((row_tile + 11u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 11u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s11.y); }
    if ((row_tile + 11u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 11u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s11.z); }
    if ((row_tile + 11u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 11u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s11.w); }
    if ((row_tile + 12u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 12u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s12.x); }
    if ((row_tile + 12u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 12u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s12.y); }
    if ((row_tile + 12u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 12u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s12.z); }
    if ((row_tile + 12u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 12u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s12.w); }
    if ((row_tile + 13u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 13u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s13.x); }
    if ((row_tile + 13u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 13u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s13.y); }
    if ((row_tile + 13u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 13u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s13.z); }
    if ((row_tile + 13u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 13u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s13.w); }
    if ((row_tile + 14u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 14u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s14.x); }
    if ((row_tile + 14u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 14u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s14.y); }
    if ((row_tile + 14u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 14u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s14.z); }
    if ((row_tile + 14u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 14u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s14.w); }
    if ((row_tile + 15u) < layer.outputs && (column_tile + lane + 0u) < layer.inputs) { store(layer.weight + (row_tile + 15u) * layer.inputs + (column_tile + lane + 0u), layer.gradient_flag, s15.x); }
    if ((row_tile + 15u) < layer.outputs && (column_tile + lane + 8u) < layer.inputs) { store(layer.weight + (row_tile + 15u) * layer.inputs + (column_tile + lane + 8u), layer.gradient_flag, s15.y); }
    if ((row_tile + 15u) < layer.outputs && (column_tile + lane + 16u) < layer.inputs) { store(layer.weight + (row_tile + 15u) * layer.inputs + (column_tile + lane + 16u), layer.gradient_flag, s15.z); }
    if ((row_tile + 15u) < layer.outputs && (column_tile + lane + 24u) < layer.inputs) { store(layer.weight + (row_tile + 15u) * layer.inputs + (column_tile + lane + 24u), layer.gradient_flag, s15.w); }
    if (column_tile == 0u) {
        for (var o = row_tile + lane; o < min(row_tile + ROWS, layer.outputs); o += LANES) {
            var bias = 0.0;
            for (var b = 0u; b < params.rows; b++) {
                bias += delta(layer.delta_arena, layer.delta + b * layer.outputs + o);
            }
            store(layer.bias + o, layer.gradient_flag, bias);
        }
    }
}
