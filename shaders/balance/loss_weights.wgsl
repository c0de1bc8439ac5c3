// c_t of the methods whose formula is a line: on losses, and on norms of gradients
//
// LOG          1 / L_t
// GEOMETRIC    G / (k L_t),   G = (Π L)^(1/k)
// UNCERTAINTY  ½ e^(−s_t), s descends Σ ½ e^(−s) L + ½ s
// DWA          k · softmax(r / T)_t,   r = mean loss of the last epoch / that of the one before
// RANDOM       softmax(ε)_t,   ε normal
// IMTL_L       e^(s_t), s descends Σ e^s L − s
// STCH         softmax(λ L / μ)_t / Σ w,   λ = w / Σ w
// FAMO         C z_t / L_t,   z = softmax(ξ),   C = 1 / Σ (z / L)
// FAMO_AFTER   ξ descends by Adam: z ⊙ (δ − z · δ) + γ ξ,   δ = ln L before − ln L after the update
// EXCESS_MTL   k · softmax(ln w + η e / e₀), e the squared norms, e₀ the first ones
// DB_MTL       max |m| / |m_t|
// GRADNORM     the next w_t: w_t − η n_t sign(w_t n_t − mean (w n) · r_t^α), and Σ w = k
//
// k is the number of tasks that take part: those with a weight and a label in the batch. A task
// without keeps its state and gets no weight. Where a logarithm of a loss is taken that is not
// above zero, the flag of the task is raised; for LOG and GEOMETRIC one below 1e-8 counts as 1e-8.
// One invocation does all.

struct Params {
    tasks: u32,
    method: u32,
    scaled: u32,    // [tasks, tasks] products of scaled gradients, then [tasks] scales
    losses: u32,    // [tasks] losses; behind them those after the update
    inverses: u32,  // [tasks] inverse denominators of the losses among the partials, or NONE
    weights: u32,   // [tasks] weights among the partials, then the residual
    state: u32,     // numbers of the state, weights included
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
@group(0) @binding(3) var<storage, read> preferences: array<f32>;          // w of the objective
@group(0) @binding(4) var<storage, read> balance: array<f32>;              // weights, then state
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(0) @binding(6) var<storage, read_write> next_balance: array<f32>;
@group(0) @binding(7) var<storage, read_write> flags: array<atomic<u32>>;

// Constants of the pipeline: what depends on a uniform alone is compiled anew on software adapters.
override TASKS: u32 = 2u;  // tasks of the dispatch
override METHOD: u32 = 0u; // the method
override COUNTED: bool = false; // whether labels are counted
override DESCENT: bool = false; // whether the rule is gradient descent

const LOG = 0u;
const GEOMETRIC = 1u;
const UNCERTAINTY = 2u;
const DWA = 3u;
const RANDOM = 4u;
const IMTL_L = 5u;
const STCH = 6u;
const FAMO = 7u;
const FAMO_AFTER = 8u;
const GRADNORM = 9u;
const EXCESS_MTL = 10u;
const DB_MTL = 11u;

// Whether a task takes part in this step.
fn takes_part(task: u32) -> bool {
    if (!(preferences[task] > 0.0)) {
        return false;
    }
    return !COUNTED || partials[params.inverses + task] > 0.0;
}

fn loss(task: u32) -> f32 {
    return gramian[params.losses + task];
}

// A loss whose logarithm is taken.
fn positive_loss(task: u32, place: u32) -> f32 {
    let value = gramian[params.losses + place];
    if (!(value > 0.0) || !is_finite(value)) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[params.flag + task], step.number);
    }
    return value;
}

// Likewise, at least 1e-8.
fn floored_loss(task: u32) -> f32 {
    return max(positive_loss(task, task), 1e-8);
}

// The number of tasks that take part.
fn count() -> f32 {
    var found = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            found += 1.0;
        }
    }
    return max(found, 1.0);
}

fn set_weight(task: u32, weight: f32) {
    partials[params.weights + task] = weight;
    next_balance[task] = weight;
}

// A number of the state of a task: the weights are number 0.
fn state(number: u32, task: u32) -> f32 {
    return balance[number * TASKS + task];
}

fn set_state(number: u32, task: u32, value: f32) {
    next_balance[number * TASKS + task] = value;
}

