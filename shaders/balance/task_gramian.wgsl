// gramian[i, j] = Σ over regions and slices of the products of tasks i and j
// scaled[i, j]  = gramian[i, j] · s_i · s_j,   scales[i] = s_i
//
// s is 1, or one over the norm, the loss, or both; 0 for a task without a gradient, which is left
// out of the solve. One workgroup per matrix, each over `regions` regions; sums go in ascending
// order.

struct Params {
    tasks: u32,
    slices: u32,
    regions: u32,    // regions that are summed to one matrix
    products: u32,   // the first product
    gramian: u32,    // the first matrix
    accumulate: u32, // 0: the first chunk overwrites; 1: later chunks add
    scaled: u32,     // [tasks, tasks], then [tasks] scales; NONE: neither
    normalize: u32,  // bit 0: by the norm; bit 1: by the loss
    losses: u32,     // [tasks]
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read_write> gramian: array<f32>;

// The factor on the gradient of a task.
fn factor(task: u32) -> f32 {
    let square = gramian[params.gramian + task * params.tasks + task];
    if (!(square > 0.0)) {
        return 0.0;
    }
    var s = 1.0;
    if ((params.normalize & 1u) != 0u) {
        s = 1.0 / sqrt(square);
    }
    if ((params.normalize & 2u) != 0u) {
        s = s / gramian[params.losses + task];
    }
    return s;
}

@compute @workgroup_size(64)
fn task_gramian(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let count = params.tasks * params.tasks;
    let blocks = (params.tasks + 3u) / 4u;
    let pairs = blocks * (blocks + 1u) / 2u;
    let base = params.gramian + group.x * count;
    for (var e = lane; e < count; e += 64u) {
        let i = min(e / params.tasks, e % params.tasks);
        let j = max(e / params.tasks, e % params.tasks);
        let first = i / 4u;
        let pair = first * blocks - first * (first + 1u) / 2u + j / 4u;
        let cell = 16u * pair + 4u * (i % 4u) + j % 4u;
        var sum = 0.0;
        for (var part = 0u; part < params.regions * params.slices; part++) {
            let at = group.x * params.regions * params.slices + part;
            sum += products[params.products + 16u * pairs * at + cell];
        }
        sum = select(sum, sum + gramian[base + e], params.accumulate == 1u);
        gramian[base + e] = sum;
    }
    if (params.scaled == NONE) {
        return;
    }
    storageBarrier();
    for (var e = lane; e < count; e += 64u) {
        let scale = factor(e / params.tasks) * factor(e % params.tasks);
        gramian[params.scaled + e] = gramian[params.gramian + e] * scale;
    }
    for (var task = lane; task < params.tasks; task += 64u) {
        gramian[params.scaled + count + task] = factor(task);
    }
}
