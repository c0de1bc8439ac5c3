// The root w > 0 of K w = w^(−1/p), by damped Newton steps
//
// For software adapters and at most 32 tasks, in place of `balance/bargaining.wgsl`, which has the
// formulas. One subgroup does all; a lane has four tasks. Matrices lie in registers, since reads of
// memory are dear, so loops over their rows are written out. A step of Newton's method solves its
// equations by pivots on all unknowns, one after the other.

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

const NASH_MTL = 0u;

const STEPS = 40u;
const FOUR = vec4(0u, 1u, 2u, 3u);

// K, four columns per lane, and what pivots have made of the matrix of a step.
var<private> a0: vec4<f32>;
var<private> a1: vec4<f32>;
var<private> a2: vec4<f32>;
var<private> a3: vec4<f32>;
var<private> a4: vec4<f32>;
var<private> a5: vec4<f32>;
var<private> a6: vec4<f32>;
var<private> a7: vec4<f32>;
var<private> a8: vec4<f32>;
var<private> a9: vec4<f32>;
var<private> a10: vec4<f32>;
var<private> a11: vec4<f32>;
var<private> a12: vec4<f32>;
var<private> a13: vec4<f32>;
var<private> a14: vec4<f32>;
var<private> a15: vec4<f32>;
var<private> a16: vec4<f32>;
var<private> a17: vec4<f32>;
var<private> a18: vec4<f32>;
var<private> a19: vec4<f32>;
var<private> a20: vec4<f32>;
var<private> a21: vec4<f32>;
var<private> a22: vec4<f32>;
var<private> a23: vec4<f32>;
var<private> a24: vec4<f32>;
var<private> a25: vec4<f32>;
var<private> a26: vec4<f32>;
var<private> a27: vec4<f32>;
var<private> a28: vec4<f32>;
var<private> a29: vec4<f32>;
var<private> a30: vec4<f32>;
var<private> a31: vec4<f32>;
var<private> t0: vec4<f32>;
var<private> t1: vec4<f32>;
var<private> t2: vec4<f32>;
var<private> t3: vec4<f32>;
var<private> t4: vec4<f32>;
var<private> t5: vec4<f32>;
var<private> t6: vec4<f32>;
var<private> t7: vec4<f32>;
var<private> t8: vec4<f32>;
var<private> t9: vec4<f32>;
var<private> t10: vec4<f32>;
var<private> t11: vec4<f32>;
var<private> t12: vec4<f32>;
var<private> t13: vec4<f32>;
var<private> t14: vec4<f32>;
var<private> t15: vec4<f32>;
var<private> t16: vec4<f32>;
var<private> t17: vec4<f32>;
var<private> t18: vec4<f32>;
var<private> t19: vec4<f32>;
var<private> t20: vec4<f32>;
var<private> t21: vec4<f32>;
var<private> t22: vec4<f32>;
var<private> t23: vec4<f32>;
var<private> t24: vec4<f32>;
var<private> t25: vec4<f32>;
var<private> t26: vec4<f32>;
var<private> t27: vec4<f32>;
var<private> t28: vec4<f32>;
var<private> t29: vec4<f32>;
var<private> t30: vec4<f32>;
var<private> t31: vec4<f32>;

// Σ over the lanes.
fn sum_of(value: vec4<f32>, lane: u32) -> f32 {
    var sum = dot(value, vec4(1.0));
    sum += subgroupShuffle(sum, (lane + 4u) & 7u);
    sum += subgroupShuffle(sum, (lane + 2u) & 7u);
    sum += subgroupShuffle(sum, (lane + 1u) & 7u);
    return sum;
}

// The largest number of all lanes.
fn peak_of(value: vec4<f32>, lane: u32) -> f32 {
    var peak = max(max(value.x, value.y), max(value.z, value.w));
    peak = max(peak, subgroupShuffle(peak, (lane + 4u) & 7u));
    peak = max(peak, subgroupShuffle(peak, (lane + 2u) & 7u));
    peak = max(peak, subgroupShuffle(peak, (lane + 1u) & 7u));
    return peak;
}

