// Weights from the eigenvalues λ and eigenvectors V of the products K of scaled gradients
//
// ALIGNED_MTL  w = √λ₀ V λ^(−½) Vᵀ m,   m = 1 / k, λ₀ the smallest eigenvalue, median or mean
// IMTL_G       w = v / Σ v,   v = V λ^(−1) Vᵀ √diag K
// CONFIG       w_t = l y_t / n_t,   y = V λ^(−1) Vᵀ 1 of the products of unit gradients,
//              n_t = |g_t|, l = Σ_t y_t' n_t / |Σ y u|, where y' = the products of units times y
//
// Eigenvalues below k · eps · the largest count as 0. Pairs of columns are turned until they are
// orthogonal (one-sided Jacobi, after Hestenes 1958), all pairs of a round at once, one invocation
// each: then their lengths are the eigenvalues. Where Σ v vanishes, IMTL_G has no solution and the
// weights are equal; where no direction has equal cosines, those of CONFIG are zero.

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
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(4) var<storage, read_write> next_balance: array<f32>;

// Constants of the pipeline: what depends on a uniform alone is compiled anew on software adapters.
override TASKS: u32 = 2u;  // tasks of the dispatch
override METHOD: u32 = 0u; // the method

const ALIGNED_MIN = 0u;
const ALIGNED_MEDIAN = 1u;
const ALIGNED_RMSE = 2u;
const IMTL_G = 3u;
const CONFIG = 4u;

const LANES = 64u;
const MOST_TASKS = 128u;
const SWEEPS = 12u;
const EPSILON = 1.1920929e-7;

var<workgroup> values: array<f32, MOST_TASKS>;
var<workgroup> coefficients: array<f32, MOST_TASKS>;

fn scale(task: u32) -> f32 {
    return gramian[params.scaled + TASKS * TASKS + task];
}

fn norm(task: u32) -> f32 {
    return sqrt(gramian[params.scaled + task * (TASKS + 1u)]);
}

// An element of the matrix that is taken apart.
fn element(i: u32, j: u32, unit: f32) -> f32 {
    if (!(scale(i) > 0.0) || !(scale(j) > 0.0)) {
        return 0.0;
    }
    let value = gramian[params.scaled + i * TASKS + j];
    if (METHOD == CONFIG) {
        return value / norm(i) / norm(j);
    }
    return value / unit;
}

// The place of row i, column j of K V, and of V.
fn turned(i: u32, j: u32) -> u32 {
    return j * TASKS + i;
}

fn vector(i: u32, j: u32) -> u32 {
    return TASKS * TASKS + j * TASKS + i;
}

// Makes two columns orthogonal.
fn turn(p: u32, q: u32) {
    let k = TASKS;
    var alpha = 0.0;
    var beta = 0.0;
    var gamma = 0.0;
    for (var i = 0u; i < k; i++) {
        let a = work[turned(i, p)];
        let b = work[turned(i, q)];
        alpha += a * a;
        beta += b * b;
        gamma += a * b;
    }
    if (abs(gamma) <= 1e-8 * sqrt(alpha * beta) || gamma == 0.0) {
        return;
    }
    let zeta = (beta - alpha) / (2.0 * gamma);
    let t = select(-1.0, 1.0, zeta >= 0.0) / (abs(zeta) + sqrt(1.0 + zeta * zeta));
    let c = 1.0 / sqrt(1.0 + t * t);
    let s = c * t;
    for (var i = 0u; i < k; i++) {
        let a = work[turned(i, p)];
        let b = work[turned(i, q)];
        work[turned(i, p)] = c * a - s * b;
        work[turned(i, q)] = s * a + c * b;
        let v = work[vector(i, p)];
        let w = work[vector(i, q)];
        work[vector(i, p)] = c * v - s * w;
        work[vector(i, q)] = s * v + c * w;
    }
}

// What V^T is multiplied with.
fn right_side(i: u32, unit: f32, active_tasks: f32) -> f32 {
    if (!(scale(i) > 0.0)) {
        return 0.0;
    }
    switch METHOD {
        case IMTL_G: {
            return norm(i) / sqrt(unit);
        }
        case CONFIG: {
            return 1.0;
        }
        default: {
            return 1.0 / active_tasks;
        }
    }
}

