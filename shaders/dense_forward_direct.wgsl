// y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.
//
// For software adapters, in place of `dense_forward.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loop (indices are clamped, terms beyond the end are zero). Lanes lie along the columns, each with 4 of them, 8 apart, for 16
// rows. The row operand is loaded with lanes along 8 inner steps and handed round by shuffles with constant index; terms are added in
// ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    training: u32,      // 0: no dropout
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;                  // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;            // [rows, O] and slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

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
        if (layers[middle].forward_tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

fn store(layer: Dense, row: u32, column: u32, sum: f32) {
    if (row >= params.rows || column >= layer.outputs) {
        return;
    }
    let z = sum + parameters[layer.bias + column];
    if (!is_finite(z)) {
        raise(layer.z_flag);
    }
    let place = layer.y + row * layer.outputs + column;
    if (layer.slope == NONE) {
        y[place] = z;
        return;
    }
    var value = activate(layer.activation, z);
    if (params.training == 1u && layer.dropout_threshold > 0u) {
        let h = hash(column, params.chunk_first + row, layer.layer ^ step.key_low, step.key_high);
        value = select(value * layer.dropout_scale, vec2(0.0, 0.0), h < layer.dropout_threshold);
    }
    y[place] = value.x;
    y[layer.slope + row * layer.outputs + column] = value.y;
}

@compute @workgroup_size(8)
fn dense_forward_direct(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
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
    let c0 = min(column_tile + lane + 0u, layer.outputs - 1u);
    let c1 = min(column_tile + lane + 8u, layer.outputs - 1u);
    let c2 = min(column_tile + lane + 16u, layer.outputs - 1u);
    let c3 = min(column_tile + lane + 24u, layer.outputs - 1u);
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
    for (var base = 0u; base < layer.inputs; base += LANES) {
        let k = min(base + lane, layer.inputs - 1u);
        let inside = base + lane < layer.inputs;
        let a0 = select(0.0, x[layer.x + r0 * layer.inputs + k], inside);
        let a1 = select(0.0, x[layer.x + r1 * layer.inputs + k], inside);
        let a2 = select(0.0, x[layer.x + r2 * layer.inputs + k], inside);
        let a3 = select(0.0, x[layer.x + r3 * layer.inputs + k], inside);
        let a4 = select(0.0, x[layer.x + r4 * layer.inputs + k], inside);
        let a5 = select(0.0, x[layer.x + r5 * layer.inputs + k], inside);
        let a6 = select(0.0, x[layer.x + r6 * layer.inputs + k], inside);
        let a7 = select(0.0, x[layer.x + r7 * layer.inputs + k], inside);
        let a8 = select(0.0, x[layer.x + r8 * layer.inputs + k], inside);
        let a9 = select(0.0, x[layer.x + r9 * layer.inputs + k], inside);
        let a10 = select(0.0, x[layer.x + r10 * layer.inputs + k], inside);
        let a11 = select(0.0, x[layer.x + r11 * layer.inputs + k], inside);
        let a12 = select(0.0, x[layer.x + r12 * layer.inputs + k], inside);
        let a13 = select(0.0, x[layer.x + r13 * layer.inputs + k], inside);
        let a14 = select(0.0, x[layer.x + r14 * layer.inputs + k], inside);
        let a15 = select(0.0, x[layer.x + r15 * layer.inputs + k], inside);
        let k0 = min(base + 0u, layer.inputs - 1u);
        let b0 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k0],
            parameters[layer.weight + c1 * layer.inputs + k0],
            parameters[layer.weight + c2 * layer.inputs + k0],
            parameters[layer.weight + c3 * layer.inputs + k0],
        );
        let k1 = min(base + 1u, layer.inputs - 1u);
        let b1 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k1],
            parameters[layer.weight + c1 * layer.inputs + k1],
            parameters[layer.weight + c2 * layer.inputs + k1],
            parameters[layer.weight + c3 * layer.inputs + k1],
        );
        let k2 = min(base + 2u, layer.inputs - 1u);
        let b2 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k2],
            parameters[layer.weight + c1 * layer.inputs + k2],
            parameters[layer.weight + c2 * layer.inputs + k2],
            parameters[layer.weight + c3 * layer.inputs + k2],
        );
        let k3 = min(base + 3u, layer.inputs - 1u);
        let b3 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k3],
            parameters[layer.weight + c1 * layer.inputs + k3],
            parameters[layer.weight + c2 * layer.inputs + k3],
            parameters[layer.weight + c3 * layer.inputs + k3],
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
        let k4 = min(base + 4u, layer.inputs - 1u);
        let b4 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k4],
            parameters[layer.weight + c1 * layer.inputs + k4],
            parameters[layer.weight + c2 * layer.inputs + k4],
            parameters[layer.weight + c3 * layer.inputs + k4],
        );
        let k5 = min(base + 5u, layer.inputs - 1u);
        let b5 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k5],
            parameters[layer.weight + c1 * layer.inputs + k5],
            parameters[layer.weight + c2 * layer.inputs + k5],
            parameters[layer.weight + c3 * layer.inputs + k5],
        );
        let k6 = min(base + 6u, layer.inputs - 1u);
        let b6 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k6],
            parameters[layer.weight + c1 * layer.inputs + k6],
            parameters[layer.weight + c2 * layer.inputs + k6],
            parameters[layer.weight + c3 * layer.inputs + k6],
        );
        let k7 = min(base + 7u, layer.inputs - 1u);
        let b7 = vec4(
            parameters[layer.weight + c0 * layer.inputs + k7],
            parameters[layer.weight + c1 * layer.inputs + k7],
            parameters[layer.weight + c2 * layer.inputs + k7],
            parameters[layer.weight + c3 * layer.inputs + k7],
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
    store(layer, row_tile + 0u, column_tile + lane + 0u, s0.x);
    store(layer, row_tile + 0u, column_tile + lane + 8u, s0.y);
    store(layer, row_tile + 0u, column_tile + lane + 16u, s0.z);
    store(layer, row_tile + 0u, column_tile + lane + 24u, s0.w);
    store(layer, row_tile + 1u, column_tile + lane + 0u, s1.x);
    store(layer, row_tile + 1u, column_tile + lane + 8u, s1.y);
    store(layer, row_tile + 1u, column_tile + lane + 16u, s1.z);
    store(layer, row_tile + 1u, column_tile + lane + 24u, s1.w);
    store(layer, row_tile + 2u, column_tile + lane + 0u, s2.x);
    store(layer, row_tile + 2u, column_tile + lane + 8u, s2.y);
    store(layer, row_tile + 2u, column_tile + lane + 16u, s2.z);
    store(layer, row_tile + 2u, column_tile + lane + 24u, s2.w);
    store(layer, row_tile + 3u, column_tile + lane + 0u, s3.x);
    store(layer, row_tile + 3u, column_tile + lane + 8u, s3.y);
    store(layer, row_tile + 3u, column_tile + lane + 16u, s3.z);
    store(layer, row_tile + 3u, column_tile + lane + 24u, s3.w);
    store(layer, row_tile + 4u, column_tile + lane + 0u, s4.x);
    store(layer, row_tile + 4u, column_tile + lane + 8u, s4.y);
    store(layer, row_tile + 4u, column_tile + lane + 16u, s4.z);
    store(layer, row_tile + 4u, column_tile + lane + 24u, s4.w);
    store(layer, row_tile + 5u, column_tile + lane + 0u, s5.x);
    store(layer, row_tile + 5u, column_tile + lane + 8u, s5.y);
    store(layer, row_tile + 5u, column_tile + lane + 16u, s5.z);
    store(layer, row_tile + 5u, column_tile + lane + 24u, s5.w);
    store(layer, row_tile + 6u, column_tile + lane + 0u, s6.x);
    store(layer, row_tile + 6u, column_tile + lane + 8u, s6.y);
    store(layer, row_tile + 6u, column_tile + lane + 16u, s6.z);
    store(layer, row_tile + 6u, column_tile + lane + 24u, s6.w);
    store(layer, row_tile + 7u, column_tile + lane + 0u, s7.x);
    store(layer, row_tile + 7u, column_tile + lane + 8u, s7.y);
    store(layer, row_tile + 7u, column_tile + lane + 16u, s7.z);
    store(layer, row_tile + 7u, column_tile + lane + 24u, s7.w);
    store(layer, row_tile + 8u, column_tile + lane + 0u, s8.x);
    store(layer, row_tile + 8u, column_tile + lane + 8u, s8.y);
    store(layer, row_tile + 8u, column_tile + lane + 16u, s8.z);
    store(layer, row_tile + 8u, column_tile + lane + 24u, s8.w);
    store(layer, row_tile + 9u, column_tile + lane + 0u, s9.x);
    store(layer, row_tile + 9u, column_tile + lane + 8u, s9.y);
    store(layer, row_tile + 9u, column_tile + lane + 16u, s9.z);
    store(layer, row_tile + 9u, column_tile + lane + 24u, s9.w);
    store(layer, row_tile + 10u, column_tile + lane + 0u, s10.x);
    store(layer, row_tile + 10u, column_tile + lane + 8u, s10.y);
    store(layer, row_tile + 10u, column_tile + lane + 16u, s10.z);
    store(layer, row_tile + 10u, column_tile + lane + 24u, s10.w);
    store(layer, row_tile + 11u, column_tile + lane + 0u, s11.x);
    store(layer, row_tile + 11u, column_tile + lane + 8u, s11.y);
    store(layer, row_tile + 11u, column_tile + lane + 16u, s11.z);
    store(layer, row_tile + 11u, column_tile + lane + 24u, s11.w);
    store(layer, row_tile + 12u, column_tile + lane + 0u, s12.x);
    store(layer, row_tile + 12u, column_tile + lane + 8u, s12.y);
    store(layer, row_tile + 12u, column_tile + lane + 16u, s12.z);
    store(layer, row_tile + 12u, column_tile + lane + 24u, s12.w);
    store(layer, row_tile + 13u, column_tile + lane + 0u, s13.x);
    store(layer, row_tile + 13u, column_tile + lane + 8u, s13.y);
    store(layer, row_tile + 13u, column_tile + lane + 16u, s13.z);
    store(layer, row_tile + 13u, column_tile + lane + 24u, s13.w);
    store(layer, row_tile + 14u, column_tile + lane + 0u, s14.x);
    store(layer, row_tile + 14u, column_tile + lane + 8u, s14.y);
    store(layer, row_tile + 14u, column_tile + lane + 16u, s14.z);
    store(layer, row_tile + 14u, column_tile + lane + 24u, s14.w);
    store(layer, row_tile + 15u, column_tile + lane + 0u, s15.x);
    store(layer, row_tile + 15u, column_tile + lane + 8u, s15.y);
    store(layer, row_tile + 15u, column_tile + lane + 16u, s15.z);
    store(layer, row_tile + 15u, column_tile + lane + 24u, s15.w);
}
