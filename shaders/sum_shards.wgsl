// target[i] = source[i], or with `add` target[i] += source[i]
//
// The sums over the shards of a batch: kept, and added to each other in the order of a binary tree.
// A stride moves the source or the target by rows of the metrics, to the row of the step.

struct Params {
    count: u32,
    source_first: u32,
    target_first: u32,
    source_stride: u32,
    target_stride: u32,
    add: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn sum_shards(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let source_at = params.source_first + step.slot * params.source_stride;
    let target_at = params.target_first + step.slot * params.target_stride;
    for (var i = group.x * 64u + lane; i < params.count; i += groups.x * 64u) {
        // No branch, as in reduce_metrics.
        let value = source[source_at + i];
        sums[target_at + i] = select(value, sums[target_at + i] + value, params.add == 1u);
    }
}
