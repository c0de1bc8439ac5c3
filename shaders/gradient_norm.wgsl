// partials[g] = Σ of the squares of the gradients in the share of workgroup g
//
// The shares of invocations interleave, so that neighbours read neighbouring gradients. The tree
// of sums within the workgroup has a fixed shape.

struct Params {
    count: u32,    // number of gradients
    partials: u32, // one partial sum per workgroup
    groups: u32,   // workgroups
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn gradient_norm(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = group.x * 64u + lane; i < params.count; i += params.groups * 64u) {
        sum += gradients[i] * gradients[i];
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
        partials[params.partials + group.x] = sums[0];
    }
}
