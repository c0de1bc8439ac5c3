// Quadratic programs with non-negative unknowns: min ½ zᵀ A z + bᵀ z, z ≥ 0
//
// For software adapters and at most 32 tasks, in place of `balance/cone_projection.wgsl`, which has
// the formulas. One subgroup does all programs, one after the other; a lane has four unknowns.
// Principal pivots find which unknowns are above zero, and the inverse that they leave improves
// their values. A of MGDA may be singular: there a few sweeps of coordinate descent find these
// unknowns, and conjugate gradients their values, in turns (after Moré and Toraldo, "On the
// solution of large quadratic programming problems with bound constraints", 1991).

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

const TURNS = 64u;     // of MGDA
const PIVOTS = 20u;    // pivots per task, at most
const CORRECTIONS = 3u;
const FOUR = vec4(0u, 1u, 2u, 3u);

// A, four columns per lane: row j of lane l at 8 j + l.
var<workgroup> rows: array<vec4<f32>, 256>;
// The same in registers, and what pivots have made of it. Shuffles from a lane whose number is a
// constant are cheap and reads of memory are not, so loops over rows are written out.
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
var<private> z: vec4<f32>; // unknowns
var<private> y: vec4<f32>; // A z + b

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

// How far z and y are from a solution, in units of u.
fn violation_of(u: f32, lane: u32) -> f32 {
    let worst = abs(min(z, y));
    return peak_of_lanes(max(max(worst.x, worst.y), max(worst.z, worst.w)), lane) / u;
}

// The tableau times a vector: the inverse, of unknowns above zero.
fn times_tableau(v: vec4<f32>) -> vec4<f32> {
    var sum = vec4<f32>();
    {
        let four = subgroupShuffle(v, 0u);
        sum += four.x * t0 + four.y * t1 + four.z * t2 + four.w * t3;
    }
    if (TASKS > 4u) {
        let four = subgroupShuffle(v, 1u);
        sum += four.x * t4 + four.y * t5 + four.z * t6 + four.w * t7;
    }
    if (TASKS > 8u) {
        let four = subgroupShuffle(v, 2u);
        sum += four.x * t8 + four.y * t9 + four.z * t10 + four.w * t11;
    }
    if (TASKS > 12u) {
        let four = subgroupShuffle(v, 3u);
        sum += four.x * t12 + four.y * t13 + four.z * t14 + four.w * t15;
    }
    if (TASKS > 16u) {
        let four = subgroupShuffle(v, 4u);
        sum += four.x * t16 + four.y * t17 + four.z * t18 + four.w * t19;
    }
    if (TASKS > 20u) {
        let four = subgroupShuffle(v, 5u);
        sum += four.x * t20 + four.y * t21 + four.z * t22 + four.w * t23;
    }
    if (TASKS > 24u) {
        let four = subgroupShuffle(v, 6u);
        sum += four.x * t24 + four.y * t25 + four.z * t26 + four.w * t27;
    }
    if (TASKS > 28u) {
        let four = subgroupShuffle(v, 7u);
        sum += four.x * t28 + four.y * t29 + four.z * t30 + four.w * t31;
    }
    return sum;
}

// A row of the tableau.
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

// Solves a program by principal pivots.
fn pivot(b: vec4<f32>, size: f32, lane: u32) {
    let unknowns = 4u * lane + FOUR;
    let least = 1e-6 * size;
    t0 = a0;
    t1 = a1;
    t2 = a2;
    t3 = a3;
    t4 = a4;
    t5 = a5;
    t6 = a6;
    t7 = a7;
    t8 = a8;
    t9 = a9;
    t10 = a10;
    t11 = a11;
    t12 = a12;
    t13 = a13;
    t14 = a14;
    t15 = a15;
    t16 = a16;
    t17 = a17;
    t18 = a18;
    t19 = a19;
    t20 = a20;
    t21 = a21;
    t22 = a22;
    t23 = a23;
    t24 = a24;
    t25 = a25;
    t26 = a26;
    t27 = a27;
    t28 = a28;
    t29 = a29;
    t30 = a30;
    t31 = a31;
    var q = b;
    var signs = vec4(1.0); // -1: the unknown is above zero
    for (var turn = 0u; turn < PIVOTS * TASKS; turn++) {
        // The largest violation. Rounding errors make small ones come and go: the limit grows.
        let limit = least * exp2(f32(turn) / f32(TASKS));
        let largest = peak_of_lanes(max(max(-q.x, -q.y), max(-q.z, -q.w)), lane);
        if (largest <= limit) {
            break;
        }
        let places = vec4(64.0) - vec4<f32>(unknowns);
        let found = select(vec4(-1.0), places, -q == vec4(largest));
        let peak = peak_of_lanes(max(max(found.x, found.y), max(found.z, found.w)), lane);
        let p = min(u32(64.0 - peak), TASKS - 1u);
        let row = row_of(p);
        let inverse = 1.0 / subgroupShuffle(row, p / 4u)[p % 4u];
        let constant = subgroupShuffle(q, p / 4u)[p % 4u];
        let sign = subgroupShuffle(signs, p / 4u)[p % 4u];
        let is_pivot = unknowns == vec4(p);
        // The column of the pivot is its row but for signs.
        let column = row * (inverse * sign) * signs;
        let pivot = select(-inverse * row, vec4(inverse), is_pivot);
        eliminate(column, row, pivot, p, is_pivot);
        q = select(q - constant * column, vec4(-constant * inverse), is_pivot);
        signs = select(signs, -signs, is_pivot);
    }
    let is_free = signs < vec4<f32>();
    z = select(vec4<f32>(), max(q, vec4<f32>()), is_free);
    for (var turn = 0u; turn < CORRECTIONS; turn++) {
        let rest = select(vec4<f32>(), -(times(z, lane) + b), is_free);
        let correction = times_tableau(rest);
        z = select(vec4<f32>(), max(z + correction, vec4<f32>()), is_free);
    }
    y = times(z, lane) + b;
}