// One step of descent of number 1 of the state by the rule of the run, its moments being 2 and 3.
fn descend(task: u32, gradient: f32, step_size: f32, root: f32, most: f32) {
    let m = state(2u, task);
    let v = state(3u, task);
    var value = state(1u, task);
    if (DESCENT) {
        let moved = params.beta1 * m + gradient;
        set_state(2u, task, moved);
        value -= step_size * moved;
    } else {
        let first = params.beta1 * m + params.one_minus_beta1 * gradient;
        let second = params.beta2 * v + params.one_minus_beta2 * gradient * gradient;
        set_state(2u, task, first);
        set_state(3u, task, second);
        value -= step_size * first / (sqrt(second) * root + params.eps);
    }
    set_state(1u, task, clamp(value, -most, most));
}

// Weights softmax(x) · scale, where x is in the weights already.
fn softmax_weights(scale: f32) {
    var peak = -3.0e38;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            peak = max(peak, partials[params.weights + t]);
        }
    }
    var sum = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            sum += exponential(partials[params.weights + t] - peak);
        }
    }
    for (var t = 0u; t < TASKS; t++) {
        var weight = 0.0;
        if (takes_part(t)) {
            weight = scale * exponential(partials[params.weights + t] - peak) / sum;
        }
        set_weight(t, weight);
    }
}

// A normal number, by Marsaglia's polar method.
fn normal(task: u32) -> f32 {
    for (var i = 0u; i < 32u; i++) {
        let u = f32(hash(step.key_low, step.key_high, task, 0xa0000000u + 2u * i) >> 8u);
        let v = f32(hash(step.key_low, step.key_high, task, 0xa0000001u + 2u * i) >> 8u);
        let x = u * 1.1920929e-7 - 1.0;
        let y = v * 1.1920929e-7 - 1.0;
        let s = x * x + y * y;
        if (s < 1.0 && s > 0.0) {
            return x * sqrt(-2.0 * logarithm(s) / s);
        }
    }
    return 0.0;
}

// 1 − b^n, where `rest` is 1 − b.
fn correction(rest: f32, n: f32) -> f32 {
    let y = -n * logarithm_1p(-rest);
    let near = y * (1.0 - y * (0.5 - y * (0.16666667 - y * 0.041666668)));
    return select(1.0 - exponential(-y), near, y < 0.1);
}

// The mean of the losses of an epoch, and its turn to the one before.
fn turn_epoch(task: u32) {
    let first = (step.number - 1u) % params.per_epoch == 0u && step.number > 1u;
    // No branch on the number of the step alone, see above.
    let seen = state(2u, task);
    var sum = state(1u, task);
    var labelled = seen;
    var last = state(3u, task);
    var before = state(4u, task);
    before = select(before, last, first);
    last = select(last, sum / max(seen, 1.0), first && seen > 0.0);
    sum = select(sum, 0.0, first);
    labelled = select(labelled, 0.0, first);
    if (takes_part(task)) {
        sum += loss(task);
        labelled += 1.0;
    }
    set_state(1u, task, sum);
    set_state(2u, task, labelled);
    set_state(3u, task, last);
    set_state(4u, task, before);
    var ratio = 1.0;
    if (last > 0.0 && before > 0.0) {
        ratio = last / before;
    }
    partials[params.weights + task] = ratio / params.a;
}

fn geometric(k: f32) {
    var sum = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            sum += logarithm(floored_loss(t));
        }
    }
    let mean = sum / k;
    for (var t = 0u; t < TASKS; t++) {
        var weight = 0.0;
        if (takes_part(t)) {
            weight = exponential(mean - logarithm(max(loss(t), 1e-8))) / k;
        }
        set_weight(t, weight);
    }
}

fn famo() {
    for (var t = 0u; t < TASKS; t++) {
        partials[params.weights + t] = state(1u, t);
    }
    softmax_weights(1.0);
    var sum = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            sum += partials[params.weights + t] / (positive_loss(t, t) + 1e-8);
        }
    }
    for (var t = 0u; t < TASKS; t++) {
        var weight = 0.0;
        if (takes_part(t)) {
            weight = partials[params.weights + t] / (loss(t) + 1e-8) / sum;
        }
        set_weight(t, weight);
    }
}

// ln L before − ln L after the update; 0 where that is not finite.
fn fall(task: u32) -> f32 {
    let after = max(gramian[params.losses + TASKS + task], 0.0);
    if (!is_finite(after)) {
        return 0.0;
    }
    return logarithm((loss(task) + 1e-8) / (after + 1e-8));
}

fn famo_after() {
    var peak = -3.0e38;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            peak = max(peak, state(1u, t));
        }
    }
    var sum = 0.0;
    var mean = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            let z = exponential(state(1u, t) - peak);
            sum += z;
            mean += z * fall(t);
        }
    }
    mean = mean / sum;
    let n = f32(step.number);
    let size = params.a / correction(params.one_minus_beta1, n);
    let root = 1.0 / sqrt(correction(params.one_minus_beta2, n));
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            let z = exponential(state(1u, t) - peak) / sum;
            descend(t, z * (fall(t) - mean) + params.b * state(1u, t), size, root, 3.0e38);
        }
    }
}

