// losses[t] = Σ over the rows of the losses of task t, each times the inverse of its denominator
//
// One workgroup per task: each invocation adds every 64th row in ascending order, then a tree of
// fixed shape adds their sums.

struct Params {
    rows: u32,       // rows of the chunk
    loss: u32,       // losses [tasks, capacity] among the partials
    capacity: u32,
    losses: u32,     // [tasks]
    accumulate: u32, // 0: the first chunk overwrites; 1: later chunks add
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> gramian: array<f32>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn task_losses(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var row = lane; row < params.rows; row += 64u) {
        sum += partials[params.loss + group.x * params.capacity + row];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        let place = params.losses + group.x;
        gramian[place] = select(sums[0], sums[0] + gramian[place], params.accumulate == 1u);
    }
}
