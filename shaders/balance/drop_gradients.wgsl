// gradient = Σ_t (ℓ + (1 − ℓ) · kept_t) · gradient_t, or added to it
//
// GradDrop as in drop_deltas.wgsl, on the gradients of shared parameters by task. What is written
// is tested for being finite.

struct Params {
    first: u32,   // the group: runs [first, first + runs)
    runs: u32,
    tasks: u32,
    stride: u32,  // elements of the gradients of a task
    leak: f32,    // ℓ
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
@group(0) @binding(3) var<storage, read> task_gradients: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(5) var<storage, read_write> flags: array<atomic<u32>>;

override ACCUMULATE: bool = false; // whether it is added to what is there

@compute @workgroup_size(64)
fn drop_gradients(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let run = runs[params.first + group.y];
    for (var i = group.x * 64u + lane; i < run.len; i += groups.x * 64u) {
        var sum = 0.0;
        var size = 0.0;
        for (var t = 0u; t < params.tasks; t++) {
            let value = task_gradients[t * params.stride + run.place + i];
            sum += value;
            size += abs(value);
        }
        let drawn = hash(step.key_low, step.key_high, run.parameter + i, 0xc0000000u);
        let positive = sum + size > 2.0 * size * (f32(drawn >> 8u) * 5.9604645e-8);
        var kept = 0.0;
        if (ACCUMULATE) {
            kept = gradients[run.parameter + i];
        }
        for (var t = 0u; t < params.tasks; t++) {
            let value = task_gradients[t * params.stride + run.place + i];
            kept += select(params.leak, 1.0, (value > 0.0) == positive) * value;
        }
        if (!is_finite(kept)) {
            atomicMin(&flags[0], step.number);
            atomicMin(&flags[params.flag], step.number);
        }
        gradients[run.parameter + i] = kept;
    }
}
