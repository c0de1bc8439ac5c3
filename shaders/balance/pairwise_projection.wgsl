// w = Σ_i c_i,   c_i = e_i, changed for each other task j in random order
//
// PCGRAD   where g_i' · g_j < 0:   c_ij −= g_i' · g_j / |g_j|²
// GRADVAC  where the cosine φ of g_i' and g_j is below its target τ_ij:
//          c_ij += |g_i'| (τ √(1 − φ²) − φ √(1 − τ²)) / (|g_j| √(1 − τ²)),
//          and in any case τ_ij ← (1 − β) τ_ij + β φ
//
// g_i' = Σ_l c_il g_l, all by the products K of scaled gradients. One invocation per task i. The
// order of the others is a permutation by the key of the step.

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
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> gramian: array<f32>;
@group(0) @binding(3) var<storage, read> balance: array<f32>;
@group(0) @binding(4) var<storage, read_write> work: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(0) @binding(6) var<storage, read_write> next_balance: array<f32>;

// Constants of the pipeline: what depends on a uniform alone is compiled anew on software adapters.
override TASKS: u32 = 2u;  // tasks of the dispatch
override METHOD: u32 = 0u; // the method

const GRADVAC = 1u;

fn scale(task: u32) -> f32 {
    return gramian[params.scaled + TASKS * TASKS + task];
}

fn product(i: u32, j: u32) -> f32 {
    return gramian[params.scaled + i * TASKS + j];
}

// The place of c_ij.
fn at(i: u32, j: u32) -> u32 {
    return j * TASKS + i;
}

// The place of the j-th task in the order of task i.
fn order_at(i: u32, j: u32) -> u32 {
    return TASKS * TASKS + j * TASKS + i;
}

fn shuffle(i: u32) {
    for (var j = 0u; j < TASKS; j++) {
        work[order_at(i, j)] = f32(j);
    }
    for (var j = TASKS - 1u; j > 0u; j--) {
        let r = hash(step.key_low, step.key_high, i, j) % (j + 1u);
        let other = work[order_at(i, r)];
        work[order_at(i, r)] = work[order_at(i, j)];
        work[order_at(i, j)] = other;
    }
}

// Changes c_i for task j; `square` is |g_i'|².
fn against(i: u32, j: u32, square: f32) -> f32 {
    var inner = 0.0;
    for (var l = 0u; l < TASKS; l++) {
        inner += product(j, l) * work[at(i, l)];
    }
    let other = product(j, j);
    var change = 0.0;
    if (METHOD == GRADVAC) {
        let place = TASKS + 1u + i * TASKS + j;
        let wanted = balance[place];
        let cosine = clamp(inner / sqrt(max(square * other, 1e-37)), -1.0, 1.0);
        if (cosine < wanted) {
            let far = sqrt(max(1.0 - wanted * wanted, 1e-12));
            let turned = wanted * sqrt(max(1.0 - cosine * cosine, 0.0)) - cosine * far;
            change = sqrt(square / other) * turned / far;
        }
        next_balance[place] = (1.0 - params.a) * wanted + params.a * cosine;
    } else if (inner < 0.0) {
        change = -inner / other;
    }
    work[at(i, j)] += change;
    return max(square + 2.0 * change * inner + change * change * other, 0.0);
}

@compute @workgroup_size(64)
fn pairwise_projection(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    for (var i = lane; i < k; i += 64u) {
        for (var l = 0u; l < k; l++) {
            work[at(i, l)] = select(0.0, 1.0, l == i && scale(i) > 0.0);
            if (METHOD == GRADVAC) {
                let place = k + 1u + i * k + l;
                next_balance[place] = balance[place];
            }
        }
        shuffle(i);
        var square = product(i, i);
        for (var n = 0u; n < k; n++) {
            let j = u32(work[order_at(i, n)]);
            if (j != i && scale(i) > 0.0 && scale(j) > 0.0) {
                square = against(i, j, square);
            }
        }
    }
    storageBarrier();
    for (var t = lane; t < k; t += 64u) {
        var sum = 0.0;
        for (var i = 0u; i < k; i++) {
            sum += work[at(i, t)];
        }
        let weight = sum * scale(t);
        next_balance[t] = weight;
        partials[params.weights + t] = weight;
    }
    if (lane == 0u) {
        next_balance[k] = 0.0;
        partials[params.weights + k] = 0.0;
    }
}
