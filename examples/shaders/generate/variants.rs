//! Variants of files that are written by hand: their text with other constants. Tiles for GPUs have
//! five shapes, kernels for matrix units three kinds.

use super::unrolled::written;

/// The shapes of tiles beside the one of the files, by [`CONSTANTS`]: rows and columns of an
/// invocation, invocations below one another and side by side, inner steps in workgroup memory.
///
/// Registers hold up to 64 sums per invocation; beside a tile of 128 × 128 workgroup memory holds 8
/// steps.
pub const SHAPES: &[[usize; 5]] =
    &[[8, 8, 16, 16, 8], [8, 8, 8, 8, 16], [4, 4, 16, 4, 16], [4, 4, 4, 16, 16]];
/// The names of the constants of a shape.
pub const CONSTANTS: [&str; 5] = ["ROWS_EACH", "COLUMNS_EACH", "DOWN", "ACROSS", "DEPTH"];
/// The kernels with tiles.
pub const TILED: &[&str] = &["dense_forward", "dense_backward_input", "dense_backward_weight"];

/// The text with `old`, which it must have exactly once, replaced.
pub fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

/// The text with another value of a constant.
pub fn with_constant(text: &str, name: &str, value: usize) -> String {
    let begin = text.find(&format!("\nconst {name} = ")).unwrap_or_else(|| panic!("no {name}")) + 1;
    let end = begin + text[begin..].find(';').expect("its end");
    format!("{}const {name} = {value}u{}", &text[..begin], &text[end..])
}

/// The name and the text of a kernel with another shape of its tile.
pub fn shaped(kernel: &str, shape: &[usize; 5]) -> (String, String) {
    let [rows, columns, down, across, _] = shape;
    let name = format!("{kernel}_{}x{}", rows * down, columns * across);
    let text = written(&format!("{kernel}.wgsl"));
    let note = format!("// The shape of the tile; the rest is that of {kernel}.wgsl.\n");
    let text = replaced(
        &text,
        "// The shape of the tile. The other shapes are in tiles/, generated from this file.\n",
        &note,
    );
    let text = replaced(&text, &format!("\nfn {kernel}("), &format!("\nfn {name}("));
    let text = CONSTANTS
        .iter()
        .zip(shape)
        .fold(text, |text, (constant, value)| with_constant(&text, constant, *value));
    (name, text)
}

/// The units beside the one of the files: the type of their operands, and the side of their
/// matrices.
pub const UNITS: &[(&str, usize)] = &[("f16", 8), ("f16", 16)];

/// The name and the text of a product for another unit.
pub fn for_unit(kernel: &str, (element, side): (&str, usize)) -> (String, String) {
    let base = format!("{kernel}_matrix_f32_8");
    let name = format!("{kernel}_matrix_{element}_{side}");
    let text = written(&format!("matrix/{base}.wgsl"));
    let text = replaced(&text, "\nenable wgpu", &format!("\nenable {element};\nenable wgpu"));
    let text = replaced(
        &text,
        "// The unit and what follows from it. The other units are generated from this file.\n",
        &format!("// The unit and what follows from it; the rest is that of {base}.wgsl.\n"),
    );
    let text = replaced(&text, "alias Element = f32;", &format!("alias Element = {element};"));
    let matrix = |text: String, of: &str, role: &str| {
        replaced(
            &text,
            &format!("coop_mat8x8<f32, {role}>"),
            &format!("coop_mat{side}x{side}<{of}, {role}>"),
        )
    };
    let text = matrix(matrix(matrix(text, element, "A"), element, "B"), "f32", "C");
    let text = replaced(&text, &format!("\nfn {base}("), &format!("\nfn {name}("));
    (name, with_constant(&text, "SIDE", side))
}
