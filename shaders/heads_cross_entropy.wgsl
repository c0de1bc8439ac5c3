// z = x · wᵀ + b,   loss = ln Σ e^z − z_label,   dz = w · (softmax(z) − one_hot(label)) / rows, of heads of at most 32 classes
//
// For software adapters: operands from mirrors, no workgroup memory and no barrier, one subgroup of
// 8 lanes a workgroup, no branch in the inner loops (indices are clamped, terms beyond the end are
// zero). A lane holds two rows, lane and lane + 8 of its tile, and all their classes; the weights
// are handed round by shuffles with constant index; terms are added four by four in ascending
// order. Written by tests/generated.rs.

struct Params {
    rows: u32,         // rows of the chunk
    first_layer: u32,  // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tasks: u32,
    loss: u32,         // partials [T, capacity] of losses
    hits: u32,         // partials [T, capacity] of hits
    capacity: u32,     // row capacity of the partials
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;               // [rows, I]
@group(0) @binding(5) var<storage, read> heads: array<Head>;                      // [T]
@group(0) @binding(6) var<storage, read> labels: array<u32>;                      // [rows, T]
@group(0) @binding(7) var<storage, read_write> logits: array<f32>;                // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> logits_delta: array<f32>;          // [rows, C] a head
@group(0) @binding(9) var<storage, read_write> partials: array<f32>;
@group(0) @binding(10) var<storage, read_write> flags: array<atomic<u32>>;

override ALL_LOGITS: bool = false; // whether the logits of all heads are read after the dispatch, and not of coupled ones alone
override CLASSES: u32 = 32u;       // most classes of a head: code that is masked out costs time all the same

const LOWEST = -3.4028234e38;

// Whether an exponent is that of infinities and NaN.
fn is_unfinite(z: vec2<f32>) -> bool {
    return any((bitcast<vec2<u32>>(z) & vec2(0x7f800000u)) == vec2(0x7f800000u));
}

fn power(z: vec2<f32>) -> vec2<f32> {
    return vec2(exponential(z.x), exponential(z.y));
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

fn one_parameters(element: u32) -> f32 {
    return four_parameters(element)[element & 3u];
}

fn four_x(element: u32) -> vec4<f32> {
    return textureLoad(x, texel_of(element));
}

fn any_four_x(element: u32) -> vec4<f32> {
    return four_of(four_x(element), four_x(element + 4u), element);
}

const ROWS = 16u;

// What the layers of the dispatch need, one bit a loop: code that is masked out costs time all the
// same.
override LOOPS: u32 = 3u;

@compute @workgroup_size(8)
fn heads_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layer_at(params.first_layer + group.x);
    let row_tile = group.y * ROWS;
    let task = layer.task;
    let rows = vec2(row_tile + lane, row_tile + 8u + lane);
    let r0 = min(rows.x, params.rows - 1u);
    let r1 = min(rows.y, params.rows - 1u);
    let c0 = min(0u + lane, layer.outputs - 1u);
    let c1 = min(8u + lane, layer.outputs - 1u);
    let c2 = min(16u + lane, layer.outputs - 1u);
    let c3 = min(24u + lane, layer.outputs - 1u);
    let bias0 = one_parameters(layer.bias + c0);
    let bias1 = one_parameters(layer.bias + c1);
    let bias2 = one_parameters(layer.bias + c2);
    let bias3 = one_parameters(layer.bias + c3);
    var z0 = vec2<f32>();
    var e0 = vec2<f32>();
    var z1 = vec2<f32>();
    var e1 = vec2<f32>();
    var z2 = vec2<f32>();
    var e2 = vec2<f32>();
    var z3 = vec2<f32>();
    var e3 = vec2<f32>();
    var z4 = vec2<f32>();
    var e4 = vec2<f32>();
    var z5 = vec2<f32>();
    var e5 = vec2<f32>();
    var z6 = vec2<f32>();
    var e6 = vec2<f32>();
    var z7 = vec2<f32>();
    var e7 = vec2<f32>();
    var z8 = vec2<f32>();
    var e8 = vec2<f32>();
    var z9 = vec2<f32>();
    var e9 = vec2<f32>();
    var z10 = vec2<f32>();
    var e10 = vec2<f32>();
    var z11 = vec2<f32>();
    var e11 = vec2<f32>();
    var z12 = vec2<f32>();
    var e12 = vec2<f32>();
    var z13 = vec2<f32>();
    var e13 = vec2<f32>();
    var z14 = vec2<f32>();
    var e14 = vec2<f32>();
    var z15 = vec2<f32>();
    var e15 = vec2<f32>();
    var z16 = vec2<f32>();
    var e16 = vec2<f32>();
    var z17 = vec2<f32>();
    var e17 = vec2<f32>();
    var z18 = vec2<f32>();
    var e18 = vec2<f32>();
    var z19 = vec2<f32>();
    var e19 = vec2<f32>();
    var z20 = vec2<f32>();
    var e20 = vec2<f32>();
    var z21 = vec2<f32>();
    var e21 = vec2<f32>();
    var z22 = vec2<f32>();
    var e22 = vec2<f32>();
    var z23 = vec2<f32>();
    var e23 = vec2<f32>();
    var z24 = vec2<f32>();
    var e24 = vec2<f32>();
    var z25 = vec2<f32>();
    var e25 = vec2<f32>();
    var z26 = vec2<f32>();
    var e26 = vec2<f32>();
    var z27 = vec2<f32>();
    var e27 = vec2<f32>();
    var z28 = vec2<f32>();
    var e28 = vec2<f32>();
    var z29 = vec2<f32>();
    var e29 = vec2<f32>();
    var z30 = vec2<f32>();
    var e30 = vec2<f32>();
    var z31 = vec2<f32>();
    var e31 = vec2<f32>();
    if ((LOOPS & 1u) != 0u && (LOOPS == 1u || (((layer.inputs | layer.x) & 3u) == 0u))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let a0 = four_x(layer.x + r0 * layer.inputs + base);
        let a1 = four_x(layer.x + r1 * layer.inputs + base);
        let x_x = vec2(a0.x, a1.x);
        let x_y = vec2(a0.y, a1.y);
        let x_z = vec2(a0.z, a1.z);
        let x_w = vec2(a0.w, a1.w);
        if (CLASSES > 0u) {
        let w = four_parameters(layer.weight + c0 * layer.inputs + base);
        z0 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z1 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z2 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z3 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 4u) {
        z4 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z5 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z6 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z7 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 8u) {
        let w = four_parameters(layer.weight + c1 * layer.inputs + base);
        z8 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z9 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z10 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z11 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 12u) {
        z12 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z13 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z14 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z15 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 16u) {
        let w = four_parameters(layer.weight + c2 * layer.inputs + base);
        z16 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z17 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z18 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z19 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 20u) {
        z20 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z21 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z22 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z23 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 24u) {
        let w = four_parameters(layer.weight + c3 * layer.inputs + base);
        z24 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z25 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z26 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z27 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 28u) {
        z28 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z29 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z30 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z31 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
    }
    } else if ((LOOPS & 2u) != 0u && (LOOPS == 2u || (true))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.inputs);
        let a0 = select(vec4<f32>(), any_four_x(layer.x + r0 * layer.inputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_x(layer.x + r1 * layer.inputs + base), is_step);
        let x_x = vec2(a0.x, a1.x);
        let x_y = vec2(a0.y, a1.y);
        let x_z = vec2(a0.z, a1.z);
        let x_w = vec2(a0.w, a1.w);
        if (CLASSES > 0u) {
        let w = select(vec4<f32>(), any_four_parameters(layer.weight + c0 * layer.inputs + base), is_step);
        z0 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z1 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z2 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z3 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 4u) {
        z4 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z5 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z6 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z7 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 8u) {
        let w = select(vec4<f32>(), any_four_parameters(layer.weight + c1 * layer.inputs + base), is_step);
        z8 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z9 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z10 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z11 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 12u) {
        z12 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z13 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z14 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z15 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 16u) {
        let w = select(vec4<f32>(), any_four_parameters(layer.weight + c2 * layer.inputs + base), is_step);
        z16 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z17 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z18 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z19 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 20u) {
        z20 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z21 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z22 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z23 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
        if (CLASSES > 24u) {
        let w = select(vec4<f32>(), any_four_parameters(layer.weight + c3 * layer.inputs + base), is_step);
        z24 += x_x * subgroupShuffle(w.x, 0u) + x_y * subgroupShuffle(w.y, 0u) + x_z * subgroupShuffle(w.z, 0u) + x_w * subgroupShuffle(w.w, 0u);
        z25 += x_x * subgroupShuffle(w.x, 1u) + x_y * subgroupShuffle(w.y, 1u) + x_z * subgroupShuffle(w.z, 1u) + x_w * subgroupShuffle(w.w, 1u);
        z26 += x_x * subgroupShuffle(w.x, 2u) + x_y * subgroupShuffle(w.y, 2u) + x_z * subgroupShuffle(w.z, 2u) + x_w * subgroupShuffle(w.w, 2u);
        z27 += x_x * subgroupShuffle(w.x, 3u) + x_y * subgroupShuffle(w.y, 3u) + x_z * subgroupShuffle(w.z, 3u) + x_w * subgroupShuffle(w.w, 3u);
        if (CLASSES > 28u) {
        z28 += x_x * subgroupShuffle(w.x, 4u) + x_y * subgroupShuffle(w.y, 4u) + x_z * subgroupShuffle(w.z, 4u) + x_w * subgroupShuffle(w.w, 4u);
        z29 += x_x * subgroupShuffle(w.x, 5u) + x_y * subgroupShuffle(w.y, 5u) + x_z * subgroupShuffle(w.z, 5u) + x_w * subgroupShuffle(w.w, 5u);
        z30 += x_x * subgroupShuffle(w.x, 6u) + x_y * subgroupShuffle(w.y, 6u) + x_z * subgroupShuffle(w.z, 6u) + x_w * subgroupShuffle(w.w, 6u);
        z31 += x_x * subgroupShuffle(w.x, 7u) + x_y * subgroupShuffle(w.y, 7u) + x_z * subgroupShuffle(w.z, 7u) + x_w * subgroupShuffle(w.w, 7u);
        }
        }
    }
    }
    // Rows and classes beyond the end repeat the last ones, so that testing them does no harm.
    var broken = false;
    if (CLASSES > 0u) {
        z0 += vec2(subgroupShuffle(bias0, 0u));
        broken = broken || is_unfinite(z0);
        z1 += vec2(subgroupShuffle(bias0, 1u));
        broken = broken || is_unfinite(z1);
        z2 += vec2(subgroupShuffle(bias0, 2u));
        broken = broken || is_unfinite(z2);
        z3 += vec2(subgroupShuffle(bias0, 3u));
        broken = broken || is_unfinite(z3);
    }
    if (CLASSES > 4u) {
        z4 += vec2(subgroupShuffle(bias0, 4u));
        broken = broken || is_unfinite(z4);
        z5 += vec2(subgroupShuffle(bias0, 5u));
        broken = broken || is_unfinite(z5);
        z6 += vec2(subgroupShuffle(bias0, 6u));
        broken = broken || is_unfinite(z6);
        z7 += vec2(subgroupShuffle(bias0, 7u));
        broken = broken || is_unfinite(z7);
    }
    if (CLASSES > 8u) {
        z8 += vec2(subgroupShuffle(bias1, 0u));
        broken = broken || is_unfinite(z8);
        z9 += vec2(subgroupShuffle(bias1, 1u));
        broken = broken || is_unfinite(z9);
        z10 += vec2(subgroupShuffle(bias1, 2u));
        broken = broken || is_unfinite(z10);
        z11 += vec2(subgroupShuffle(bias1, 3u));
        broken = broken || is_unfinite(z11);
    }
    if (CLASSES > 12u) {
        z12 += vec2(subgroupShuffle(bias1, 4u));
        broken = broken || is_unfinite(z12);
        z13 += vec2(subgroupShuffle(bias1, 5u));
        broken = broken || is_unfinite(z13);
        z14 += vec2(subgroupShuffle(bias1, 6u));
        broken = broken || is_unfinite(z14);
        z15 += vec2(subgroupShuffle(bias1, 7u));
        broken = broken || is_unfinite(z15);
    }
    if (CLASSES > 16u) {
        z16 += vec2(subgroupShuffle(bias2, 0u));
        broken = broken || is_unfinite(z16);
        z17 += vec2(subgroupShuffle(bias2, 1u));
        broken = broken || is_unfinite(z17);
        z18 += vec2(subgroupShuffle(bias2, 2u));
        broken = broken || is_unfinite(z18);
        z19 += vec2(subgroupShuffle(bias2, 3u));
        broken = broken || is_unfinite(z19);
    }
    if (CLASSES > 20u) {
        z20 += vec2(subgroupShuffle(bias2, 4u));
        broken = broken || is_unfinite(z20);
        z21 += vec2(subgroupShuffle(bias2, 5u));
        broken = broken || is_unfinite(z21);
        z22 += vec2(subgroupShuffle(bias2, 6u));
        broken = broken || is_unfinite(z22);
        z23 += vec2(subgroupShuffle(bias2, 7u));
        broken = broken || is_unfinite(z23);
    }
    if (CLASSES > 24u) {
        z24 += vec2(subgroupShuffle(bias3, 0u));
        broken = broken || is_unfinite(z24);
        z25 += vec2(subgroupShuffle(bias3, 1u));
        broken = broken || is_unfinite(z25);
        z26 += vec2(subgroupShuffle(bias3, 2u));
        broken = broken || is_unfinite(z26);
        z27 += vec2(subgroupShuffle(bias3, 3u));
        broken = broken || is_unfinite(z27);
    }
    if (CLASSES > 28u) {
        z28 += vec2(subgroupShuffle(bias3, 4u));
        broken = broken || is_unfinite(z28);
        z29 += vec2(subgroupShuffle(bias3, 5u));
        broken = broken || is_unfinite(z29);
        z30 += vec2(subgroupShuffle(bias3, 6u));
        broken = broken || is_unfinite(z30);
        z31 += vec2(subgroupShuffle(bias3, 7u));
        broken = broken || is_unfinite(z31);
    }
    if (broken) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    let label = vec2(labels[r0 * params.tasks + task], labels[r1 * params.tasks + task]);
    var peak = vec2(LOWEST);
    var best = vec2(NONE);
    var chosen = vec2<f32>();
    if (CLASSES > 0u) {
        {
        let is_higher = (z0 > peak) & vec2(0u < layer.outputs);
        best = select(best, vec2(0u), is_higher);
        peak = select(peak, z0, is_higher);
        chosen = select(chosen, z0, label == vec2(0u));
        }
        {
        let is_higher = (z1 > peak) & vec2(1u < layer.outputs);
        best = select(best, vec2(1u), is_higher);
        peak = select(peak, z1, is_higher);
        chosen = select(chosen, z1, label == vec2(1u));
        }
        {
        let is_higher = (z2 > peak) & vec2(2u < layer.outputs);
        best = select(best, vec2(2u), is_higher);
        peak = select(peak, z2, is_higher);
        chosen = select(chosen, z2, label == vec2(2u));
        }
        {
        let is_higher = (z3 > peak) & vec2(3u < layer.outputs);
        best = select(best, vec2(3u), is_higher);
        peak = select(peak, z3, is_higher);
        chosen = select(chosen, z3, label == vec2(3u));
        }
    }
    if (CLASSES > 4u) {
        {
        let is_higher = (z4 > peak) & vec2(4u < layer.outputs);
        best = select(best, vec2(4u), is_higher);
        peak = select(peak, z4, is_higher);
        chosen = select(chosen, z4, label == vec2(4u));
        }
        {
        let is_higher = (z5 > peak) & vec2(5u < layer.outputs);
        best = select(best, vec2(5u), is_higher);
        peak = select(peak, z5, is_higher);
        chosen = select(chosen, z5, label == vec2(5u));
        }
        {
        let is_higher = (z6 > peak) & vec2(6u < layer.outputs);
        best = select(best, vec2(6u), is_higher);
        peak = select(peak, z6, is_higher);
        chosen = select(chosen, z6, label == vec2(6u));
        }
        {
        let is_higher = (z7 > peak) & vec2(7u < layer.outputs);
        best = select(best, vec2(7u), is_higher);
        peak = select(peak, z7, is_higher);
        chosen = select(chosen, z7, label == vec2(7u));
        }
    }
    if (CLASSES > 8u) {
        {
        let is_higher = (z8 > peak) & vec2(8u < layer.outputs);
        best = select(best, vec2(8u), is_higher);
        peak = select(peak, z8, is_higher);
        chosen = select(chosen, z8, label == vec2(8u));
        }
        {
        let is_higher = (z9 > peak) & vec2(9u < layer.outputs);
        best = select(best, vec2(9u), is_higher);
        peak = select(peak, z9, is_higher);
        chosen = select(chosen, z9, label == vec2(9u));
        }
        {
        let is_higher = (z10 > peak) & vec2(10u < layer.outputs);
        best = select(best, vec2(10u), is_higher);
        peak = select(peak, z10, is_higher);
        chosen = select(chosen, z10, label == vec2(10u));
        }
        {
        let is_higher = (z11 > peak) & vec2(11u < layer.outputs);
        best = select(best, vec2(11u), is_higher);
        peak = select(peak, z11, is_higher);
        chosen = select(chosen, z11, label == vec2(11u));
        }
    }
    if (CLASSES > 12u) {
        {
        let is_higher = (z12 > peak) & vec2(12u < layer.outputs);
        best = select(best, vec2(12u), is_higher);
        peak = select(peak, z12, is_higher);
        chosen = select(chosen, z12, label == vec2(12u));
        }
        {
        let is_higher = (z13 > peak) & vec2(13u < layer.outputs);
        best = select(best, vec2(13u), is_higher);
        peak = select(peak, z13, is_higher);
        chosen = select(chosen, z13, label == vec2(13u));
        }
        {
        let is_higher = (z14 > peak) & vec2(14u < layer.outputs);
        best = select(best, vec2(14u), is_higher);
        peak = select(peak, z14, is_higher);
        chosen = select(chosen, z14, label == vec2(14u));
        }
        {
        let is_higher = (z15 > peak) & vec2(15u < layer.outputs);
        best = select(best, vec2(15u), is_higher);
        peak = select(peak, z15, is_higher);
        chosen = select(chosen, z15, label == vec2(15u));
        }
    }
    if (CLASSES > 16u) {
        {
        let is_higher = (z16 > peak) & vec2(16u < layer.outputs);
        best = select(best, vec2(16u), is_higher);
        peak = select(peak, z16, is_higher);
        chosen = select(chosen, z16, label == vec2(16u));
        }
        {
        let is_higher = (z17 > peak) & vec2(17u < layer.outputs);
        best = select(best, vec2(17u), is_higher);
        peak = select(peak, z17, is_higher);
        chosen = select(chosen, z17, label == vec2(17u));
        }
        {
        let is_higher = (z18 > peak) & vec2(18u < layer.outputs);
        best = select(best, vec2(18u), is_higher);
        peak = select(peak, z18, is_higher);
        chosen = select(chosen, z18, label == vec2(18u));
        }
        {
        let is_higher = (z19 > peak) & vec2(19u < layer.outputs);
        best = select(best, vec2(19u), is_higher);
        peak = select(peak, z19, is_higher);
        chosen = select(chosen, z19, label == vec2(19u));
        }
    }
    if (CLASSES > 20u) {
        {
        let is_higher = (z20 > peak) & vec2(20u < layer.outputs);
        best = select(best, vec2(20u), is_higher);
        peak = select(peak, z20, is_higher);
        chosen = select(chosen, z20, label == vec2(20u));
        }
        {
        let is_higher = (z21 > peak) & vec2(21u < layer.outputs);
        best = select(best, vec2(21u), is_higher);
        peak = select(peak, z21, is_higher);
        chosen = select(chosen, z21, label == vec2(21u));
        }
        {
        let is_higher = (z22 > peak) & vec2(22u < layer.outputs);
        best = select(best, vec2(22u), is_higher);
        peak = select(peak, z22, is_higher);
        chosen = select(chosen, z22, label == vec2(22u));
        }
        {
        let is_higher = (z23 > peak) & vec2(23u < layer.outputs);
        best = select(best, vec2(23u), is_higher);
        peak = select(peak, z23, is_higher);
        chosen = select(chosen, z23, label == vec2(23u));
        }
    }
    if (CLASSES > 24u) {
        {
        let is_higher = (z24 > peak) & vec2(24u < layer.outputs);
        best = select(best, vec2(24u), is_higher);
        peak = select(peak, z24, is_higher);
        chosen = select(chosen, z24, label == vec2(24u));
        }
        {
        let is_higher = (z25 > peak) & vec2(25u < layer.outputs);
        best = select(best, vec2(25u), is_higher);
        peak = select(peak, z25, is_higher);
        chosen = select(chosen, z25, label == vec2(25u));
        }
        {
        let is_higher = (z26 > peak) & vec2(26u < layer.outputs);
        best = select(best, vec2(26u), is_higher);
        peak = select(peak, z26, is_higher);
        chosen = select(chosen, z26, label == vec2(26u));
        }
        {
        let is_higher = (z27 > peak) & vec2(27u < layer.outputs);
        best = select(best, vec2(27u), is_higher);
        peak = select(peak, z27, is_higher);
        chosen = select(chosen, z27, label == vec2(27u));
        }
    }
    if (CLASSES > 28u) {
        {
        let is_higher = (z28 > peak) & vec2(28u < layer.outputs);
        best = select(best, vec2(28u), is_higher);
        peak = select(peak, z28, is_higher);
        chosen = select(chosen, z28, label == vec2(28u));
        }
        {
        let is_higher = (z29 > peak) & vec2(29u < layer.outputs);
        best = select(best, vec2(29u), is_higher);
        peak = select(peak, z29, is_higher);
        chosen = select(chosen, z29, label == vec2(29u));
        }
        {
        let is_higher = (z30 > peak) & vec2(30u < layer.outputs);
        best = select(best, vec2(30u), is_higher);
        peak = select(peak, z30, is_higher);
        chosen = select(chosen, z30, label == vec2(30u));
        }
        {
        let is_higher = (z31 > peak) & vec2(31u < layer.outputs);
        best = select(best, vec2(31u), is_higher);
        peak = select(peak, z31, is_higher);
        chosen = select(chosen, z31, label == vec2(31u));
        }
    }
    // Class by class in ascending order.
    var others = vec2<f32>();
    if (CLASSES > 0u) {
        e0 = power(z0 - peak);
        others += select(vec2<f32>(), e0, (best != vec2(0u)) & vec2(0u < layer.outputs));
        e1 = power(z1 - peak);
        others += select(vec2<f32>(), e1, (best != vec2(1u)) & vec2(1u < layer.outputs));
        e2 = power(z2 - peak);
        others += select(vec2<f32>(), e2, (best != vec2(2u)) & vec2(2u < layer.outputs));
        e3 = power(z3 - peak);
        others += select(vec2<f32>(), e3, (best != vec2(3u)) & vec2(3u < layer.outputs));
    }
    if (CLASSES > 4u) {
        e4 = power(z4 - peak);
        others += select(vec2<f32>(), e4, (best != vec2(4u)) & vec2(4u < layer.outputs));
        e5 = power(z5 - peak);
        others += select(vec2<f32>(), e5, (best != vec2(5u)) & vec2(5u < layer.outputs));
        e6 = power(z6 - peak);
        others += select(vec2<f32>(), e6, (best != vec2(6u)) & vec2(6u < layer.outputs));
        e7 = power(z7 - peak);
        others += select(vec2<f32>(), e7, (best != vec2(7u)) & vec2(7u < layer.outputs));
    }
    if (CLASSES > 8u) {
        e8 = power(z8 - peak);
        others += select(vec2<f32>(), e8, (best != vec2(8u)) & vec2(8u < layer.outputs));
        e9 = power(z9 - peak);
        others += select(vec2<f32>(), e9, (best != vec2(9u)) & vec2(9u < layer.outputs));
        e10 = power(z10 - peak);
        others += select(vec2<f32>(), e10, (best != vec2(10u)) & vec2(10u < layer.outputs));
        e11 = power(z11 - peak);
        others += select(vec2<f32>(), e11, (best != vec2(11u)) & vec2(11u < layer.outputs));
    }
    if (CLASSES > 12u) {
        e12 = power(z12 - peak);
        others += select(vec2<f32>(), e12, (best != vec2(12u)) & vec2(12u < layer.outputs));
        e13 = power(z13 - peak);
        others += select(vec2<f32>(), e13, (best != vec2(13u)) & vec2(13u < layer.outputs));
        e14 = power(z14 - peak);
        others += select(vec2<f32>(), e14, (best != vec2(14u)) & vec2(14u < layer.outputs));
        e15 = power(z15 - peak);
        others += select(vec2<f32>(), e15, (best != vec2(15u)) & vec2(15u < layer.outputs));
    }
    if (CLASSES > 16u) {
        e16 = power(z16 - peak);
        others += select(vec2<f32>(), e16, (best != vec2(16u)) & vec2(16u < layer.outputs));
        e17 = power(z17 - peak);
        others += select(vec2<f32>(), e17, (best != vec2(17u)) & vec2(17u < layer.outputs));
        e18 = power(z18 - peak);
        others += select(vec2<f32>(), e18, (best != vec2(18u)) & vec2(18u < layer.outputs));
        e19 = power(z19 - peak);
        others += select(vec2<f32>(), e19, (best != vec2(19u)) & vec2(19u < layer.outputs));
    }
    if (CLASSES > 20u) {
        e20 = power(z20 - peak);
        others += select(vec2<f32>(), e20, (best != vec2(20u)) & vec2(20u < layer.outputs));
        e21 = power(z21 - peak);
        others += select(vec2<f32>(), e21, (best != vec2(21u)) & vec2(21u < layer.outputs));
        e22 = power(z22 - peak);
        others += select(vec2<f32>(), e22, (best != vec2(22u)) & vec2(22u < layer.outputs));
        e23 = power(z23 - peak);
        others += select(vec2<f32>(), e23, (best != vec2(23u)) & vec2(23u < layer.outputs));
    }
    if (CLASSES > 24u) {
        e24 = power(z24 - peak);
        others += select(vec2<f32>(), e24, (best != vec2(24u)) & vec2(24u < layer.outputs));
        e25 = power(z25 - peak);
        others += select(vec2<f32>(), e25, (best != vec2(25u)) & vec2(25u < layer.outputs));
        e26 = power(z26 - peak);
        others += select(vec2<f32>(), e26, (best != vec2(26u)) & vec2(26u < layer.outputs));
        e27 = power(z27 - peak);
        others += select(vec2<f32>(), e27, (best != vec2(27u)) & vec2(27u < layer.outputs));
    }
    if (CLASSES > 28u) {
        e28 = power(z28 - peak);
        others += select(vec2<f32>(), e28, (best != vec2(28u)) & vec2(28u < layer.outputs));
        e29 = power(z29 - peak);
        others += select(vec2<f32>(), e29, (best != vec2(29u)) & vec2(29u < layer.outputs));
        e30 = power(z30 - peak);
        others += select(vec2<f32>(), e30, (best != vec2(30u)) & vec2(30u < layer.outputs));
        e31 = power(z31 - peak);
        others += select(vec2<f32>(), e31, (best != vec2(31u)) & vec2(31u < layer.outputs));
    }
    let is_labelled = label < vec2(layer.outputs);
    let scale = select(vec2<f32>(), vec2(heads[task].weight * step.inverse_rows), is_labelled);
    let share = scale / (1.0 + others);
    let first = vec2(layer.y) + rows * layer.outputs;
    let is_row = rows < vec2(params.rows);
    if (CLASSES > 0u) {
        {
        let d = share * e0 - select(vec2<f32>(), scale, label == vec2(0u));
        if (is_row.x && 0u < layer.outputs) {
            logits_delta[first.x + 0u] = d.x;
        }
        if (is_row.y && 0u < layer.outputs) {
            logits_delta[first.y + 0u] = d.y;
        }
        }
        {
        let d = share * e1 - select(vec2<f32>(), scale, label == vec2(1u));
        if (is_row.x && 1u < layer.outputs) {
            logits_delta[first.x + 1u] = d.x;
        }
        if (is_row.y && 1u < layer.outputs) {
            logits_delta[first.y + 1u] = d.y;
        }
        }
        {
        let d = share * e2 - select(vec2<f32>(), scale, label == vec2(2u));
        if (is_row.x && 2u < layer.outputs) {
            logits_delta[first.x + 2u] = d.x;
        }
        if (is_row.y && 2u < layer.outputs) {
            logits_delta[first.y + 2u] = d.y;
        }
        }
        {
        let d = share * e3 - select(vec2<f32>(), scale, label == vec2(3u));
        if (is_row.x && 3u < layer.outputs) {
            logits_delta[first.x + 3u] = d.x;
        }
        if (is_row.y && 3u < layer.outputs) {
            logits_delta[first.y + 3u] = d.y;
        }
        }
    }
    if (CLASSES > 4u) {
        {
        let d = share * e4 - select(vec2<f32>(), scale, label == vec2(4u));
        if (is_row.x && 4u < layer.outputs) {
            logits_delta[first.x + 4u] = d.x;
        }
        if (is_row.y && 4u < layer.outputs) {
            logits_delta[first.y + 4u] = d.y;
        }
        }
        {
        let d = share * e5 - select(vec2<f32>(), scale, label == vec2(5u));
        if (is_row.x && 5u < layer.outputs) {
            logits_delta[first.x + 5u] = d.x;
        }
        if (is_row.y && 5u < layer.outputs) {
            logits_delta[first.y + 5u] = d.y;
        }
        }
        {
        let d = share * e6 - select(vec2<f32>(), scale, label == vec2(6u));
        if (is_row.x && 6u < layer.outputs) {
            logits_delta[first.x + 6u] = d.x;
        }
        if (is_row.y && 6u < layer.outputs) {
            logits_delta[first.y + 6u] = d.y;
        }
        }
        {
        let d = share * e7 - select(vec2<f32>(), scale, label == vec2(7u));
        if (is_row.x && 7u < layer.outputs) {
            logits_delta[first.x + 7u] = d.x;
        }
        if (is_row.y && 7u < layer.outputs) {
            logits_delta[first.y + 7u] = d.y;
        }
        }
    }
    if (CLASSES > 8u) {
        {
        let d = share * e8 - select(vec2<f32>(), scale, label == vec2(8u));
        if (is_row.x && 8u < layer.outputs) {
            logits_delta[first.x + 8u] = d.x;
        }
        if (is_row.y && 8u < layer.outputs) {
            logits_delta[first.y + 8u] = d.y;
        }
        }
        {
        let d = share * e9 - select(vec2<f32>(), scale, label == vec2(9u));
        if (is_row.x && 9u < layer.outputs) {
            logits_delta[first.x + 9u] = d.x;
        }
        if (is_row.y && 9u < layer.outputs) {
            logits_delta[first.y + 9u] = d.y;
        }
        }
        {
        let d = share * e10 - select(vec2<f32>(), scale, label == vec2(10u));
        if (is_row.x && 10u < layer.outputs) {
            logits_delta[first.x + 10u] = d.x;
        }
        if (is_row.y && 10u < layer.outputs) {
            logits_delta[first.y + 10u] = d.y;
        }
        }
        {
        let d = share * e11 - select(vec2<f32>(), scale, label == vec2(11u));
        if (is_row.x && 11u < layer.outputs) {
            logits_delta[first.x + 11u] = d.x;
        }
        if (is_row.y && 11u < layer.outputs) {
            logits_delta[first.y + 11u] = d.y;
        }
        }
    }
    if (CLASSES > 12u) {
        {
        let d = share * e12 - select(vec2<f32>(), scale, label == vec2(12u));
        if (is_row.x && 12u < layer.outputs) {
            logits_delta[first.x + 12u] = d.x;
        }
        if (is_row.y && 12u < layer.outputs) {
            logits_delta[first.y + 12u] = d.y;
        }
        }
        {
        let d = share * e13 - select(vec2<f32>(), scale, label == vec2(13u));
        if (is_row.x && 13u < layer.outputs) {
            logits_delta[first.x + 13u] = d.x;
        }
        if (is_row.y && 13u < layer.outputs) {
            logits_delta[first.y + 13u] = d.y;
        }
        }
        {
        let d = share * e14 - select(vec2<f32>(), scale, label == vec2(14u));
        if (is_row.x && 14u < layer.outputs) {
            logits_delta[first.x + 14u] = d.x;
        }
        if (is_row.y && 14u < layer.outputs) {
            logits_delta[first.y + 14u] = d.y;
        }
        }
        {
        let d = share * e15 - select(vec2<f32>(), scale, label == vec2(15u));
        if (is_row.x && 15u < layer.outputs) {
            logits_delta[first.x + 15u] = d.x;
        }
        if (is_row.y && 15u < layer.outputs) {
            logits_delta[first.y + 15u] = d.y;
        }
        }
    }
    if (CLASSES > 16u) {
        {
        let d = share * e16 - select(vec2<f32>(), scale, label == vec2(16u));
        if (is_row.x && 16u < layer.outputs) {
            logits_delta[first.x + 16u] = d.x;
        }
        if (is_row.y && 16u < layer.outputs) {
            logits_delta[first.y + 16u] = d.y;
        }
        }
        {
        let d = share * e17 - select(vec2<f32>(), scale, label == vec2(17u));
        if (is_row.x && 17u < layer.outputs) {
            logits_delta[first.x + 17u] = d.x;
        }
        if (is_row.y && 17u < layer.outputs) {
            logits_delta[first.y + 17u] = d.y;
        }
        }
        {
        let d = share * e18 - select(vec2<f32>(), scale, label == vec2(18u));
        if (is_row.x && 18u < layer.outputs) {
            logits_delta[first.x + 18u] = d.x;
        }
        if (is_row.y && 18u < layer.outputs) {
            logits_delta[first.y + 18u] = d.y;
        }
        }
        {
        let d = share * e19 - select(vec2<f32>(), scale, label == vec2(19u));
        if (is_row.x && 19u < layer.outputs) {
            logits_delta[first.x + 19u] = d.x;
        }
        if (is_row.y && 19u < layer.outputs) {
            logits_delta[first.y + 19u] = d.y;
        }
        }
    }
    if (CLASSES > 20u) {
        {
        let d = share * e20 - select(vec2<f32>(), scale, label == vec2(20u));
        if (is_row.x && 20u < layer.outputs) {
            logits_delta[first.x + 20u] = d.x;
        }
        if (is_row.y && 20u < layer.outputs) {
            logits_delta[first.y + 20u] = d.y;
        }
        }
        {
        let d = share * e21 - select(vec2<f32>(), scale, label == vec2(21u));
        if (is_row.x && 21u < layer.outputs) {
            logits_delta[first.x + 21u] = d.x;
        }
        if (is_row.y && 21u < layer.outputs) {
            logits_delta[first.y + 21u] = d.y;
        }
        }
        {
        let d = share * e22 - select(vec2<f32>(), scale, label == vec2(22u));
        if (is_row.x && 22u < layer.outputs) {
            logits_delta[first.x + 22u] = d.x;
        }
        if (is_row.y && 22u < layer.outputs) {
            logits_delta[first.y + 22u] = d.y;
        }
        }
        {
        let d = share * e23 - select(vec2<f32>(), scale, label == vec2(23u));
        if (is_row.x && 23u < layer.outputs) {
            logits_delta[first.x + 23u] = d.x;
        }
        if (is_row.y && 23u < layer.outputs) {
            logits_delta[first.y + 23u] = d.y;
        }
        }
    }
    if (CLASSES > 24u) {
        {
        let d = share * e24 - select(vec2<f32>(), scale, label == vec2(24u));
        if (is_row.x && 24u < layer.outputs) {
            logits_delta[first.x + 24u] = d.x;
        }
        if (is_row.y && 24u < layer.outputs) {
            logits_delta[first.y + 24u] = d.y;
        }
        }
        {
        let d = share * e25 - select(vec2<f32>(), scale, label == vec2(25u));
        if (is_row.x && 25u < layer.outputs) {
            logits_delta[first.x + 25u] = d.x;
        }
        if (is_row.y && 25u < layer.outputs) {
            logits_delta[first.y + 25u] = d.y;
        }
        }
        {
        let d = share * e26 - select(vec2<f32>(), scale, label == vec2(26u));
        if (is_row.x && 26u < layer.outputs) {
            logits_delta[first.x + 26u] = d.x;
        }
        if (is_row.y && 26u < layer.outputs) {
            logits_delta[first.y + 26u] = d.y;
        }
        }
        {
        let d = share * e27 - select(vec2<f32>(), scale, label == vec2(27u));
        if (is_row.x && 27u < layer.outputs) {
            logits_delta[first.x + 27u] = d.x;
        }
        if (is_row.y && 27u < layer.outputs) {
            logits_delta[first.y + 27u] = d.y;
        }
        }
    }
    if (CLASSES > 28u) {
        {
        let d = share * e28 - select(vec2<f32>(), scale, label == vec2(28u));
        if (is_row.x && 28u < layer.outputs) {
            logits_delta[first.x + 28u] = d.x;
        }
        if (is_row.y && 28u < layer.outputs) {
            logits_delta[first.y + 28u] = d.y;
        }
        }
        {
        let d = share * e29 - select(vec2<f32>(), scale, label == vec2(29u));
        if (is_row.x && 29u < layer.outputs) {
            logits_delta[first.x + 29u] = d.x;
        }
        if (is_row.y && 29u < layer.outputs) {
            logits_delta[first.y + 29u] = d.y;
        }
        }
        {
        let d = share * e30 - select(vec2<f32>(), scale, label == vec2(30u));
        if (is_row.x && 30u < layer.outputs) {
            logits_delta[first.x + 30u] = d.x;
        }
        if (is_row.y && 30u < layer.outputs) {
            logits_delta[first.y + 30u] = d.y;
        }
        }
        {
        let d = share * e31 - select(vec2<f32>(), scale, label == vec2(31u));
        if (is_row.x && 31u < layer.outputs) {
            logits_delta[first.x + 31u] = d.x;
        }
        if (is_row.y && 31u < layer.outputs) {
            logits_delta[first.y + 31u] = d.y;
        }
        }
    }
    if (ALL_LOGITS || heads[task].coupled == 1u) {
    if (CLASSES > 0u) {
        if (is_row.x && 0u < layer.outputs) {
            logits[first.x + 0u] = z0.x;
        }
        if (is_row.y && 0u < layer.outputs) {
            logits[first.y + 0u] = z0.y;
        }
        if (is_row.x && 1u < layer.outputs) {
            logits[first.x + 1u] = z1.x;
        }
        if (is_row.y && 1u < layer.outputs) {
            logits[first.y + 1u] = z1.y;
        }
        if (is_row.x && 2u < layer.outputs) {
            logits[first.x + 2u] = z2.x;
        }
        if (is_row.y && 2u < layer.outputs) {
            logits[first.y + 2u] = z2.y;
        }
        if (is_row.x && 3u < layer.outputs) {
            logits[first.x + 3u] = z3.x;
        }
        if (is_row.y && 3u < layer.outputs) {
            logits[first.y + 3u] = z3.y;
        }
    }
    if (CLASSES > 4u) {
        if (is_row.x && 4u < layer.outputs) {
            logits[first.x + 4u] = z4.x;
        }
        if (is_row.y && 4u < layer.outputs) {
            logits[first.y + 4u] = z4.y;
        }
        if (is_row.x && 5u < layer.outputs) {
            logits[first.x + 5u] = z5.x;
        }
        if (is_row.y && 5u < layer.outputs) {
            logits[first.y + 5u] = z5.y;
        }
        if (is_row.x && 6u < layer.outputs) {
            logits[first.x + 6u] = z6.x;
        }
        if (is_row.y && 6u < layer.outputs) {
            logits[first.y + 6u] = z6.y;
        }
        if (is_row.x && 7u < layer.outputs) {
            logits[first.x + 7u] = z7.x;
        }
        if (is_row.y && 7u < layer.outputs) {
            logits[first.y + 7u] = z7.y;
        }
    }
    if (CLASSES > 8u) {
        if (is_row.x && 8u < layer.outputs) {
            logits[first.x + 8u] = z8.x;
        }
        if (is_row.y && 8u < layer.outputs) {
            logits[first.y + 8u] = z8.y;
        }
        if (is_row.x && 9u < layer.outputs) {
            logits[first.x + 9u] = z9.x;
        }
        if (is_row.y && 9u < layer.outputs) {
            logits[first.y + 9u] = z9.y;
        }
        if (is_row.x && 10u < layer.outputs) {
            logits[first.x + 10u] = z10.x;
        }
        if (is_row.y && 10u < layer.outputs) {
            logits[first.y + 10u] = z10.y;
        }
        if (is_row.x && 11u < layer.outputs) {
            logits[first.x + 11u] = z11.x;
        }
        if (is_row.y && 11u < layer.outputs) {
            logits[first.y + 11u] = z11.y;
        }
    }
    if (CLASSES > 12u) {
        if (is_row.x && 12u < layer.outputs) {
            logits[first.x + 12u] = z12.x;
        }
        if (is_row.y && 12u < layer.outputs) {
            logits[first.y + 12u] = z12.y;
        }
        if (is_row.x && 13u < layer.outputs) {
            logits[first.x + 13u] = z13.x;
        }
        if (is_row.y && 13u < layer.outputs) {
            logits[first.y + 13u] = z13.y;
        }
        if (is_row.x && 14u < layer.outputs) {
            logits[first.x + 14u] = z14.x;
        }
        if (is_row.y && 14u < layer.outputs) {
            logits[first.y + 14u] = z14.y;
        }
        if (is_row.x && 15u < layer.outputs) {
            logits[first.x + 15u] = z15.x;
        }
        if (is_row.y && 15u < layer.outputs) {
            logits[first.y + 15u] = z15.y;
        }
    }
    if (CLASSES > 16u) {
        if (is_row.x && 16u < layer.outputs) {
            logits[first.x + 16u] = z16.x;
        }
        if (is_row.y && 16u < layer.outputs) {
            logits[first.y + 16u] = z16.y;
        }
        if (is_row.x && 17u < layer.outputs) {
            logits[first.x + 17u] = z17.x;
        }
        if (is_row.y && 17u < layer.outputs) {
            logits[first.y + 17u] = z17.y;
        }
        if (is_row.x && 18u < layer.outputs) {
            logits[first.x + 18u] = z18.x;
        }
        if (is_row.y && 18u < layer.outputs) {
            logits[first.y + 18u] = z18.y;
        }
        if (is_row.x && 19u < layer.outputs) {
            logits[first.x + 19u] = z19.x;
        }
        if (is_row.y && 19u < layer.outputs) {
            logits[first.y + 19u] = z19.y;
        }
    }
    if (CLASSES > 20u) {
        if (is_row.x && 20u < layer.outputs) {
            logits[first.x + 20u] = z20.x;
        }
        if (is_row.y && 20u < layer.outputs) {
            logits[first.y + 20u] = z20.y;
        }
        if (is_row.x && 21u < layer.outputs) {
            logits[first.x + 21u] = z21.x;
        }
        if (is_row.y && 21u < layer.outputs) {
            logits[first.y + 21u] = z21.y;
        }
        if (is_row.x && 22u < layer.outputs) {
            logits[first.x + 22u] = z22.x;
        }
        if (is_row.y && 22u < layer.outputs) {
            logits[first.y + 22u] = z22.y;
        }
        if (is_row.x && 23u < layer.outputs) {
            logits[first.x + 23u] = z23.x;
        }
        if (is_row.y && 23u < layer.outputs) {
            logits[first.y + 23u] = z23.y;
        }
    }
    if (CLASSES > 24u) {
        if (is_row.x && 24u < layer.outputs) {
            logits[first.x + 24u] = z24.x;
        }
        if (is_row.y && 24u < layer.outputs) {
            logits[first.y + 24u] = z24.y;
        }
        if (is_row.x && 25u < layer.outputs) {
            logits[first.x + 25u] = z25.x;
        }
        if (is_row.y && 25u < layer.outputs) {
            logits[first.y + 25u] = z25.y;
        }
        if (is_row.x && 26u < layer.outputs) {
            logits[first.x + 26u] = z26.x;
        }
        if (is_row.y && 26u < layer.outputs) {
            logits[first.y + 26u] = z26.y;
        }
        if (is_row.x && 27u < layer.outputs) {
            logits[first.x + 27u] = z27.x;
        }
        if (is_row.y && 27u < layer.outputs) {
            logits[first.y + 27u] = z27.y;
        }
    }
    if (CLASSES > 28u) {
        if (is_row.x && 28u < layer.outputs) {
            logits[first.x + 28u] = z28.x;
        }
        if (is_row.y && 28u < layer.outputs) {
            logits[first.y + 28u] = z28.y;
        }
        if (is_row.x && 29u < layer.outputs) {
            logits[first.x + 29u] = z29.x;
        }
        if (is_row.y && 29u < layer.outputs) {
            logits[first.y + 29u] = z29.y;
        }
        if (is_row.x && 30u < layer.outputs) {
            logits[first.x + 30u] = z30.x;
        }
        if (is_row.y && 30u < layer.outputs) {
            logits[first.y + 30u] = z30.y;
        }
        if (is_row.x && 31u < layer.outputs) {
            logits[first.x + 31u] = z31.x;
        }
        if (is_row.y && 31u < layer.outputs) {
            logits[first.y + 31u] = z31.y;
        }
    }
    }
    let log_sum = vec2(logarithm_1p(others.x), logarithm_1p(others.y));
    let loss = select(vec2<f32>(), step.inverse_rows * (log_sum + (peak - chosen)), is_labelled);
    let hit = select(vec2<f32>(), vec2(1.0), label == best);
    let partial = task * params.capacity;
    if (is_row.x) {
        partials[params.loss + partial + rows.x] = loss.x;
        partials[params.hits + partial + rows.x] = hit.x;
    }
    if (is_row.y) {
        partials[params.loss + partial + rows.y] = loss.y;
        partials[params.hits + partial + rows.y] = hit.y;
    }
}
