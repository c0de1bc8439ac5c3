// loss = r · q^γ · S,   S = Σ_c t_c (ln Σ e^z − z_c)
// dz_c = w · r · n · (q^γ (p_c Σ t − t_c) + γ p q^(γ − 1) S (p_c − [c is the label]))
//
// t    the target: the weight of the label's class, of which label smoothing (Szegedy et al., CVPR
//      2016) spreads a share ε over all classes
// p    the probability of the label, q = 1 − p
// γ    the exponent of the focal loss (Lin et al., ICCV 2017)
// r    the weight of the row
// n    one over the sum of the weights of the batch
// w    the weight of the task
//
// One invocation per row of a head (group.y); heads of other types are skipped. The maximum is
// taken out first, and ln(1 + Σ of the others) keeps the digits of confident predictions, so the
// loss is stable for all finite logits. Rows without a label have no loss and no gradient. Each row
// keeps its loss, times n and without w, for `reduce_metrics`; a row is a hit if its first largest
// logit is its label.

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
@group(0) @binding(3) var<storage, read> logits: array<f32>;                // [rows, C] per head
@group(0) @binding(4) var<storage, read> labels: array<u32>;                // [rows, cells]
@group(0) @binding(5) var<storage, read> class_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> logits_delta: array<f32>;    // [rows, C] per head
@group(0) @binding(7) var<storage, read_write> partials: array<f32>;

override SHAPED: bool = false; // whether a head has class weights, label smoothing or a focal γ

// The class weight of a label.
fn weight_of(head: Head, label: u32) -> f32 {
    if (head.weights == NONE) {
        return 1.0;
    }
    return class_weights[head.weights + label];
}

@compute @workgroup_size(64)
fn softmax_cross_entropy(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let row = group.x * 64u + lane;
    let task = group.y;
    let head = heads[task];
    if (row >= params.rows || head.kind != MULTICLASS) {
        return;
    }
    let z = head.logits + row * head.outputs;
    let label = labels[row * params.cells + head.cell];
    var best = 0u;
    for (var c = 1u; c < head.outputs; c++) {
        if (logits[z + c] > logits[z + best]) {
            best = c;
        }
    }
    let peak = logits[z + best];
    var others = 0.0;
    for (var c = 0u; c < head.outputs; c++) {
        if (c != best) {
            others += exponential(logits[z + c] - peak);
        }
    }
    let labelled = label < head.outputs;
    var of_row = 1.0;
    if (params.weighted == 1u) {
        of_row = bitcast<f32>(labels[(row + 1u) * params.cells - 1u]);
    }
    var inverse = step.inverse_rows;
    if (head.inverse != NONE) {
        inverse = partials[head.inverse];
    }
    let norm = select(0.0, of_row * inverse, labelled);
    let scale = head.weight * norm;
    let log_sum = logarithm_1p(others);
    var loss = 0.0;
    if (!SHAPED) {
        let share = scale / (1.0 + others);
        for (var c = 0u; c < head.outputs; c++) {
            var d = share * exponential(logits[z + c] - peak);
            if (c == label) {
                d -= scale;
            }
            logits_delta[z + c] = d;
        }
        if (labelled) {
            loss = log_sum + (peak - logits[z + label]);
        }
    } else {
        // The smoothed targets, their sum, and the loss without the focal factor.
        let at = select(0u, label, labelled);
        let own = (1.0 - head.smoothing) * weight_of(head, at);
        let spread = head.smoothing / f32(head.outputs);
        var total = own;
        var rest = 0.0;
        loss = own * (log_sum + (peak - logits[z + at]));
        for (var c = 0u; c < head.outputs; c++) {
            if (c != at) {
                rest += exponential(logits[z + c] - peak);
            }
            if (head.smoothing > 0.0) {
                let t = spread * weight_of(head, c);
                total += t;
                loss += t * (log_sum + (peak - logits[z + c]));
            }
        }
        let q = rest / (1.0 + others);
        var power = 1.0;
        var pull = 0.0;
        if (head.gamma > 0.0) {
            let p = exponential(logits[z + at] - peak) / (1.0 + others);
            power = 0.0;
            if (q > 1e-30) {
                power = exponential(head.gamma * logarithm(q));
                pull = head.gamma * p * (power / q) * loss;
            }
        }
        for (var c = 0u; c < head.outputs; c++) {
            let p = exponential(logits[z + c] - peak) / (1.0 + others);
            var target_share = spread * weight_of(head, c);
            var off = p;
            if (c == at) {
                target_share += own;
                off = -q;
            }
            logits_delta[z + c] = scale * (power * (p * total - target_share) + pull * off);
        }
        loss = select(0.0, power * loss, labelled);
    }
    partials[params.loss + task * params.capacity + row] = norm * loss;
    partials[params.hits + task * params.capacity + row] = select(0.0, 1.0, label == best);
}
