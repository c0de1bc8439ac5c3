// counts[t]      = Σ r · c over the labels of task t in the batch
// counts[T + t]  = number of these labels
// counts[2T + t] = 1 / counts[t], or 0 where there are none
//
// The denominators of the losses: r is the weight of the row and c the weight of the label's class,
// both 1 where there are none. One workgroup per task. It reads the whole batch from the data set,
// so that all chunks divide by the same number. A data set in segments has a dispatch for each: the
// first overwrites, later ones add. Without a label the inverse is zero, and with it the loss and
// the gradient of the task.

struct Params {
    cells: u32,         // labels of a row, its weight included
    tasks: u32,
    counts: u32,        // [3, T] among the partials
    // data rows [segment_first, segment_first + segment_rows) lie in `data_labels`
    segment_first: u32,
    segment_rows: u32,
    shuffled: u32,      // 1: rows by `order`; 0: rows as they lie
    weighted: u32,      // 1: the last label is the weight of the row
    accumulate: u32,    // 0: the first segment overwrites; 1: later segments add
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> heads: array<Head>;           // [T]
@group(0) @binding(3) var<storage, read> data_labels: array<u32>;      // [N, cells]
@group(0) @binding(4) var<storage, read> order: array<u32>;            // [N]
@group(0) @binding(5) var<storage, read> class_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;

var<workgroup> weights: array<f32, 64>;
var<workgroup> numbers: array<f32, 64>;

@compute @workgroup_size(64)
fn label_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let task = group.x;
    let head = heads[task];
    var weight = 0.0;
    var number = 0.0;
    for (var i = lane; i < step.rows; i += 64u) {
        var row = step.first + i;
        if (params.shuffled == 1u) {
            row = order[row];
        }
        if (row < params.segment_first || row - params.segment_first >= params.segment_rows) {
            continue;
        }
        let words = (row - params.segment_first) * params.cells;
        let of_row = select(1.0, bitcast<f32>(data_labels[words + params.cells - 1u]),
            params.weighted == 1u);
        for (var c = 0u; c < head.cells; c++) {
            let label = data_labels[words + head.cell + c];
            if (label != NONE) {
                var of_class = 1.0;
                if (head.kind == MULTICLASS && head.weights != NONE) {
                    of_class = class_weights[head.weights + label];
                }
                weight += of_row * of_class;
                number += 1.0;
            }
        }
    }
    weights[lane] = weight;
    numbers[lane] = number;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            weights[lane] += weights[lane + half];
            numbers[lane] += numbers[lane + half];
        }
        workgroupBarrier();
    }
    if (lane > 0u) {
        return;
    }
    let place = params.counts + task;
    let again = params.accumulate == 1u;
    let total = select(weights[0], partials[place] + weights[0], again);
    partials[place] = total;
    partials[place + params.tasks] = select(numbers[0], partials[place + params.tasks]
        + numbers[0], again);
    partials[place + 2u * params.tasks] = select(0.0, 1.0 / max(total, 1e-30), total > 0.0);
}
