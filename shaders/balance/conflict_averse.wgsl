// w = 1 / k + φ / |g_v| · v,   where v on the simplex minimises vᵀ K 1 / k + φ √(vᵀ K v),
// φ = c · |g_0|, g_0 the mean gradient, g_v = Σ v g
//
// CAGrad (Liu et al., NeurIPS 2021, equation 4 and algorithm 1). K are the products of scaled
// gradients; tasks without a gradient are left out. In each turn weight moves from the task with
// the largest slope to the one with the smallest, as far as the minimum on that line, which has a
// closed form. The residual is the gap vᵀ s − min s of the slopes s, relative to |g_0|². One
// invocation does all. Where g_v vanishes there is no common descent, and the weights are zero.

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

// Constants of the pipeline: what depends on a uniform alone is compiled anew on software adapters.
override TASKS: u32 = 2u;  // tasks of the dispatch

const MOST_TASKS = 128u;
const TURNS = 400u;

var<workgroup> shares: array<f32, MOST_TASKS>;   // v
var<workgroup> products: array<f32, MOST_TASKS>; // K v
var<workgroup> means: array<f32, MOST_TASKS>;    // K 1 / k

fn scale(task: u32) -> f32 {
    return gramian[params.scaled + TASKS * TASKS + task];
}

fn product(i: u32, j: u32, unit: f32) -> f32 {
    return gramian[params.scaled + i * TASKS + j] / unit;
}

// K v, anew.
fn refresh(unit: f32) -> f32 {
    var square = 0.0;
    for (var i = 0u; i < TASKS; i++) {
        var sum = 0.0;
        for (var j = 0u; j < TASKS; j++) {
            sum += product(i, j, unit) * shares[j];
        }
        products[i] = sum;
        square += shares[i] * sum;
    }
    return max(square, 0.0);
}

// How far weight moves along e_i − e_j, at most all of v_j.
fn length(i: u32, j: u32, unit: f32, phi: f32, square: f32) -> f32 {
    let slope = means[i] - means[j];
    let curve = product(i, i, unit) + product(j, j, unit) - 2.0 * product(i, j, unit);
    let inner = products[i] - products[j];
    if (!(curve > 0.0)) {
        return shares[j];
    }
    // The root of slope + φ (curve t + inner) / √(curve t² + 2 inner t + square) = 0.
    let rest = max(curve * square - inner * inner, 0.0);
    let room = curve * phi * phi - slope * slope;
    if (!(room > 0.0)) {
        return select(0.0, shares[j], slope < 0.0);
    }
    let x = -slope * sqrt(rest / room);
    return clamp((x - inner) / curve, 0.0, shares[j]);
}

@compute @workgroup_size(64)
fn conflict_averse(@builtin(local_invocation_index) lane: u32) {
    if (lane > 0u) {
        return;
    }
    let k = TASKS;
    var unit = 0.0;
    var active_tasks = 0.0;
    for (var t = 0u; t < k; t++) {
        unit = max(unit, gramian[params.scaled + t * (k + 1u)]);
        active_tasks += select(0.0, 1.0, scale(t) > 0.0);
    }
    unit = select(unit, 1.0, active_tasks == 0.0);
    active_tasks = max(active_tasks, 1.0);
    var mean_square = 0.0;
    for (var i = 0u; i < k; i++) {
        var sum = 0.0;
        for (var j = 0u; j < k; j++) {
            if (scale(j) > 0.0) {
                sum += product(i, j, unit) / active_tasks;
            }
        }
        means[i] = sum;
        shares[i] = select(0.0, 1.0 / active_tasks, scale(i) > 0.0);
        mean_square += shares[i] * sum;
    }
    mean_square = max(mean_square, 0.0);
    let phi = params.a * sqrt(mean_square);
    var square = refresh(unit);
    var gap = 0.0;
    for (var turn = 0u; turn < TURNS; turn++) {
        let size = sqrt(max(square, 1e-30));
        var best = k;
        var worst = k;
        var least = 3.0e38;
        var most = -3.0e38;
        gap = 0.0;
        for (var i = 0u; i < k; i++) {
            if (scale(i) > 0.0) {
                let slope = means[i] + phi * products[i] / size;
                gap += shares[i] * slope;
                if (slope < least) {
                    least = slope;
                    best = i;
                }
                if (shares[i] > 0.0 && slope > most) {
                    most = slope;
                    worst = i;
                }
            }
        }
        gap -= least;
        if (best == k || best == worst || !(gap > 1e-7 * mean_square)) {
            break;
        }
        let moved = length(best, worst, unit, phi, square);
        if (moved == 0.0) {
            break;
        }
        shares[best] += moved;
        shares[worst] = select(shares[worst] - moved, 0.0, moved == shares[worst]);
        if (turn % 16u == 15u) {
            square = refresh(unit);
        } else {
            square = 0.0;
            for (var i = 0u; i < k; i++) {
                products[i] += moved * (product(i, best, unit) - product(i, worst, unit));
                square += shares[i] * products[i];
            }
            square = max(square, 0.0);
        }
    }
    let norm = sqrt(refresh(unit));
    for (var i = 0u; i < k; i++) {
        var weight = 0.0;
        if (norm > 1e-4 * sqrt(mean_square) && scale(i) > 0.0) {
            weight = (1.0 / active_tasks + phi / norm * shares[i]) * scale(i);
        }
        next_balance[i] = weight;
        partials[params.weights + i] = weight;
    }
    let residual = gap / max(mean_square, 1e-30);
    next_balance[k] = residual;
    partials[params.weights + k] = residual;
}
