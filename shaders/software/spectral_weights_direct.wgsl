// Weights from the eigenvalues λ and eigenvectors V of the products K of scaled gradients
//
// For software adapters and at most 32 tasks, in place of `balance/spectral_weights.wgsl`, which
// has the formulas. One subgroup does all; a lane has four rows. Pairs of columns are turned one
// after the other, until a sweep turns none.

struct Params {
    tasks: u32,
    method: u32,
    scaled: u32,    // [tasks, tasks] products of scaled gradients, then [tasks] scales
    losses: u32,    // [tasks] losses; behind them those after the update
    inverses: u32,  // [tasks] inverse denominators of the losses among the partials, or NONE
    weights: u32,   // [tasks] weights among the partials, then the residual
    state: u32,     // numbers of the state: weights, residual, and what the method keeps
    flag: u32,      // flags of the logarithms of the losses, one per task
    per_epoch: u32, // steps per epoch
    rule: u32,      // of the optimizer, for what is learned: 0 Adam, 1 gradient descent
    a: f32,         // numbers of the method
    b: f32,
    beta1: f32,     // numbers of the optimizer: β1, or the momentum
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gramian: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> next_balance: array<f32>;

override TASKS: u32 = 2u;  // tasks of the dispatch
override METHOD: u32 = 0u; // the method

const ALIGNED_MIN = 0u;
const ALIGNED_MEDIAN = 1u;
const ALIGNED_RMSE = 2u;
const IMTL_G = 3u;
const CONFIG = 4u;

const SWEEPS = 12u;
const EPSILON = 1.1920929e-7;
const FOUR = vec4(0u, 1u, 2u, 3u);

// K V and V, four rows per lane: column j of lane l at 8 j + l.
var<workgroup> turned: array<vec4<f32>, 256>;
var<workgroup> vectors: array<vec4<f32>, 256>;
var<workgroup> values: array<f32, 32>;

// Σ over the lanes.
fn over_lanes(value: vec4<f32>, lane: u32) -> vec4<f32> {
    var sum = value;
    sum += subgroupShuffle(sum, (lane + 4u) & 7u);
    sum += subgroupShuffle(sum, (lane + 2u) & 7u);
    sum += subgroupShuffle(sum, (lane + 1u) & 7u);
    return sum;
}

fn sum_of(value: vec4<f32>, lane: u32) -> f32 {
    return dot(over_lanes(value, lane), vec4(1.0));
}

// Four numbers of the scaled products, `stride` apart, zeros behind the last task.
fn four(first: u32, stride: u32, lane: u32) -> vec4<f32> {
    var found = vec4<f32>();
    for (var c = 0u; c < 4u; c++) {
        found[c] = gramian[params.scaled + first + stride * min(4u * lane + c, TASKS - 1u)];
    }
    return select(vec4<f32>(), found, 4u * lane + FOUR < vec4(TASKS));
}

// The eigenvalue that the others are scaled to, among those above the least.
fn wanted_value(least: f32) -> f32 {
    var smallest = 3.0e38;
    var sum = 0.0;
    var count = 0u;
    for (var j = 0u; j < TASKS; j++) {
        if (values[j] > least) {
            smallest = min(smallest, values[j]);
            sum += values[j];
            count++;
        }
    }
    if (METHOD == ALIGNED_RMSE) {
        return sum / f32(max(count, 1u));
    }
    if (METHOD == ALIGNED_MIN) {
        return smallest;
    }
    // The lower median: as many values below it as the half, rounded down.
    var median = smallest;
    for (var j = 0u; j < TASKS; j++) {
        var below = 0u;
        for (var l = 0u; l < TASKS; l++) {
            if (values[l] > least && (values[l] < values[j] || (values[l] == values[j] && l < j))) {
                below++;
            }
        }
        if (values[j] > least && below == (count - 1u) / 2u) {
            median = values[j];
        }
    }
    return median;
}

// Makes all columns orthogonal.
fn turn_all(lane: u32) {
    for (var sweep = 0u; sweep < SWEEPS; sweep++) {
        var turns = 0u;
        for (var p = 0u; p + 1u < TASKS; p++) {
            for (var q = p + 1u; q < TASKS; q++) {
                let a = turned[8u * p + lane];
                let b = turned[8u * q + lane];
                let found = over_lanes(vec4(dot(a, a), dot(b, b), dot(a, b), 0.0), lane);
                let gamma = found.z;
                if (abs(gamma) > 1e-7 * sqrt(found.x * found.y) && gamma != 0.0) {
                    let zeta = (found.y - found.x) / (2.0 * gamma);
                    let t = select(-1.0, 1.0, zeta >= 0.0) / (abs(zeta) + sqrt(1.0 + zeta * zeta));
                    let c = 1.0 / sqrt(1.0 + t * t);
                    let s = c * t;
                    turned[8u * p + lane] = c * a - s * b;
                    turned[8u * q + lane] = s * a + c * b;
                    let v = vectors[8u * p + lane];
                    let w = vectors[8u * q + lane];
                    vectors[8u * p + lane] = c * v - s * w;
                    vectors[8u * q + lane] = s * v + c * w;
                    turns++;
                }
            }
        }
        if (turns == 0u) {
            break;
        }
    }
}

@compute @workgroup_size(8)
fn spectral_weights_direct(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    let own_scales = four(k * k, 1u, lane);
    let is_active = own_scales > vec4<f32>();
    let mine = select(vec4<f32>(), vec4(1.0), is_active);
    let active_tasks = max(sum_of(mine, lane), 1.0);
    let norms = sqrt(max(four(0u, k + 1u, lane), vec4<f32>()));
    let inverse_norms = select(vec4<f32>(), 1.0 / norms, is_active);
    var unit = 0.0;
    for (var t = 0u; t < k; t++) {
        unit = max(unit, gramian[params.scaled + t * (k + 1u)]);
    }
    unit = select(1.0, unit, sum_of(mine, lane) > 0.0);
    let is_config = METHOD == CONFIG;
    let factors = select(mine / sqrt(unit), inverse_norms, is_config);
    for (var j = 0u; j < k; j++) {
        let factor = subgroupShuffle(factors, j / 4u)[j % 4u];
        turned[8u * j + lane] = four(j * k, 1u, lane) * factor * factors;
        vectors[8u * j + lane] = select(vec4<f32>(), vec4(1.0), 4u * lane + FOUR == vec4(j));
    }
    turn_all(lane);
    var largest = 0.0;
    for (var j = 0u; j < k; j++) {
        let column = turned[8u * j + lane];
        let value = sqrt(sum_of(column * column, lane));
        values[j] = value;
        largest = max(largest, value);
    }
    workgroupBarrier();
    let least = largest * f32(k) * EPSILON;
    let wanted = wanted_value(least);
    var right_side = mine / active_tasks;
    if (METHOD == IMTL_G) {
        right_side = norms * mine / sqrt(unit);
    }
    if (is_config) {
        right_side = mine;
    }
    var y = vec4<f32>();
    for (var j = 0u; j < k; j++) {
        let v = vectors[8u * j + lane];
        let value = values[j];
        let inner = sum_of(v * right_side, lane);
        var divisor = value;
        if (METHOD <= ALIGNED_RMSE) {
            divisor = sqrt(value / wanted);
        }
        y += v * select(0.0, inner / divisor, value > least);
    }
    var weights = y;
    if (is_config) {
        // The inner products of the direction with unit gradients.
        var inner = vec4<f32>();
        for (var j = 0u; j < k; j++) {
            let other = subgroupShuffle(y * factors, j / 4u)[j % 4u];
            inner += four(j * k, 1u, lane) * factors * other;
        }
        let sum = sum_of(norms * inner * mine, lane);
        let square = sum_of(y * inner, lane);
        weights = select(vec4<f32>(), sum / max(square, 1e-30) * y * inverse_norms, square > 1e-5);
    }
    if (METHOD == IMTL_G) {
        let sum = sum_of(y, lane);
        let vanishes = abs(sum) <= 1e-5 * sum_of(abs(y), lane);
        weights = select(y / sum, vec4(1.0 / active_tasks), vanishes);
    }
    weights *= own_scales;
    for (var c = 0u; c < 4u; c++) {
        let task = 4u * lane + c;
        if (task < k) {
            next_balance[task] = weights[c];
            partials[params.weights + task] = weights[c];
        }
    }
    if (lane == 0u) {
        next_balance[k] = 0.0;
        partials[params.weights + k] = 0.0;
    }
}