// Four numbers of the scaled products, `stride` apart, zeros behind the last task.
fn four(first: u32, stride: u32, lane: u32) -> vec4<f32> {
    var found = vec4<f32>();
    for (var c = 0u; c < 4u; c++) {
        found[c] = gramian[params.scaled + first + stride * min(4u * lane + c, TASKS - 1u)];
    }
    return select(vec4<f32>(), found, 4u * lane + FOUR < vec4(TASKS));
}

// A row of K, zeros behind the last task.
fn row_of_products(i: u32, unit: f32, lane: u32) -> vec4<f32> {
    let row = four(min(i, TASKS - 1u) * TASKS, 1u, lane) / unit;
    return select(vec4<f32>(), row, vec4(i < TASKS));
}

// x^n for x above zero.
fn power(x: vec4<f32>, n: f32) -> vec4<f32> {
    let y = max(x, vec4(1e-37));
    return vec4(exponential(n * logarithm(y.x)), exponential(n * logarithm(y.y)),
        exponential(n * logarithm(y.z)), exponential(n * logarithm(y.w)));
}

// K v. Shuffles from a lane whose number is a constant are cheap.
fn times(v: vec4<f32>) -> vec4<f32> {
    var sum = vec4<f32>();
    {
        let four = subgroupShuffle(v, 0u);
        sum += four.x * a0 + four.y * a1 + four.z * a2 + four.w * a3;
    }
    if (TASKS > 4u) {
        let four = subgroupShuffle(v, 1u);
        sum += four.x * a4 + four.y * a5 + four.z * a6 + four.w * a7;
    }
    if (TASKS > 8u) {
        let four = subgroupShuffle(v, 2u);
        sum += four.x * a8 + four.y * a9 + four.z * a10 + four.w * a11;
    }
    if (TASKS > 12u) {
        let four = subgroupShuffle(v, 3u);
        sum += four.x * a12 + four.y * a13 + four.z * a14 + four.w * a15;
    }
    if (TASKS > 16u) {
        let four = subgroupShuffle(v, 4u);
        sum += four.x * a16 + four.y * a17 + four.z * a18 + four.w * a19;
    }
    if (TASKS > 20u) {
        let four = subgroupShuffle(v, 5u);
        sum += four.x * a20 + four.y * a21 + four.z * a22 + four.w * a23;
    }
    if (TASKS > 24u) {
        let four = subgroupShuffle(v, 6u);
        sum += four.x * a24 + four.y * a25 + four.z * a26 + four.w * a27;
    }
    if (TASKS > 28u) {
        let four = subgroupShuffle(v, 7u);
        sum += four.x * a28 + four.y * a29 + four.z * a30 + four.w * a31;
    }
    return sum;
}

// A row of the matrix.
fn row_of(p: u32) -> vec4<f32> {
    var row = t0;
    row = select(row, t1, p == 1u);
    row = select(row, t2, p == 2u);
    row = select(row, t3, p == 3u);
    row = select(row, t4, p == 4u);
    row = select(row, t5, p == 5u);
    row = select(row, t6, p == 6u);
    row = select(row, t7, p == 7u);
    row = select(row, t8, p == 8u);
    row = select(row, t9, p == 9u);
    row = select(row, t10, p == 10u);
    row = select(row, t11, p == 11u);
    row = select(row, t12, p == 12u);
    row = select(row, t13, p == 13u);
    row = select(row, t14, p == 14u);
    row = select(row, t15, p == 15u);
    row = select(row, t16, p == 16u);
    row = select(row, t17, p == 17u);
    row = select(row, t18, p == 18u);
    row = select(row, t19, p == 19u);
    row = select(row, t20, p == 20u);
    row = select(row, t21, p == 21u);
    row = select(row, t22, p == 22u);
    row = select(row, t23, p == 23u);
    row = select(row, t24, p == 24u);
    row = select(row, t25, p == 25u);
    row = select(row, t26, p == 26u);
    row = select(row, t27, p == 27u);
    row = select(row, t28, p == 28u);
    row = select(row, t29, p == 29u);
    row = select(row, t30, p == 30u);
    row = select(row, t31, p == 31u);
    return row;
}

