// z = x · wᵀ + b,   loss = ln Σ e^z − z_label,   dz = w · (softmax(z) − one_hot(label)) / rows, of heads of at most 32 classes
//
// For software adapters: operands from mirrors, no workgroup memory and no barrier, one subgroup of 8 lanes a
// workgroup, no branch in the inner loops (indices are clamped, terms beyond the end are zero). A lane holds four columns of all rows of
// its tile; the row operand is handed round by shuffles with constant index; terms are added four by four in ascending order.
// Written by tests/generated.rs.


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

const LOWEST = -3.4028234e38;

// Whether one of the exponents is that of infinities and NaN.
fn is_unfinite(exponents: vec4<u32>) -> bool {
    return any(exponents == vec4(0x7f800000u));
}

fn largest(value: f32, lane: u32) -> f32 {
    let four = max(value, subgroupShuffle(value, (lane + 4u) & 7u));
    let two = max(four, subgroupShuffle(four, (lane + 2u) & 7u));
    return max(two, subgroupShuffle(two, (lane + 1u) & 7u));
}

fn smallest(value: u32, lane: u32) -> u32 {
    let four = min(value, subgroupShuffle(value, (lane + 4u) & 7u));
    let two = min(four, subgroupShuffle(four, (lane + 2u) & 7u));
    return min(two, subgroupShuffle(two, (lane + 1u) & 7u));
}

// Class by class in ascending order.
fn sum_of(e: vec4<f32>) -> f32 {
    var sum = 0.0;
    sum += subgroupShuffle(e.x, 0u);
    sum += subgroupShuffle(e.y, 0u);
    sum += subgroupShuffle(e.z, 0u);
    sum += subgroupShuffle(e.w, 0u);
    sum += subgroupShuffle(e.x, 1u);
    sum += subgroupShuffle(e.y, 1u);
    sum += subgroupShuffle(e.z, 1u);
    sum += subgroupShuffle(e.w, 1u);
    sum += subgroupShuffle(e.x, 2u);
    sum += subgroupShuffle(e.y, 2u);
    sum += subgroupShuffle(e.z, 2u);
    sum += subgroupShuffle(e.w, 2u);
    sum += subgroupShuffle(e.x, 3u);
    sum += subgroupShuffle(e.y, 3u);
    sum += subgroupShuffle(e.z, 3u);
    sum += subgroupShuffle(e.w, 3u);
    sum += subgroupShuffle(e.x, 4u);
    sum += subgroupShuffle(e.y, 4u);
    sum += subgroupShuffle(e.z, 4u);
    sum += subgroupShuffle(e.w, 4u);
    sum += subgroupShuffle(e.x, 5u);
    sum += subgroupShuffle(e.y, 5u);
    sum += subgroupShuffle(e.z, 5u);
    sum += subgroupShuffle(e.w, 5u);
    sum += subgroupShuffle(e.x, 6u);
    sum += subgroupShuffle(e.y, 6u);
    sum += subgroupShuffle(e.z, 6u);
    sum += subgroupShuffle(e.w, 6u);
    sum += subgroupShuffle(e.x, 7u);
    sum += subgroupShuffle(e.y, 7u);
    sum += subgroupShuffle(e.z, 7u);
    sum += subgroupShuffle(e.w, 7u);
    return sum;
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
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit a loop: code that is masked out costs time all the same.
override LOOPS: u32 = 3u;

@compute @workgroup_size(8)
fn heads_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layer_at(params.first_layer + group.x);
    let row_tile = group.y * ROWS;
    let column_tile = 0u;
    let task = layer.task;
    let weight = heads[task].weight;
    let is_read = ALL_LOGITS || heads[task].coupled == 1u;
    let label_low = labels[min(row_tile + lane, params.rows - 1u) * params.tasks + task];
    let label_high = labels[min(row_tile + 8u + lane, params.rows - 1u) * params.tasks + task];
    let column = column_tile + 4u * lane;
    let r0 = min(row_tile + 0u + lane, params.rows - 1u);
    let r1 = min(row_tile + 8u + lane, params.rows - 1u);
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
    if ((LOOPS & 1u) != 0u && (LOOPS == 1u || (((layer.inputs | layer.x) & 3u) == 0u))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let a0 = four_x(layer.x + r0 * layer.inputs + base);
        let a1 = four_x(layer.x + r1 * layer.inputs + base);
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
    }
    } else if ((LOOPS & 2u) != 0u && (LOOPS == 2u || (true))) {
    for (var base = 0u; base < layer.inputs; base += 4u) {
        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.inputs);
        let a0 = select(vec4<f32>(), any_four_x(layer.x + r0 * layer.inputs + base), is_step);
        let a1 = select(vec4<f32>(), any_four_x(layer.x + r1 * layer.inputs + base), is_step);
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
    if (is_unfinite(exponents)) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    var sums = array(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
    let columns = vec4(column) + vec4(0u, 1u, 2u, 3u);
    let is_class = columns < vec4(layer.outputs);
    let count = min(layer.outputs - min(column, layer.outputs), 4u);
    for (var r = 0u; r < min(ROWS, params.rows - row_tile); r++) {
        let row = row_tile + r;
        let label = subgroupShuffle(select(label_low, label_high, r >= 8u), r & 7u);
        let z = select(vec4(LOWEST), sums[r], is_class);
        let peak = largest(max(max(z.x, z.y), max(z.z, z.w)), lane);
        let peaks = select(vec4(NONE), columns, z == vec4(peak));
        let best = smallest(min(min(peaks.x, peaks.y), min(peaks.z, peaks.w)), lane);
        let powers = vec4(exponential(z.x - peak), exponential(z.y - peak), exponential(z.z - peak), exponential(z.w - peak));
        let others = sum_of(select(vec4<f32>(), powers, is_class & (columns != vec4(best))));
        let labelled = label < layer.outputs;
        let scale = select(0.0, weight * step.inverse_rows, labelled);
        let share = scale / (1.0 + others);
        let delta = share * powers - select(vec4<f32>(), vec4(scale), columns == vec4(label));
        let first = layer.y + row * layer.outputs + column;
        for (var c = 0u; c < count; c++) {
            logits_delta[first + c] = delta[c];
        }
        for (var c = 0u; c < select(0u, count, is_read); c++) {
            logits[first + c] = z[c];
        }
        let chosen = subgroupShuffle(z[label & 3u], (label >> 2u) & 7u);
        if (lane == 0u) {
            partials[params.loss + task * params.capacity + row] = select(0.0, step.inverse_rows * (logarithm_1p(others) + (peak - chosen)), labelled);
            partials[params.hits + task * params.capacity + row] = select(0.0, 1.0, label == best);
        }
    }
}
