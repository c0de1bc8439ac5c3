// y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.
//
// For software adapters, in place of `dense_forward.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loops (indices are clamped, terms beyond the end are zero). A lane holds vec4s of columns of all rows of its tile. Loads bring a
// vec4 where sizes allow; the row operand is handed round by shuffles with constant index; terms are added four
// by four in ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;                  // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;            // [rows, O] and slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // of all layers of the group; codes are those of `activate`
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

const ROWS = 32u;
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
    let z = sum + parameters[(layer.bias + column) >> 2u][(layer.bias + column) & 3u];
    if (!is_finite(z)) {
        raise(layer.z_flag);
    }
    let place = layer.y + row * layer.outputs + column;
    if (layer.slope == NONE) {
        y[place] = z;
        return;
    }
    var value = activate(ACTIVATION, z);
    if (DROPOUT) {
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
    let c00 = min(column_tile + 0u + 4u * lane + 0u, layer.outputs - 1u);
    let c01 = min(column_tile + 0u + 4u * lane + 1u, layer.outputs - 1u);
    let c02 = min(column_tile + 0u + 4u * lane + 2u, layer.outputs - 1u);
    let c03 = min(column_tile + 0u + 4u * lane + 3u, layer.outputs - 1u);
    let quad0 = min(column_tile + 0u + 4u * lane, max(layer.outputs, 4u) - 4u);
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
    var s16_0 = vec4<f32>();
    var s17_0 = vec4<f32>();
    var s18_0 = vec4<f32>();
    var s19_0 = vec4<f32>();
    var s20_0 = vec4<f32>();
    var s21_0 = vec4<f32>();
    var s22_0 = vec4<f32>();
    var s23_0 = vec4<f32>();
    var s24_0 = vec4<f32>();
    var s25_0 = vec4<f32>();
    var s26_0 = vec4<f32>();
    var s27_0 = vec4<f32>();
    var s28_0 = vec4<f32>();
    var s29_0 = vec4<f32>();
    var s30_0 = vec4<f32>();
    var s31_0 = vec4<f32>();
    if (((layer.inputs | layer.x) & 3u) == 0u) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let a0 = x[(layer.x + min(row_tile + 0u + lane, params.rows - 1u) * layer.inputs + base) >> 2u];
        let a1 = x[(layer.x + min(row_tile + 8u + lane, params.rows - 1u) * layer.inputs + base) >> 2u];
        let a2 = x[(layer.x + min(row_tile + 16u + lane, params.rows - 1u) * layer.inputs + base) >> 2u];
        let a3 = x[(layer.x + min(row_tile + 24u + lane, params.rows - 1u) * layer.inputs + base) >> 2u];
        let p00 = parameters[(layer.weight + c00 * layer.inputs + base) >> 2u];
        let p01 = parameters[(layer.weight + c01 * layer.inputs + base) >> 2u];
        let p02 = parameters[(layer.weight + c02 * layer.inputs + base) >> 2u];
        let p03 = parameters[(layer.weight + c03 * layer.inputs + base) >> 2u];
        let b0_0 = vec4(p00.x, p01.x, p02.x, p03.x);
        let b1_0 = vec4(p00.y, p01.y, p02.y, p03.y);
        let b2_0 = vec4(p00.z, p01.z, p02.z, p03.z);
        let b3_0 = vec4(p00.w, p01.w, p02.w, p03.w);
        s0_0 += subgroupShuffle(a0.x, 0u) * b0_0 + subgroupShuffle(a0.y, 0u) * b1_0 + subgroupShuffle(a0.z, 0u) * b2_0 + subgroupShuffle(a0.w, 0u) * b3_0;
        s1_0 += subgroupShuffle(a0.x, 1u) * b0_0 + subgroupShuffle(a0.y, 1u) * b1_0 + subgroupShuffle(a0.z, 1u) * b2_0 + subgroupShuffle(a0.w, 1u) * b3_0;
        s2_0 += subgroupShuffle(a0.x, 2u) * b0_0 + subgroupShuffle(a0.y, 2u) * b1_0 + subgroupShuffle(a0.z, 2u) * b2_0 + subgroupShuffle(a0.w, 2u) * b3_0;
        s3_0 += subgroupShuffle(a0.x, 3u) * b0_0 + subgroupShuffle(a0.y, 3u) * b1_0 + subgroupShuffle(a0.z, 3u) * b2_0 + subgroupShuffle(a0.w, 3u) * b3_0;
        s4_0 += subgroupShuffle(a0.x, 4u) * b0_0 + subgroupShuffle(a0.y, 4u) * b1_0 + subgroupShuffle(a0.z, 4u) * b2_0 + subgroupShuffle(a0.w, 4u) * b3_0;
        s5_0 += subgroupShuffle(a0.x, 5u) * b0_0 + subgroupShuffle(a0.y, 5u) * b1_0 + subgroupShuffle(a0.z, 5u) * b2_0 + subgroupShuffle(a0.w, 5u) * b3_0;
        s6_0 += subgroupShuffle(a0.x, 6u) * b0_0 + subgroupShuffle(a0.y, 6u) * b1_0 + subgroupShuffle(a0.z, 6u) * b2_0 + subgroupShuffle(a0.w, 6u) * b3_0;
        s7_0 += subgroupShuffle(a0.x, 7u) * b0_0 + subgroupShuffle(a0.y, 7u) * b1_0 + subgroupShuffle(a0.z, 7u) * b2_0 + subgroupShuffle(a0.w, 7u) * b3_0;
        s8_0 += subgroupShuffle(a1.x, 0u) * b0_0 + subgroupShuffle(a1.y, 0u) * b1_0 + subgroupShuffle(a1.z, 0u) * b2_0 + subgroupShuffle(a1.w, 0u) * b3_0;
        s9_0 += subgroupShuffle(a1.x, 1u) * b0_0 + subgroupShuffle(a1.y, 1u) * b1_0 + subgroupShuffle(a1.z, 1u) * b2_0 + subgroupShuffle(a1.w, 1u) * b3_0;
        s10_0 += subgroupShuffle(a1.x, 2u) * b0_0 + subgroupShuffle(a1.y, 2u) * b1_0 + subgroupShuffle(a1.z, 2u) * b2_0 + subgroupShuffle(a1.w, 2u) * b3_0;
        s11_0 += subgroupShuffle(a1.x, 3u) * b0_0 + subgroupShuffle(a1.y, 3u) * b1_0 + subgroupShuffle(a1.z, 3u) * b2_0 + subgroupShuffle(a1.w, 3u) * b3_0;
        s12_0 += subgroupShuffle(a1.x, 4u) * b0_0 + subgroupShuffle(a1.y, 4u) * b1_0 + subgroupShuffle(a1.z, 4u) * b2_0 + subgroupShuffle(a1.w, 4u) * b3_0;
        s13_0 += subgroupShuffle(a1.x, 5u) * b0_0 + subgroupShuffle(a1.y, 5u) * b1_0 + subgroupShuffle(a1.z, 5u) * b2_0 + subgroupShuffle(a1.w, 5u) * b3_0;
        s14_0 += subgroupShuffle(a1.x, 6u) * b0_0 + subgroupShuffle(a1.y, 6u) * b1_0 + subgroupShuffle(a1.z, 6u) * b2_0 + subgroupShuffle(a1.w, 6u) * b3_0;
        s15_0 += subgroupShuffle(a1.x, 7u) * b0_0 + subgroupShuffle(a1.y, 7u) * b1_0 + subgroupShuffle(a1.z, 7u) * b2_0 + subgroupShuffle(a1.w, 7u) * b3_0;
        s16_0 += subgroupShuffle(a2.x, 0u) * b0_0 + subgroupShuffle(a2.y, 0u) * b1_0 + subgroupShuffle(a2.z, 0u) * b2_0 + subgroupShuffle(a2.w, 0u) * b3_0;
        s17_0 += subgroupShuffle(a2.x, 1u) * b0_0 + subgroupShuffle(a2.y, 1u) * b1_0 + subgroupShuffle(a2.z, 1u) * b2_0 + subgroupShuffle(a2.w, 1u) * b3_0;
        s18_0 += subgroupShuffle(a2.x, 2u) * b0_0 + subgroupShuffle(a2.y, 2u) * b1_0 + subgroupShuffle(a2.z, 2u) * b2_0 + subgroupShuffle(a2.w, 2u) * b3_0;
        s19_0 += subgroupShuffle(a2.x, 3u) * b0_0 + subgroupShuffle(a2.y, 3u) * b1_0 + subgroupShuffle(a2.z, 3u) * b2_0 + subgroupShuffle(a2.w, 3u) * b3_0;
        s20_0 += subgroupShuffle(a2.x, 4u) * b0_0 + subgroupShuffle(a2.y, 4u) * b1_0 + subgroupShuffle(a2.z, 4u) * b2_0 + subgroupShuffle(a2.w, 4u) * b3_0;
        s21_0 += subgroupShuffle(a2.x, 5u) * b0_0 + subgroupShuffle(a2.y, 5u) * b1_0 + subgroupShuffle(a2.z, 5u) * b2_0 + subgroupShuffle(a2.w, 5u) * b3_0;
        s22_0 += subgroupShuffle(a2.x, 6u) * b0_0 + subgroupShuffle(a2.y, 6u) * b1_0 + subgroupShuffle(a2.z, 6u) * b2_0 + subgroupShuffle(a2.w, 6u) * b3_0;
        s23_0 += subgroupShuffle(a2.x, 7u) * b0_0 + subgroupShuffle(a2.y, 7u) * b1_0 + subgroupShuffle(a2.z, 7u) * b2_0 + subgroupShuffle(a2.w, 7u) * b3_0;
        s24_0 += subgroupShuffle(a3.x, 0u) * b0_0 + subgroupShuffle(a3.y, 0u) * b1_0 + subgroupShuffle(a3.z, 0u) * b2_0 + subgroupShuffle(a3.w, 0u) * b3_0;
        s25_0 += subgroupShuffle(a3.x, 1u) * b0_0 + subgroupShuffle(a3.y, 1u) * b1_0 + subgroupShuffle(a3.z, 1u) * b2_0 + subgroupShuffle(a3.w, 1u) * b3_0;
        s26_0 += subgroupShuffle(a3.x, 2u) * b0_0 + subgroupShuffle(a3.y, 2u) * b1_0 + subgroupShuffle(a3.z, 2u) * b2_0 + subgroupShuffle(a3.w, 2u) * b3_0;
        s27_0 += subgroupShuffle(a3.x, 3u) * b0_0 + subgroupShuffle(a3.y, 3u) * b1_0 + subgroupShuffle(a3.z, 3u) * b2_0 + subgroupShuffle(a3.w, 3u) * b3_0;
        s28_0 += subgroupShuffle(a3.x, 4u) * b0_0 + subgroupShuffle(a3.y, 4u) * b1_0 + subgroupShuffle(a3.z, 4u) * b2_0 + subgroupShuffle(a3.w, 4u) * b3_0;
        s29_0 += subgroupShuffle(a3.x, 5u) * b0_0 + subgroupShuffle(a3.y, 5u) * b1_0 + subgroupShuffle(a3.z, 5u) * b2_0 + subgroupShuffle(a3.w, 5u) * b3_0;
        s30_0 += subgroupShuffle(a3.x, 6u) * b0_0 + subgroupShuffle(a3.y, 6u) * b1_0 + subgroupShuffle(a3.z, 6u) * b2_0 + subgroupShuffle(a3.w, 6u) * b3_0;
        s31_0 += subgroupShuffle(a3.x, 7u) * b0_0 + subgroupShuffle(a3.y, 7u) * b1_0 + subgroupShuffle(a3.z, 7u) * b2_0 + subgroupShuffle(a3.w, 7u) * b3_0;
    }
    } else {
    for (var block = 0u; block < layer.inputs; block += 16u) {
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
    var u16_0 = vec4<f32>();
    var u17_0 = vec4<f32>();
    var u18_0 = vec4<f32>();
    var u19_0 = vec4<f32>();
    var u20_0 = vec4<f32>();
    var u21_0 = vec4<f32>();
    var u22_0 = vec4<f32>();
    var u23_0 = vec4<f32>();
    var u24_0 = vec4<f32>();
    var u25_0 = vec4<f32>();
    var u26_0 = vec4<f32>();
    var u27_0 = vec4<f32>();
    var u28_0 = vec4<f32>();
    var u29_0 = vec4<f32>();
    var u30_0 = vec4<f32>();
    var u31_0 = vec4<f32>();
    for (var base = block; base < min(block + 16u, layer.inputs); base++) {
        let a0 = x[(layer.x + min(row_tile + 0u + lane, params.rows - 1u) * layer.inputs + base) >> 2u][(layer.x + min(row_tile + 0u + lane, params.rows - 1u) * layer.inputs + base) & 3u];
        let a1 = x[(layer.x + min(row_tile + 8u + lane, params.rows - 1u) * layer.inputs + base) >> 2u][(layer.x + min(row_tile + 8u + lane, params.rows - 1u) * layer.inputs + base) & 3u];
        let a2 = x[(layer.x + min(row_tile + 16u + lane, params.rows - 1u) * layer.inputs + base) >> 2u][(layer.x + min(row_tile + 16u + lane, params.rows - 1u) * layer.inputs + base) & 3u];
        let a3 = x[(layer.x + min(row_tile + 24u + lane, params.rows - 1u) * layer.inputs + base) >> 2u][(layer.x + min(row_tile + 24u + lane, params.rows - 1u) * layer.inputs + base) & 3u];
        let b0_0 = vec4(
            parameters[(layer.weight + c00 * layer.inputs + base) >> 2u][(layer.weight + c00 * layer.inputs + base) & 3u],
            parameters[(layer.weight + c01 * layer.inputs + base) >> 2u][(layer.weight + c01 * layer.inputs + base) & 3u],
            parameters[(layer.weight + c02 * layer.inputs + base) >> 2u][(layer.weight + c02 * layer.inputs + base) & 3u],
            parameters[(layer.weight + c03 * layer.inputs + base) >> 2u][(layer.weight + c03 * layer.inputs + base) & 3u],
        );
        u0_0 += subgroupShuffle(a0, 0u) * b0_0;
        u1_0 += subgroupShuffle(a0, 1u) * b0_0;
        u2_0 += subgroupShuffle(a0, 2u) * b0_0;
        u3_0 += subgroupShuffle(a0, 3u) * b0_0;
        u4_0 += subgroupShuffle(a0, 4u) * b0_0;
        u5_0 += subgroupShuffle(a0, 5u) * b0_0;
        u6_0 += subgroupShuffle(a0, 6u) * b0_0;
        u7_0 += subgroupShuffle(a0, 7u) * b0_0;
        u8_0 += subgroupShuffle(a1, 0u) * b0_0;
        u9_0 += subgroupShuffle(a1, 1u) * b0_0;
        u10_0 += subgroupShuffle(a1, 2u) * b0_0;
        u11_0 += subgroupShuffle(a1, 3u) * b0_0;
        u12_0 += subgroupShuffle(a1, 4u) * b0_0;
        u13_0 += subgroupShuffle(a1, 5u) * b0_0;
        u14_0 += subgroupShuffle(a1, 6u) * b0_0;
        u15_0 += subgroupShuffle(a1, 7u) * b0_0;
        u16_0 += subgroupShuffle(a2, 0u) * b0_0;
        u17_0 += subgroupShuffle(a2, 1u) * b0_0;
        u18_0 += subgroupShuffle(a2, 2u) * b0_0;
        u19_0 += subgroupShuffle(a2, 3u) * b0_0;
        u20_0 += subgroupShuffle(a2, 4u) * b0_0;
        u21_0 += subgroupShuffle(a2, 5u) * b0_0;
        u22_0 += subgroupShuffle(a2, 6u) * b0_0;
        u23_0 += subgroupShuffle(a2, 7u) * b0_0;
        u24_0 += subgroupShuffle(a3, 0u) * b0_0;
        u25_0 += subgroupShuffle(a3, 1u) * b0_0;
        u26_0 += subgroupShuffle(a3, 2u) * b0_0;
        u27_0 += subgroupShuffle(a3, 3u) * b0_0;
        u28_0 += subgroupShuffle(a3, 4u) * b0_0;
        u29_0 += subgroupShuffle(a3, 5u) * b0_0;
        u30_0 += subgroupShuffle(a3, 6u) * b0_0;
        u31_0 += subgroupShuffle(a3, 7u) * b0_0;
    }
    s0_0 += u0_0;
    s1_0 += u1_0;
    s2_0 += u2_0;
    s3_0 += u3_0;
    s4_0 += u4_0;
    s5_0 += u5_0;
    s6_0 += u6_0;
    s7_0 += u7_0;
    s8_0 += u8_0;
    s9_0 += u9_0;
    s10_0 += u10_0;
    s11_0 += u11_0;
    s12_0 += u12_0;
    s13_0 += u13_0;
    s14_0 += u14_0;
    s15_0 += u15_0;
    s16_0 += u16_0;
    s17_0 += u17_0;
    s18_0 += u18_0;
    s19_0 += u19_0;
    s20_0 += u20_0;
    s21_0 += u21_0;
    s22_0 += u22_0;
    s23_0 += u23_0;
    s24_0 += u24_0;
    s25_0 += u25_0;
    s26_0 += u26_0;
    s27_0 += u27_0;
    s28_0 += u28_0;
    s29_0 += u29_0;
    s30_0 += u30_0;
    s31_0 += u31_0;
    }
    }
    var sums: array<vec4<f32>, 32>;
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
    sums[16] = s16_0;
    sums[17] = s17_0;
    sums[18] = s18_0;
    sums[19] = s19_0;
    sums[20] = s20_0;
    sums[21] = s21_0;
    sums[22] = s22_0;
    sums[23] = s23_0;
    sums[24] = s24_0;
    sums[25] = s25_0;
    sums[26] = s26_0;
    sums[27] = s27_0;
    sums[28] = s28_0;
    sums[29] = s29_0;
    sums[30] = s30_0;
    sums[31] = s31_0;
    for (var i = 0u; i < 128u; i++) {
        let row = row_tile + i / 4u;
        let column = column_tile + 32u * ((i >> 2u) % 1u) + 4u * lane + (i & 3u);
        store(layer, row, column, sums[i >> 2u][i & 3u]);
    }
}
