//! The `*_direct` kernels are unrolled register tiles: too long to write by hand and too regular to need it. This file is their
//! generator; its output is checked in, and the test compares. `TANDEM_WRITE_SHADERS=1 cargo test --test generated` writes it anew.

use std::fmt::Write;
use std::path::PathBuf;

/// Rows of a register tile.
const ROWS: usize = 16;
/// Lanes of a subgroup, and inner steps that one load of the row operand covers.
const LANES: usize = 8;
/// Inner steps between two looks at an accumulator: accumulators spill, and this quarters the traffic.
const TURN: usize = 4;

/// A product in the style of software adapters, inside the frame of the kernel that it stands in for.
struct Direct {
    /// The kernel that it stands in for; its file gives `Params`, bindings and helpers.
    kernel: &'static str,
    /// First line of the header.
    formula: &'static str,
    /// From the tile's number to its place: sets `row_tile`, `column_tile`, and ends where there is nothing to do.
    frame: &'static str,
    /// Loop around the products (sources of a destination), if any: opening and closing.
    around: [&'static str; 2],
    /// Number of rows, of columns, of inner steps.
    sizes: [&'static str; 3],
    /// Row operand at row `r` and inner step `k`; column operand at inner step `k` and column `c`.
    operands: [&'static str; 2],
    /// Statement that stores `sum` at row `r` and column `c`.
    store: &'static str,
    /// After the stores.
    last: &'static str,
}

const DIRECT: &[Direct] = &[
    Direct {
        kernel: "dense_forward",
        formula: "y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.",
        frame: "    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
",
        around: ["", ""],
        sizes: ["params.rows", "layer.outputs", "layer.inputs"],
        operands: ["x[layer.x + {r} * layer.inputs + {k}]", "parameters[layer.weight + {c} * layer.inputs + {k}]"],
        store: "store(layer, {r}, {c}, {sum});",
        last: "",
    },
    Direct {
        kernel: "dense_backward_input",
        formula: "delta = (Σ over the layers that read this activation: next_delta · w) ⊙ slope",
        frame: "    let destination = destinations[destination_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - destination.tile) * COLUMNS;
",
        around: [
            "    for (var s = 0u; s < destination.sources; s++) {\n    let layer = layers[destination.first_source + s];\n",
            "    }\n",
        ],
        sizes: ["params.rows", "destination.width", "layer.outputs"],
        operands: [
            "source_delta(layer.delta_arena, layer.delta + {r} * layer.outputs + {k})",
            "parameters[layer.weight + {k} * layer.inputs + {c}]",
        ],
        store: "store(destination, {r}, {c}, {sum});",
        last: "",
    },
    Direct {
        kernel: "dense_backward_weight",
        formula: "dw = deltaᵀ · x,   db = column sums of delta",
        frame: "    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) {
        return;
    }
    let layer = layers[layer_of(tile)];
    let input_tiles = (layer.inputs + COLUMNS - 1u) / COLUMNS;
    let local = tile - layer.weight_tile;
    let row_tile = (local / input_tiles) * ROWS;
    let column_tile = (local % input_tiles) * COLUMNS;
",
        around: ["", ""],
        sizes: ["layer.outputs", "layer.inputs", "params.rows"],
        operands: [
            "delta(layer.delta_arena, layer.delta + {k} * layer.outputs + {r})",
            "activation(layer.x_odd, layer.x + {k} * layer.inputs + {c})",
        ],
        store: "if ({r} < layer.outputs && {c} < layer.inputs) { store(layer.weight + {r} * layer.inputs + {c}, layer.gradient_flag, {sum}); }",
        last: "    if (column_tile == 0u) {
        for (var o = row_tile + lane; o < min(row_tile + ROWS, layer.outputs); o += LANES) {
            var bias = 0.0;
            for (var b = 0u; b < params.rows; b++) {
                bias += delta(layer.delta_arena, layer.delta + b * layer.outputs + o);
            }
            store(layer.bias + o, layer.gradient_flag, bias);
        }
    }
",
    },
];

fn shader(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shaders").join(format!("{name}.wgsl"))
}

/// What the direct kernel shares with the tiled one: everything between `struct Params` and the tiles, and the helper functions.
fn shared(kernel: &str) -> String {
    let text = std::fs::read_to_string(shader(kernel)).expect("the tiled kernel");
    let begin = text.find("struct Params").expect("Params");
    let tiles = text.find("const TILE").expect("tile constants");
    let helpers = text[tiles..].find("fn ").map(|i| tiles + i).expect("helpers");
    let entry = text.find("@compute").expect("entry point");
    let logits = if text.contains("const LOGITS") { "const LOGITS = 2u;\n" } else { "" };
    // `store_row` belongs to the tiled form alone.
    let mut functions = text[helpers..entry].to_string();
    if let Some(row) = functions.find("fn store_row") {
        functions.truncate(row);
    }
    format!("{}{logits}@@{functions}", &text[begin..tiles])
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_string(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
}

fn generate(d: &Direct) -> String {
    let mut out = format!(
        "// {}
//
// For software adapters, in place of `{}.wgsl`: no workgroup memory and no barrier, one subgroup of 8 lanes a workgroup, no branch in
// the inner loop (indices are clamped, terms beyond the end are zero). Lanes lie along the columns, each with 4 of them, 8 apart, for 16
// rows. The row operand is loaded with lanes along 8 inner steps and handed round by shuffles with constant index; terms are added in
// ascending order. Written by tests/generated.rs.

",
        d.formula, d.kernel
    );
    let shared = shared(d.kernel);
    let (head, functions) = shared.split_once("@@").expect("two halves");
    out += head;
    out += "const ROWS = 16u;\nconst COLUMNS = 32u;\nconst LANES = 8u;\n\n";
    out += functions;
    let groups = if d.kernel == "dense_backward_weight" { "    @builtin(num_workgroups) groups: vec3<u32>,\n" } else { "" };
    writeln!(
        out,
        "@compute @workgroup_size(8)\nfn {}_direct(\n    @builtin(workgroup_id) group: vec3<u32>,\n{groups}    @builtin(local_invocation_index) lane: u32,\n) {{",
        d.kernel
    )
    .unwrap();
    out += d.frame;
    body(&mut out, d);
    out += "}\n";
    out
}

fn body(out: &mut String, d: &Direct) {
    let [rows, columns, steps] = d.sizes;
    for r in 0..ROWS {
        writeln!(out, "    let r{r} = min(row_tile + {r}u, {rows} - 1u);").unwrap();
    }
    for c in 0..4 {
        writeln!(out, "    let c{c} = min(column_tile + lane + {}u, {columns} - 1u);", c * LANES).unwrap();
    }
    for r in 0..ROWS {
        writeln!(out, "    var s{r} = vec4<f32>();").unwrap();
    }
    out.push_str(d.around[0]);
    writeln!(out, "    for (var base = 0u; base < {steps}; base += LANES) {{").unwrap();
    writeln!(out, "        let k = min(base + lane, {steps} - 1u);\n        let inside = base + lane < {steps};").unwrap();
    for r in 0..ROWS {
        let load = fill(d.operands[0], &[("r", &format!("r{r}")), ("k", "k")]);
        writeln!(out, "        let a{r} = select(0.0, {load}, inside);").unwrap();
    }
    for turn in (0..LANES).step_by(TURN) {
        for i in turn..turn + TURN {
            writeln!(out, "        let k{i} = min(base + {i}u, {steps} - 1u);").unwrap();
            let load = |c: usize| fill(d.operands[1], &[("k", &format!("k{i}")), ("c", &format!("c{c}"))]);
            writeln!(out, "        let b{i} = vec4(").unwrap();
            (0..4).for_each(|c| writeln!(out, "            {},", load(c)).unwrap());
            writeln!(out, "        );").unwrap();
        }
        for r in 0..ROWS {
            let terms: Vec<String> = (turn..turn + TURN).map(|i| format!("subgroupShuffle(a{r}, {i}u) * b{i}")).collect();
            writeln!(out, "        s{r} = s{r} + {};", terms.join(" + ")).unwrap();
        }
    }
    out.push_str("    }\n");
    out.push_str(d.around[1]);
    for r in 0..ROWS {
        for c in 0..4 {
            let (row, column) = (format!("row_tile + {r}u"), format!("column_tile + lane + {}u", c * LANES));
            let sum = format!("s{r}.{}", ["x", "y", "z", "w"][c]);
            let (row, column) = if d.store.starts_with("if") { (format!("({row})"), format!("({column})")) } else { (row, column) };
            writeln!(out, "    {}", fill(d.store, &[("r", &row), ("c", &column), ("sum", &sum)])).unwrap();
        }
    }
    out.push_str(d.last);
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
