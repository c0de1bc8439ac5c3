// metrics[slot, i + 1] = scale · Σ of the partial sums of metric i
// metrics[slot, 0]     = the number of the step, which is the stamp of the submission
//
// For software adapters, in place of `reduce_metrics.wgsl`: the same tree over 64 sums, eight of
// them per lane, without workgroup memory.

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
@group(0) @binding(3) var partials: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;          // [slots, stride]
@group(0) @binding(5) var<storage, read_write> flags: array<atomic<u32>>;

const PER_ROW = 0u;

// Four partial sums from any place on.
fn four(first: u32) -> vec4<f32> {
    return four_of(textureLoad(partials, texel_of(first)), textureLoad(partials, texel_of(first
        + 4u)), first);
}

@compute @workgroup_size(8)
fn reduce_metrics_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let metric = metric_table[params.first + group.x];
    let count = select(metric.count, params.rows, metric.count == PER_ROW);
    // Of every 64 partials a lane takes four of the first half and four of the second.
    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var base = 0u; base < count; base += 64u) {
        let i = base + 4u * lane;
        let place = vec4(i) + vec4(0u, 1u, 2u, 3u);
        low += select(vec4<f32>(), four(metric.partials + i), place < vec4(count));
        high += select(vec4<f32>(), four(metric.partials + i + 32u), place + 32u < vec4(count));
    }
    var sums = low + high;
    sums += subgroupShuffle(sums, (lane + 4u) & 7u);
    sums += subgroupShuffle(sums, (lane + 2u) & 7u);
    sums += subgroupShuffle(sums, (lane + 1u) & 7u);
    if (lane > 0u) {
        return;
    }
    var value = ((sums.x + sums.z) + (sums.y + sums.w)) * select(1.0, step.inverse_rows,
        metric.mean == 1u);
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
