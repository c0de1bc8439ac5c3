// Weights from the eigenvalues λ and eigenvectors V of the products K of scaled gradients
//
// For software adapters and at most 32 tasks, in place of `balance/spectral_weights.wgsl`, which
// has the formulas. One subgroup does all; a lane has four rows. Columns stand in pairs that are
// turned, then all but the first go round, until a sweep in which each has met each turns none.
// Columns lie in registers, since reads of memory are dear; so loops over them are written out.

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

// The same in registers.
var<private> k0: vec4<f32>;
var<private> k1: vec4<f32>;
var<private> k2: vec4<f32>;
var<private> k3: vec4<f32>;
var<private> k4: vec4<f32>;
var<private> k5: vec4<f32>;
var<private> k6: vec4<f32>;
var<private> k7: vec4<f32>;
var<private> k8: vec4<f32>;
var<private> k9: vec4<f32>;
var<private> k10: vec4<f32>;
var<private> k11: vec4<f32>;
var<private> k12: vec4<f32>;
var<private> k13: vec4<f32>;
var<private> k14: vec4<f32>;
var<private> k15: vec4<f32>;
var<private> k16: vec4<f32>;
var<private> k17: vec4<f32>;
var<private> k18: vec4<f32>;
var<private> k19: vec4<f32>;
var<private> k20: vec4<f32>;
var<private> k21: vec4<f32>;
var<private> k22: vec4<f32>;
var<private> k23: vec4<f32>;
var<private> k24: vec4<f32>;
var<private> k25: vec4<f32>;
var<private> k26: vec4<f32>;
var<private> k27: vec4<f32>;
var<private> k28: vec4<f32>;
var<private> k29: vec4<f32>;
var<private> k30: vec4<f32>;
var<private> k31: vec4<f32>;
var<private> v0: vec4<f32>;
var<private> v1: vec4<f32>;
var<private> v2: vec4<f32>;
var<private> v3: vec4<f32>;
var<private> v4: vec4<f32>;
var<private> v5: vec4<f32>;
var<private> v6: vec4<f32>;
var<private> v7: vec4<f32>;
var<private> v8: vec4<f32>;
var<private> v9: vec4<f32>;
var<private> v10: vec4<f32>;
var<private> v11: vec4<f32>;
var<private> v12: vec4<f32>;
var<private> v13: vec4<f32>;
var<private> v14: vec4<f32>;
var<private> v15: vec4<f32>;
var<private> v16: vec4<f32>;
var<private> v17: vec4<f32>;
var<private> v18: vec4<f32>;
var<private> v19: vec4<f32>;
var<private> v20: vec4<f32>;
var<private> v21: vec4<f32>;
var<private> v22: vec4<f32>;
var<private> v23: vec4<f32>;
var<private> v24: vec4<f32>;
var<private> v25: vec4<f32>;
var<private> v26: vec4<f32>;
var<private> v27: vec4<f32>;
var<private> v28: vec4<f32>;
var<private> v29: vec4<f32>;
var<private> v30: vec4<f32>;
var<private> v31: vec4<f32>;
var<private> turned_pairs: u32; // of a sweep

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

// The cosine and the sine by which two columns are turned; 1 and 0 where they are orthogonal.
fn rotation(a: vec4<f32>, b: vec4<f32>, lane: u32) -> vec2<f32> {
    let found = over_lanes(vec4(dot(a, a), dot(b, b), dot(a, b), 0.0), lane);
    let gamma = found.z;
    let turns = abs(gamma) > 1e-7 * sqrt(found.x * found.y) && gamma != 0.0;
    let zeta = (found.y - found.x) / (2.0 * select(1.0, gamma, turns));
    let t = select(-1.0, 1.0, zeta >= 0.0) / (abs(zeta) + sqrt(1.0 + zeta * zeta));
    let c = 1.0 / sqrt(1.0 + t * t);
    turned_pairs += select(0u, 1u, turns);
    return select(vec2(1.0, 0.0), vec2(c, c * t), turns);
}

