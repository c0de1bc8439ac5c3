// y = Σ_i w_i x_i over the terms of a mix
//
// The weights are 1, or one per row and term, or one per value of the only term. An invocation
// computes four neighbouring values, whatever rows they are of: all terms have the width of the
// mix. Every run of values begins at a multiple of four.

struct Params {
    rows: u32,      // rows of the chunk
    first_mix: u32, // the group: mixes [first_mix, first_mix + mixes)
    mixes: u32,
}

struct Term {
    x: u32, // [rows, width] in the arena that is read
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mixes: array<Mix>;
@group(0) @binding(2) var<storage, read> terms: array<Term>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> logits: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const FOUR = vec4(0u, 1u, 2u, 3u);

// The weights of a term for four values from `e` on.
fn weights(node: Mix, term: u32, e: u32) -> vec4<f32> {
    if (node.weights == NONE) {
        return vec4(1.0);
    }
    let last = params.rows * node.width - 1u;
    let at = min(vec4(e) + FOUR, vec4(last));
    if (node.is_mask == 1u) {
        let p = node.weights + at;
        return vec4(logits[p.x], logits[p.y], logits[p.z], logits[p.w]);
    }
    if ((node.width & 3u) == 0u) {
        return vec4(logits[node.weights + e / node.width * node.terms + term]);
    }
    let p = node.weights + at / node.width * node.terms + term;
    return vec4(logits[p.x], logits[p.y], logits[p.z], logits[p.w]);
}

@compute @workgroup_size(64)
fn mix_forward(@builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>) {
    let node = mixes[params.first_mix + id.y];
    let count = params.rows * node.width;
    for (var e = 4u * id.x; e < count; e += 256u * groups.x) {
        var sum = vec4<f32>();
        for (var i = 0u; i < node.terms; i++) {
            sum += weights(node, i, e) * x[(terms[node.first_term + i].x + e) / 4u];
        }
        for (var c = 0u; c < min(4u, count - e); c++) {
            y[node.y + e + c] = sum[c];
        }
    }
}
