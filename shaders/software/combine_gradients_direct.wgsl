// gradient = Σ_t c_t · gradient_t, or added to it
//
// For software adapters, in place of `balance/combine_gradients.wgsl`: gradients by task are read
// from their mirror, eight of every 64 quads per lane. What is written is tested for being finite.

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
@group(0) @binding(3) var task_gradients: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override TASKS: u32 = 128u; // tasks, perhaps none
override ACCUMULATE: bool = false; // whether it is added to what is there

@compute @workgroup_size(8)
fn combine_gradients_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let of_layers = runs[params.first + group.y];
    for (var run = group.x * 64u; 4u * run < of_layers.len; run += groups.x * 64u) {
        var sums: array<vec4<f32>, 8>;
        for (var base = 0u; base < TASKS; base += 8u) {
            // Each lane brings the weight of one task, for all lanes.
            let brought = partials[params.weights + min(base + lane, max(TASKS, 1u) - 1u)];
            for (var t = 0u; t < min(8u, TASKS - base); t++) {
                let weight = subgroupShuffle(brought, t);
                let place = (base + t) * params.stride + of_layers.place;
                for (var turn = 0u; turn < 8u; turn++) {
                    let element = 4u * (run + 8u * turn + lane);
                    sums[turn] += weight * textureLoad(task_gradients, texel_of(place + element));
                }
            }
        }
        for (var turn = 0u; turn < 8u; turn++) {
            let element = 4u * (run + 8u * turn + lane);
            if (element < of_layers.len) {
                let at = (of_layers.parameter + element) / 4u;
                var value = sums[turn];
                if (ACCUMULATE) {
                    value += gradients[at];
                }
                let finite = is_finite(value.x) && is_finite(value.y) && is_finite(value.z)
                    && is_finite(value.w);
                if (!finite) {
                    atomicMin(&flags[0], step.number);
                    atomicMin(&flags[params.flag], step.number);
                }
                gradients[at] = value;
            }
        }
    }
}
