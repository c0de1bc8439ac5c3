// delta = slope ⊙ Σ over the mixes of which a node is a term: weight · delta of the mix
//
// The delta of a node that dense layers read, too, is added to what they made of it. An invocation
// computes one value after another; mixes are added in the order of the table.

struct Params {
    rows: u32,           // rows of the chunk
    // the group: receivers [first_receiver, first_receiver + receivers)
    first_receiver: u32,
    receivers: u32,
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
@group(0) @binding(5) var<storage, read> mix_delta: array<f32>;
@group(0) @binding(6) var<storage, read> slope: array<f32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;

// The weight of a term of a mix at a value.
fn weight(node: Mix, term: u32, e: u32) -> f32 {
    if (node.weights == NONE) {
        return 1.0;
    }
    if (node.is_mask == 1u) {
        return logits[node.weights + e];
    }
    return logits[node.weights + e / node.width * node.terms + term];
}

@compute @workgroup_size(64)
fn mix_backward(@builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>) {
    let receiver = receivers[params.first_receiver + id.y];
    for (var e = id.x; e < params.rows * receiver.width; e += 64u * groups.x) {
        var sum = 0.0;
        for (var i = 0u; i < receiver.shares; i++) {
            let share = shares[receiver.first_share + i];
            let node = mixes[share.mix];
            sum += weight(node, share.term, e) * mix_delta[node.delta + e];
        }
        if (receiver.slope != NONE) {
            sum *= slope[receiver.slope + e];
        }
        if (receiver.accumulate == 1u) {
            sum += delta[receiver.delta + e];
        }
        delta[receiver.delta + e] = sum;
    }
}
