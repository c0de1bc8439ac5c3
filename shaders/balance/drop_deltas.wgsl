// delta = slope ⊙ Σ_t (ℓ + (1 − ℓ) · kept_t) · plane_t
//
// GradDrop (Chen et al., "Just pick a sign", NeurIPS 2020): with the purity P = ½ (1 + Σ g / Σ |g|)
// of a value, its positive gradients are kept if P exceeds a random number, else its negative ones.
// ℓ is the leak. Planes that belong to no task are added.

struct Params {
    rows: u32,        // rows of the chunk
    chunk_first: u32, // first row of the chunk within the batch
    // the group: combinations [first, first + combinations)
    first: u32,
    combinations: u32,
    leak: f32,        // ℓ
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
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> combinations: array<Combination>;
@group(0) @binding(3) var<storage, read> plane_terms: array<PlaneTerm>;
@group(0) @binding(4) var<storage, read> slope: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(64)
fn drop_deltas(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let number = params.first + group.y;
    let node = combinations[number];
    let length = params.rows * node.width;
    for (var i = group.x * 64u + lane; i < length; i += groups.x * 64u) {
        var sum = 0.0;
        var size = 0.0;
        for (var t = 0u; t < node.terms; t++) {
            let term = plane_terms[node.first_term + t];
            if (term.weight != NONE) {
                sum += delta[term.place + i];
                size += abs(delta[term.place + i]);
            }
        }
        let element = params.chunk_first * node.width + i;
        let drawn = hash(step.key_low, step.key_high, element, 0x80000000u | number);
        // 2 · P > 2 · random number, without a division.
        let positive = sum + size > 2.0 * size * (f32(drawn >> 8u) * 5.9604645e-8);
        var kept = 0.0;
        for (var t = 0u; t < node.terms; t++) {
            let term = plane_terms[node.first_term + t];
            let value = delta[term.place + i];
            if (term.weight == NONE || (value > 0.0) == positive) {
                kept += value;
            } else {
                kept += params.leak * value;
            }
        }
        if (node.slope != NONE) {
            let at = node.slope + i;
            kept *= slope[at / 4u][at % 4u];
        }
        delta[node.delta + i] = kept;
    }
}
