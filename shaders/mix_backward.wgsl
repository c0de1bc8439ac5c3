// delta = slope ⊙ Σ over the mixes of which a node is a term: weight · delta of the mix
//
// The delta of a node that dense layers read, too, is added to what they made of it. A workgroup
// does 8 rows of a node, each with 8 lanes. Where the width is a multiple of four, a lane does four
// values at once, else one after another. Mixes are added in the order of the table.
//
// A pooled mix gives each row of a sentence an equal part of the delta of its first row (mean), or
// all of it to the row of the largest value, the first one of equal ones (maximum).

struct Params {
    rows: u32,           // rows of the chunk
    // the group: receivers [first_receiver, first_receiver + receivers)
    first_receiver: u32,
    receivers: u32,
    spans: u32,          // the first span, or NONE where no mix is pooled
}

struct Receiver {
    width: u32,
    slope: u32,       // [rows, width] in the activation arena; NONE for nodes without an activation
    delta: u32,       // [rows, width] in the delta arena
    first_share: u32, // the first of its mixes in the table of shares
    shares: u32,      // their number
    accumulate: u32,  // 1: dense layers read it, too
}

struct Share {
    mix: u32,
    term: u32, // its number among the terms of the mix
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<Receiver>;
@group(0) @binding(2) var<storage, read> shares: array<Share>;
@group(0) @binding(3) var<storage, read> mixes: array<Mix>;
@group(0) @binding(4) var<storage, read> logits: array<f32>;
@group(0) @binding(5) var<storage, read> mix_delta: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> slope: array<vec4<f32>>; // and the values of pooled nodes
@group(0) @binding(7) var<storage, read> spans: array<u32>;
@group(0) @binding(8) var<storage, read_write> delta: array<vec4<f32>>;

// Whether there are pooled mixes: code that is masked out takes time on software adapters.
override POOLS: bool = false;

// A value that a pooled mix reads.
fn pooled(node: Mix, row: u32, unit: u32) -> f32 {
    let place = node.x + row * node.width + unit;
    return slope[place / 4u][place % 4u];
}

// The delta that a pooled mix gives one value of a row; `unit` is the place of the value in its
// row.
fn unpooled(node: Mix, row: u32, unit: u32) -> f32 {
    let span = spans[params.spans + row];
    if (span == NONE) {
        return 0.0;
    }
    let first = row - (span & 0xffffu);
    let rows = (span & 0xffffu) + (span >> 16u) + 1u;
    let p = node.delta + first * node.width + unit;
    let value = mix_delta[p / 4u][p % 4u];
    if (node.pool == 1u) {
        return value / f32(rows);
    }
    // The first of the largest values. Most rows find a larger one next to them.
    let x = pooled(node, row, unit);
    var is_best = true;
    for (var i = row; i > first && is_best; i--) {
        is_best = x > pooled(node, i - 1u, unit);
    }
    for (var i = row + 1u; i < first + rows && is_best; i++) {
        is_best = pooled(node, i, unit) <= x;
    }
    return select(0.0, value, is_best);
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

// The delta of one value, before its slope.
fn one(receiver: Receiver, row: u32, place: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < receiver.shares; i++) {
        let share = shares[receiver.first_share + i];
        let node = mixes[share.mix];
        if (POOLS && node.pool > 0u) {
            sum += unpooled(node, row, place - row * node.width);
            continue;
        }
        let p = node.delta + place;
        var value = weight(node, row, share.term) * mix_delta[p / 4u][p % 4u];
        if (node.is_mask == 1u) {
            value *= logits[node.weights + place];
        }
        sum += value;
    }
    return sum;
}

// The deltas of four values, before their slopes.
fn four(receiver: Receiver, row: u32, place: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var i = 0u; i < receiver.shares; i++) {
        let share = shares[receiver.first_share + i];
        let node = mixes[share.mix];
        let value = weight(node, row, share.term) * mix_delta[(node.delta + place) / 4u];
        sum += value * mask(node, place);
    }
    return sum;
}

@compute @workgroup_size(64)
fn mix_backward(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let receiver = receivers[params.first_receiver + group.y];
    let row = group.x * 8u + lane / 8u;
    if (row >= params.rows) {
        return;
    }
    let first = row * receiver.width;
    if ((receiver.width & 3u) == 0u && !POOLS) {
        for (var u = 4u * (lane % 8u); u < receiver.width; u += 32u) {
            var value = four(receiver, row, first + u);
            if (receiver.slope != NONE) {
                value *= slope[(receiver.slope + first + u) / 4u];
            }
            let place = (receiver.delta + first + u) / 4u;
            if (receiver.accumulate == 1u) {
                value += delta[place];
            }
            delta[place] = value;
        }
        return;
    }
    for (var u = lane % 8u; u < receiver.width; u += 8u) {
        var value = one(receiver, row, first + u);
        if (receiver.slope != NONE) {
            let p = receiver.slope + first + u;
            value *= slope[p / 4u][p % 4u];
        }
        let p = receiver.delta + first + u;
        if (receiver.accumulate == 1u) {
            value += delta[p / 4u][p % 4u];
        }
        delta[p / 4u][p % 4u] = value;
    }
}
