// Quadratic programs with non-negative unknowns: min ½ zᵀ A z + bᵀ z, z ≥ 0
//
// MGDA       w_t = z_t / n_t over their sum,   A = C + s sᵀ + ε I,   b = −s,   s_t = min n / n_t:
//            the point of least norm of the convex hull, C the cosines, n the norms of gradients
// UPGRAD     w = Σ_i (u e_i + z_i),   A = K / trace K + ρ I,   b = A u e_i,   u = 1 / k: each
//            gradient projected onto the cone of directions that conflict with none
// DUAL_PROJ  w = u + z,   b = A u: the mean gradient projected
//
// K are the products of scaled gradients; tasks without a gradient are left out. Each program is a
// linear complementarity problem, solved by principal pivots: the most negative number is pivoted,
// and after 2 k pivots the first one, which ends for every positive definite A (Murty, "Linear
// complementarity, linear and nonlinear programming", 1988, section 4.2). One invocation per
// program; its tableau lies in `work`. The residual is the largest violation of z ≥ 0, A z + b ≥ 0,
// min(z, A z + b) = 0.

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

const MGDA = 0u;
const UPGRAD = 1u;
const DUAL_PROJ = 2u;

const LANES = 64u;

var<workgroup> residuals: array<f32, LANES>;

fn scale(task: u32) -> f32 {
    return gramian[params.scaled + TASKS * TASKS + task];
}

fn square(task: u32) -> f32 {
    return gramian[params.scaled + task * (TASKS + 1u)];
}

// The smallest norm over that of a task.
fn share(task: u32, unit: f32) -> f32 {
    return sqrt(unit / square(task));
}

// A product over the trace; for MGDA a cosine.
fn product(i: u32, j: u32, unit: f32) -> f32 {
    let value = gramian[params.scaled + i * TASKS + j];
    if (METHOD == MGDA) {
        return clamp(value / sqrt(square(i)) / sqrt(square(j)), -1.0, 1.0);
    }
    return value / unit;
}

// An element of A.
fn element(i: u32, j: u32, unit: f32) -> f32 {
    var value = 0.0;
    if (scale(i) > 0.0 && scale(j) > 0.0) {
        value = product(i, j, unit);
        if (METHOD == MGDA) {
            value += share(i, unit) * share(j, unit);
        }
    }
    let ridge = select(params.a, 1.0, !(scale(i) > 0.0));
    return value + select(0.0, ridge, i == j);
}

// The place of row i, column j of the tableau of an invocation. Column k holds the constants.
fn at(i: u32, j: u32, lane: u32) -> u32 {
    return (i * (TASKS + 2u) + j) * LANES + lane;
}

// b of a program.
fn constant(program: u32, i: u32, u: f32, unit: f32) -> f32 {
    if (!(scale(i) > 0.0)) {
        return 0.0;
    }
    if (METHOD == MGDA) {
        return -share(i, unit);
    }
    if (METHOD == UPGRAD) {
        return element(i, program, unit) * u;
    }
    var sum = 0.0;
    for (var j = 0u; j < TASKS; j++) {
        if (scale(j) > 0.0) {
            sum += element(i, j, unit) * u;
        }
    }
    return sum;
}

// The number to pivot: below zero, or `tasks` if there is none.
fn candidate(lane: u32, first: bool, tolerance: f32) -> u32 {
    var found = TASKS;
    var least = -tolerance;
    for (var i = 0u; i < TASKS; i++) {
        let q = work[at(i, TASKS, lane)];
        if (q < least) {
            found = i;
            least = q;
            if (first) {
                break;
            }
        }
    }
    return found;
}

fn pivot(p: u32, lane: u32) {
    let k = TASKS;
    let inverse = 1.0 / work[at(p, p, lane)];
    let q = work[at(p, k, lane)];
    for (var i = 0u; i < k; i++) {
        if (i != p) {
            let factor = work[at(i, p, lane)] * inverse;
            for (var j = 0u; j < k; j++) {
                if (j != p) {
                    work[at(i, j, lane)] -= factor * work[at(p, j, lane)];
                }
            }
            work[at(i, k, lane)] -= factor * q;
            work[at(i, p, lane)] = factor;
        }
    }
    for (var j = 0u; j < k; j++) {
        work[at(p, j, lane)] *= -inverse;
    }
    work[at(p, p, lane)] = inverse;
    work[at(p, k, lane)] = -q * inverse;
    work[at(p, k + 1u, lane)] = 1.0 - work[at(p, k + 1u, lane)];
}

