//! Products for software adapters: unrolled register tiles, too long to write by hand and too
//! regular to need it.
//!
//! A subgroup of 8 lanes computes a tile of rows × 32 columns, four columns per lane. Operands are
//! read from mirrors (`shaders/mirror.wgsl`), four numbers at a time where sizes allow; one lane
//! fetches each number of the row operand and passes it on by shuffles with constant index. Four
//! inner steps are added together before they go to an accumulator, since accumulators lie in
//! memory there: the order that the other products keep where `FOURS` is set.

use std::fmt::Write;
use std::path::PathBuf;

use Four::{Across, Steps};

pub const XYZW: [&str; 4] = ["x", "y", "z", "w"];

/// The four numbers that a fetch of an operand brings.
#[derive(Clone, Copy, PartialEq)]
pub enum Four {
    /// Four inner steps of one row, or of one column.
    Steps,
    /// Four rows, or four columns, of one inner step.
    Across,
}

/// A loop over the inner steps, for layers for which `condition` holds: the mirrors that the row
/// and the column operand are fetched from, and whether four numbers begin at multiples of four.
pub struct Inner {
    pub condition: &'static str,
    pub rows: (&'static str, bool),
    pub columns: (&'static str, bool),
}

/// A product in the style of software adapters.
pub struct Direct {
    pub name: &'static str,
    /// Rows of the register tile, 16 or 32.
    pub rows: usize,
    /// The kernel that it stands in for; its file gives `Params`.
    pub kernel: &'static str,
    /// The formula, for the head of the file.
    pub formula: &'static str,
    /// Bindings and functions.
    pub head: &'static str,
    /// The lines that find the tile of a workgroup.
    pub frame: &'static str,
    /// The lines before and after the products: a loop over the sources of a destination, if any.
    pub around: [&'static str; 2],
    /// The numbers of rows, of columns and of inner steps.
    pub sizes: [&'static str; 3],
    /// The four numbers that a fetch of the row operand, and of the column operand, brings.
    pub fours: [Four; 2],
    /// The place of the row operand at row `{r}` and step `{k}`, and of the column operand at step
    /// `{k}` and column `{c}`.
    pub places: [&'static str; 2],
    /// The loops, in the order of the bits of LOOPS.
    pub inner: &'static [Inner],
    /// Whether the first column tile also sums the row operand over the inner steps, for the bias,
    /// in a loop of its own.
    pub sums_rows: bool,
    /// The lines after the loops. Those between `EACH` and `END` are repeated for each row of the
    /// tile, with its number for `{r}`.
    pub tail: &'static str,
}

/// The text of a file that is written by hand, by its path below `shaders/`.
pub fn written(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shaders").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The template with the value of each `{key}`.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_string(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
}

/// The structure `Params` of the kernel in whose place a product stands.
pub fn params(kernel: &str) -> String {
    let text = written(&format!("{kernel}.wgsl"));
    let begin = text.find("struct Params").expect("Params");
    text[begin..begin + text[begin..].find("\n}\n").expect("its end") + 3].to_string()
}

/// The functions that read the mirrors of a kernel, as its text calls them.
pub fn readers(text: &str) -> String {
    let mirrors = text.lines().filter_map(|l| l.split_once(": texture_storage_2d<rgba32"));
    mirrors
        .map(|(before, after)| {
            readers_of(text, before.rsplit(' ').next().expect("a name"), after.starts_with("float"))
        })
        .collect()
}

/// The functions that read one mirror.
pub fn readers_of(text: &str, mirror: &str, is_float: bool) -> String {
    let kind = if is_float { "f32" } else { "u32" };
    let function = |head: &str, body: &str| format!("\nfn {head} {{\n    return {body};\n}}\n");
    let mut out = function(
        &format!("four_{mirror}(element: u32) -> vec4<{kind}>"),
        &format!("textureLoad({mirror}, texel_of(element))"),
    );
    if text.contains(&format!("any_four_{mirror}(")) {
        let body = format!("four_of(four_{mirror}(element), four_{mirror}(element + 4u), element)");
        out += &function(&format!("any_four_{mirror}(element: u32) -> vec4<f32>"), &body);
    }
    if text.contains(&format!("one_{mirror}(")) {
        out += &function(
            &format!("one_{mirror}(element: u32) -> {kind}"),
            &format!("four_{mirror}(element)[element & 3u]"),
        );
    }
    if mirror == "layers" {
        let texels: Vec<String> =
            (0..5).map(|i| format!("four_layers(20u * i + {}u)", 4 * i)).collect();
        out += &function("layer_at(i: u32) -> Dense", &format!("dense_of({})", texels.join(", ")));
    }
    out
}

/// The text of a product.
pub fn generate(d: &Direct) -> String {
    let groups = if d.sums_rows { "    @builtin(num_workgroups) groups: vec3<u32>,\n" } else { "" };
    let stores =
        (0..4).take_while(|bit| d.tail.contains(&format!("STORES & {}u", 1 << bit))).count();
    let mut out = format!(
        "// {}
//
// For software adapters, in place of `{}.wgsl`: operands are read from mirrors; a workgroup is one
// subgroup of 8 lanes, without workgroup memory and barriers; the inner loops have no branches
// (indices are clamped, terms beyond the end are zero). A lane holds four columns of all rows of
// its tile; lanes pass the row operand on by shuffles with constant index; terms are added four by
// four in ascending order.

{}
{}READERS

const ROWS = {}u;
const COLUMNS = 32u;

// What the layers of the dispatch need, one bit per loop{}: code that is masked out takes time,
// too.
override LOOPS: u32 = {}u;
{}
@compute @workgroup_size(8)
fn {}(
    @builtin(workgroup_id) group: vec3<u32>,
{groups}    @builtin(local_invocation_index) lane: u32,
) {{
{}",
        d.formula,
        d.kernel,
        params(d.kernel),
        d.head,
        d.rows,
        if stores > 0 { " and one per way to store" } else { "" },
        (1 << d.inner.len()) - 1,
        if stores > 0 {
            format!("override STORES: u32 = {}u;\n", (1 << stores) - 1)
        } else {
            String::new()
        },
        d.name,
        d.frame
    );
    body(&mut out, d);
    out.push_str("}\n");
    out.replacen("READERS\n", &readers(&out), 1)
}

/// Appends the body of a product behind its frame.
pub fn body(out: &mut String, d: &Direct) {
    let [rows, columns, _] = d.sizes;
    line(out, "    let column = column_tile + 4u * lane;");
    if d.fours[0] == Steps {
        (0..d.rows / 8).for_each(|h| {
            line(out, &format!("    let r{h} = min(row_tile + {}u + lane, {rows} - 1u);", 8 * h))
        });
    }
    if d.fours[1] == Steps {
        (0..4).for_each(|c| {
            line(out, &format!("    let c{c} = min(column + {c}u, {columns} - 1u);"))
        });
    }
    (0..d.rows).for_each(|r| line(out, &format!("    var s{r} = vec4<f32>();")));
    if d.sums_rows {
        line(out, "    var t = vec4<f32>();");
    }
    out.push_str(d.around[0]);
    for (i, inner) in d.inner.iter().enumerate() {
        let bit = 1 << i;
        let condition =
            format!("if ((LOOPS & {bit}u) != 0u && (LOOPS == {bit}u || ({}))) ", inner.condition);
        line(out, &format!("    {}{condition}{{", if i > 0 { "} else " } else { "" }));
        steps(out, d, inner);
    }
    out.push_str("    }\n");
    out.push_str(d.around[1]);
    out.push_str(&tail(d));
}

/// The lines after the loops, for all rows of the tile.
pub fn tail(d: &Direct) -> String {
    let list = |name: &str| {
        format!(
            "array({})",
            (0..d.rows).map(|r| format!("{name}{r}")).collect::<Vec<_>>().join(", ")
        )
    };
    let text = d.tail.replace("= ALL;", &format!("= {};", list("s")));
    repeated(&text, &|each| (0..d.rows).map(|r| each.replace("{r}", &r.to_string())).collect())
}

/// The text with the lines between each `EACH` and `END` replaced by `repeat` of them.
pub fn repeated(text: &str, repeat: &dyn Fn(&str) -> String) -> String {
    let mut text = text.to_string();
    while let Some((before, (each, after))) =
        text.split_once("EACH").and_then(|(b, rest)| Some((b, rest.split_once("END")?)))
    {
        text = format!("{before}{}{after}", repeat(each));
    }
    text
}

pub fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string");
}

/// The sum of four terms, each a number times a vector of as many as `width`, by multiply-adds as
/// in `with_four` of the prelude.
pub fn four_terms(factors: impl Fn(usize) -> (String, String), width: usize) -> String {
    let (number, vector) = factors(0);
    (1..4).fold(format!("{number} * {vector}"), |sum, i| {
        let (number, vector) = factors(i);
        format!("fma(vec{width}({number}), {vector}, {sum})")
    })
}

/// Appends the loop over inner steps, four per turn.
pub fn steps(out: &mut String, d: &Direct, inner: &Inner) {
    line(out, &format!("    for (var base = 0u; base < {}; base += 4u) {{", d.sizes[2]));
    row_loads(out, d, inner);
    column_loads(out, d, inner);
    for r in 0..d.rows {
        let sum = four_terms(|i| (row_value(d, r, i), format!("b{i}")), 4);
        line(out, &format!("        s{r} += {sum};"));
    }
    out.push_str("    }\n");
    if d.sums_rows {
        row_sums(out, d, inner);
    }
}

/// Appends the sums of the row operand over the inner steps, in the first column tile: four rows
/// per lane, in the lanes that fetch the first step of a turn.
pub fn row_sums(out: &mut String, d: &Direct, inner: &Inner) {
    line(out, "    if (column_tile == 0u) {");
    line(out, &format!("    for (var base = 0u; base < {}; base += 4u) {{", d.sizes[2]));
    row_loads(out, d, inner);
    let quads = d.rows / 4;
    let later = |load: usize, step: usize| match step {
        0 => format!("a{load}"),
        _ => format!("subgroupShuffle(a{load}, (lane + {}u) & 7u)", quads * step),
    };
    let per_load = 8 / quads;
    let terms: Vec<String> = (0..4).map(|i| later(i / per_load, i % per_load)).collect();
    line(out, &format!("        t += {};", terms.join(" + ")));
    out.push_str("    }\n    }\n");
}

/// A fetch of four numbers from a mirror.
pub fn fetch((mirror, is_aligned): (&str, bool), place: &str) -> String {
    format!("{}_{mirror}({place})", if is_aligned { "four" } else { "any_four" })
}

/// A fetch of four steps that begin at `base`, with zeros beyond the end.
pub fn ended(fetched: &str, is_aligned: bool) -> String {
    if is_aligned { fetched.into() } else { format!("select(vec4<f32>(), {fetched}, is_step)") }
}

/// Appends the fetches of the row operand of a turn, `a0`, `a1`, …; each number is in one lane.
pub fn row_loads(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    if d.fours[0] == Steps {
        if !inner.rows.1 {
            line(
                out,
                &format!(
                    "        let is_step = vec4(base) + vec4(0u, 1u, 2u, 3u) < vec4({count});"
                ),
            );
        }
        for half in 0..d.rows / 8 {
            let place = fill(d.places[0], &[("r", &format!("r{half}")), ("k", "base")]);
            line(
                out,
                &format!(
                    "        let a{half} = {};",
                    ended(&fetch(inner.rows, &place), inner.rows.1)
                ),
            );
        }
        return;
    }
    let quads = d.rows / 4;
    let per_load = 8 / quads;
    for load in 0..4 / per_load {
        line(
            out,
            &format!("        let step{load} = base + {}u + lane / {quads}u;", per_load * load),
        );
        let row = format!("(row_tile + 4u * (lane % {quads}u))");
        let place =
            fill(d.places[0], &[("r", &row), ("k", &format!("min(step{load}, {count} - 1u)"))]);
        line(
            out,
            &format!(
                "        let a{load} = select(vec4<f32>(), {}, step{load} < {count});",
                fetch(inner.rows, &place)
            ),
        );
    }
}

/// The row operand at row `r` and step `i` of the turn, in every lane. It stands where it is used,
/// since 64 live values would spill.
pub fn row_value(d: &Direct, r: usize, i: usize) -> String {
    if d.fours[0] == Steps {
        return format!("subgroupShuffle(a{}.{}, {}u)", r / 8, XYZW[i], r % 8);
    }
    let per_load = 32 / d.rows;
    format!(
        "subgroupShuffle(a{}.{}, {}u)",
        i / per_load,
        XYZW[r % 4],
        d.rows / 4 * (i % per_load) + r / 4
    )
}

/// Appends the fetches of the column operand of a turn: `b{i}` holds the lane's four columns at
/// step `i`.
pub fn column_loads(out: &mut String, d: &Direct, inner: &Inner) {
    let count = d.sizes[2];
    let fetched =
        |k: &str, c: &str| fetch(inner.columns, &fill(d.places[1], &[("k", k), ("c", c)]));
    if d.fours[1] == Steps {
        for c in 0..4 {
            line(
                out,
                &format!(
                    "        let p{c} = {};",
                    ended(&fetched("base", &format!("c{c}")), inner.columns.1)
                ),
            );
        }
    }
    for (i, component) in XYZW.iter().enumerate() {
        let b = match d.fours[1] {
            Steps => format!("vec4(p0.{0}, p1.{0}, p2.{0}, p3.{0})", component),
            Across => fetched(&format!("min(base + {i}u, {count} - 1u)"), "column"),
        };
        line(out, &format!("        let b{i} = {b};"));
    }
}
