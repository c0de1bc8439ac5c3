// delta = slope ⊙ Σ_t c_t · plane_t
//
// For software adapters, in place of `balance/combine_deltas.wgsl`: planes are read from the mirror
// of the deltas, eight of every 64 quads per lane. A lane reads the elements of its own delta
// before it writes them; other planes are never written here. All places are multiples of four.

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
@group(0) @binding(3) var slope: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var delta_mirror: texture_storage_2d<rgba32float, read>;
@group(0) @binding(6) var<storage, read_write> delta: array<vec4<f32>>;

const FOUR = vec4(0u, 1u, 2u, 3u);

@compute @workgroup_size(8)
fn combine_deltas_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let node = combinations[params.first + group.y];
    let length = params.rows * node.width;
    for (var run = group.x * 64u; 4u * run < length; run += groups.x * 64u) {
        var sums: array<vec4<f32>, 8>;
        for (var base = 0u; base < node.terms; base += 8u) {
            // Each lane brings one term, for all lanes.
            let term = plane_terms[node.first_term + min(base + lane, node.terms - 1u)];
            let is_weighed = term.weight != NONE;
            let given = partials[params.weights + select(0u, term.weight, is_weighed)];
            let brought = select(1.0, given, is_weighed);
            for (var t = 0u; t < min(8u, node.terms - base); t++) {
                let place = subgroupShuffle(term.place, t);
                let weight = subgroupShuffle(brought, t);
                for (var turn = 0u; turn < 8u; turn++) {
                    let element = 4u * (run + 8u * turn + lane);
                    sums[turn] += weight * textureLoad(delta_mirror, texel_of(place + element));
                }
            }
        }
        for (var turn = 0u; turn < 8u; turn++) {
            let element = 4u * (run + 8u * turn + lane);
            if (element < length) {
                var value = sums[turn];
                if (node.slope != NONE) {
                    value *= textureLoad(slope, texel_of(node.slope + element));
                }
                let before = textureLoad(delta_mirror, texel_of(node.delta + element));
                let inside = element + FOUR < vec4(length);
                delta[(node.delta + element) / 4u] = select(before, value, inside);
            }
        }
    }
}