// A row after a pivot: its column keeps the factor.
fn without(t: vec4<f32>, factor: f32, row: vec4<f32>, is_pivot: vec4<bool>) -> vec4<f32> {
    return select(t - factor * row, vec4(factor), is_pivot);
}

// All rows after a pivot.
fn eliminate(column: vec4<f32>, row: vec4<f32>, pivot: vec4<f32>, p: u32, is_pivot: vec4<bool>) {
    {
        let four = subgroupShuffle(column, 0u);
        t0 = select(without(t0, four.x, row, is_pivot), pivot, p == 0u);
        t1 = select(without(t1, four.y, row, is_pivot), pivot, p == 1u);
        t2 = select(without(t2, four.z, row, is_pivot), pivot, p == 2u);
        t3 = select(without(t3, four.w, row, is_pivot), pivot, p == 3u);
    }
    if (TASKS > 4u) {
        let four = subgroupShuffle(column, 1u);
        t4 = select(without(t4, four.x, row, is_pivot), pivot, p == 4u);
        t5 = select(without(t5, four.y, row, is_pivot), pivot, p == 5u);
        t6 = select(without(t6, four.z, row, is_pivot), pivot, p == 6u);
        t7 = select(without(t7, four.w, row, is_pivot), pivot, p == 7u);
    }
    if (TASKS > 8u) {
        let four = subgroupShuffle(column, 2u);
        t8 = select(without(t8, four.x, row, is_pivot), pivot, p == 8u);
        t9 = select(without(t9, four.y, row, is_pivot), pivot, p == 9u);
        t10 = select(without(t10, four.z, row, is_pivot), pivot, p == 10u);
        t11 = select(without(t11, four.w, row, is_pivot), pivot, p == 11u);
    }
    if (TASKS > 12u) {
        let four = subgroupShuffle(column, 3u);
        t12 = select(without(t12, four.x, row, is_pivot), pivot, p == 12u);
        t13 = select(without(t13, four.y, row, is_pivot), pivot, p == 13u);
        t14 = select(without(t14, four.z, row, is_pivot), pivot, p == 14u);
        t15 = select(without(t15, four.w, row, is_pivot), pivot, p == 15u);
    }
    if (TASKS > 16u) {
        let four = subgroupShuffle(column, 4u);
        t16 = select(without(t16, four.x, row, is_pivot), pivot, p == 16u);
        t17 = select(without(t17, four.y, row, is_pivot), pivot, p == 17u);
        t18 = select(without(t18, four.z, row, is_pivot), pivot, p == 18u);
        t19 = select(without(t19, four.w, row, is_pivot), pivot, p == 19u);
    }
    if (TASKS > 20u) {
        let four = subgroupShuffle(column, 5u);
        t20 = select(without(t20, four.x, row, is_pivot), pivot, p == 20u);
        t21 = select(without(t21, four.y, row, is_pivot), pivot, p == 21u);
        t22 = select(without(t22, four.z, row, is_pivot), pivot, p == 22u);
        t23 = select(without(t23, four.w, row, is_pivot), pivot, p == 23u);
    }
    if (TASKS > 24u) {
        let four = subgroupShuffle(column, 6u);
        t24 = select(without(t24, four.x, row, is_pivot), pivot, p == 24u);
        t25 = select(without(t25, four.y, row, is_pivot), pivot, p == 25u);
        t26 = select(without(t26, four.z, row, is_pivot), pivot, p == 26u);
        t27 = select(without(t27, four.w, row, is_pivot), pivot, p == 27u);
    }
    if (TASKS > 28u) {
        let four = subgroupShuffle(column, 7u);
        t28 = select(without(t28, four.x, row, is_pivot), pivot, p == 28u);
        t29 = select(without(t29, four.y, row, is_pivot), pivot, p == 29u);
        t30 = select(without(t30, four.z, row, is_pivot), pivot, p == 30u);
        t31 = select(without(t31, four.w, row, is_pivot), pivot, p == 31u);
    }
}

