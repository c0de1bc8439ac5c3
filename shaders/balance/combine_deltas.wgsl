// delta = slope ⊙ Σ_t c_t · plane_t
//
// c is the weight of a task, or 1 for a plane that belongs to no task. A combination may have its
// own delta as its only plane: then it is scaled in place.

struct Params {
    rows: u32,    // rows of the chunk
    // the group: combinations [first, first + combinations)
    first: u32,
    combinations: u32,
    weights: u32, // c among the partials
}

struct Combination {
    width: u32,
    slope: u32,      // [rows, width] in the activation arena; NONE for nodes without slopes
    delta: u32,      // [rows, width] in the delta arena
    first_term: u32, // the first of its planes in the table of terms
    terms: u32,      // their number
}

struct PlaneTerm {
    place: u32,  // [rows, width] in the delta arena
    weight: u32, // the task; NONE for a plane of no task
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> combinations: array<Combination>;
@group(0) @binding(2) var<storage, read> plane_terms: array<PlaneTerm>;
@group(0) @binding(3) var<storage, read> slope: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(64)
fn combine_deltas(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let node = combinations[params.first + group.y];
    let length = params.rows * node.width;
    for (var i = group.x * 64u + lane; i < length; i += groups.x * 64u) {
        var sum = 0.0;
        for (var t = 0u; t < node.terms; t++) {
            let term = plane_terms[node.first_term + t];
            let value = delta[term.place + i];
            if (term.weight == NONE) {
                sum += value;
            } else {
                sum += partials[params.weights + term.weight] * value;
            }
        }
        if (node.slope != NONE) {
            let at = node.slope + i;
            sum *= slope[at / 4u][at % 4u];
        }
        delta[node.delta + i] = sum;
    }
}
