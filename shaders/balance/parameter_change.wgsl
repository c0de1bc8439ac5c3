// change = θ before the update; after it, change = θ − change
//
// The change of the shared parameters in a step lies behind their gradients by task, as if it were
// the gradient of one more.

struct Params {
    first: u32,  // the group: runs [first, first + runs)
    runs: u32,
    change: u32, // the first element of the change
}

struct Run {
    place: u32,     // first element within the gradients of a task
    parameter: u32, // first element among the parameters
    len: u32,       // a multiple of 64
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> runs: array<Run>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> task_gradients: array<vec4<f32>>;

override AFTER: bool = false; // whether it is after the update

@compute @workgroup_size(64)
fn parameter_change(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let run = runs[params.first + group.y];
    for (var quad = group.x * 64u + lane; 4u * quad < run.len; quad += groups.x * 64u) {
        let place = (params.change + run.place) / 4u + quad;
        let value = parameters[run.parameter / 4u + quad];
        if (AFTER) {
            task_gradients[place] = value - task_gradients[place];
        } else {
            task_gradients[place] = value;
        }
    }
}
