// y = Σ_i w_i x_i over the terms of a mix
//
// The weights are 1, or one per row and term, or one per value of the only term. A workgroup does 8
// rows of a mix, each with 8 lanes. Where the width is a multiple of four, a lane does four values
// at once, else one after another; every run of values begins at a multiple of four.
//
// A pooled mix has one term, and its sum or maximum is over the rows of a sentence: it lies in the
// row of the first token, and other rows are zeros. `spans` says for each row of the chunk how many
// rows of its sentence come before it (the lower 16 bits) and behind it; NONE, behind the batch, is
// no first row.

struct Params {
    rows: u32,      // rows of the chunk
    first_mix: u32, // the group: mixes [first_mix, first_mix + mixes)
    mixes: u32,
    spans: u32,     // the first span, or NONE where no mix is pooled
}

struct Term {
    x: u32, // [rows, width] in the arena that is read
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mixes: array<Mix>;
@group(0) @binding(2) var<storage, read> terms: array<Term>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> logits: array<f32>;
@group(0) @binding(5) var<storage, read> spans: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

// Whether there are pooled mixes: code that is masked out takes time on software adapters.
override POOLS: bool = false;

// One value of a pooled mix: the mean or the maximum over a sentence, of `rows` rows from here on.
fn pooled(node: Mix, rows: u32, place: u32) -> f32 {
    var value = x[place / 4u][place % 4u];
    for (var i = 1u; i < rows; i++) {
        let p = place + i * node.width;
        let next = x[p / 4u][p % 4u];
        value = select(value + next, max(value, next), node.pool == 2u);
    }
    return select(value / f32(rows), value, node.pool == 2u);
}

// The weight of a term for a row. That of a mask differs from value to value: see below.
fn weight(node: Mix, row: u32, term: u32) -> f32 {
    if (node.weights == NONE || node.is_mask == 1u) {
        return 1.0;
    }
    return logits[node.weights + row * node.terms + term];
}

// The weights of four values of a mask, or ones.
fn mask(node: Mix, place: u32) -> vec4<f32> {
    if (node.is_mask == 0u) {
        return vec4(1.0);
    }
    let p = node.weights + place;
    return vec4(logits[p], logits[p + 1u], logits[p + 2u], logits[p + 3u]);
}

@compute @workgroup_size(64)
fn mix_forward(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let node = mixes[params.first_mix + group.y];
    let row = group.x * 8u + lane / 8u;
    if (row >= params.rows) {
        return;
    }
    let first = row * node.width;
    if (POOLS && node.pool > 0u) {
        let span = spans[params.spans + row];
        let rows = select(0u, (span >> 16u) + 1u, (span & 0xffffu) == 0u);
        for (var u = lane % 8u; u < node.width; u += 8u) {
            var value = 0.0;
            if (rows > 0u) {
                value = pooled(node, rows, node.x + first + u);
            }
            let place = node.y + first + u;
            y[place / 4u][place % 4u] = value;
        }
        return;
    }
    if ((node.width & 3u) == 0u) {
        for (var u = 4u * (lane % 8u); u < node.width; u += 32u) {
            var sum = vec4<f32>();
            for (var i = 0u; i < node.terms; i++) {
                let place = terms[node.first_term + i].x + first + u;
                sum += weight(node, row, i) * x[place / 4u];
            }
            y[(node.y + first + u) / 4u] = sum * mask(node, first + u);
        }
        return;
    }
    for (var u = lane % 8u; u < node.width; u += 8u) {
        var sum = 0.0;
        for (var i = 0u; i < node.terms; i++) {
            let place = terms[node.first_term + i].x + first + u;
            sum += weight(node, row, i) * x[place / 4u][place % 4u];
        }
        if (node.is_mask == 1u) {
            sum *= logits[node.weights + first + u];
        }
        let place = node.y + first + u;
        y[place / 4u][place % 4u] = sum;
    }
}
