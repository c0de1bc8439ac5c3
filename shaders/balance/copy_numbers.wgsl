// copied[i] = source[i]
//
// With `latched` nothing is copied once a value was not finite, as nothing is updated then.

struct Params {
    count: u32,
    first: u32,   // first element of the source
    target_first: u32,
    latched: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> copied: array<f32>;
@group(0) @binding(3) var<storage, read> flags: array<u32>;

@compute @workgroup_size(64)
fn copy_numbers(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    if (params.latched == 1u && flags[0] != NONE) {
        return;
    }
    for (var i = group.x * 64u + lane; i < params.count; i += groups.x * 64u) {
        copied[params.target_first + i] = source[params.first + i];
    }
}
