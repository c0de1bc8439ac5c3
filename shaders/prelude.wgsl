// What all kernels share. It is appended to each kernel, so that line numbers in error reports are
// those of the kernel's own file:
//
// - structures, which are compared field by field with their Rust twins;
// - the bit test for values that are not finite;
// - elementary functions: the built-in exp, log and tanh of software adapters lose up to five
//   digits;
// - activations, and the hash behind dropout.

// What differs from step to step: one entry of a table, chosen by dynamic offset.
struct Step {
    number: u32,          // number of the step, from 1
    first: u32,           // where the batch begins in `order`
    rows: u32,            // rows of the batch
    slot: u32,            // row of `metrics`
    learning_rate: f32,
    inverse_rows: f32,    // 1 / rows
    step_size: f32,       // Adam: learning_rate / (1 − β1^t)
    root_correction: f32, // Adam: 1 / √(1 − β2^t)
    key_low: u32,         // key of this step's dropout masks
    key_high: u32,
    // the factor on gradients before matrix units round them, a power of two
    delta_scale: f32,
    inverse_scale: f32,   // 1 / delta_scale
    progress: f32,        // part of the run that is done, from 0 to 1
}

// A dense layer: y = act(x · wᵀ + b). Offsets are in elements of their arena.
struct Dense {
    inputs: u32,
    outputs: u32,
    weight: u32,             // [O, I] in parameters and gradients
    bias: u32,               // [O]
    x: u32,                  // [rows, I] in an activation arena
    x_odd: u32,              // 1: the odd activation arena
    y: u32,                  // [rows, O] in an activation arena or among the logits
    slope: u32,              // [rows, O] dy/dz beside y, or NONE for output layers
    delta: u32,              // [rows, O] dL/dz
    delta_arena: u32,        // 0 even, 1 odd, 2 logits
    dropout_threshold: u32,  // a unit is dropped where its hash is below the threshold
    dropout_scale: f32,      // 1 / (1 − rate)
    layer: u32,              // number of the layer, in the hash of dropout
    forward_tile: u32,       // column tiles of the dispatch before this layer
    weight_tile: u32,        // tiles of the weight gradient's dispatch before this layer
    z_flag: u32,             // flag of pre-activations that are not finite
    gradient_flag: u32,      // flag of gradients that are not finite
    task: u32,               // the task of an output layer
    next_reader: u32,        // the next layer that reads the same x, or NONE
    pad: u32,                // makes whole vec4s
}

// The output layer of a task, and its loss.
struct Head {
    outputs: u32,   // width of the output layer
    logits: u32,    // [rows, outputs] among the logits of all heads
    weight: f32,    // w_i of the objective
    coupled: u32,   // 1: a coupling reads the logits
    kind: u32,      // MULTICLASS, LOGISTIC, …
    cell: u32,      // its first label in a row
    cells: u32,     // number of its labels in a row
    parameter: f32, // δ of huber, q of quantile, c of poisson
    gamma: f32,     // γ of the focal loss, or 0
    smoothing: f32, // ε of label smoothing
    // first of its class weights (one per class) or weights of positives (one per output), or NONE
    weights: u32,
    share: f32,     // 1 / cells
    // place of 1 / Σ of the weights of labels among the partials; NONE where all rows are labelled
    // and weigh one
    inverse: u32,
}

// A gate: values from which the weights of the terms of a mix follow. Its values and weights lie
// among the logits, their gradients among those of logits.
struct Gate {
    values: u32,       // values per row
    terms: u32,        // weights per row: one per term, or one per unit of a masked layer
    rule: u32,         // LINEAR, SOFTMAX, SELECT, GUMBEL, MASK
    first: u32,        // [rows, values], or [values] among the parameters
    second: u32,       // [rows, values] that are added to the first; NONE where there are none
    constant: u32,     // 1: the values are parameters, equal for all rows
    weights: u32,      // [rows, terms], also place of their gradients
    delta: u32,        // [rows, values] gradient of the values, or NONE if nothing needs it
    second_delta: u32, // [rows, values] likewise
    number: u32,       // number of the gate, in the hash of its noise
    select: u32,       // SELECT: number of selectors
    bits: u32,         // SELECT: bits of a code
    gamma: f32,        // SELECT: γ of the smooth step
    entropy: f32,      // SELECT: factor of the entropy in the objective
    inverse_from: f32, // GUMBEL: 1 / temperature at the first step
    fall: f32,         // GUMBEL: ln (temperature at the first step / at the end)
    means: u32,        // [terms, capacity] among the partials: the weights; or NONE
    entropies: u32,    // [capacity] among the partials: the entropy of each row; or NONE
}

