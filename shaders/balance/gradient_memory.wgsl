// What is kept of the gradients of each task
//
// averages  m = b m + (1 − b) g / L,   b = β / n^p, n the number of the step
// squares   m = m + g²
//
// A task without a loss above zero keeps its averages.

struct Params {
    stride: u32, // elements of the gradients of a task
    losses: u32, // [tasks] losses
    beta: f32,
    power: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> task_gradients: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gramian: array<f32>;
@group(0) @binding(4) var<storage, read> memory: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> next_memory: array<vec4<f32>>;

override SQUARES: bool = false; // whether squares are kept

@compute @workgroup_size(64)
fn gradient_memory(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let loss = gramian[params.losses + group.y];
    let keep = params.beta * exponential(-params.power * logarithm(f32(step.number)));
    for (var i = group.x * 64u + lane; 4u * i < params.stride; i += groups.x * 64u) {
        let place = group.y * (params.stride / 4u) + i;
        let g = task_gradients[place];
        let kept = memory[place];
        var next = kept;
        if (SQUARES) {
            next = kept + g * g;
        } else if (loss > 0.0) {
            next = keep * kept + (1.0 - keep) * (g / max(loss, 1e-8));
        }
        next_memory[place] = next;
    }
}
