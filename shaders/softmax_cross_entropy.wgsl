// loss = ln Σ e^z − z_label,   dz = w · (softmax(z) − one_hot(label)) / rows
//
// One invocation a row of one head (group.y). The maximum is taken out first, and ln(1 + Σ of the others) keeps the digits of confident
// predictions, so the loss is stable for any finite logits. Unlabelled rows have no loss and no gradient. Losses stay per row, raw and
// unweighted, for `reduce_metrics`; a hit is a row whose first largest logit is its label.

struct Params {
    rows: u32,         // rows of the chunk
    tasks: u32,
    loss: u32,         // partials [T, capacity] of losses
    hits: u32,         // partials [T, capacity] of hits
    capacity: u32,     // row capacity of the partials
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> heads: array<Head>;                // [T]
@group(0) @binding(3) var<storage, read> logits: array<f32>;                // [rows, C] a head
@group(0) @binding(4) var<storage, read> labels: array<u32>;                // [rows, T]
@group(0) @binding(5) var<storage, read_write> logits_delta: array<f32>;    // [rows, C] a head
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(64)
fn softmax_cross_entropy(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x * 64u + lane;
    let task = group.y;
    if (row >= params.rows) {
        return;
    }
    let head = heads[task];
    let z = head.logits + row * head.classes;
    let label = labels[row * params.tasks + task];
    var best = 0u;
    for (var c = 1u; c < head.classes; c++) {
        if (logits[z + c] > logits[z + best]) {
            best = c;
        }
    }
    let peak = logits[z + best];
    var others = 0.0;
    for (var c = 0u; c < head.classes; c++) {
        if (c != best) {
            others += exponential(logits[z + c] - peak);
        }
    }
    let labelled = label < head.classes;
    let scale = select(0.0, head.weight * step.inverse_rows, labelled);
    let share = scale / (1.0 + others);
    for (var c = 0u; c < head.classes; c++) {
        var d = share * exponential(logits[z + c] - peak);
        if (c == label) {
            d -= scale;
        }
        logits_delta[z + c] = d;
    }
    var loss = 0.0;
    if (labelled) {
        loss = logarithm_1p(others) + (peak - logits[z + label]);
    }
    partials[params.loss + task * params.capacity + row] = loss;
    partials[params.hits + task * params.capacity + row] = select(0.0, 1.0, label == best);
}