// A weighted sum of the values of nodes of equal width.
struct Mix {
    width: u32,
    terms: u32,      // number of its terms
    first_term: u32, // the first of them in the table of terms
    y: u32,          // [rows, width] in an activation arena
    delta: u32,      // [rows, width] dL/dy
    weights: u32,    // [rows, terms] among the logits; NONE where all are 1
    is_mask: u32,    // 1: [rows, width] weights, one per value of the only term
    weighs: u32,     // 1: the gradients of the weights are needed
    pool: u32,       // 0: no; 1, 2: mean, maximum of the only term over the tokens of a sentence
    x: u32,          // [rows, width] of the only term, where it is pooled
}

// The kind of a loss of classes; the other kinds stand in pointwise_losses.wgsl.
const MULTICLASS = 0u;

const NONE = 0xffffffffu;

// How the tiled kernels add the terms of a product. In chains of multiply-adds, at most ten for a
// layer, so that a term of a long sum takes part in fewer roundings than by fours; or by fours, as
// the kernels for software adapters do: four terms are added, then their sum to those before.

// The inner steps of a chain, a multiple of a tile's depth; by fours there is one chain.
fn chain_of(steps: u32, fours: bool) -> u32 {
    return select(16u * ((steps + 159u) / 160u), steps, fours);
}

// A sum with four more terms.
fn with_four(sum: f32, a: vec4<f32>, b: vec4<f32>, fours: bool) -> f32 {
    if (fours) {
        return sum + fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x)));
    }
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// Four sums with four more terms each, `a` times the columns of `b`.
fn with_fours(sums: vec4<f32>, a: vec4<f32>, b: mat4x4<f32>, fours: bool) -> vec4<f32> {
    if (fours) {
        return sums
            + fma(vec4(a.w), b[3], fma(vec4(a.z), b[2], fma(vec4(a.y), b[1], a.x * b[0])));
    }
    return fma(vec4(a.w), b[3],
        fma(vec4(a.z), b[2], fma(vec4(a.y), b[1], fma(vec4(a.x), b[0], sums))));
}

// `x != x` is false for NaN on some adapters, so test the exponent bits.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// 2^n by exponent bits, for −126 <= n <= 127.
fn power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// e^x. Range reduction by ln 2 in two parts, polynomial of degree 7 (Cephes expf). The factor 2^n
// is split in two, so that results reach both ends of the range; infinity above, zero below.
fn exponential(x: f32) -> f32 {
    let t = clamp(x, -104.0, 89.0);
    let n = floor(t * 1.44269504 + 0.5);
    let r = (t - n * 0.693359375) + n * 2.12194440e-4;
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    let value = p * r * r + r + 1.0;
    let half = i32(n) / 2;
    return value * power_of_two(half) * power_of_two(i32(n) - half);
}

// ln(1 + f) for √½ − 1 <= f <= √2 − 1 (Cephes logf).
fn logarithm_near_one(f: f32) -> f32 {
    var p = 7.0376836292e-2;
    p = p * f - 1.1514610310e-1;
    p = p * f + 1.1676998740e-1;
    p = p * f - 1.2420140846e-1;
    p = p * f + 1.4249322787e-1;
    p = p * f - 1.6668057665e-1;
    p = p * f + 2.0000714765e-1;
    p = p * f - 2.4999993993e-1;
    p = p * f + 3.3333331174e-1;
    let square = f * f;
    return (p * f * square - 0.5 * square) + f;
}

