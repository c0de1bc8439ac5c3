// gradient = Σ_t c_t · gradient_t, or added to it
//
// The gradients of shared parameters by task lie in an arena of their own, in runs that lie as the
// parameters do. What is written is tested for being finite.

struct Params {
    first: u32,   // the group: runs [first, first + runs)
    runs: u32,
    tasks: u32,
    stride: u32,  // elements of the gradients of a task
    weights: u32, // c among the partials
    flag: u32,    // flag of a gradient that is not finite
}

struct Run {
    place: u32,     // first element within the gradients of a task
    parameter: u32, // first element among the parameters
    len: u32,       // a multiple of 64
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> runs: array<Run>;
@group(0) @binding(3) var<storage, read> task_gradients: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACCUMULATE: bool = false; // whether it is added to what is there

@compute @workgroup_size(64)
fn combine_gradients(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let run = runs[params.first + group.y];
    for (var i = group.x * 64u + lane; 4u * i < run.len; i += groups.x * 64u) {
        let at = run.parameter / 4u + i;
        var sum = vec4<f32>();
        if (ACCUMULATE) {
            sum = gradients[at];
        }
        for (var t = 0u; t < params.tasks; t++) {
            let place = (t * params.stride + run.place) / 4u + i;
            sum += partials[params.weights + t] * task_gradients[place];
        }
        if (!(is_finite(sum.x) && is_finite(sum.y) && is_finite(sum.z) && is_finite(sum.w))) {
            atomicMin(&flags[0], step.number);
            atomicMin(&flags[params.flag], step.number);
        }
        gradients[at] = sum;
    }
}