// x with (K + diag d) x = b.
fn solve(d: vec4<f32>, b: vec4<f32>, lane: u32) -> vec4<f32> {
    let unknowns = 4u * lane + FOUR;
    t0 = a0 + select(vec4<f32>(), d, unknowns == vec4(0u));
    t1 = a1 + select(vec4<f32>(), d, unknowns == vec4(1u));
    t2 = a2 + select(vec4<f32>(), d, unknowns == vec4(2u));
    t3 = a3 + select(vec4<f32>(), d, unknowns == vec4(3u));
    t4 = a4 + select(vec4<f32>(), d, unknowns == vec4(4u));
    t5 = a5 + select(vec4<f32>(), d, unknowns == vec4(5u));
    t6 = a6 + select(vec4<f32>(), d, unknowns == vec4(6u));
    t7 = a7 + select(vec4<f32>(), d, unknowns == vec4(7u));
    t8 = a8 + select(vec4<f32>(), d, unknowns == vec4(8u));
    t9 = a9 + select(vec4<f32>(), d, unknowns == vec4(9u));
    t10 = a10 + select(vec4<f32>(), d, unknowns == vec4(10u));
    t11 = a11 + select(vec4<f32>(), d, unknowns == vec4(11u));
    t12 = a12 + select(vec4<f32>(), d, unknowns == vec4(12u));
    t13 = a13 + select(vec4<f32>(), d, unknowns == vec4(13u));
    t14 = a14 + select(vec4<f32>(), d, unknowns == vec4(14u));
    t15 = a15 + select(vec4<f32>(), d, unknowns == vec4(15u));
    t16 = a16 + select(vec4<f32>(), d, unknowns == vec4(16u));
    t17 = a17 + select(vec4<f32>(), d, unknowns == vec4(17u));
    t18 = a18 + select(vec4<f32>(), d, unknowns == vec4(18u));
    t19 = a19 + select(vec4<f32>(), d, unknowns == vec4(19u));
    t20 = a20 + select(vec4<f32>(), d, unknowns == vec4(20u));
    t21 = a21 + select(vec4<f32>(), d, unknowns == vec4(21u));
    t22 = a22 + select(vec4<f32>(), d, unknowns == vec4(22u));
    t23 = a23 + select(vec4<f32>(), d, unknowns == vec4(23u));
    t24 = a24 + select(vec4<f32>(), d, unknowns == vec4(24u));
    t25 = a25 + select(vec4<f32>(), d, unknowns == vec4(25u));
    t26 = a26 + select(vec4<f32>(), d, unknowns == vec4(26u));
    t27 = a27 + select(vec4<f32>(), d, unknowns == vec4(27u));
    t28 = a28 + select(vec4<f32>(), d, unknowns == vec4(28u));
    t29 = a29 + select(vec4<f32>(), d, unknowns == vec4(29u));
    t30 = a30 + select(vec4<f32>(), d, unknowns == vec4(30u));
    t31 = a31 + select(vec4<f32>(), d, unknowns == vec4(31u));
    var q = -b;
    var signs = vec4(1.0); // -1: after the pivot of the unknown
    for (var p = 0u; p < TASKS; p++) {
        let row = row_of(p);
        let inverse = 1.0 / subgroupShuffle(row, p / 4u)[p % 4u];
        let constant = subgroupShuffle(q, p / 4u)[p % 4u];
        let is_pivot = unknowns == vec4(p);
        // The column of the pivot is its row but for signs.
        let column = row * inverse * signs;
        let pivot = select(-inverse * row, vec4(inverse), is_pivot);
        eliminate(column, row, pivot, p, is_pivot);
        q = select(q - constant * column, vec4(-constant * inverse), is_pivot);
        signs = select(signs, vec4(-1.0), is_pivot);
    }
    return q;
}