// Solves a program; z is left in the column behind the constants.
fn solve(program: u32, lane: u32, u: f32, unit: f32) {
    let k = TASKS;
    for (var i = 0u; i < k; i++) {
        for (var j = 0u; j < k; j++) {
            work[at(i, j, lane)] = element(i, j, unit);
        }
        work[at(i, k, lane)] = constant(program, i, u, unit);
        work[at(i, k + 1u, lane)] = 0.0;
    }
    let tolerance = 1e-6 * u;
    for (var turn = 0u; turn < 8u * k; turn++) {
        let p = candidate(lane, turn > 2u * k, tolerance);
        if (p == k) {
            break;
        }
        pivot(p, lane);
    }
    for (var i = 0u; i < k; i++) {
        let basic = work[at(i, k + 1u, lane)] == 1.0;
        work[at(i, k + 1u, lane)] = select(0.0, max(work[at(i, k, lane)], 0.0), basic);
    }
}

// The largest violation of the conditions of a program, relative to u.
fn violation(program: u32, lane: u32, u: f32, unit: f32) -> f32 {
    let k = TASKS;
    var worst = 0.0;
    for (var i = 0u; i < k; i++) {
        var r = constant(program, i, u, unit);
        for (var j = 0u; j < k; j++) {
            r += element(i, j, unit) * work[at(j, k + 1u, lane)];
        }
        worst = max(worst, abs(min(work[at(i, k + 1u, lane)], r)));
    }
    return worst / u;
}

@compute @workgroup_size(LANES)
fn cone_projection(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    // The trace; for MGDA the smallest square.
    var unit = select(0.0, 3.0e38, METHOD == MGDA);
    var active_tasks = 0.0;
    for (var t = 0u; t < k; t++) {
        if (scale(t) > 0.0) {
            unit = select(unit + square(t), min(unit, square(t)), METHOD == MGDA);
            active_tasks += 1.0;
        }
    }
    let is_idle = active_tasks == 0.0;
    unit = select(unit, 1.0, is_idle);
    let u = select(1.0 / max(active_tasks, 1.0), 1.0, METHOD == MGDA);
    let programs = select(1u, k, METHOD == UPGRAD);
    for (var t = lane; t < k; t += LANES) {
        next_balance[t] = 0.0;
    }
    residuals[lane] = 0.0;
    for (var base = 0u; base < programs; base += LANES) {
        let program = base + lane;
        if (program < programs) {
            solve(program, lane, u, unit);
            residuals[lane] = max(residuals[lane], violation(program, lane, u, unit));
        }
        storageBarrier();
        for (var t = lane; t < k; t += LANES) {
            var sum = next_balance[t];
            for (var other = 0u; other < LANES && base + other < programs; other++) {
                sum += work[at(t, k + 1u, other)];
            }
            next_balance[t] = sum;
        }
        storageBarrier();
    }
    var total = 0.0;
    if (METHOD == MGDA) {
        for (var t = 0u; t < k; t++) {
            if (scale(t) > 0.0) {
                total += next_balance[t] * share(t, unit);
            }
        }
    }
    storageBarrier();
    for (var t = lane; t < k; t += LANES) {
        var weight = next_balance[t];
        if (METHOD == MGDA) {
            weight = select(0.0, weight * share(t, unit) / max(total, 1e-30), scale(t) > 0.0);
        } else {
            weight += u;
        }
        weight *= scale(t);
        next_balance[t] = weight;
        partials[params.weights + t] = weight;
    }
    workgroupBarrier();
    if (lane == 0u) {
        var worst = 0.0;
        for (var i = 0u; i < LANES; i++) {
            worst = max(worst, residuals[i]);
        }
        next_balance[k] = worst;
        partials[params.weights + k] = worst;
    }
}
