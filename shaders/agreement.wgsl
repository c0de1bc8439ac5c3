// L = JS(p, q) = ½ Σ p ln(p/m) + ½ Σ q ln(q/m),   mean over the rows
// dz_a += λ/rows · p ⊙ (g − Σ p g),   g = ½ ln(p/m)
// dz_b += λ/rows · q ⊙ (h − Σ q h),   h = ½ ln(q/m)
//
// p, q   the softmax outputs of heads a and b
// m      ½ (p + q)
//
// One invocation per row goes through all pairs in order, so that heads in several pairs have no
// races. Where p and q are close, ln(p/m) is ln(1 + (p − q)/(p + q)), which loses no digits;
// elsewhere it is ln p − ln m, with ln p from the logits, which cannot underflow.

struct Params {
    rows: u32,        // rows of the chunk
    chunk_first: u32, // first row of the chunk within the batch
    pairs: u32,
    gradient: u32,    // 0: the value alone
}

struct AgreeingPair {
    first: u32,    // [rows, classes] of head a among the logits
    second: u32,   // [rows, classes] of head b
    classes: u32,
    // bit 0: head a has one logit, for its second class, and 0 for its first; bit 1: so has head b
    one: u32,
    strength: f32, // λ
    partials: u32, // one partial sum per row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> agreeing_pairs: array<AgreeingPair>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;             // [rows, C] per head
@group(0) @binding(4) var<storage, read_write> logits_delta: array<f32>; // [rows, C] per head
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;

// The logit of a class; where a head has one logit for two classes, the first class has 0.
fn logit(z: u32, one: bool, c: u32) -> f32 {
    return select(logits[select(z + c, z, one)], 0.0, one && c == 0u);
}

// ln Σ e^z of a head, as (the largest z, ln Σ e^(z − largest)).
fn log_sum(z: u32, one: bool, classes: u32) -> vec2<f32> {
    var best = 0u;
    for (var c = 1u; c < classes; c++) {
        if (logit(z, one, c) > logit(z, one, best)) {
            best = c;
        }
    }
    let peak = logit(z, one, best);
    var others = 0.0;
    for (var c = 0u; c < classes; c++) {
        if (c != best) {
            others += exponential(logit(z, one, c) - peak);
        }
    }
    return vec2(peak, logarithm_1p(others));
}

// (p, q, ½ ln(p/m), ½ ln(q/m)); a logarithm is 0 where its probability is 0.
fn terms(z_a: f32, z_b: f32, norm_a: vec2<f32>, norm_b: vec2<f32>) -> vec4<f32> {
    let ln_p = (z_a - norm_a.x) - norm_a.y;
    let ln_q = (z_b - norm_b.x) - norm_b.y;
    let p = exponential(ln_p);
    let q = exponential(ln_q);
    let sum = p + q;
    var g = 0.0;
    var h = 0.0;
    if (sum >= 1.2e-38) {
        let d = (p - q) / sum;
        let ln_m = logarithm(0.5 * sum);
        if (p > 0.0) {
            g = 0.5 * select(ln_p - ln_m, logarithm_1p(d), abs(d) < 0.5);
        }
        if (q > 0.0) {
            h = 0.5 * select(ln_q - ln_m, logarithm_1p(-d), abs(d) < 0.5);
        }
    }
    return vec4(p, q, g, h);
}

@compute @workgroup_size(64)
fn agreement(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x * 64u + lane;
    if (row >= params.rows) {
        return;
    }
    let inside = params.chunk_first + row < step.rows;
    for (var i = 0u; i < params.pairs; i++) {
        let pair = agreeing_pairs[i];
        let one_a = (pair.one & 1u) != 0u;
        let one_b = (pair.one & 2u) != 0u;
        let a = pair.first + row * select(pair.classes, 1u, one_a);
        let b = pair.second + row * select(pair.classes, 1u, one_b);
        let norm_a = log_sum(a, one_a, pair.classes);
        let norm_b = log_sum(b, one_b, pair.classes);
        var mean_a = 0.0;
        var mean_b = 0.0;
        for (var c = 0u; c < pair.classes; c++) {
            let t = terms(logit(a, one_a, c), logit(b, one_b, c), norm_a, norm_b);
            mean_a += t.x * t.z;
            mean_b += t.y * t.w;
        }
        partials[pair.partials + row] = select(0.0, mean_a + mean_b, inside);
        if (inside && params.gradient == 1u) {
            let scale = pair.strength * step.inverse_rows;
            for (var c = 0u; c < pair.classes; c++) {
                let t = terms(logit(a, one_a, c), logit(b, one_b, c), norm_a, norm_b);
                if (!one_a || c == 1u) {
                    logits_delta[select(a + c, a, one_a)] += scale * t.x * (t.z - mean_a);
                }
                if (!one_b || c == 1u) {
                    logits_delta[select(b + c, b, one_b)] += scale * t.y * (t.w - mean_b);
                }
            }
        }
    }
}