@compute @workgroup_size(8)
fn bargaining_direct(@builtin(local_invocation_index) lane: u32) {
    let k = TASKS;
    let p = select(params.a, 1.0, METHOD == NASH_MTL);
    let inverse = 1.0 / p;
    let own_scales = four(k * k, 1u, lane);
    let is_active = own_scales > vec4<f32>();
    let largest = peak_of(four(0u, k + 1u, lane), lane);
    let unit = select(1.0, largest, largest > 0.0);
    a0 = row_of_products(0u, unit, lane);
    a1 = row_of_products(1u, unit, lane);
    a2 = row_of_products(2u, unit, lane);
    a3 = row_of_products(3u, unit, lane);
    a4 = row_of_products(4u, unit, lane);
    a5 = row_of_products(5u, unit, lane);
    a6 = row_of_products(6u, unit, lane);
    a7 = row_of_products(7u, unit, lane);
    a8 = row_of_products(8u, unit, lane);
    a9 = row_of_products(9u, unit, lane);
    a10 = row_of_products(10u, unit, lane);
    a11 = row_of_products(11u, unit, lane);
    a12 = row_of_products(12u, unit, lane);
    a13 = row_of_products(13u, unit, lane);
    a14 = row_of_products(14u, unit, lane);
    a15 = row_of_products(15u, unit, lane);
    a16 = row_of_products(16u, unit, lane);
    a17 = row_of_products(17u, unit, lane);
    a18 = row_of_products(18u, unit, lane);
    a19 = row_of_products(19u, unit, lane);
    a20 = row_of_products(20u, unit, lane);
    a21 = row_of_products(21u, unit, lane);
    a22 = row_of_products(22u, unit, lane);
    a23 = row_of_products(23u, unit, lane);
    a24 = row_of_products(24u, unit, lane);
    a25 = row_of_products(25u, unit, lane);
    a26 = row_of_products(26u, unit, lane);
    a27 = row_of_products(27u, unit, lane);
    a28 = row_of_products(28u, unit, lane);
    a29 = row_of_products(29u, unit, lane);
    a30 = row_of_products(30u, unit, lane);
    a31 = row_of_products(31u, unit, lane);
    let squares = four(0u, k + 1u, lane) / unit;
    var roots = select(vec4<f32>(), power(squares, -p / (1.0 + p)), is_active);
    for (var turn = 0u; turn < STEPS; turn++) {
        let powers = power(roots, -inverse);
        let sides = select(vec4<f32>(), powers - times(roots), is_active);
        let curves = inverse * powers / select(vec4(1.0), roots, is_active);
        let moves = solve(select(vec4(1.0), curves, is_active), sides, lane);
        // The decrement of the convex function, and the step that keeps w above zero.
        let decrement = sqrt(max(sum_of(moves * sides, lane), 0.0));
        let falls = moves < vec4<f32>();
        let room = select(vec4(1.0e30), -roots / select(vec4(-1.0), moves, falls), falls);
        let longest = -peak_of(-room, lane);
        let damped = select(1.0, 1.0 / (1.0 + decrement), decrement > 0.25);
        let relative = abs(moves) / select(vec4(1.0), roots, is_active);
        let largest_move = peak_of(select(vec4<f32>(), relative, is_active), lane);
        roots += min(damped, 0.95 * longest) * moves;
        if (largest_move < 1e-6) {
            break;
        }
    }
    let inner = times(roots);
    let square = sum_of(roots * inner, lane);
    let errors = abs(inner * power(roots, inverse) - vec4(1.0));
    let worst = peak_of(select(vec4<f32>(), errors, is_active), lane);
    // |Σ w g|² = wᵀ K w.
    var factor = power(vec4(unit), -p / (1.0 + p)).x;
    if (METHOD == NASH_MTL) {
        let length = sqrt(square);
        if (params.a > 0.0 && length > params.a) {
            factor = factor * params.a / length;
        }
    }
    let weights = factor * roots * own_scales;
    for (var c = 0u; c < 4u; c++) {
        let task = 4u * lane + c;
        if (task < k) {
            next_balance[task] = weights[c];
            partials[params.weights + task] = weights[c];
        }
    }
    if (lane == 0u) {
        next_balance[k] = worst;
        partials[params.weights + k] = worst;
    }
}
