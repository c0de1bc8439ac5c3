// y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.
//
// For software adapters, in place of `dense_forward.wgsl`: operands from mirrors, no workgroup memory and no
// barrier, one subgroup of 8 lanes a workgroup, no branch in the inner loops (indices are clamped,
// terms beyond the end are zero). A lane holds four columns of all rows of its tile; the row
// operand is handed round by shuffles with constant index; terms are added four by four in
// ascending order. Written by tests/generated.rs.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;            // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;            // [rows, O] and slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // of all layers of the group; codes are those of `activate`
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (one_layers(20u * middle + 13u) <= tile) { // forward_tile
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

fn respond(layer: Dense, row: u32, column: u32, z: f32) -> vec2<f32> {
    let value = activate(ACTIVATION, z);
    if (!DROPOUT) {
        return value;
    }
    let h = hash(column, params.chunk_first + row, layer.layer ^ step.key_low, step.key_high);
    return select(value * layer.dropout_scale, vec2(0.0, 0.0), h < layer.dropout_threshold);
}

// Whether the response takes so few operations that the stores may be written out.
fn is_short() -> bool {
    return (ACTIVATION == 0u || ACTIVATION == 4u) && !DROPOUT;
}

fn short_value(z: vec4<f32>) -> vec4<f32> {
    if (ACTIVATION == 4u) {
        return z;
    }
    return select(vec4<f32>(), z, z > vec4<f32>());
}

fn short_slope(z: vec4<f32>) -> vec4<f32> {
    if (ACTIVATION == 4u) {
        return vec4(1.0);
    }
    return select(vec4<f32>(), vec4(1.0), z > vec4<f32>());
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

fn four_parameters(element: u32) -> vec4<f32> {
    return textureLoad(parameters, texel_of(element));
}

fn any_four_parameters(element: u32) -> vec4<f32> {
    return four_of(four_parameters(element), four_parameters(element + 4u), element);
}

fn one_parameters(element: u32) -> f32 {
    return four_parameters(element)[element & 3u];
}

fn four_x(element: u32) -> vec4<f32> {
    return textureLoad(x, texel_of(element));
}

fn any_four_x(element: u32) -> vec4<f32> {
    return four_of(four_x(element), four_x(element + 4u), element);
}

const ROWS = 32u;
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit a loop and one bit a way to store: code that is masked out costs time all
// the same.
override LOOPS: u32 = 3u;
override STORES: u32 = 15u;

@compute @workgroup_size(8)
fn dense_forward_direct_32(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layer_at(layer_of(group.x));
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
    let column = column_tile + 4u * lane;
    let r0 = min(row_tile + 0u + lane, params.rows - 1u);
    let r1 = min(row_tile + 8u + lane, params.rows - 1u);
    let r2 = min(row_tile + 16u + lane, params.rows - 1u);
    let r3 = min(row_tile + 24u + lane, params.rows - 1u);
    let c0 = min(column + 0u, layer.outputs - 1u);
    let c1 = min(column + 1u, layer.outputs - 1u);
    let c2 = min(column + 2u, layer.outputs - 1u);
    let c3 = min(column + 3u, layer.outputs - 1u);
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
    if ((LOOPS & 1u) != 0u && (LOOPS == 1u || (((layer.inputs | layer.x) & 3u) == 0u))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let a0 = four_x(layer.x + r0 * layer.inputs + base);
        let a1 = four_x(layer.x + r1 * layer.inputs + base);
        let a2 = four_x(layer.x + r2 * layer.inputs + base);
        let a3 = four_x(layer.x + r3 * layer.inputs + base);
        let p0 = four_parameters(layer.weight + c0 * layer.inputs + base);
        let p1 = four_parameters(layer.weight + c1 * layer.inputs + base);
        let p2 = four_parameters(layer.weight + c2 * layer.inputs + base);
        let p3 = four_parameters(layer.weight + c3 * layer.inputs + base);
        let b0 = vec4(p0.x, p1.x, p2.x, p3.x);
        let b1 = vec4(p0.y, p1.y, p2.y, p3.y);
        let b2 = vec4(p0.z, p1.z, p2.z, p3.z);
        let b3 = vec4(p0.w, p1.w, p2.w, p3.w);
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
    } else if ((LOOPS & 2u) != 0u && (LOOPS == 2u || (true))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.inputs);
        let a0 = select(vec4<f32>(), any_four_x(layer.x + r0 * layer.inputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_x(layer.x + r1 * layer.inputs + base), is_step);
        let a2 = select(vec4<f32>(), any_four_x(layer.x + r2 * layer.inputs + base), is_step);
        let a3 = select(vec4<f32>(), any_four_x(layer.x + r3 * layer.inputs + base), is_step);
        let p0 = select(vec4<f32>(), any_four_parameters(layer.weight + c0 * layer.inputs + base), is_step);
        let p1 = select(vec4<f32>(), any_four_parameters(layer.weight + c1 * layer.inputs + base), is_step);
        let p2 = select(vec4<f32>(), any_four_parameters(layer.weight + c2 * layer.inputs + base), is_step);
        let p3 = select(vec4<f32>(), any_four_parameters(layer.weight + c3 * layer.inputs + base), is_step);
        let b0 = vec4(p0.x, p1.x, p2.x, p3.x);
        let b1 = vec4(p0.y, p1.y, p2.y, p3.y);
        let b2 = vec4(p0.z, p1.z, p2.z, p3.z);
        let b3 = vec4(p0.w, p1.w, p2.w, p3.w);
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
    let bias = vec4(
        one_parameters(layer.bias + c0),
        one_parameters(layer.bias + c1),
        one_parameters(layer.bias + c2),
        one_parameters(layer.bias + c3),
    );
    // Rows and columns beyond the end repeat the last ones, so that testing them does no harm.
    var exponents = vec4<u32>();
    s0 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s0) & vec4(0x7f800000u));
    s1 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s1) & vec4(0x7f800000u));
    s2 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s2) & vec4(0x7f800000u));
    s3 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s3) & vec4(0x7f800000u));
    s4 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s4) & vec4(0x7f800000u));
    s5 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s5) & vec4(0x7f800000u));
    s6 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s6) & vec4(0x7f800000u));
    s7 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s7) & vec4(0x7f800000u));
    s8 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s8) & vec4(0x7f800000u));
    s9 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s9) & vec4(0x7f800000u));
    s10 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s10) & vec4(0x7f800000u));
    s11 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s11) & vec4(0x7f800000u));
    s12 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s12) & vec4(0x7f800000u));
    s13 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s13) & vec4(0x7f800000u));
    s14 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s14) & vec4(0x7f800000u));
    s15 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s15) & vec4(0x7f800000u));
    s16 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s16) & vec4(0x7f800000u));
    s17 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s17) & vec4(0x7f800000u));
    s18 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s18) & vec4(0x7f800000u));
    s19 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s19) & vec4(0x7f800000u));
    s20 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s20) & vec4(0x7f800000u));
    s21 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s21) & vec4(0x7f800000u));
    s22 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s22) & vec4(0x7f800000u));
    s23 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s23) & vec4(0x7f800000u));
    s24 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s24) & vec4(0x7f800000u));
    s25 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s25) & vec4(0x7f800000u));
    s26 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s26) & vec4(0x7f800000u));
    s27 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s27) & vec4(0x7f800000u));
    s28 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s28) & vec4(0x7f800000u));
    s29 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s29) & vec4(0x7f800000u));
    s30 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s30) & vec4(0x7f800000u));
    s31 += bias;
    exponents = max(exponents, bitcast<vec4<u32>>(s31) & vec4(0x7f800000u));
    if (is_unfinite(exponents)) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    let rows = min(ROWS, params.rows - row_tile);
    let first = layer.y + row_tile * layer.outputs + column;
    let first_slope = layer.slope + row_tile * layer.outputs + column;
    let is_inside = column < layer.outputs;
    if ((STORES & 8u) != 0u && ((layer.outputs | layer.y) & 3u) == 0u && layer.slope == NONE) {
        if (is_inside && 0u < rows) {
            y[(first + 0u * layer.outputs) >> 2u] = s0;
        }
        if (is_inside && 1u < rows) {
            y[(first + 1u * layer.outputs) >> 2u] = s1;
        }
        if (is_inside && 2u < rows) {
            y[(first + 2u * layer.outputs) >> 2u] = s2;
        }
        if (is_inside && 3u < rows) {
            y[(first + 3u * layer.outputs) >> 2u] = s3;
        }
        if (is_inside && 4u < rows) {
            y[(first + 4u * layer.outputs) >> 2u] = s4;
        }
        if (is_inside && 5u < rows) {
            y[(first + 5u * layer.outputs) >> 2u] = s5;
        }
        if (is_inside && 6u < rows) {
            y[(first + 6u * layer.outputs) >> 2u] = s6;
        }
        if (is_inside && 7u < rows) {
            y[(first + 7u * layer.outputs) >> 2u] = s7;
        }
        if (is_inside && 8u < rows) {
            y[(first + 8u * layer.outputs) >> 2u] = s8;
        }
        if (is_inside && 9u < rows) {
            y[(first + 9u * layer.outputs) >> 2u] = s9;
        }
        if (is_inside && 10u < rows) {
            y[(first + 10u * layer.outputs) >> 2u] = s10;
        }
        if (is_inside && 11u < rows) {
            y[(first + 11u * layer.outputs) >> 2u] = s11;
        }
        if (is_inside && 12u < rows) {
            y[(first + 12u * layer.outputs) >> 2u] = s12;
        }
        if (is_inside && 13u < rows) {
            y[(first + 13u * layer.outputs) >> 2u] = s13;
        }
        if (is_inside && 14u < rows) {
            y[(first + 14u * layer.outputs) >> 2u] = s14;
        }
        if (is_inside && 15u < rows) {
            y[(first + 15u * layer.outputs) >> 2u] = s15;
        }
        if (is_inside && 16u < rows) {
            y[(first + 16u * layer.outputs) >> 2u] = s16;
        }
        if (is_inside && 17u < rows) {
            y[(first + 17u * layer.outputs) >> 2u] = s17;
        }
        if (is_inside && 18u < rows) {
            y[(first + 18u * layer.outputs) >> 2u] = s18;
        }
        if (is_inside && 19u < rows) {
            y[(first + 19u * layer.outputs) >> 2u] = s19;
        }
        if (is_inside && 20u < rows) {
            y[(first + 20u * layer.outputs) >> 2u] = s20;
        }
        if (is_inside && 21u < rows) {
            y[(first + 21u * layer.outputs) >> 2u] = s21;
        }
        if (is_inside && 22u < rows) {
            y[(first + 22u * layer.outputs) >> 2u] = s22;
        }
        if (is_inside && 23u < rows) {
            y[(first + 23u * layer.outputs) >> 2u] = s23;
        }
        if (is_inside && 24u < rows) {
            y[(first + 24u * layer.outputs) >> 2u] = s24;
        }
        if (is_inside && 25u < rows) {
            y[(first + 25u * layer.outputs) >> 2u] = s25;
        }
        if (is_inside && 26u < rows) {
            y[(first + 26u * layer.outputs) >> 2u] = s26;
        }
        if (is_inside && 27u < rows) {
            y[(first + 27u * layer.outputs) >> 2u] = s27;
        }
        if (is_inside && 28u < rows) {
            y[(first + 28u * layer.outputs) >> 2u] = s28;
        }
        if (is_inside && 29u < rows) {
            y[(first + 29u * layer.outputs) >> 2u] = s29;
        }
        if (is_inside && 30u < rows) {
            y[(first + 30u * layer.outputs) >> 2u] = s30;
        }
        if (is_inside && 31u < rows) {
            y[(first + 31u * layer.outputs) >> 2u] = s31;
        }
    } else if ((STORES & 1u) != 0u && layer.slope == NONE) {
        var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19, s20, s21, s22, s23, s24, s25, s26, s27, s28, s29, s30, s31);
        for (var i = 0u; i < 4u * rows; i++) {
            if (column + (i & 3u) < layer.outputs) {
                let place = first + (i >> 2u) * layer.outputs + (i & 3u);
                y[place >> 2u][place & 3u] = sums[i >> 2u][i & 3u];
            }
        }
    } else if ((STORES & 2u) != 0u && is_short() && ((layer.outputs | layer.y | layer.slope) & 3u) == 0u) {
        if (is_inside && 0u < rows) {
            y[(first + 0u * layer.outputs) >> 2u] = short_value(s0);
            y[(first_slope + 0u * layer.outputs) >> 2u] = short_slope(s0);
        }
        if (is_inside && 1u < rows) {
            y[(first + 1u * layer.outputs) >> 2u] = short_value(s1);
            y[(first_slope + 1u * layer.outputs) >> 2u] = short_slope(s1);
        }
        if (is_inside && 2u < rows) {
            y[(first + 2u * layer.outputs) >> 2u] = short_value(s2);
            y[(first_slope + 2u * layer.outputs) >> 2u] = short_slope(s2);
        }
        if (is_inside && 3u < rows) {
            y[(first + 3u * layer.outputs) >> 2u] = short_value(s3);
            y[(first_slope + 3u * layer.outputs) >> 2u] = short_slope(s3);
        }
        if (is_inside && 4u < rows) {
            y[(first + 4u * layer.outputs) >> 2u] = short_value(s4);
            y[(first_slope + 4u * layer.outputs) >> 2u] = short_slope(s4);
        }
        if (is_inside && 5u < rows) {
            y[(first + 5u * layer.outputs) >> 2u] = short_value(s5);
            y[(first_slope + 5u * layer.outputs) >> 2u] = short_slope(s5);
        }
        if (is_inside && 6u < rows) {
            y[(first + 6u * layer.outputs) >> 2u] = short_value(s6);
            y[(first_slope + 6u * layer.outputs) >> 2u] = short_slope(s6);
        }
        if (is_inside && 7u < rows) {
            y[(first + 7u * layer.outputs) >> 2u] = short_value(s7);
            y[(first_slope + 7u * layer.outputs) >> 2u] = short_slope(s7);
        }
        if (is_inside && 8u < rows) {
            y[(first + 8u * layer.outputs) >> 2u] = short_value(s8);
            y[(first_slope + 8u * layer.outputs) >> 2u] = short_slope(s8);
        }
        if (is_inside && 9u < rows) {
            y[(first + 9u * layer.outputs) >> 2u] = short_value(s9);
            y[(first_slope + 9u * layer.outputs) >> 2u] = short_slope(s9);
        }
        if (is_inside && 10u < rows) {
            y[(first + 10u * layer.outputs) >> 2u] = short_value(s10);
            y[(first_slope + 10u * layer.outputs) >> 2u] = short_slope(s10);
        }
        if (is_inside && 11u < rows) {
            y[(first + 11u * layer.outputs) >> 2u] = short_value(s11);
            y[(first_slope + 11u * layer.outputs) >> 2u] = short_slope(s11);
        }
        if (is_inside && 12u < rows) {
            y[(first + 12u * layer.outputs) >> 2u] = short_value(s12);
            y[(first_slope + 12u * layer.outputs) >> 2u] = short_slope(s12);
        }
        if (is_inside && 13u < rows) {
            y[(first + 13u * layer.outputs) >> 2u] = short_value(s13);
            y[(first_slope + 13u * layer.outputs) >> 2u] = short_slope(s13);
        }
        if (is_inside && 14u < rows) {
            y[(first + 14u * layer.outputs) >> 2u] = short_value(s14);
            y[(first_slope + 14u * layer.outputs) >> 2u] = short_slope(s14);
        }
        if (is_inside && 15u < rows) {
            y[(first + 15u * layer.outputs) >> 2u] = short_value(s15);
            y[(first_slope + 15u * layer.outputs) >> 2u] = short_slope(s15);
        }
        if (is_inside && 16u < rows) {
            y[(first + 16u * layer.outputs) >> 2u] = short_value(s16);
            y[(first_slope + 16u * layer.outputs) >> 2u] = short_slope(s16);
        }
        if (is_inside && 17u < rows) {
            y[(first + 17u * layer.outputs) >> 2u] = short_value(s17);
            y[(first_slope + 17u * layer.outputs) >> 2u] = short_slope(s17);
        }
        if (is_inside && 18u < rows) {
            y[(first + 18u * layer.outputs) >> 2u] = short_value(s18);
            y[(first_slope + 18u * layer.outputs) >> 2u] = short_slope(s18);
        }
        if (is_inside && 19u < rows) {
            y[(first + 19u * layer.outputs) >> 2u] = short_value(s19);
            y[(first_slope + 19u * layer.outputs) >> 2u] = short_slope(s19);
        }
        if (is_inside && 20u < rows) {
            y[(first + 20u * layer.outputs) >> 2u] = short_value(s20);
            y[(first_slope + 20u * layer.outputs) >> 2u] = short_slope(s20);
        }
        if (is_inside && 21u < rows) {
            y[(first + 21u * layer.outputs) >> 2u] = short_value(s21);
            y[(first_slope + 21u * layer.outputs) >> 2u] = short_slope(s21);
        }
        if (is_inside && 22u < rows) {
            y[(first + 22u * layer.outputs) >> 2u] = short_value(s22);
            y[(first_slope + 22u * layer.outputs) >> 2u] = short_slope(s22);
        }
        if (is_inside && 23u < rows) {
            y[(first + 23u * layer.outputs) >> 2u] = short_value(s23);
            y[(first_slope + 23u * layer.outputs) >> 2u] = short_slope(s23);
        }
        if (is_inside && 24u < rows) {
            y[(first + 24u * layer.outputs) >> 2u] = short_value(s24);
            y[(first_slope + 24u * layer.outputs) >> 2u] = short_slope(s24);
        }
        if (is_inside && 25u < rows) {
            y[(first + 25u * layer.outputs) >> 2u] = short_value(s25);
            y[(first_slope + 25u * layer.outputs) >> 2u] = short_slope(s25);
        }
        if (is_inside && 26u < rows) {
            y[(first + 26u * layer.outputs) >> 2u] = short_value(s26);
            y[(first_slope + 26u * layer.outputs) >> 2u] = short_slope(s26);
        }
        if (is_inside && 27u < rows) {
            y[(first + 27u * layer.outputs) >> 2u] = short_value(s27);
            y[(first_slope + 27u * layer.outputs) >> 2u] = short_slope(s27);
        }
        if (is_inside && 28u < rows) {
            y[(first + 28u * layer.outputs) >> 2u] = short_value(s28);
            y[(first_slope + 28u * layer.outputs) >> 2u] = short_slope(s28);
        }
        if (is_inside && 29u < rows) {
            y[(first + 29u * layer.outputs) >> 2u] = short_value(s29);
            y[(first_slope + 29u * layer.outputs) >> 2u] = short_slope(s29);
        }
        if (is_inside && 30u < rows) {
            y[(first + 30u * layer.outputs) >> 2u] = short_value(s30);
            y[(first_slope + 30u * layer.outputs) >> 2u] = short_slope(s30);
        }
        if (is_inside && 31u < rows) {
            y[(first + 31u * layer.outputs) >> 2u] = short_value(s31);
            y[(first_slope + 31u * layer.outputs) >> 2u] = short_slope(s31);
        }
    } else if ((STORES & 2u) != 0u && !is_short() && ((layer.outputs | layer.y | layer.slope) & 3u) == 0u) {
        var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19, s20, s21, s22, s23, s24, s25, s26, s27, s28, s29, s30, s31);
        for (var r = 0u; r < rows; r++) {
            let z = sums[r];
            let a = respond(layer, row_tile + r, column, z.x);
            let b = respond(layer, row_tile + r, column + 1u, z.y);
            let c = respond(layer, row_tile + r, column + 2u, z.z);
            let d = respond(layer, row_tile + r, column + 3u, z.w);
            if (is_inside) {
                y[(first + r * layer.outputs) >> 2u] = vec4(a.x, b.x, c.x, d.x);
                y[(first_slope + r * layer.outputs) >> 2u] = vec4(a.y, b.y, c.y, d.y);
            }
        }
    } else if ((STORES & 4u) != 0u) {
        var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19, s20, s21, s22, s23, s24, s25, s26, s27, s28, s29, s30, s31);
        for (var i = 0u; i < 4u * rows; i++) {
            let r = i >> 2u;
            let c = i & 3u;
            let value = respond(layer, row_tile + r, column + c, sums[r][c]);
            if (column + c < layer.outputs) {
                let place = first + r * layer.outputs + c;
                let slope_place = first_slope + r * layer.outputs + c;
                y[place >> 2u][place & 3u] = value.x;
                y[slope_place >> 2u][slope_place & 3u] = value.y;
            }
        }
    }
}
