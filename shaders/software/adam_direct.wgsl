// m  = β1 m + (1 − β1) g
// v  = β2 v + (1 − β2) g²
// θ −= step_size · m / (√v · root_correction + ε)
//
// For software adapters, in place of `adam.wgsl`: operands are read from mirrors; a lane reads an
// element before it writes it.

struct Params {
    count: u32,
    beta1: f32,
    one_minus_beta1: f32, // computed in f64: 1 − β in f32 loses digits
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    decoupled: u32,       // 1: AdamW
    clip_norm: f32,       // 0: off
    norm_metric: u32,     // place in a row of metrics of the squared global norm
    stride: u32,          // elements of a row of metrics
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var parameters_mirror: texture_storage_2d<rgba32float, read>;     // [P]
@group(0) @binding(3) var gradients: texture_storage_2d<rgba32float, read>;             // [P]
@group(0) @binding(4) var first_moment_mirror: texture_storage_2d<rgba32float, read>;   // [P]
@group(0) @binding(5) var second_moment_mirror: texture_storage_2d<rgba32float, read>;  // [P]
@group(0) @binding(6) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> first_moment: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> second_moment: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> decay: array<vec2<f32>>;                       // [P / 64]
@group(0) @binding(10) var<storage, read> metrics: array<f32>;
@group(0) @binding(11) var<storage, read> flags: array<u32>;

// The factor that clips the gradient to the global norm.
fn clip_factor() -> f32 {
    if (params.clip_norm == 0.0) {
        return 1.0;
    }
    let norm = sqrt(metrics[step.slot * params.stride + params.norm_metric]);
    return min(1.0, params.clip_norm / (norm + 1e-6));
}

@compute @workgroup_size(8)
fn adam_direct(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
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
            let lambda = subgroupShuffle(rates.x, turn & 6u);
            let factor = subgroupShuffle(rates.y, turn & 6u);
            var theta = textureLoad(parameters_mirror, texel);
            var g = textureLoad(gradients, texel) * clip;
            if (params.decoupled == 1u) {
                theta -= factor * step.learning_rate * lambda * theta;
            } else {
                g += lambda * theta;
            }
            let m = params.beta1 * textureLoad(first_moment_mirror, texel)
                + params.one_minus_beta1 * g;
            let v = params.beta2 * textureLoad(second_moment_mirror, texel)
                + params.one_minus_beta2 * g * g;
            first_moment[i] = m;
            second_moment[i] = v;
            parameters[i] = theta - factor * step.step_size * m / (sqrt(v) * step.root_correction
                + params.eps);
        }
    }
}