// The squared norm of the gradient of a task.
fn square(task: u32) -> f32 {
    return gramian[params.scaled + task * (TASKS + 1u)];
}

fn excess_mtl(k: f32) {
    for (var t = 0u; t < TASKS; t++) {
        let start = state(1u, t);
        var gain = 0.0;
        if (start > 0.0) {
            gain = params.a * square(t) / start;
        } else if (takes_part(t)) {
            set_state(1u, t, square(t));
        }
        partials[params.weights + t] = logarithm(max(state(0u, t), 1e-30)) + gain;
    }
    softmax_weights(k);
    // A task that does not take part keeps its share.
    for (var t = 0u; t < TASKS; t++) {
        if (!takes_part(t)) {
            next_balance[t] = state(0u, t);
        }
    }
}

fn db_mtl() {
    var most = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            most = max(most, square(t) * select(0.0, 1.0, positive_loss(t, t) > 0.0));
        }
    }
    for (var t = 0u; t < TASKS; t++) {
        var weight = 0.0;
        if (takes_part(t) && square(t) > 0.0) {
            weight = sqrt(most / square(t));
        }
        set_weight(t, weight);
    }
}

fn gradnorm(k: f32) {
    var mean = 0.0;
    var rate = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            var start = state(1u, t);
            if (!(start > 0.0)) {
                start = loss(t);
            }
            set_state(1u, t, start);
            mean += sqrt(square(t)) / k;
            rate += loss(t) / start / k;
        }
    }
    var sum = 0.0;
    for (var t = 0u; t < TASKS; t++) {
        var weight = state(0u, t);
        if (takes_part(t)) {
            let norm = sqrt(square(t));
            var start = state(1u, t);
            if (!(start > 0.0)) {
                start = loss(t);
            }
            let r = loss(t) / start / rate;
            var wanted = 0.0;
            if (r > 0.0) {
                wanted = mean * exponential(params.a * logarithm(r));
            }
            weight = max(weight - params.b * norm / weight * sign(norm - wanted), 1e-3);
            sum += weight;
        }
        next_balance[t] = weight;
    }
    for (var t = 0u; t < TASKS; t++) {
        if (takes_part(t)) {
            next_balance[t] = next_balance[t] * k / sum;
        }
    }
}

@compute @workgroup_size(64)
fn loss_weights(@builtin(local_invocation_index) lane: u32) {
    if (lane > 0u) {
        return;
    }
    let k = count();
    if (METHOD != FAMO_AFTER) {
        for (var i = 0u; i < arrayLength(&balance); i++) {
            next_balance[i] = balance[i];
        }
    }
    switch METHOD {
        case GEOMETRIC: {
            geometric(k);
        }
        case FAMO: {
            famo();
        }
        case FAMO_AFTER: {
            famo_after();
        }
        case GRADNORM: {
            gradnorm(k);
        }
        case EXCESS_MTL: {
            excess_mtl(k);
        }
        case DB_MTL: {
            db_mtl();
        }
        case DWA: {
            for (var t = 0u; t < TASKS; t++) {
                turn_epoch(t);
            }
            softmax_weights(k);
        }
        case RANDOM: {
            for (var t = 0u; t < TASKS; t++) {
                partials[params.weights + t] = normal(t);
            }
            softmax_weights(1.0);
        }
        case STCH: {
            var sum = 0.0;
            for (var t = 0u; t < TASKS; t++) {
                sum += select(0.0, preferences[t], takes_part(t));
            }
            for (var t = 0u; t < TASKS; t++) {
                partials[params.weights + t] = preferences[t] / sum * loss(t) / params.a;
            }
            softmax_weights(1.0 / sum);
        }
        default: {
            for (var t = 0u; t < TASKS; t++) {
                var weight = 0.0;
                if (takes_part(t)) {
                    switch METHOD {
                        case LOG: {
                            weight = 1.0 / floored_loss(t);
                        }
                        case UNCERTAINTY: {
                            let inverse = exponential(-state(1u, t));
                            weight = 0.5 * inverse;
                            descend(t, 0.5 * (1.0 - inverse * loss(t)), step.step_size,
                                step.root_correction, params.a);
                        }
                        default: {
                            weight = exponential(state(1u, t));
                            descend(t, weight * loss(t) - 1.0, step.step_size,
                                step.root_correction, params.a);
                        }
                    }
                }
                set_weight(t, weight);
            }
        }
    }
}
