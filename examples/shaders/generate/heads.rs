//! Output layers with softmax and cross-entropy in one kernel, for heads of up to 32 classes.

use super::unrolled::{XYZW, ended, fetch, fill, four_terms, line, readers, repeated};

/// Output layers with their loss. A lane holds rows with all classes, since a head has few of them:
/// what follows the product then needs no other lane.
const HEADS: &str = "// z    = x · wᵀ + b
// loss = ln Σ e^z − z_label
// dz   = w · (softmax(z) − one_hot(label)) / rows
//
// For heads of up to 32 classes on software adapters: operands are read from mirrors; a workgroup
// is one subgroup of 8 lanes, without workgroup memory and barriers; the inner loops have no
// branches (indices are clamped, terms beyond the end are zero). A lane holds two rows of its tile,
// `lane` and `lane + 8`, with all their classes; lanes pass the weights on by shuffles with
// constant index; terms are added four by four in ascending order.

struct Params {
    rows: u32,         // rows of the chunk
    first_layer: u32,  // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tasks: u32,
    loss: u32,         // losses [T, capacity] among the partials
    hits: u32,         // hits [T, capacity] among the partials
    capacity: u32,     // rows per task among the partials
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var layers: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var parameters: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var x: texture_storage_2d<rgba32float, read>;               // [rows, I]
@group(0) @binding(5) var<storage, read> heads: array<Head>;                      // [T]
@group(0) @binding(6) var<storage, read> labels: array<u32>;                      // [rows, T]
@group(0) @binding(7) var<storage, read_write> logits: array<f32>;                // [rows, C] per \
                     head
@group(0) @binding(8) var<storage, read_write> logits_delta: array<f32>;          // [rows, C] per \
                     head
@group(0) @binding(9) var<storage, read_write> partials: array<f32>;
@group(0) @binding(10) var<storage, read_write> flags: array<atomic<u32>>;

// whether the logits of all heads are stored, or those of coupled heads alone
override ALL_LOGITS: bool = false;
// the largest number of classes of a head: code that is masked out takes time, too
override CLASSES: u32 = 32u;

const LOWEST = -3.4028234e38;

// Whether a number is infinite or NaN, by the exponents.
fn is_unfinite(z: vec2<f32>) -> bool {
    return any((bitcast<vec2<u32>>(z) & vec2(0x7f800000u)) == vec2(0x7f800000u));
}

fn power(z: vec2<f32>) -> vec2<f32> {
    return vec2(exponential(z.x), exponential(z.y));
}
READERS

const ROWS = 16u;

// What the layers of the dispatch need, one bit per loop: code that is masked out takes time, too.
override LOOPS: u32 = 3u;

@compute @workgroup_size(8)
fn heads_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let layer = layer_at(params.first_layer + group.x);
    let row_tile = group.y * ROWS;
    let task = layer.task;
    let rows = vec2(row_tile + lane, row_tile + 8u + lane);
    let r0 = min(rows.x, params.rows - 1u);
    let r1 = min(rows.y, params.rows - 1u);
";

const HEADS_TAIL: &str = "    // Rows and classes beyond the end repeat the last ones, so that \
                          testing them does no harm.
    var broken = false;
EACH        z{c} += vec2(subgroupShuffle(bias{g}, {l}u));
        broken = broken || is_unfinite(z{c});
END    if (broken) {
        atomicMin(&flags[0], step.number);
        atomicMin(&flags[layer.z_flag], step.number);
    }
    let label = vec2(labels[r0 * params.tasks + task], labels[r1 * params.tasks + task]);
    var peak = vec2(LOWEST);
    var best = vec2(NONE);
    var chosen = vec2<f32>();
EACH        let is_higher = (z{c} > peak) & vec2({c}u < layer.outputs);
        best = select(best, vec2({c}u), is_higher);
        peak = select(peak, z{c}, is_higher);
        chosen = select(chosen, z{c}, label == vec2({c}u));
END    // Class by class in ascending order.
    var others = vec2<f32>();
EACH        e{c} = power(z{c} - peak);
        others += select(vec2<f32>(), e{c}, (best != vec2({c}u)) & vec2({c}u < layer.outputs));
END    let is_labelled = label < vec2(layer.outputs);
    let scale = select(vec2<f32>(), vec2(heads[task].weight * step.inverse_rows), is_labelled);
    let share = scale / (1.0 + others);
    let first = vec2(layer.y) + rows * layer.outputs;
    let is_row = rows < vec2(params.rows);
EACH        let d = share * e{c} - select(vec2<f32>(), scale, label == vec2({c}u));
        if (is_row.x && {c}u < layer.outputs) {
            logits_delta[first.x + {c}u] = d.x;
        }
        if (is_row.y && {c}u < layer.outputs) {
            logits_delta[first.y + {c}u] = d.y;
        }
END    if (ALL_LOGITS || heads[task].coupled == 1u) {
EACH        if (is_row.x && {c}u < layer.outputs) {
            logits[first.x + {c}u] = z{c}.x;
        }
        if (is_row.y && {c}u < layer.outputs) {
            logits[first.y + {c}u] = z{c}.y;
        }
END    }
    let log_sum = vec2(logarithm_1p(others.x), logarithm_1p(others.y));
    let loss = select(vec2<f32>(), step.inverse_rows * (log_sum + (peak - chosen)), is_labelled);
    let hit = select(vec2<f32>(), vec2(1.0), label == best);
    let partial = task * params.capacity;
    if (is_row.x) {
        partials[params.loss + partial + rows.x] = loss.x;
        partials[params.hits + partial + rows.x] = hit.x;
    }
    if (is_row.y) {
        partials[params.loss + partial + rows.y] = loss.y;
        partials[params.hits + partial + rows.y] = hit.y;
    }
}
";