// The eigenvalue that the others are scaled to, among those above the least.
fn wanted_value(least: f32) -> f32 {
    let k = TASKS;
    var smallest = 3.0e38;
    var sum = 0.0;
    var count = 0u;
    for (var j = 0u; j < k; j++) {
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
    for (var j = 0u; j < k; j++) {
        var below = 0u;
        for (var l = 0u; l < k; l++) {
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

@compute @workgroup_size(LANES)
fn spectral_weights(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    var unit = 0.0;
    var active_tasks = 0.0;
    for (var t = 0u; t < k; t++) {
        unit = max(unit, gramian[params.scaled + t * (k + 1u)]);
        active_tasks += select(0.0, 1.0, scale(t) > 0.0);
    }
    unit = select(unit, 1.0, active_tasks == 0.0);
    active_tasks = max(active_tasks, 1.0);
    for (var j = lane; j < k; j += LANES) {
        for (var i = 0u; i < k; i++) {
            work[turned(i, j)] = element(i, j, unit);
            work[vector(i, j)] = select(0.0, 1.0, i == j);
        }
    }
    storageBarrier();
    // A round-robin tournament: column 0 stays, the others go round.
    let players = k + k % 2u;
    for (var sweep = 0u; sweep < SWEEPS; sweep++) {
        for (var round = 0u; round + 1u < players; round++) {
            for (var table = lane; table < players / 2u; table += LANES) {
                let a = (round + table) % (players - 1u);
                var b = (round + players - 1u - table) % (players - 1u);
                if (table == 0u) {
                    b = players - 1u;
                }
                if (max(a, b) < k) {
                    turn(min(a, b), max(a, b));
                }
            }
            storageBarrier();
        }
    }
    for (var j = lane; j < k; j += LANES) {
        var square = 0.0;
        var inner = 0.0;
        for (var i = 0u; i < k; i++) {
            let a = work[turned(i, j)];
            square += a * a;
            inner += work[vector(i, j)] * right_side(i, unit, active_tasks);
        }
        values[j] = sqrt(square);
        coefficients[j] = inner;
    }
    workgroupBarrier();
    var largest = 0.0;
    for (var j = 0u; j < k; j++) {
        largest = max(largest, values[j]);
    }
    let least = largest * f32(k) * EPSILON;
    let wanted = wanted_value(least);
    for (var i = lane; i < k; i += LANES) {
        var sum = 0.0;
        for (var j = 0u; j < k; j++) {
            if (values[j] > least) {
                var divisor = values[j];
                if (METHOD <= ALIGNED_RMSE) {
                    divisor = sqrt(values[j] / wanted);
                }
                sum += work[vector(i, j)] * coefficients[j] / divisor;
            }
        }
        next_balance[i] = sum;
    }
    storageBarrier();
    var sum = 0.0;
    var size = 0.0;
    var square = 0.0;
    for (var i = 0u; i < k; i++) {
        let y = next_balance[i];
        if (METHOD == CONFIG) {
            // The inner product of the direction with unit gradient i.
            var inner = 0.0;
            for (var j = 0u; j < k; j++) {
                inner += element(i, j, unit) * next_balance[j];
            }
            sum += select(0.0, norm(i) * inner, scale(i) > 0.0);
            square += y * inner;
        } else {
            sum += y;
            size += abs(y);
        }
    }
    storageBarrier();
    for (var i = lane; i < k; i += LANES) {
        var weight = next_balance[i];
        if (METHOD == CONFIG) {
            // Unit gradients times y, as long as the sum of the projections.
            weight = select(0.0, sum / max(square, 1e-30) * weight / norm(i),
                scale(i) > 0.0 && square > 1e-5);
        } else if (METHOD == IMTL_G) {
            weight = select(weight / sum, 1.0 / active_tasks, abs(sum) <= 1e-5 * size);
        }
        weight *= scale(i);
        next_balance[i] = weight;
        partials[params.weights + i] = weight;
    }
    if (lane == 0u) {
        next_balance[k] = 0.0;
        partials[params.weights + k] = 0.0;
    }
}