// One turn of sweeps and of conjugate gradients.
fn descend(b: vec4<f32>, diagonal: vec4<f32>, enough: f32, lane: u32) {
    for (var sweep = 0u; sweep < 2u; sweep++) {
        for (var j = 0u; j < TASKS; j++) {
            let step = max(z - y / diagonal, vec4<f32>()) - z;
            let change = subgroupShuffle(step, j / 4u)[j % 4u];
            y += change * rows[8u * j + lane];
            z += select(vec4<f32>(), vec4(change), 4u * lane + FOUR == vec4(j));
        }
    }
    // Conjugate gradients of the unknowns above zero; those that would fall below it become
    // zero, the first ones first.
    for (var round = 0u; round < TASKS; round++) {
        let free = select(vec4<f32>(), vec4(1.0), z > vec4<f32>());
        var r = -y * free;
        var d = r;
        var x = vec4<f32>();
        var square = sum_of(r * r, lane);
        for (var i = 0u; i < TASKS && square > enough; i++) {
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
    a0 = rows[lane];
    a1 = rows[8u + lane];
    a2 = rows[16u + lane];
    a3 = rows[24u + lane];
    a4 = rows[32u + lane];
    a5 = rows[40u + lane];
    a6 = rows[48u + lane];
    a7 = rows[56u + lane];
    a8 = rows[64u + lane];
    a9 = rows[72u + lane];
    a10 = rows[80u + lane];
    a11 = rows[88u + lane];
    a12 = rows[96u + lane];
    a13 = rows[104u + lane];
    a14 = rows[112u + lane];
    a15 = rows[120u + lane];
    a16 = rows[128u + lane];
    a17 = rows[136u + lane];
    a18 = rows[144u + lane];
    a19 = rows[152u + lane];
    a20 = rows[160u + lane];
    a21 = rows[168u + lane];
    a22 = rows[176u + lane];
    a23 = rows[184u + lane];
    a24 = rows[192u + lane];
    a25 = rows[200u + lane];
    a26 = rows[208u + lane];
    a27 = rows[216u + lane];
    a28 = rows[224u + lane];
    a29 = rows[232u + lane];
    a30 = rows[240u + lane];
    a31 = rows[248u + lane];
    var diagonal = vec4(1.0);
    for (var c = 0u; c < 4u; c++) {
        diagonal[c] = rows[8u * (4u * lane + c) + lane][c];
    }
    let of_mean = times(mine * u, lane) * mine;
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
        z = vec4<f32>();
        y = b;
        var violation = 0.0;
        if (is_mgda) {
            var before = 3.0e38;
            var still = 0u;
            for (var turn = 0u; turn < TURNS; turn++) {
                descend(b, diagonal, 1e-15, lane);
                violation = violation_of(u, lane);
                still = select(0u, still + 1u, violation > 0.95 * before);
                if (violation <= 2e-7 || still > 8u) {
                    break;
                }
                before = min(before, violation);
            }
        } else {
            let sizes = abs(b);
            let size = peak_of_lanes(max(max(sizes.x, sizes.y), max(sizes.z, sizes.w)), lane);
            pivot(b, size, lane);
            violation = violation_of(u, lane);
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