// Turns all pairs.
fn turn_pairs(lane: u32) {
    {
        let r = rotation(k0, k1, lane);
        let k = k0;
        let v = v0;
        k0 = r.x * k - r.y * k1;
        k1 = r.y * k + r.x * k1;
        v0 = r.x * v - r.y * v1;
        v1 = r.y * v + r.x * v1;
    }
    if (TASKS > 2u) {
        let r = rotation(k2, k3, lane);
        let k = k2;
        let v = v2;
        k2 = r.x * k - r.y * k3;
        k3 = r.y * k + r.x * k3;
        v2 = r.x * v - r.y * v3;
        v3 = r.y * v + r.x * v3;
    }
    if (TASKS > 4u) {
        let r = rotation(k4, k5, lane);
        let k = k4;
        let v = v4;
        k4 = r.x * k - r.y * k5;
        k5 = r.y * k + r.x * k5;
        v4 = r.x * v - r.y * v5;
        v5 = r.y * v + r.x * v5;
    }
    if (TASKS > 6u) {
        let r = rotation(k6, k7, lane);
        let k = k6;
        let v = v6;
        k6 = r.x * k - r.y * k7;
        k7 = r.y * k + r.x * k7;
        v6 = r.x * v - r.y * v7;
        v7 = r.y * v + r.x * v7;
    }
    if (TASKS > 8u) {
        let r = rotation(k8, k9, lane);
        let k = k8;
        let v = v8;
        k8 = r.x * k - r.y * k9;
        k9 = r.y * k + r.x * k9;
        v8 = r.x * v - r.y * v9;
        v9 = r.y * v + r.x * v9;
    }
    if (TASKS > 10u) {
        let r = rotation(k10, k11, lane);
        let k = k10;
        let v = v10;
        k10 = r.x * k - r.y * k11;
        k11 = r.y * k + r.x * k11;
        v10 = r.x * v - r.y * v11;
        v11 = r.y * v + r.x * v11;
    }
    if (TASKS > 12u) {
        let r = rotation(k12, k13, lane);
        let k = k12;
        let v = v12;
        k12 = r.x * k - r.y * k13;
        k13 = r.y * k + r.x * k13;
        v12 = r.x * v - r.y * v13;
        v13 = r.y * v + r.x * v13;
    }
    if (TASKS > 14u) {
        let r = rotation(k14, k15, lane);
        let k = k14;
        let v = v14;
        k14 = r.x * k - r.y * k15;
        k15 = r.y * k + r.x * k15;
        v14 = r.x * v - r.y * v15;
        v15 = r.y * v + r.x * v15;
    }
    if (TASKS > 16u) {
        let r = rotation(k16, k17, lane);
        let k = k16;
        let v = v16;
        k16 = r.x * k - r.y * k17;
        k17 = r.y * k + r.x * k17;
        v16 = r.x * v - r.y * v17;
        v17 = r.y * v + r.x * v17;
    }
    if (TASKS > 18u) {
        let r = rotation(k18, k19, lane);
        let k = k18;
        let v = v18;
        k18 = r.x * k - r.y * k19;
        k19 = r.y * k + r.x * k19;
        v18 = r.x * v - r.y * v19;
        v19 = r.y * v + r.x * v19;
    }
    if (TASKS > 20u) {
        let r = rotation(k20, k21, lane);
        let k = k20;
        let v = v20;
        k20 = r.x * k - r.y * k21;
        k21 = r.y * k + r.x * k21;
        v20 = r.x * v - r.y * v21;
        v21 = r.y * v + r.x * v21;
    }
    if (TASKS > 22u) {
        let r = rotation(k22, k23, lane);
        let k = k22;
        let v = v22;
        k22 = r.x * k - r.y * k23;
        k23 = r.y * k + r.x * k23;
        v22 = r.x * v - r.y * v23;
        v23 = r.y * v + r.x * v23;
    }
    if (TASKS > 24u) {
        let r = rotation(k24, k25, lane);
        let k = k24;
        let v = v24;
        k24 = r.x * k - r.y * k25;
        k25 = r.y * k + r.x * k25;
        v24 = r.x * v - r.y * v25;
        v25 = r.y * v + r.x * v25;
    }
    if (TASKS > 26u) {
        let r = rotation(k26, k27, lane);
        let k = k26;
        let v = v26;
        k26 = r.x * k - r.y * k27;
        k27 = r.y * k + r.x * k27;
        v26 = r.x * v - r.y * v27;
        v27 = r.y * v + r.x * v27;
    }
    if (TASKS > 28u) {
        let r = rotation(k28, k29, lane);
        let k = k28;
        let v = v28;
        k28 = r.x * k - r.y * k29;
        k29 = r.y * k + r.x * k29;
        v28 = r.x * v - r.y * v29;
        v29 = r.y * v + r.x * v29;
    }
    if (TASKS > 30u) {
        let r = rotation(k30, k31, lane);
        let k = k30;
        let v = v30;
        k30 = r.x * k - r.y * k31;
        k31 = r.y * k + r.x * k31;
        v30 = r.x * v - r.y * v31;
        v31 = r.y * v + r.x * v31;
    }
}

