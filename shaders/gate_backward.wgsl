// gradients of the values of a gate from those of its weights, by its rule (see gate_forward.wgsl):
//
// LINEAR   dz = dw
// SOFTMAX  dz_i = w_i (dw_i − Σ_j w_j dw_j)
// SELECT   dα likewise with dw_s = Σ_e dw_e r_se;   dz_sj = S'(z_sj) Σ_e dr_se ∂r_se / ∂S_sj,
//          dr_se = softmax(α)_s dw_e + λ ∂entropy / ∂r_se / rows
// GUMBEL   as SOFTMAX, over τ
// MASK     dz = w (1 − w) dw
//
// One invocation for a row of a gate, or for a unit of a row of a mask.

struct Params {
    rows: u32,        // rows of the chunk
    chunk_first: u32, // first row of the chunk within the batch
    first_gate: u32,  // the group: gates [first_gate, first_gate + gates)
    gates: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> gates: array<Gate>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> logits: array<f32>;
@group(0) @binding(5) var<storage, read_write> logits_delta: array<f32>;

const LINEAR = 0u;
const SELECT = 2u;
const GUMBEL = 3u;
const MASK = 4u;

// As in gate_forward.wgsl.
const EPSILON = 1e-6;

// A value of a gate.
fn value(gate: Gate, row: u32, i: u32) -> f32 {
    if (gate.constant == 1u) {
        return parameters[gate.first + i];
    }
    return logits[gate.first + row * gate.values + i];
}

// The smooth step and its slope.
fn smooth_step(gate: Gate, t: f32) -> vec2<f32> {
    if (t <= -0.5 * gate.gamma) {
        return vec2(0.0, 0.0);
    }
    if (t >= 0.5 * gate.gamma) {
        return vec2(1.0, 0.0);
    }
    let s = t / gate.gamma;
    return vec2(s * (1.5 - 2.0 * s * s) + 0.5, (1.5 - 6.0 * s * s) / gate.gamma);
}

// The value of a bit of a selector.
fn bit_value(gate: Gate, row: u32, selector: u32, bit: u32) -> f32 {
    return value(gate, row, gate.select + selector * gate.bits + bit);
}

// The code of a selector as the weight of a term, without one of its bits; `gate.bits` leaves out
// none.
fn coded(gate: Gate, row: u32, selector: u32, term: u32, without: u32) -> f32 {
    var product = 1.0;
    for (var bit = 0u; bit < gate.bits; bit++) {
        if (bit != without) {
            let s = smooth_step(gate, bit_value(gate, row, selector, bit)).x;
            product *= select(1.0 - s, s, ((term >> bit) & 1u) == 1u);
        }
    }
    return product;
}

// SELECT: the softmax of α at a selector.
fn share(gate: Gate, row: u32, selector: u32) -> f32 {
    var largest = value(gate, row, 0u);
    for (var s = 1u; s < gate.select; s++) {
        largest = max(largest, value(gate, row, s));
    }
    var sum = 0.0;
    for (var s = 0u; s < gate.select; s++) {
        sum += exponential(value(gate, row, s) - largest);
    }
    return exponential(value(gate, row, selector) - largest) / sum;
}

// SELECT: the gradient of the share of a selector.
fn share_gradient(gate: Gate, row: u32, selector: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < gate.terms; i++) {
        sum += logits_delta[gate.weights + row * gate.terms + i]
            * coded(gate, row, selector, i, gate.bits);
    }
    return sum;
}

// SELECT: 1 / (Σ_e r_e + ε)² of a selector where the number of terms is no power of two, else 0.
fn reach(gate: Gate, row: u32, selector: u32) -> f32 {
    if ((gate.terms & (gate.terms - 1u)) == 0u) {
        return 0.0;
    }
    var reached = 0.0;
    for (var i = 0u; i < gate.terms; i++) {
        reached += coded(gate, row, selector, i, gate.bits);
    }
    return 1.0 / ((reached + EPSILON) * (reached + EPSILON));
}

fn select_terms(gate: Gate, row: u32) {
    let place = gate.delta + row * gate.values;
    var mean = 0.0;
    for (var s = 0u; s < gate.select; s++) {
        mean += share(gate, row, s) * share_gradient(gate, row, s);
    }
    // The batch may have fewer rows.
    let is_present = params.chunk_first + row < step.rows;
    let factor = select(0.0, gate.entropy * step.inverse_rows, is_present);
    for (var s = 0u; s < gate.select; s++) {
        let alpha = share(gate, row, s);
        logits_delta[place + s] = alpha * (share_gradient(gate, row, s) - mean);
        let beyond = reach(gate, row, s);
        for (var bit = 0u; bit < gate.bits; bit++) {
            var sum = 0.0;
            for (var i = 0u; i < gate.terms; i++) {
                let r = coded(gate, row, s, i, gate.bits) + EPSILON;
                let of_entropy = -logarithm(r) - (r - EPSILON) / r - beyond;
                let dr = alpha * logits_delta[gate.weights + row * gate.terms + i]
                    + factor * of_entropy;
                let others = coded(gate, row, s, i, bit);
                sum += dr * select(-others, others, ((i >> bit) & 1u) == 1u);
            }
            let slope = smooth_step(gate, bit_value(gate, row, s, bit)).y;
            logits_delta[place + gate.select + s * gate.bits + bit] = slope * sum;
        }
    }
}

fn weigh_row(gate: Gate, row: u32) {
    if (gate.rule == SELECT) {
        select_terms(gate, row);
        return;
    }
    let place = gate.delta + row * gate.values;
    let weights = gate.weights + row * gate.terms;
    if (gate.rule == LINEAR) {
        for (var i = 0u; i < gate.terms; i++) {
            logits_delta[place + i] = logits_delta[weights + i];
        }
        return;
    }
    var mean = 0.0;
    for (var i = 0u; i < gate.terms; i++) {
        mean += logits[weights + i] * logits_delta[weights + i];
    }
    var coldness = 1.0;
    if (gate.rule == GUMBEL) {
        coldness = gate.inverse_from * exponential(gate.fall * step.progress);
    }
    for (var i = 0u; i < gate.terms; i++) {
        logits_delta[place + i] = coldness * logits[weights + i]
            * (logits_delta[weights + i] - mean);
    }
}

@compute @workgroup_size(64)
fn gate_backward(@builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>) {
    let gate = gates[params.first_gate + id.y];
    let stride = 64u * groups.x;
    if (gate.rule == MASK) {
        for (var e = id.x; e < params.rows * gate.values; e += stride) {
            let w = logits[gate.weights + e];
            let dz = w * (1.0 - w) * logits_delta[gate.weights + e];
            if (gate.delta != NONE) {
                logits_delta[gate.delta + e] = dz;
            }
            if (gate.second_delta != NONE) {
                logits_delta[gate.second_delta + e] = dz;
            }
        }
        return;
    }
    if (gate.delta == NONE) {
        return;
    }
    for (var row = id.x; row < params.rows; row += stride) {
        weigh_row(gate, row);
    }
}
