// m  = β1 m + (1 − β1) g
// v  = β2 v + (1 − β2) g²
// θ −= step_size · m / (√v · root_correction + ε)
//
// Kingma and Ba 2015, algorithm 1, in PyTorch's order of operations; with `decoupled` the weight
// decay of Loshchilov and Hutter 2019, algorithm 2. The host computes the bias corrections in f64.
// The gradient is first clipped to the global norm. One invocation for four parameters, whatever
// layer they belong to. Once a value of any step was not finite, nothing is written any more.

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
@group(0) @binding(2) var<storage, read_write> parameters: array<vec4<f32>>;     // [P]
@group(0) @binding(3) var<storage, read> gradients: array<vec4<f32>>;            // [P]
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4<f32>>;   // [P]
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4<f32>>;  // [P]
@group(0) @binding(6) var<storage, read> decay: array<vec2<f32>>;          // [P / 64]
@group(0) @binding(7) var<storage, read> metrics: array<f32>;
@group(0) @binding(8) var<storage, read> flags: array<u32>;

// The factor that clips the gradient to the global norm.
fn clip_factor() -> f32 {
    if (params.clip_norm == 0.0) {
        return 1.0;
    }
    let norm = sqrt(metrics[step.slot * params.stride + params.norm_metric]);
    return min(1.0, params.clip_norm / (norm + 1e-6));
}

@compute @workgroup_size(64)
fn adam(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if (4u * i >= params.count || flags[0] != NONE) {
        return;
    }
    let weight_decay = decay[i / 16u].x;
    let factor = decay[i / 16u].y;
    var theta = parameters[i];
    var g = gradients[i] * clip_factor();
    if (params.decoupled == 1u) {
        theta -= factor * step.learning_rate * weight_decay * theta;
    } else {
        g += weight_decay * theta;
    }
    let m = params.beta1 * first_moment[i] + params.one_minus_beta1 * g;
    let v = params.beta2 * second_moment[i] + params.one_minus_beta2 * g * g;
    first_moment[i] = m;
    second_moment[i] = v;
    parameters[i] = theta - factor * step.step_size * m
        / (sqrt(v) * step.root_correction + params.eps);
}
