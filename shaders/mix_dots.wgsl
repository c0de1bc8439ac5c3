// dw_i = Σ_e dy_e x_ie over the units e of a row: the gradients of the weights of a mix, or for a
// mask dw_e = dy_e x_e
//
// A workgroup does 8 rows of a mix, each with 8 lanes. A lane sums every eighth unit, or every
// eighth four units where the width is a multiple of four, and the lanes are summed by a tree of
// fixed shape.

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
@group(0) @binding(4) var<storage, read> mix_delta: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> logits_delta: array<f32>;

var<workgroup> sums: array<f32, 64>;

// Part of the dot product of a row's deltas with a term: that of a lane. The products are kept
// where they are the gradients of a mask.
fn part(node: Mix, first: u32, term: u32, lane: u32) -> f32 {
    var sum = 0.0;
    if ((node.width & 3u) == 0u && node.is_mask == 0u) {
        for (var u = 4u * lane; u < node.width; u += 32u) {
            let d = mix_delta[(node.delta + first + u) / 4u];
            sum += dot(d, x[(term + first + u) / 4u]);
        }
        return sum;
    }
    for (var u = lane; u < node.width; u += 8u) {
        let d = node.delta + first + u;
        let p = term + first + u;
        let product = mix_delta[d / 4u][d % 4u] * x[p / 4u][p % 4u];
        if (node.is_mask == 1u) {
            logits_delta[node.weights + first + u] = product;
        }
        sum += product;
    }
    return sum;
}

@compute @workgroup_size(64)
fn mix_dots(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let node = mixes[params.first_mix + group.y];
    // The same for the whole workgroup, so that its barriers are met by all.
    if (node.weighs == 0u) {
        return;
    }
    let row = group.x * 8u + lane / 8u;
    let first = row * node.width;
    for (var i = 0u; i < node.terms; i++) {
        var sum = 0.0;
        if (row < params.rows) {
            sum = part(node, first, terms[node.first_term + i].x, lane % 8u);
        }
        sums[lane] = sum;
        workgroupBarrier();
        if (lane % 8u == 0u && row < params.rows && node.is_mask == 0u) {
            let low = (sums[lane] + sums[lane + 1u]) + (sums[lane + 2u] + sums[lane + 3u]);
            let high = (sums[lane + 4u] + sums[lane + 5u]) + (sums[lane + 6u] + sums[lane + 7u]);
            logits_delta[node.weights + row * node.terms + i] = low + high;
        }
        workgroupBarrier();
    }
}
