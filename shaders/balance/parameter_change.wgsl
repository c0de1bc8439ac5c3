// change = θ before the update; after it, change = θ − change
//
// The change of the shared parameters in a step lies behind their gradients by task, as if it were
// the gradient of one more.

struct Params {
    first: u32,  // the group: runs [first, first + runs)
    runs: u32,
    change: u32, // the first element of the change
    after: u32,  // 1: after the update
}

struct Run {
    place: u32,     // first element within the gradients of a task
    parameter: u32, // first element among the parameters
    len: u32,       // a multiple of 64
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> runs: array<Run>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> task_gradients: array<f32>;

@compute @workgroup_size(64)
fn parameter_change(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let run = runs[params.first + group.y];
    for (var i = group.x * 64u + lane; i < run.len; i += groups.x * 64u) {
        let place = params.change + run.place + i;
        let value = parameters[run.parameter + i];
        task_gradients[place] = select(value, value - task_gradients[place], params.after == 1u);
    }
}
