// metrics[slot, i + 1] = scale · Σ of the partial sums of metric i
// metrics[slot, 0]     = the number of the step, which is the stamp of the submission
//
// One workgroup per metric: each invocation adds every 64th partial sum in ascending order, then a
// tree of fixed shape adds their sums. All losses, couplings and norms are tested here for values
// that are not finite.

struct Params {
    stride: u32,     // elements of a row of metrics: 1 + number of metrics
    accumulate: u32, // 0: the first chunk overwrites; 1: later chunks add
    first: u32,      // metrics [first, first + workgroups) are computed
    rows: u32,       // rows of the chunk
}

struct Metric {
    partials: u32,
    // number of partial sums; PER_ROW: one per row of the chunk, those beyond belong to others
    count: u32,
    mean: u32,       // 1: mean over the rows of the batch; 0: sum
    flag: u32,       // flag of a value that is not finite; NONE: not tested
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> metric_table: array<Metric>;
@group(0) @binding(3) var<storage, read> partials: array<f32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;          // [slots, stride]
@group(0) @binding(5) var<storage, read_write> flags: array<atomic<u32>>;

const PER_ROW = 0u;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn reduce_metrics(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let metric = metric_table[params.first + group.x];
    let count = select(metric.count, params.rows, metric.count == PER_ROW);
    var sum = 0.0;
    for (var i = lane; i < count; i += 64u) {
        sum += partials[metric.partials + i];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if (lane > 0u) {
        return;
    }
    var value = sums[0] * select(1.0, step.inverse_rows, metric.mean == 1u);
    let place = step.slot * params.stride + 1u + params.first + group.x;
    // No branch: Mesa's software driver would compile the kernel anew for each value of the
    // uniform, at every dispatch.
    value = select(value, value + metrics[place], params.accumulate == 1u);
    if (!is_finite(value) && metric.flag != NONE) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[metric.flag], step.number);
    }
    metrics[place] = value;
    if (group.x == 0u) {
        metrics[step.slot * params.stride] = f32(step.number & 0xffffffu);
    }
}
