//! The `*_direct` kernels are unrolled register tiles: too long to write by hand and too regular to need it. This file is their
//! generator; its output is checked in, and the test compares. `TANDEM_WRITE_SHADERS=1 cargo test --test generated` writes it anew.
//!
//! A subgroup of 8 lanes computes a tile of rows × columns, each lane vec4s of columns. Loads are what costs on a software adapter: so the
//! tile is as large as spilled registers allow, a load brings a vec4 where it can, every element of an operand is loaded by one lane only,
//! and what the lanes brought of the row operand is handed round by shuffles with constant index.

use std::fmt::Write;
use std::path::PathBuf;

/// vec4s of columns that a lane holds: a tile has 32 times as many columns.
const VECTORS: usize = 1;
const XYZW: [&str; 4] = ["x", "y", "z", "w"];

/// How the row operand is loaded.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    /// Lane = row, vec4 = four steps.
    AlongSteps,
    /// Lane = quad of rows (and step, where there are fewer quads than lanes), vec4 = four rows.
    AcrossSteps,
    /// Lane = row, one step at a time: for sizes that are no multiple of four.
    Scalar,
}

/// How the column operand is loaded.
#[derive(Clone, Copy)]
enum Columns {
    /// vec4 = four steps of one column.
    AlongSteps,
    /// vec4 = four columns of one step.
    AcrossSteps,
    /// One element at a time.
    Scalar,
}

