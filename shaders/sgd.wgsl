// m  = μ m + g
// θ −= lr · m,   or with Nesterov's form θ −= lr · (g + μ m)
//
// Sutskever et al. 2013 in PyTorch's form, without dampening; weight decay is L2, and added after
// the gradient is clipped to the global norm. One invocation for four parameters, whatever layer
// they belong to. Once a value of any step was not finite, nothing is written any more.

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
@group(0) @binding(2) var<storage, read_write> parameters: array<vec4<f32>>;    // [P]
@group(0) @binding(3) var<storage, read> gradients: array<vec4<f32>>;           // [P]
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4<f32>>;  // [P]
@group(0) @binding(5) var<storage, read> decay: array<vec2<f32>>;         // [P / 64]
@group(0) @binding(6) var<storage, read> metrics: array<f32>;
@group(0) @binding(7) var<storage, read> flags: array<u32>;

// The factor that clips the gradient to the global norm.
fn clip_factor() -> f32 {
    if (params.clip_norm == 0.0) {
        return 1.0;
    }
    let norm = sqrt(metrics[step.slot * params.stride + params.norm_metric]);
    return min(1.0, params.clip_norm / (norm + 1e-6));
}

@compute @workgroup_size(64)
fn sgd(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if (4u * i >= params.count || flags[0] != NONE) {
        return;
    }
    let weight_decay = decay[i / 16u].x;
    let factor = decay[i / 16u].y;
    let theta = parameters[i];
    let g = gradients[i] * clip_factor() + weight_decay * theta;
    let m = params.momentum * first_moment[i] + g;
    first_moment[i] = m;
    let direction = select(m, g + params.momentum * m, params.nesterov == 1u);
    parameters[i] = theta - factor * step.learning_rate * direction;
}
