// loss = r · n · Σ_k l(z_k, y_k),   dz_k = w · r · n · l'(z_k, y_k)
//
// logistic   l = c (1 − p)^γ ln(1 + e^−u), where u = z or −z as y is 1 or 0, p = σ(u), and c is the
//            weight of positives where y is 1, else 1 (Lin et al., "Focal Loss for Dense Object
//            Detection", ICCV 2017)
// squared    l = (z − y)²
// absolute   l = |z − y|
// huber      l = ½ (z − y)² where |z − y| ≤ δ, else δ (|z − y| − ½ δ)
// quantile   l = max(q (y − z), (q − 1) (y − z))
// poisson    l = c (e^z − y z), where c is one over the mean of the training counts, or 1
//
// r    the weight of the row
// n    one over the sum of the weights of the batch's labels
// w    the weight of the task
//
// For losses with one label per output. One invocation per row of a head (group.y) goes through its
// outputs in order; multiclass heads are skipped. An output without a label has no loss and no
// gradient. Each row keeps its loss, without w, for `reduce_metrics`; a hit is a logit whose sign
// is that of its label.

struct Params {
    rows: u32,         // rows of the chunk
    cells: u32,        // labels of a row, its weight included
    weighted: u32,     // 1: the last label is the weight of the row
    loss: u32,         // losses [T, capacity] among the partials
    hits: u32,         // hits [T, capacity] among the partials
    capacity: u32,     // rows per task among the partials
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> heads: array<Head>;                // [T]
@group(0) @binding(3) var<storage, read> logits: array<f32>;                // [rows, K] per head
@group(0) @binding(4) var<storage, read> labels: array<u32>;                // [rows, cells]
@group(0) @binding(5) var<storage, read> class_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> logits_delta: array<f32>;    // [rows, K] per head
@group(0) @binding(7) var<storage, read_write> partials: array<f32>;

// Kinds of loss, beside MULTICLASS.
const LOGISTIC = 1u;
const SQUARED = 2u;
const ABSOLUTE = 3u;
const HUBER = 4u;
const QUANTILE = 5u;
const POISSON = 6u;

// (l, l') of the logistic loss for a label of 0 or 1.
fn logistic(z: f32, positive: bool, weight: f32, gamma: f32) -> vec2<f32> {
    let u = select(-z, z, positive);
    let small = exponential(-abs(z));
    // q = 1 − p = σ(−u) and −ln p = ln(1 + e^−u), each in the form that loses no digits.
    let q = select(1.0, small, u > 0.0) / (1.0 + small);
    let nll = max(-u, 0.0) + logarithm_1p(small);
    var power = 1.0;
    var slope = -q;
    if (gamma > 0.0) {
        power = 0.0;
        slope = 0.0;
        if (q > 1e-30) {
            power = exponential(gamma * logarithm(q));
            slope = -power * (q + gamma * (1.0 - q) * nll);
        }
    }
    let c = select(1.0, weight, positive);
    return c * vec2(power * nll, select(-slope, slope, positive));
}

// (l, l') of a loss for numbers.
fn of_number(kind: u32, z: f32, y: f32, parameter: f32) -> vec2<f32> {
    let e = z - y;
    switch kind {
        case SQUARED: {
            return vec2(e * e, 2.0 * e);
        }
        case ABSOLUTE: {
            return vec2(abs(e), sign(e));
        }
        case HUBER: {
            if (abs(e) <= parameter) {
                return vec2(0.5 * e * e, e);
            }
            return vec2(parameter * (abs(e) - 0.5 * parameter), parameter * sign(e));
        }
        case QUANTILE: {
            if (e > 0.0) {
                return vec2((1.0 - parameter) * e, 1.0 - parameter);
            }
            return vec2(-parameter * e, select(0.0, -parameter, e < 0.0));
        }
        default: {
            let rate = exponential(z);
            return parameter * vec2(rate - y * z, rate - y);
        }
    }
}

@compute @workgroup_size(64)
fn pointwise_losses(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let row = group.x * 64u + lane;
    let task = group.y;
    let head = heads[task];
    if (row >= params.rows || head.kind == MULTICLASS) {
        return;
    }
    var inverse = step.inverse_rows * head.share;
    if (head.inverse != NONE) {
        inverse = partials[head.inverse];
    }
    var of_row = 1.0;
    if (params.weighted == 1u) {
        of_row = bitcast<f32>(labels[(row + 1u) * params.cells - 1u]);
    }
    var loss = 0.0;
    var hits = 0.0;
    var any_label = false;
    for (var k = 0u; k < head.outputs; k++) {
        let place = head.logits + row * head.outputs + k;
        let label = labels[row * params.cells + head.cell + k];
        let z = logits[place];
        var d = 0.0;
        if (label != NONE) {
            any_label = true;
            var found = vec2<f32>();
            if (head.kind == LOGISTIC) {
                found = logistic(z, label == 1u, class_weights[head.weights + k], head.gamma);
                hits += select(0.0, 1.0, (z > 0.0) == (label == 1u));
            } else {
                found = of_number(head.kind, z, bitcast<f32>(label), head.parameter);
            }
            loss += found.x;
            d = found.y;
        }
        let scale = select(0.0, head.weight * (of_row * inverse), label != NONE);
        logits_delta[place] = scale * d;
    }
    partials[params.loss + task * params.capacity + row] = select(0.0, of_row * inverse,
        any_label) * loss;
    partials[params.hits + task * params.capacity + row] = hits;
}