/// A loop over the inner steps, for operands that lie as `condition` says.
struct Inner {
    condition: &'static str,
    rows: (Rows, &'static str),
    columns: (Columns, &'static str),
}

/// A product in the style of software adapters, inside the frame of the kernel that it stands in for.
struct Direct {
    /// Rows of the register tile, 16 or 32: more are faster and take longer to compile.
    rows: usize,
    /// The kernel that it stands in for; its file gives `Params`, bindings and helpers.
    kernel: &'static str,
    /// First line of the header.
    formula: &'static str,
    /// Bindings that are read as vec4.
    vectors: &'static [&'static str],
    /// From the workgroup to its tile.
    frame: &'static str,
    /// Loop around the products (sources of a destination), if any: opening and closing.
    around: [&'static str; 2],
    /// Number of rows, of columns, of inner steps.
    sizes: [&'static str; 3],
    /// Element of the row operand at row `r` and step `k`; of the column operand at step `k` and column `c`.
    elements: [&'static str; 2],
    /// The loops, the last one without a condition.
    inner: &'static [Inner],
    /// Whether the row operand is summed over the inner steps as well, for the bias.
    sums_rows: bool,
    /// Statement that stores `sum` at row `r` and column `c`.
    store: &'static str,
}

const DIRECT: &[Direct] = &[
    Direct {
        rows: 32,
        kernel: "dense_forward",
        formula: "y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.",
        vectors: &["x", "parameters"],
        frame: "    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
",
        around: ["", ""],
        sizes: ["params.rows", "layer.outputs", "layer.inputs"],
        elements: ["layer.x + {r} * layer.inputs + {k}", "layer.weight + {c} * layer.inputs + {k}"],
        inner: &[
            Inner {
                condition: "((layer.inputs | layer.x) & 3u) == 0u",
                rows: (Rows::AlongSteps, "x"),
                columns: (Columns::AlongSteps, "parameters"),
            },
            Inner { condition: "", rows: (Rows::Scalar, "x"), columns: (Columns::Scalar, "parameters") },
        ],
        sums_rows: false,
        store: "store(layer, {r}, {c}, {sum});",
    },
    Direct {
        rows: 32,
        kernel: "dense_backward_input",
        formula: "delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope",
        vectors: &["parameters", "next_delta", "logits_delta"],
        frame: "    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
",
        around: [
            "    for (var s = 0u; s < destination.sources; s++) {\n    let layer = layers[destination.first_source + s];\n",
            "    }\n",
        ],
        sizes: ["params.rows", "destination.width", "layer.outputs"],
        elements: ["layer.delta + {r} * layer.outputs + {k}", "layer.weight + {k} * layer.inputs + {c}"],
        inner: &[
            Inner {
                condition: "layer.delta_arena != LOGITS && ((layer.inputs | layer.outputs | layer.delta) & 3u) == 0u",
                rows: (Rows::AlongSteps, "next_delta"),
                columns: (Columns::AcrossSteps, "parameters"),
            },
            Inner {
                condition: "layer.delta_arena == LOGITS && (layer.inputs & 3u) == 0u",
                rows: (Rows::Scalar, "logits_delta"),
                columns: (Columns::AcrossSteps, "parameters"),
            },
            Inner { condition: "", rows: (Rows::Scalar, "source_delta(layer.delta_arena, {})"), columns: (Columns::Scalar, "parameters") },
        ],
        sums_rows: false,
        store: "store(destination, {r}, {c}, {sum});",
    },
    Direct {
        rows: 16,
        kernel: "dense_backward_weight",
        formula: "dw = deltaᵀ · x,   db = column sums of delta",
        vectors: &["even", "odd", "even_delta", "odd_delta", "logits_delta"],
        frame: "    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) {
        return;
    }
    let layer = layers[layer_of(tile)];
    let input_tiles = (layer.inputs + COLUMNS - 1u) / COLUMNS;
    let local = tile - layer.weight_tile;
    let row_tile = (local / input_tiles) * ROWS;
    let column_tile = (local % input_tiles) * COLUMNS;
    let aligned = ((layer.inputs | layer.x) & 3u) == 0u;
    let both_aligned = aligned && ((layer.outputs | layer.delta) & 3u) == 0u;
",
        around: ["", ""],
        sizes: ["layer.outputs", "layer.inputs", "params.rows"],
        elements: ["layer.delta + {k} * layer.outputs + {r}", "layer.x + {k} * layer.inputs + {c}"],
        inner: &[
            Inner {
                condition: "both_aligned && layer.delta_arena == 0u && layer.x_odd == 1u",
                rows: (Rows::AcrossSteps, "even_delta"),
                columns: (Columns::AcrossSteps, "odd"),
            },
            Inner {
                condition: "both_aligned && layer.delta_arena == 1u && layer.x_odd == 0u",
                rows: (Rows::AcrossSteps, "odd_delta"),
                columns: (Columns::AcrossSteps, "even"),
            },
            Inner {
                condition: "aligned && layer.delta_arena == LOGITS && layer.x_odd == 1u",
                rows: (Rows::Scalar, "logits_delta"),
                columns: (Columns::AcrossSteps, "odd"),
            },
            Inner {
                condition: "aligned && layer.delta_arena == LOGITS && layer.x_odd == 0u",
                rows: (Rows::Scalar, "logits_delta"),
                columns: (Columns::AcrossSteps, "even"),
            },
            Inner {
                condition: "",
                rows: (Rows::Scalar, "delta(layer.delta_arena, {})"),
                columns: (Columns::Scalar, "activation(layer.x_odd, {})"),
            },
        ],
        sums_rows: true,
        store: "if ({r} < layer.outputs && {c} < layer.inputs) { store(layer.weight + {r} * layer.inputs + {c}, layer.gradient_flag, {sum}); }",
    },
];

fn shader(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shaders").join(format!("{name}.wgsl"))
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_string(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
}

/// One element of an operand: of an array of vec4, or through a function.
fn scalar(array: &str, index: &str) -> String {
    if array.contains('(') { array.replace("{}", index) } else { format!("{array}[({index}) >> 2u][({index}) & 3u]") }
}

fn vector(array: &str, index: &str) -> String {
    format!("{array}[({index}) >> 2u]")
}

/// What the direct kernel shares with the tiled one: `Params` to bindings, and the helper functions; operands as vec4.
fn shared(d: &Direct) -> [String; 2] {
    let text = std::fs::read_to_string(shader(d.kernel)).expect("the tiled kernel");
    let begin = text.find("struct Params").expect("Params");
    let tiles = text.find("const TILE").expect("tile constants");
    let entry = text.find("@compute").expect("entry point");
    let is_wanted = |f: &&str| !f.starts_with("store_row") && !f.starts_with("four");
    let functions: String =
        text[tiles..entry].split("\nfn ").skip(1).filter(is_wanted).map(|f| format!("fn {}\n\n", f.trim_end())).collect();
    let (mut head, mut functions) = (text[begin..tiles].to_string(), functions);
    for name in d.vectors {
        head = head.replace(&format!(" {name}: array<f32>"), &format!(" {name}: array<vec4<f32>>"));
        functions = functions.replace(&format!("return {name}[index]"), &format!("return {name}[index >> 2u][index & 3u]"));
    }
    let bias = "parameters[layer.bias + column]";
    functions = functions.replace(bias, &scalar("parameters", "layer.bias + column"));
    if d.kernel.starts_with("dense_backward") {
        head += "const LOGITS = 2u;\n";
    }
    [head, functions]
}

fn generate(d: &Direct) -> String {
    let [head, functions] = shared(d);
    let groups = if d.sums_rows { "    @builtin(num_workgroups) groups: vec3<u32>,\n" } else { "" };
    let mut out = format!(
        "// {}
//
// For software adapters, in place of `{}.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loops (indices are clamped, terms beyond the end are zero). A lane holds vec4s of columns of all rows of its tile. Loads bring a
// vec4 where sizes allow; the row operand is handed round by shuffles with constant index; terms are added four
// by four in ascending order. Written by tests/generated.rs.

{head}const ROWS = {}u;
const COLUMNS = {}u;

{functions}@compute @workgroup_size(8)
fn {}_direct(
    @builtin(workgroup_id) group: vec3<u32>,
{groups}    @builtin(local_invocation_index) lane: u32,
) {{
{}",
        d.formula,
        d.kernel,
        d.rows,
        32 * VECTORS,
        d.kernel,
        d.frame
    );
    body(&mut out, d);
    out + "}\n"
}

fn body(out: &mut String, d: &Direct) {
    let columns = d.sizes[1];
    for v in 0..VECTORS {
        let first = format!("column_tile + {}u + 4u * lane", 32 * v);
        (0..4).for_each(|c| line(out, &format!("    let c{v}{c} = min({first} + {c}u, {columns} - 1u);")));
        line(out, &format!("    let quad{v} = min({first}, max({columns}, 4u) - 4u);"));
    }
    for (r, v) in (0..d.rows).flat_map(|r| (0..VECTORS).map(move |v| (r, v))) {
        line(out, &format!("    var s{r}_{v} = vec4<f32>();"));
    }
    if d.sums_rows {
        (0..d.rows).for_each(|r| line(out, &format!("    var t{r} = 0.0;")));
    }
    out.push_str(d.around[0]);
    for (i, inner) in d.inner.iter().enumerate() {
        let otherwise = if i > 0 { "} else " } else { "" };
        let condition = if inner.condition.is_empty() { String::new() } else { format!("if ({}) ", inner.condition) };
        line(out, &format!("    {otherwise}{condition}{{"));
        steps(out, d, inner);
    }
    out.push_str("    }\n");
    out.push_str(d.around[1]);
    stores(out, d);
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string");
}

/// The loop over inner steps: four a turn where vec4s are loaded along them or across them, else one.
fn steps(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    if inner.rows.0 == Rows::Scalar {
        return single_steps(out, d, inner);
    }
    let turn = 4;
    line(out, &format!("    for (var base = 0u; base < {count}; base += {turn}u) {{"));
    row_loads(out, d, inner);
    column_loads(out, d, inner, turn);
    for r in 0..d.rows {
        let values: Vec<String> = (0..turn).map(|i| row_value(d.rows, inner.rows.0, r, i)).collect();
        for v in 0..VECTORS {
            let terms: Vec<String> = values.iter().enumerate().map(|(i, a)| format!("{a} * b{i}_{v}")).collect();
            line(out, &format!("        s{r}_{v} += {};", terms.join(" + ")));
        }
        if d.sums_rows {
            line(out, &format!("        t{r} += {};", values.join(" + ")));
        }
    }
    out.push_str("    }\n");
}

/// The loop one step at a time, with sums of sixteen steps that go to the accumulators together: long sums keep their bound so.
fn single_steps(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    line(out, &format!("    for (var block = 0u; block < {count}; block += 16u) {{"));
    for (r, v) in (0..d.rows).flat_map(|r| (0..VECTORS).map(move |v| (r, v))) {
        line(out, &format!("    var u{r}_{v} = vec4<f32>();"));
    }
    if d.sums_rows {
        (0..d.rows).for_each(|r| line(out, &format!("    var w{r} = 0.0;")));
    }
    line(out, &format!("    for (var base = block; base < min(block + 16u, {count}); base++) {{"));
    row_loads(out, d, inner);
    column_loads(out, d, inner, 1);
    for r in 0..d.rows {
        let value = row_value(d.rows, Rows::Scalar, r, 0);
        (0..VECTORS).for_each(|v| line(out, &format!("        u{r}_{v} += {value} * b0_{v};")));
        if d.sums_rows {
            line(out, &format!("        w{r} += {value};"));
        }
    }
    line(out, "    }");
    for r in 0..d.rows {
        (0..VECTORS).for_each(|v| line(out, &format!("    s{r}_{v} += u{r}_{v};")));
        if d.sums_rows {
            line(out, &format!("    t{r} += w{r};"));
        }
    }
    line(out, "    }");
}

fn row_loads(out: &mut String, d: &Direct, inner: &Inner) {
    let (how, array) = inner.rows;
    let [rows, _, count] = d.sizes;
    match how {
        Rows::AlongSteps => {
            for half in 0..d.rows / 8 {
                let row = format!("min(row_tile + {}u + lane, {rows} - 1u)", 8 * half);
                let index = fill(d.elements[0], &[("r", &row), ("k", "base")]);
                line(out, &format!("        let a{half} = {};", vector(array, &index)));
            }
        }
        Rows::AcrossSteps => {
            let quads = d.rows / 4;
            let per_load = 8 / quads;
            line(out, &format!("        let rows_quad = min(row_tile + 4u * (lane % {quads}u), {rows} - 4u);"));
            for load in 0..4 / per_load {
                line(out, &format!("        let step{load} = base + {}u + lane / {quads}u;", per_load * load));
                let index = fill(d.elements[0], &[("r", "rows_quad"), ("k", &format!("min(step{load}, {count} - 1u)"))]);
                line(out, &format!("        let a{load} = select(vec4<f32>(), {}, step{load} < {count});", vector(array, &index)));
            }
        }
        Rows::Scalar => {
            for half in 0..d.rows / 8 {
                let row = format!("min(row_tile + {}u + lane, {rows} - 1u)", 8 * half);
                let index = fill(d.elements[0], &[("r", &row), ("k", "base")]);
                line(out, &format!("        let a{half} = {};", scalar(array, &index)));
            }
        }
    }
}

/// The row operand at row `r` and step `i` of the turn, in every lane. Where it is used, not before: 64 live values would spill.
fn row_value(rows: usize, how: Rows, r: usize, i: usize) -> String {
    match how {
        Rows::AlongSteps => format!("subgroupShuffle(a{}.{}, {}u)", r / 8, XYZW[i], r % 8),
        Rows::AcrossSteps => {
            let per_load = 32 / rows;
            format!("subgroupShuffle(a{}.{}, {}u)", i / per_load, XYZW[r % 4], rows / 4 * (i % per_load) + r / 4)
        }
        Rows::Scalar => format!("subgroupShuffle(a{}, {}u)", r / 8, r % 8),
    }
}

/// The column operand at the steps of a turn: `b{i}_{v}` holds the lane's four columns at step `i`.
fn column_loads(out: &mut String, d: &Direct, inner: &Inner, turn: usize) {
    let (how, array) = inner.columns;
    let count = d.sizes[2];
    for (v, c) in (0..VECTORS).flat_map(|v| (0..4).map(move |c| (v, c))).filter(|_| matches!(how, Columns::AlongSteps)) {
        let index = fill(d.elements[1], &[("k", "base"), ("c", &format!("c{v}{c}"))]);
        line(out, &format!("        let p{v}{c} = {};", vector(array, &index)));
    }
    for (i, v) in (0..turn).flat_map(|i| (0..VECTORS).map(move |v| (i, v))) {
        let k = if turn == 1 { "base".into() } else { format!("min(base + {i}u, {count} - 1u)") };
        let b = match how {
            Columns::AlongSteps => format!("vec4(p{v}0.{0}, p{v}1.{0}, p{v}2.{0}, p{v}3.{0})", XYZW[i]),
            Columns::AcrossSteps => vector(array, &fill(d.elements[1], &[("k", &k), ("c", &format!("quad{v}"))])),
            Columns::Scalar => {
                let element = |c: usize| scalar(array, &fill(d.elements[1], &[("k", &k), ("c", &format!("c{v}{c}"))]));
                let elements: Vec<String> = (0..4).map(element).collect();
                format!("vec4(\n            {},\n        )", elements.join(",\n            "))
            }
        };
        line(out, &format!("        let b{i}_{v} = {b};"));
    }
}

fn stores(out: &mut String, d: &Direct) {
    // In a loop, not unrolled: a store with its activation is long, and a hundred copies of it take seconds to compile.
    line(out, &format!("    var sums: array<vec4<f32>, {}>;", d.rows * VECTORS));
    for (r, v) in (0..d.rows).flat_map(|r| (0..VECTORS).map(move |v| (r, v))) {
        line(out, &format!("    sums[{}] = s{r}_{v};", r * VECTORS + v));
    }
    line(out, &format!("    for (var i = 0u; i < {}u; i++) {{", 4 * d.rows * VECTORS));
    line(out, &format!("        let row = row_tile + i / {}u;", 4 * VECTORS));
    line(out, &format!("        let column = column_tile + 32u * ((i >> 2u) % {VECTORS}u) + 4u * lane + (i & 3u);"));
    line(out, &format!("        {}", fill(d.store, &[("r", "row"), ("c", "column"), ("sum", "sums[i >> 2u][i & 3u]")])));
    line(out, "    }");
    if d.sums_rows {
        line(out, "    if (column_tile == 0u && lane == 0u) {");
        (0..d.rows).for_each(|r| line(out, &format!("        sums[{}][{}] = t{r};", r / 4, r % 4)));
        line(out, "        for (var r = 0u; r < min(ROWS, layer.outputs - row_tile); r++) {");
        line(out, "            store(layer.bias + row_tile + r, layer.gradient_flag, sums[r >> 2u][r & 3u]);");
        line(out, "        }\n    }");
    }
}

#[test]
fn direct_kernels_are_what_their_generator_writes() {
    for d in DIRECT {
        let (path, text) = (shader(&format!("{}_direct", d.kernel)), generate(d));
        if std::env::var_os("TANDEM_WRITE_SHADERS").is_some() {
            std::fs::write(&path, &text).expect("write");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{} differs from its generator; run TANDEM_WRITE_SHADERS=1 cargo test --test generated", path.display());
    }
}
