// m  = μ m + g
// θ −= lr · m,   or with Nesterov's form θ −= lr · (g + μ m)
//
// For software adapters, in place of `sgd.wgsl`: operands are read from mirrors; a lane reads an
// element before it writes it.

struct Params {
    count: u32,
    momentum: f32,
    nesterov: u32,
    clip_norm: f32,   // 0: off
    norm_metric: u32, // place in a row of metrics of the squared global norm
    stride: u32,      // elements of a row of metrics
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var parameters_mirror: texture_storage_2d<rgba32float, read>;     // [P]
@group(0) @binding(3) var gradients: texture_storage_2d<rgba32float, read>;             // [P]
@group(0) @binding(4) var first_moment_mirror: texture_storage_2d<rgba32float, read>;   // [P]
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> first_moment: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> decay: array<vec2<f32>>;                       // [P / 64]
@group(0) @binding(8) var<storage, read> metrics: array<f32>;
@group(0) @binding(9) var<storage, read> flags: array<u32>;

// The factor that clips the gradient to the global norm.
fn clip_factor() -> f32 {
    if (params.clip_norm == 0.0) {
        return 1.0;
    }
    let norm = sqrt(metrics[step.slot * params.stride + params.norm_metric]);
    return min(1.0, params.clip_norm / (norm + 1e-6));
}

@compute @workgroup_size(8)
fn sgd_direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let first = (group.y * groups.x + group.x) * 64u;
    if (4u * first >= params.count || flags[0] != NONE) {
        return;
    }
    let clip = clip_factor();
    let rates = decay[first / 16u + lane / 2u];
    for (var turn = 0u; turn < 8u; turn++) {
        let i = first + 8u * turn + lane;
        if (4u * i < params.count) {
            let texel = texel_of(4u * i);
            let theta = textureLoad(parameters_mirror, texel);
            let factor = subgroupShuffle(rates.y, turn & 6u);
            let g = textureLoad(gradients, texel) * clip + subgroupShuffle(rates.x, turn & 6u)
                * theta;
            let m = params.momentum * textureLoad(first_moment_mirror, texel) + g;
            first_moment[i] = m;
            let direction = select(m, g + params.momentum * m, params.nesterov == 1u);
            parameters[i] = theta - factor * step.learning_rate * direction;
        }
    }
}
