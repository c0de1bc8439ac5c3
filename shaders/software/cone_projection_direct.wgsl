// Quadratic programs with non-negative unknowns: min ½ zᵀ A z + bᵀ z, z ≥ 0
//
// For software adapters and at most 32 tasks, in place of `balance/cone_projection.wgsl`, which has
// the formulas. One subgroup does all programs, one after the other; a lane has four unknowns. A
// few sweeps of coordinate descent find which unknowns are above zero, conjugate gradients those,
// in turns (after Moré and Toraldo, "On the solution of large quadratic programming problems with
// bound constraints", 1991).

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

const MGDA = 0u;
const UPGRAD = 1u;
const DUAL_PROJ = 2u;

const TURNS = 64u;
const FOUR = vec4(0u, 1u, 2u, 3u);

// A, four columns per lane: row j of lane l at 8 j + l.
var<workgroup> rows: array<vec4<f32>, 256>;

// Σ over the lanes.
fn over_lanes(value: f32, lane: u32) -> f32 {
    var sum = value;
    sum += subgroupShuffle(sum, (lane + 4u) & 7u);
    sum += subgroupShuffle(sum, (lane + 2u) & 7u);
    sum += subgroupShuffle(sum, (lane + 1u) & 7u);
    return sum;
}

// The largest number of all lanes.
fn peak_of_lanes(value: f32, lane: u32) -> f32 {
    var peak = value;
    peak = max(peak, subgroupShuffle(peak, (lane + 4u) & 7u));
    peak = max(peak, subgroupShuffle(peak, (lane + 2u) & 7u));
    peak = max(peak, subgroupShuffle(peak, (lane + 1u) & 7u));
    return peak;
}

fn sum_of(value: vec4<f32>, lane: u32) -> f32 {
    return over_lanes(dot(value, vec4(1.0)), lane);
}

// Four numbers of the diagonal of the products, or of the scales, zeros behind the last task.
fn squares(lane: u32) -> vec4<f32> {
    var found = vec4<f32>();
    for (var c = 0u; c < 4u; c++) {
        let task = min(4u * lane + c, TASKS - 1u);
        found[c] = gramian[params.scaled + task * (TASKS + 1u)];
    }
    return select(vec4<f32>(), found, 4u * lane + FOUR < vec4(TASKS));
}

fn scales(lane: u32) -> vec4<f32> {
    var found = vec4<f32>();
    for (var c = 0u; c < 4u; c++) {
        found[c] = gramian[params.scaled + TASKS * TASKS + min(4u * lane + c, TASKS - 1u)];
    }
    return select(vec4<f32>(), found, 4u * lane + FOUR < vec4(TASKS));
}

// A v.
fn times(v: vec4<f32>, lane: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var from_lane = 0u; from_lane < (TASKS + 3u) / 4u; from_lane++) {
        let four = subgroupShuffle(v, from_lane);
        let first = 32u * from_lane + lane;
        sum += four.x * rows[first] + four.y * rows[first + 8u] + four.z * rows[first + 16u]
            + four.w * rows[first + 24u];
    }
    return sum;
}