// Moves all columns but the first to their next pair: those with even numbers up, those with odd
// ones down.
fn go_round() {
    let k = k1;
    let v = v1;
    var last_k = k0;
    var last_v = v0;
    if (TASKS > 2u) {
        last_k = k2;
        last_v = v2;
    }
    if (TASKS > 4u) {
        last_k = k4;
        last_v = v4;
    }
    if (TASKS > 6u) {
        last_k = k6;
        last_v = v6;
    }
    if (TASKS > 8u) {
        last_k = k8;
        last_v = v8;
    }
    if (TASKS > 10u) {
        last_k = k10;
        last_v = v10;
    }
    if (TASKS > 12u) {
        last_k = k12;
        last_v = v12;
    }
    if (TASKS > 14u) {
        last_k = k14;
        last_v = v14;
    }
    if (TASKS > 16u) {
        last_k = k16;
        last_v = v16;
    }
    if (TASKS > 18u) {
        last_k = k18;
        last_v = v18;
    }
    if (TASKS > 20u) {
        last_k = k20;
        last_v = v20;
    }
    if (TASKS > 22u) {
        last_k = k22;
        last_v = v22;
    }
    if (TASKS > 24u) {
        last_k = k24;
        last_v = v24;
    }
    if (TASKS > 26u) {
        last_k = k26;
        last_v = v26;
    }
    if (TASKS > 28u) {
        last_k = k28;
        last_v = v28;
    }
    if (TASKS > 30u) {
        last_k = k30;
        last_v = v30;
    }
    if (TASKS > 2u) {
        k1 = k3;
        v1 = v3;
    } else if (TASKS > 0u) {
        k1 = last_k;
        v1 = last_v;
    }
    if (TASKS > 4u) {
        k3 = k5;
        v3 = v5;
    } else if (TASKS > 2u) {
        k3 = last_k;
        v3 = last_v;
    }
    if (TASKS > 6u) {
        k5 = k7;
        v5 = v7;
    } else if (TASKS > 4u) {
        k5 = last_k;
        v5 = last_v;
    }
    if (TASKS > 8u) {
        k7 = k9;
        v7 = v9;
    } else if (TASKS > 6u) {
        k7 = last_k;
        v7 = last_v;
    }
    if (TASKS > 10u) {
        k9 = k11;
        v9 = v11;
    } else if (TASKS > 8u) {
        k9 = last_k;
        v9 = last_v;
    }
    if (TASKS > 12u) {
        k11 = k13;
        v11 = v13;
    } else if (TASKS > 10u) {
        k11 = last_k;
        v11 = last_v;
    }
    if (TASKS > 14u) {
        k13 = k15;
        v13 = v15;
    } else if (TASKS > 12u) {
        k13 = last_k;
        v13 = last_v;
    }
    if (TASKS > 16u) {
        k15 = k17;
        v15 = v17;
    } else if (TASKS > 14u) {
        k15 = last_k;
        v15 = last_v;
    }
    if (TASKS > 18u) {
        k17 = k19;
        v17 = v19;
    } else if (TASKS > 16u) {
        k17 = last_k;
        v17 = last_v;
    }
    if (TASKS > 20u) {
        k19 = k21;
        v19 = v21;
    } else if (TASKS > 18u) {
        k19 = last_k;
        v19 = last_v;
    }
    if (TASKS > 22u) {
        k21 = k23;
        v21 = v23;
    } else if (TASKS > 20u) {
        k21 = last_k;
        v21 = last_v;
    }
    if (TASKS > 24u) {
        k23 = k25;
        v23 = v25;
    } else if (TASKS > 22u) {
        k23 = last_k;
        v23 = last_v;
    }
    if (TASKS > 26u) {
        k25 = k27;
        v25 = v27;
    } else if (TASKS > 24u) {
        k25 = last_k;
        v25 = last_v;
    }
    if (TASKS > 28u) {
        k27 = k29;
        v27 = v29;
    } else if (TASKS > 26u) {
        k27 = last_k;
        v27 = last_v;
    }
    if (TASKS > 30u) {
        k29 = k31;
        v29 = v31;
    } else if (TASKS > 28u) {
        k29 = last_k;
        v29 = last_v;
    }
    if (TASKS > 30u) {
        k31 = last_k;
        v31 = last_v;
    }
    if (TASKS > 30u) {
        k30 = k28;
        v30 = v28;
    }
    if (TASKS > 28u) {
        k28 = k26;
        v28 = v26;
    }
    if (TASKS > 26u) {
        k26 = k24;
        v26 = v24;
    }
    if (TASKS > 24u) {
        k24 = k22;
        v24 = v22;
    }
    if (TASKS > 22u) {
        k22 = k20;
        v22 = v20;
    }
    if (TASKS > 20u) {
        k20 = k18;
        v20 = v18;
    }
    if (TASKS > 18u) {
        k18 = k16;
        v18 = v16;
    }
    if (TASKS > 16u) {
        k16 = k14;
        v16 = v14;
    }
    if (TASKS > 14u) {
        k14 = k12;
        v14 = v12;
    }
    if (TASKS > 12u) {
        k12 = k10;
        v12 = v10;
    }
    if (TASKS > 10u) {
        k10 = k8;
        v10 = v8;
    }
    if (TASKS > 8u) {
        k8 = k6;
        v8 = v6;
    }
    if (TASKS > 6u) {
        k6 = k4;
        v6 = v4;
    }
    if (TASKS > 4u) {
        k4 = k2;
        v4 = v2;
    }
    k2 = k;
    v2 = v;
}

