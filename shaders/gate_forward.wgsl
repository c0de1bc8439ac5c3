// weights of the terms of a mix from the values of a gate, by its rule:
//
// LINEAR   w = z
// SOFTMAX  w = softmax(z)
// SELECT   w_e = Σ_s softmax(α)_s r(z_s)_e,   r(z)_e = Π_j S(z_j) or 1 − S(z_j) by bit j of e
// GUMBEL   w = softmax((z + g) / τ) with Gumbel noise g in training, else 1 for the largest z
// MASK     w = sigmoid(z + z'), one per unit of the layer that is masked
//
// Hazimeh et al. 2021 (SELECT; S is their smooth step), Guo et al. 2020 (GUMBEL). One invocation
// for a row of a gate, or for a unit of a row of a mask. The temperature falls by equal factors
// over the run; the noise depends on gate, term and step, not on the row.
//
// The entropy of the selectors, −Σ_s Σ_e r ln(r + ε), goes to the partials, one per row; where the
// number of terms is no power of two, 1 / (Σ_e r + ε) − 1 of each selector is added to it, since
// codes without a term should not be chosen.

struct Params {
    rows: u32,        // rows of the chunk
    chunk_first: u32, // first row of the chunk within the batch
    first_gate: u32,  // the group: gates [first_gate, first_gate + gates)
    gates: u32,
    training: u32,    // 1: GUMBEL draws noise
    watch: u32,       // 1: the weights go to the partials, too
    capacity: u32,    // rows that a run of partials has
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> gates: array<Gate>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;

const LINEAR = 0u;
const SELECT = 2u;
const GUMBEL = 3u;
const MASK = 4u;

// Keeps the logarithm finite.
const EPSILON = 1e-6;

// Whether the batch has a row: the last one of an epoch may be shorter.
fn is_present(row: u32) -> bool {
    return params.chunk_first + row < step.rows;
}

// A value of a gate.
fn value(gate: Gate, row: u32, i: u32) -> f32 {
    if (gate.constant == 1u) {
        return parameters[gate.first + i];
    }
    return logits[gate.first + row * gate.values + i];
}

// Hazimeh et al. 2021, equation 3: from 0 to 1 between −γ/2 and γ/2.
fn smooth_step(gate: Gate, t: f32) -> f32 {
    if (t <= -0.5 * gate.gamma) {
        return 0.0;
    }
    if (t >= 0.5 * gate.gamma) {
        return 1.0;
    }
    let s = t / gate.gamma;
    return s * (1.5 - 2.0 * s * s) + 0.5;
}

// The code of a selector as the weight of a term.
fn coded(gate: Gate, row: u32, selector: u32, term: u32) -> f32 {
    var product = 1.0;
    for (var bit = 0u; bit < gate.bits; bit++) {
        let s = smooth_step(gate, value(gate, row, gate.select + selector * gate.bits + bit));
        product *= select(1.0 - s, s, ((term >> bit) & 1u) == 1u);
    }
    return product;
}

// Gumbel noise: −ln(−ln u) for a uniform u.
fn noise(gate: Gate, term: u32) -> f32 {
    let h = hash(term, NONE, gate.number ^ step.key_low, step.key_high);
    let u = (f32(h >> 9u) + 0.5) * 1.1920928955078125e-7;
    return -logarithm(-logarithm(u));
}

// Weights that are in place as exponents become their softmax.
fn softmax_in_place(place: u32, terms: u32) {
    var largest = logits[place];
    for (var i = 1u; i < terms; i++) {
        largest = max(largest, logits[place + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < terms; i++) {
        let e = exponential(logits[place + i] - largest);
        logits[place + i] = e;
        sum += e;
    }
    for (var i = 0u; i < terms; i++) {
        logits[place + i] = logits[place + i] / sum;
    }
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

fn select_terms(gate: Gate, row: u32) {
    let place = gate.weights + row * gate.terms;
    var entropy = 0.0;
    for (var i = 0u; i < gate.terms; i++) {
        logits[place + i] = 0.0;
    }
    for (var s = 0u; s < gate.select; s++) {
        let alpha = share(gate, row, s);
        var reached = 0.0;
        for (var i = 0u; i < gate.terms; i++) {
            let r = coded(gate, row, s, i);
            logits[place + i] += alpha * r;
            entropy -= r * logarithm(r + EPSILON);
            reached += r;
        }
        if ((gate.terms & (gate.terms - 1u)) != 0u) {
            entropy += 1.0 / (reached + EPSILON) - 1.0;
        }
    }
    if (gate.entropies != NONE) {
        partials[gate.entropies + row] = select(0.0, entropy, is_present(row));
    }
}

fn choose_term(gate: Gate, row: u32) {
    let place = gate.weights + row * gate.terms;
    if (params.training == 1u) {
        let coldness = gate.inverse_from * exponential(gate.fall * step.progress);
        for (var i = 0u; i < gate.terms; i++) {
            logits[place + i] = (value(gate, row, i) + noise(gate, i)) * coldness;
        }
        softmax_in_place(place, gate.terms);
        return;
    }
    var best = 0u;
    for (var i = 1u; i < gate.terms; i++) {
        if (value(gate, row, i) > value(gate, row, best)) {
            best = i;
        }
    }
    for (var i = 0u; i < gate.terms; i++) {
        logits[place + i] = select(0.0, 1.0, i == best);
    }
}

fn weigh_row(gate: Gate, row: u32) {
    let place = gate.weights + row * gate.terms;
    if (gate.rule == SELECT) {
        select_terms(gate, row);
    } else if (gate.rule == GUMBEL) {
        choose_term(gate, row);
    } else {
        for (var i = 0u; i < gate.terms; i++) {
            logits[place + i] = value(gate, row, i);
        }
        if (gate.rule != LINEAR) {
            softmax_in_place(place, gate.terms);
        }
    }
    if (params.watch == 1u && gate.means != NONE) {
        for (var i = 0u; i < gate.terms; i++) {
            let weight = select(0.0, logits[place + i], is_present(row));
            partials[gate.means + i * params.capacity + row] = weight;
        }
    }
}

@compute @workgroup_size(64)
fn gate_forward(@builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>) {
    let gate = gates[params.first_gate + id.y];
    let stride = 64u * groups.x;
    if (gate.rule != MASK) {
        for (var row = id.x; row < params.rows; row += stride) {
            weigh_row(gate, row);
        }
        return;
    }
    for (var e = id.x; e < params.rows * gate.values; e += stride) {
        var z = logits[gate.first + e];
        if (gate.second != NONE) {
            z += logits[gate.second + e];
        }
        logits[gate.weights + e] = 1.0 / (1.0 + exponential(-z));
    }
}
