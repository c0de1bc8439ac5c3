// L = ½ ‖θ_i − θ_j‖²,   dθ_i += λ (θ_i − θ_j),   dθ_j −= λ (θ_i − θ_j)
//
// For software adapters, in place of `soft_sharing.wgsl`: parameters are read from their mirror,
// eight elements per lane, and the same tree of sums needs no workgroup memory. The elements
// between the end of a head and the next multiple of 64 are zero in both heads and stay so.

struct Params {
    pairs: u32,
    gradient: u32, // 0: the value alone
}

struct SharedPair {
    first: u32,    // offset of head i in the parameters
    second: u32,   // offset of head j
    count: u32,    // the size of both
    strength: f32, // λ
    partials: u32, // one partial sum per workgroup
    flag_first: u32,  // flags of gradients of head i and j that are not finite
    flag_second: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> shared_pairs: array<SharedPair>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

// Adds a value to a gradient and tests the sum.
fn accumulate(place: u32, flag: u32, value: vec4<f32>) {
    let sum = gradients[place >> 2u] + value;
    if (!(is_finite(sum.x) && is_finite(sum.y) && is_finite(sum.z) && is_finite(sum.w))) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[flag], step.number);
    }
    gradients[place >> 2u] = sum;
}

// Half the squares of four differences of a pair; adds their gradients.
fn square(pair: SharedPair, e: u32) -> vec4<f32> {
    if (e >= pair.count) {
        return vec4<f32>();
    }
    let difference = textureLoad(parameters, texel_of(pair.first + e)) - textureLoad(parameters,
        texel_of(pair.second + e));
    if (params.gradient == 1u) {
        accumulate(pair.first + e, pair.flag_first, pair.strength * difference);
        accumulate(pair.second + e, pair.flag_second, -pair.strength * difference);
    }
    return 0.5 * difference * difference;
}

@compute @workgroup_size(8)
fn soft_sharing_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let e = group.x * 64u + 4u * lane;
    // A bound by the uniform alone would be unrolled, and the kernel compiled anew at every
    // dispatch, by Mesa's software driver.
    for (var p = 0u; p < min(params.pairs, arrayLength(&shared_pairs)); p++) {
        let pair = shared_pairs[p];
        var sums = square(pair, e);
        sums += square(pair, e + 32u);
        sums += subgroupShuffle(sums, (lane + 4u) & 7u);
        sums += subgroupShuffle(sums, (lane + 2u) & 7u);
        sums += subgroupShuffle(sums, (lane + 1u) & 7u);
        if (lane == 0u && group.x * 64u < pair.count) {
            partials[pair.partials + group.x] = (sums.x + sums.z) + (sums.y + sums.w);
        }
    }
}