// ln x for normal x > 0.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    var e = i32(bits >> 23u) - 126;
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if (m < 0.70710678) {
        m = m + m;
        e = e - 1;
    }
    let n = f32(e);
    return (logarithm_near_one(m - 1.0) - n * 2.12194440e-4) + n * 0.693359375;
}

// ln(1 + x), exact near zero.
fn logarithm_1p(x: f32) -> f32 {
    if (x > -0.29 && x < 0.41) {
        return logarithm_near_one(x);
    }
    return logarithm(1.0 + x);
}

// tanh x (Cephes tanhf): odd polynomial near zero, through e^2|x| beyond.
fn hyperbolic_tangent(x: f32) -> f32 {
    let a = abs(x);
    if (a < 0.625) {
        let s = x * x;
        var p = -5.70498872745e-3;
        p = p * s + 2.06390887954e-2;
        p = p * s - 5.37397155531e-2;
        p = p * s + 1.33314422036e-1;
        p = p * s - 3.33332819422e-1;
        return p * s * x + x;
    }
    let value = 1.0 - 2.0 / (exponential(2.0 * min(a, 20.0)) + 1.0);
    return select(value, -value, x < 0.0);
}

// erf x (Cephes erff and erfcf): odd polynomial below 1, complement beyond.
fn error_function(x: f32) -> f32 {
    let a = abs(x);
    if (a < 1.0) {
        let s = x * x;
        var p = 7.853861353153693e-5;
        p = p * s - 8.010193625184903e-4;
        p = p * s + 5.188327685732524e-3;
        p = p * s - 2.685381193529856e-2;
        p = p * s + 1.128358514861418e-1;
        p = p * s - 3.761262582423300e-1;
        p = p * s + 1.128379165726710;
        return x * p;
    }
    let b = min(a, 6.0);
    let q = 1.0 / b;
    let s = q * q;
    var p = 0.0;
    if (b < 2.0) {
        p = 2.326819970068386e-2;
        p = p * s - 1.387039388740657e-1;
        p = p * s + 3.687424674597105e-1;
        p = p * s - 5.824733027278666e-1;
        p = p * s + 6.210004621745983e-1;
        p = p * s - 4.944515323274145e-1;
        p = p * s + 3.404879937665872e-1;
        p = p * s - 2.741127028184656e-1;
        p = p * s + 5.638259427386472e-1;
    } else {
        p = -1.047766399936249e1;
        p = p * s + 1.297719955372516e1;
        p = p * s - 7.495518717768503;
        p = p * s + 2.921019019210786;
        p = p * s - 1.015265279202700;
        p = p * s + 4.218463358204948e-1;
        p = p * s - 2.820767439740514e-1;
        p = p * s + 5.641895067754075e-1;
    }
    let value = 1.0 - exponential(-b * b) * q * p;
    return select(value, -value, x < 0.0);
}

// An activation and its slope at z: (y, dy/dz). `plan::activation_code` gives the codes.
fn activate(kind: u32, z: f32) -> vec2<f32> {
    switch kind {
        case 0u: {
            return select(vec2(0.0, 0.0), vec2(z, 1.0), z > 0.0);
        }
        case 1u: {
            let y = hyperbolic_tangent(z);
            return vec2(y, 1.0 - y * y);
        }
        case 2u: {
            let area = 0.5 + 0.5 * error_function(z * 0.70710678);
            let density = 0.39894228 * exponential(-0.5 * z * z);
            return vec2(z * area, area + z * density);
        }
        case 3u: {
            let s = 1.0 / (1.0 + exponential(-z));
            return vec2(z * s, s * (1.0 + z * (1.0 - s)));
        }
        default: {
            return vec2(z, 1.0);
        }
    }
}

// The first u32 of pcg4d (Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3),
// 2020).
fn hash(a: u32, b: u32, c: u32, d: u32) -> u32 {
    var v = vec4(a, b, c, d) * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v = v ^ (v >> vec4(16u));
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v.x;
}