// Makes all columns orthogonal.
fn turn_all(lane: u32) {
    let rounds = 2u * ((TASKS + 1u) / 2u) - 1u;
    for (var sweep = 0u; sweep < SWEEPS; sweep++) {
        turned_pairs = 0u;
        for (var round = 0u; round < rounds; round++) {
            turn_pairs(lane);
            if (TASKS > 2u) {
                go_round();
            }
        }
        if (turned_pairs == 0u) {
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
    for (var j = 0u; j < 32u; j++) {
        let factor = subgroupShuffle(factors, j / 4u)[j % 4u];
        let column = four(min(j, k - 1u) * k, 1u, lane) * factor * factors;
        turned[8u * j + lane] = select(vec4<f32>(), column, vec4(j < k));
        vectors[8u * j + lane] = select(vec4<f32>(), vec4(1.0), 4u * lane + FOUR == vec4(j));
    }
    k0 = turned[lane];
    v0 = vectors[lane];
    k1 = turned[8u + lane];
    v1 = vectors[8u + lane];
    k2 = turned[16u + lane];
    v2 = vectors[16u + lane];
    k3 = turned[24u + lane];
    v3 = vectors[24u + lane];
    k4 = turned[32u + lane];
    v4 = vectors[32u + lane];
    k5 = turned[40u + lane];
    v5 = vectors[40u + lane];
    k6 = turned[48u + lane];
    v6 = vectors[48u + lane];
    k7 = turned[56u + lane];
    v7 = vectors[56u + lane];
    k8 = turned[64u + lane];
    v8 = vectors[64u + lane];
    k9 = turned[72u + lane];
    v9 = vectors[72u + lane];
    k10 = turned[80u + lane];
    v10 = vectors[80u + lane];
    k11 = turned[88u + lane];
    v11 = vectors[88u + lane];
    k12 = turned[96u + lane];
    v12 = vectors[96u + lane];
    k13 = turned[104u + lane];
    v13 = vectors[104u + lane];
    k14 = turned[112u + lane];
    v14 = vectors[112u + lane];
    k15 = turned[120u + lane];
    v15 = vectors[120u + lane];
    k16 = turned[128u + lane];
    v16 = vectors[128u + lane];
    k17 = turned[136u + lane];
    v17 = vectors[136u + lane];
    k18 = turned[144u + lane];
    v18 = vectors[144u + lane];
    k19 = turned[152u + lane];
    v19 = vectors[152u + lane];
    k20 = turned[160u + lane];
    v20 = vectors[160u + lane];
    k21 = turned[168u + lane];
    v21 = vectors[168u + lane];
    k22 = turned[176u + lane];
    v22 = vectors[176u + lane];
    k23 = turned[184u + lane];
    v23 = vectors[184u + lane];
    k24 = turned[192u + lane];
    v24 = vectors[192u + lane];
    k25 = turned[200u + lane];
    v25 = vectors[200u + lane];
    k26 = turned[208u + lane];
    v26 = vectors[208u + lane];
    k27 = turned[216u + lane];
    v27 = vectors[216u + lane];
    k28 = turned[224u + lane];
    v28 = vectors[224u + lane];
    k29 = turned[232u + lane];
    v29 = vectors[232u + lane];
    k30 = turned[240u + lane];
    v30 = vectors[240u + lane];
    k31 = turned[248u + lane];
    v31 = vectors[248u + lane];
    turn_all(lane);
    turned[lane] = k0;
    vectors[lane] = v0;
    turned[8u + lane] = k1;
    vectors[8u + lane] = v1;
    turned[16u + lane] = k2;
    vectors[16u + lane] = v2;
    turned[24u + lane] = k3;
    vectors[24u + lane] = v3;
    turned[32u + lane] = k4;
    vectors[32u + lane] = v4;
    turned[40u + lane] = k5;
    vectors[40u + lane] = v5;
    turned[48u + lane] = k6;
    vectors[48u + lane] = v6;
    turned[56u + lane] = k7;
    vectors[56u + lane] = v7;
    turned[64u + lane] = k8;
    vectors[64u + lane] = v8;
    turned[72u + lane] = k9;
    vectors[72u + lane] = v9;
    turned[80u + lane] = k10;
    vectors[80u + lane] = v10;
    turned[88u + lane] = k11;
    vectors[88u + lane] = v11;
    turned[96u + lane] = k12;
    vectors[96u + lane] = v12;
    turned[104u + lane] = k13;
    vectors[104u + lane] = v13;
    turned[112u + lane] = k14;
    vectors[112u + lane] = v14;
    turned[120u + lane] = k15;
    vectors[120u + lane] = v15;
    turned[128u + lane] = k16;
    vectors[128u + lane] = v16;
    turned[136u + lane] = k17;
    vectors[136u + lane] = v17;
    turned[144u + lane] = k18;
    vectors[144u + lane] = v18;
    turned[152u + lane] = k19;
    vectors[152u + lane] = v19;
    turned[160u + lane] = k20;
    vectors[160u + lane] = v20;
    turned[168u + lane] = k21;
    vectors[168u + lane] = v21;
    turned[176u + lane] = k22;
    vectors[176u + lane] = v22;
    turned[184u + lane] = k23;
    vectors[184u + lane] = v23;
    turned[192u + lane] = k24;
    vectors[192u + lane] = v24;
    turned[200u + lane] = k25;
    vectors[200u + lane] = v25;
    turned[208u + lane] = k26;
    vectors[208u + lane] = v26;
    turned[216u + lane] = k27;
    vectors[216u + lane] = v27;
    turned[224u + lane] = k28;
    vectors[224u + lane] = v28;
    turned[232u + lane] = k29;
    vectors[232u + lane] = v29;
    turned[240u + lane] = k30;
    vectors[240u + lane] = v30;
    turned[248u + lane] = k31;
    vectors[248u + lane] = v31;
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
