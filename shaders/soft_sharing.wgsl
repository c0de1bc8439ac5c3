// L = ½ ‖θ_i − θ_j‖²,   dθ_i += λ (θ_i − θ_j),   dθ_j −= λ (θ_i − θ_j)
//
// One invocation alone touches element e of the heads, and it goes through all pairs in order:
// there are no races, and sums have a fixed order. The value of each pair is reduced within the
// workgroup to one partial sum, by a tree of fixed shape.

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
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

var<workgroup> sums: array<f32, 64>;

// Raises a flag, and the latch, for a value that is not finite.
fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

// Adds a value to a gradient and tests the sum.
fn accumulate(place: u32, flag: u32, value: f32) {
    let sum = gradients[place] + value;
    if (!is_finite(sum)) {
        raise(flag);
    }
    gradients[place] = sum;
}

@compute @workgroup_size(64)
fn soft_sharing(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let e = group.x * 64u + lane;
    for (var p = 0u; p < min(params.pairs, arrayLength(&shared_pairs)); p++) {
        let pair = shared_pairs[p];
        var value = 0.0;
        if (e < pair.count) {
            let difference = parameters[pair.first + e] - parameters[pair.second + e];
            value = 0.5 * difference * difference;
            if (params.gradient == 1u) {
                accumulate(pair.first + e, pair.flag_first, pair.strength * difference);
                accumulate(pair.second + e, pair.flag_second, -pair.strength * difference);
            }
        }
        sums[lane] = value;
        workgroupBarrier();
        for (var half = 32u; half > 0u; half /= 2u) {
            if (lane < half) {
                sums[lane] += sums[lane + half];
            }
            workgroupBarrier();
        }
        if (lane == 0u && group.x * 64u < pair.count) {
            partials[pair.partials + group.x] = sums[0];
        }
        workgroupBarrier();
    }
}