@compute @workgroup_size(8)
fn cone_projection_direct(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    let own_scales = scales(lane);
    let own_squares = squares(lane);
    let is_active = own_scales > vec4<f32>();
    let mine = select(vec4<f32>(), vec4(1.0), is_active);
    let count = sum_of(mine, lane);
    let is_mgda = METHOD == MGDA;
    let u = select(1.0 / max(count, 1.0), 1.0, is_mgda);
    // The factors that make products of gradients elements of A, and the shares of MGDA.
    let least = -peak_of_lanes(-min(
        min(select(3.0e38, own_squares.x, is_active.x), select(3.0e38, own_squares.y, is_active.y)),
        min(select(3.0e38, own_squares.z, is_active.z), select(3.0e38, own_squares.w, is_active.w)),
    ), lane);
    let trace = sum_of(own_squares * mine, lane);
    let inverse_norms = select(vec4<f32>(), 1.0 / sqrt(own_squares), is_active);
    let shares = sqrt(least) * inverse_norms;
    let factors = select(mine / sqrt(max(trace, 1e-37)), inverse_norms, is_mgda);
    for (var j = 0u; j < 32u; j++) {
        var row = vec4<f32>();
        let factor = subgroupShuffle(factors, j / 4u)[j % 4u];
        let share = subgroupShuffle(shares, j / 4u)[j % 4u];
        if (j < k) {
            for (var c = 0u; c < 4u; c++) {
                let i = 4u * lane + c;
                row[c] = gramian[params.scaled + j * k + min(i, k - 1u)];
            }
        }
        var value = row * factor * factors;
        if (is_mgda) {
            value = clamp(value, vec4(-1.0), vec4(1.0)) + share * shares;
        }
        // A task without a gradient is a program of its own, with the solution 0.
        let ridge = select(vec4(1.0), vec4(params.a), is_active);
        rows[8u * j + lane] = value + select(vec4<f32>(), ridge, 4u * lane + FOUR == vec4(j));
    }
    workgroupBarrier();
    var diagonal = vec4(1.0);
    for (var c = 0u; c < 4u; c++) {
        diagonal[c] = rows[8u * (4u * lane + c) + lane][c];
    }
    let of_mean = times(mine * u, lane) * mine;
    let tolerance = select(1e-6, 2e-7, is_mgda);
    var total = vec4<f32>();
    var residual = 0.0;
    for (var program = 0u; program < select(1u, k, METHOD == UPGRAD); program++) {
        var b = of_mean;
        if (is_mgda) {
            b = -shares;
        }
        if (METHOD == UPGRAD) {
            b = rows[8u * program + lane] * u * mine;
            b *= subgroupShuffle(mine, program / 4u)[program % 4u];
        }
        var z = vec4<f32>();
        var y = b;
        var violation = 0.0;
        var before = 3.0e38;
        var still = 0u;
        for (var turn = 0u; turn < TURNS; turn++) {
            for (var sweep = 0u; sweep < 2u; sweep++) {
                for (var j = 0u; j < k; j++) {
                    let step = max(z - y / diagonal, vec4<f32>()) - z;
                    let change = subgroupShuffle(step, j / 4u)[j % 4u];
                    y += change * rows[8u * j + lane];
                    z += select(vec4<f32>(), vec4(change), 4u * lane + FOUR == vec4(j));
                }
            }
            // Conjugate gradients of the unknowns above zero; those that would fall below it become
            // zero, the first ones first.
            for (var round = 0u; round < k; round++) {
                let free = select(vec4<f32>(), vec4(1.0), z > vec4<f32>());
                var r = -y * free;
                var d = r;
                var x = vec4<f32>();
                var square = sum_of(r * r, lane);
                let enough = 1e-15 * u * u;
                for (var i = 0u; i < k && square > enough; i++) {
                    let q = times(d, lane) * free;
                    let length = square / sum_of(d * q, lane);
                    x += length * d;
                    r -= length * q;
                    let next = sum_of(r * r, lane);
                    d = r + (next / square) * d;
                    square = next;
                }
                let room = select(vec4(2.0), z / max(-x, vec4(1e-37)), x < -z);
                let shortest = min(min(room.x, room.y), min(room.z, room.w));
                let part = -peak_of_lanes(-shortest, lane);
                let is_blocked = room <= vec4(min(part, 1.0));
                z = select(max(z + min(part, 1.0) * x, vec4<f32>()), vec4<f32>(), is_blocked);
                y = times(z, lane) + b;
                if (part >= 1.0) {
                    break;
                }
            }
            let worst = abs(min(z, y));
            violation = peak_of_lanes(max(max(worst.x, worst.y), max(worst.z, worst.w)), lane) / u;
            still = select(0u, still + 1u, violation > 0.95 * before);
            if (violation <= tolerance || still > 8u) {
                break;
            }
            before = min(before, violation);
        }
        total += z;
        residual = max(residual, violation);
    }
    var weights = total + u * mine;
    if (is_mgda) {
        let parts = total * shares;
        weights = parts / max(sum_of(parts, lane), 1e-30);
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
        next_balance[k] = residual;
        partials[params.weights + k] = residual;
    }
}
