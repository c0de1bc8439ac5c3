// partials[g] = Σ of the squares of the gradients in the share of workgroup g
//
// For software adapters, in place of `gradient_norm.wgsl`: gradients are read from their mirror,
// eight of every 64 per lane, without workgroup memory. The elements between the last gradient and
// the next multiple of 64 are zero.

struct Params {
    count: u32,    // number of gradients
    partials: u32, // one partial sum per workgroup
    groups: u32,   // workgroups
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var gradients: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(8)
fn gradient_norm_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    // The order of the tree of `gradient_norm.wgsl`: the bits are the same.
    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var first = group.x * 64u; first < params.count; first += params.groups * 64u) {
        let a = textureLoad(gradients, texel_of(first + 4u * lane));
        let b = textureLoad(gradients, texel_of(first + 32u + 4u * lane));
        low += a * a;
        high += b * b;
    }
    var sums = low + high;
    sums += subgroupShuffle(sums, (lane + 4u) & 7u);
    sums += subgroupShuffle(sums, (lane + 2u) & 7u);
    sums += subgroupShuffle(sums, (lane + 1u) & 7u);
    if (lane == 0u) {
        partials[params.partials + group.x] = (sums.x + sums.z) + (sums.y + sums.w);
    }
}