/// The largest number of classes of a head.
const CLASSES: usize = 32;

/// The text for each class, in groups of four that run where a head may have as many classes. `{c}`
/// is the class, `{g}` its group of eight, `{l}` its place there.
fn each_class(text: &str) -> String {
    let of = |c: usize| {
        let text = fill(
            text,
            &[("c", &c.to_string()), ("g", &(c / 8).to_string()), ("l", &(c % 8).to_string())],
        );
        if text.contains("let ") { format!("        {{\n{text}        }}\n") } else { text }
    };
    (0..CLASSES)
        .step_by(4)
        .map(|first| {
            format!(
                "    if (CLASSES > {first}u) {{\n{}    }}\n",
                (first..first + 4).map(of).collect::<String>()
            )
        })
        .collect()
}

fn heads_loop(out: &mut String, bit: usize, is_aligned: bool) {
    let otherwise = if bit > 1 { "} else " } else { "" };
    let condition = if is_aligned { "((layer.inputs | layer.x) & 3u) == 0u" } else { "true" };
    line(
        out,
        &format!(
            "    {otherwise}if ((LOOPS & {bit}u) != 0u && (LOOPS == {bit}u || ({condition}))) {{"
        ),
    );
    line(out, "    for (var base = 0u; base < layer.inputs; base += 4u) {");
    if !is_aligned {
        line(out, "        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4(layer.inputs);");
    }
    for i in 0..2 {
        let place = format!("layer.x + r{i} * layer.inputs + base");
        line(
            out,
            &format!(
                "        let a{i} = {};",
                ended(&fetch(("x", is_aligned), &place), is_aligned)
            ),
        );
    }
    XYZW.iter().for_each(|c| line(out, &format!("        let x_{c} = vec2(a0.{c}, a1.{c});")));
    for eight in 0..CLASSES / 8 {
        let place = format!("layer.weight + c{eight} * layer.inputs + base");
        line(out, &format!("        if (CLASSES > {}u) {{", 8 * eight));
        line(
            out,
            &format!(
                "        let w = {};",
                ended(&fetch(("parameters", is_aligned), &place), is_aligned)
            ),
        );
        for c in 8 * eight..8 * eight + 8 {
            if c % 8 == 4 {
                line(out, &format!("        if (CLASSES > {c}u) {{"));
            }
            let weight = |k| format!("subgroupShuffle(w.{k}, {}u)", c % 8);
            let sum = four_terms(|i| (weight(XYZW[i]), format!("x_{}", XYZW[i])), 2);
            line(out, &format!("        z{c} += {sum};"));
        }
        line(out, "        }\n        }");
    }
    line(out, "    }");
}

/// The text of `heads_cross_entropy.wgsl`.
pub fn heads() -> String {
    let mut out = HEADS.to_string();
    (0..CLASSES / 8).for_each(|g| {
        line(&mut out, &format!("    let c{g} = min({}u + lane, layer.outputs - 1u);", 8 * g))
    });
    (0..CLASSES / 8).for_each(|g| {
        line(&mut out, &format!("    let bias{g} = one_parameters(layer.bias + c{g});"))
    });
    (0..CLASSES).for_each(|c| {
        line(&mut out, &format!("    var z{c} = vec2<f32>();\n    var e{c} = vec2<f32>();"))
    });
    heads_loop(&mut out, 1, true);
    heads_loop(&mut out, 2, false);
    line(&mut out, "    }");
    out += &repeated(HEADS_TAIL, &each_class);
    out.replacen("READERS\n", &readers(&out), 1)
}
