// The root w > 0 of K w = w^(−1/p), by damped Newton steps
//
// NASH_MTL   p = 1; then w is shortened so that |Σ w g|, which is √k, is at most a
// FAIRGRAD   p = a
//
// K are the products of scaled gradients; tasks without a gradient are left out. The unknowns are
// scaled so that the largest square is 1. A step solves (K + diag(w^(−1/p − 1) / p)) d = w^(−1/p) −
// K w by elimination, one invocation per row, and goes as far as the root of a convex function
// allows (Nesterov, "Lectures on convex optimization", 2018, section 5.2). The residual is the
// largest |w^(1/p) · K w − 1|.

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

const NASH_MTL = 0u;

const LANES = 64u;
const MOST_TASKS = 128u;
const STEPS = 40u;

var<workgroup> roots: array<f32, MOST_TASKS>;
var<workgroup> sides: array<f32, MOST_TASKS>;
var<workgroup> moves: array<f32, MOST_TASKS>;
var<workgroup> is_done: u32;

fn scale(task: u32) -> f32 {
    return gramian[params.scaled + TASKS * TASKS + task];
}

fn product(i: u32, j: u32, unit: f32) -> f32 {
    return gramian[params.scaled + i * TASKS + j] / unit;
}

// x^n for x above zero.
fn power(x: f32, n: f32) -> f32 {
    return exponential(n * logarithm(max(x, 1e-37)));
}

// w^(-1/p) − K w of a task.
fn side(i: u32, inverse: f32, unit: f32) -> f32 {
    if (!(scale(i) > 0.0)) {
        return 0.0;
    }
    var sum = power(roots[i], -inverse);
    for (var j = 0u; j < TASKS; j++) {
        sum -= product(i, j, unit) * roots[j];
    }
    return sum;
}

@compute @workgroup_size(LANES)
fn bargaining(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    let p = select(params.a, 1.0, METHOD == NASH_MTL);
    let inverse = 1.0 / p;
    var unit = 0.0;
    for (var t = 0u; t < k; t++) {
        unit = max(unit, gramian[params.scaled + t * (k + 1u)]);
    }
    unit = select(unit, 1.0, unit == 0.0);
    for (var i = lane; i < k; i += LANES) {
        roots[i] = select(0.0, power(product(i, i, unit), -p / (1.0 + p)), scale(i) > 0.0);
    }
    if (lane == 0u) {
        is_done = 0u;
    }
    workgroupBarrier();
    for (var turn = 0u; turn < STEPS; turn++) {
        if (workgroupUniformLoad(&is_done) == 1u) {
            break;
        }
        for (var i = lane; i < k; i += LANES) {
            for (var j = 0u; j < k; j++) {
                var value = product(i, j, unit);
                if (i == j) {
                    value += select(1.0, inverse * power(roots[i], -inverse - 1.0),
                        scale(i) > 0.0);
                }
                work[i * k + j] = value;
            }
            sides[i] = side(i, inverse, unit);
            moves[i] = sides[i];
        }
        storageBarrier();
        workgroupBarrier();
        for (var pivot = 0u; pivot < k; pivot++) {
            let diagonal = work[pivot * k + pivot];
            let value = moves[pivot];
            for (var i = lane; i < k; i += LANES) {
                if (i > pivot) {
                    let factor = work[i * k + pivot] / diagonal;
                    for (var j = pivot + 1u; j < k; j++) {
                        work[i * k + j] -= factor * work[pivot * k + j];
                    }
                    moves[i] -= factor * value;
                }
            }
            storageBarrier();
            workgroupBarrier();
        }
        for (var back = 0u; back < k; back++) {
            let pivot = k - 1u - back;
            if (lane == 0u) {
                moves[pivot] = moves[pivot] / work[pivot * k + pivot];
            }
            workgroupBarrier();
            let value = moves[pivot];
            for (var i = lane; i < pivot; i += LANES) {
                moves[i] -= work[i * k + pivot] * value;
            }
            workgroupBarrier();
        }
        if (lane == 0u) {
            // The decrement of the convex function, and the step that keeps w above zero.
            var decrement = 0.0;
            var longest = 1.0e30;
            var relative = 0.0;
            for (var i = 0u; i < k; i++) {
                decrement += moves[i] * sides[i];
                if (moves[i] < 0.0) {
                    longest = min(longest, -roots[i] / moves[i]);
                }
                if (roots[i] > 0.0) {
                    relative = max(relative, abs(moves[i]) / roots[i]);
                }
            }
            decrement = sqrt(max(decrement, 0.0));
            let damped = select(1.0, 1.0 / (1.0 + decrement), decrement > 0.25);
            let length = min(damped, 0.95 * longest);
            for (var i = 0u; i < k; i++) {
                roots[i] += length * moves[i];
            }
            if (relative < 1e-6) {
                is_done = 1u;
            }
        }
        workgroupBarrier();
    }
    if (lane > 0u) {
        return;
    }
    var worst = 0.0;
    var square = 0.0;
    for (var i = 0u; i < k; i++) {
        var inner = 0.0;
        for (var j = 0u; j < k; j++) {
            inner += product(i, j, unit) * roots[j];
        }
        square += roots[i] * inner;
        if (scale(i) > 0.0) {
            worst = max(worst, abs(inner * power(roots[i], inverse) - 1.0));
        }
    }
    // |Σ w g|² = wᵀ K w.
    var factor = power(unit, -p / (1.0 + p));
    if (METHOD == NASH_MTL) {
        let length = sqrt(square);
        if (params.a > 0.0 && length > params.a) {
            factor = factor * params.a / length;
        }
    }
    for (var i = 0u; i < k; i++) {
        let weight = factor * roots[i] * scale(i);
        next_balance[i] = weight;
        partials[params.weights + i] = weight;
    }
    next_balance[k] = worst;
    partials[params.weights + k] = worst;
}
