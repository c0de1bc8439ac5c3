//! Variants of files that are written by hand: the same text with other constants. Tiles of GPUs
//! come in five shapes, kernels of matrix units in three kinds.

use super::unrolled::written;

/// Shapes apart from that of the files themselves, by the constants at their head: an invocation's
/// rows and columns, invocations one below another and side by side, inner steps in workgroup
/// memory.
///
/// 64 sums an invocation are the most that registers hold; with 128 × 128 of them workgroup memory
/// holds 8 steps.
pub const SHAPES: &[[usize; 5]] =
    &[[8, 8, 16, 16, 8], [8, 8, 8, 8, 16], [4, 4, 16, 4, 16], [4, 4, 4, 16, 16]];
pub const CONSTANTS: [&str; 5] = ["ROWS_EACH", "COLUMNS_EACH", "DOWN", "ACROSS", "DEPTH"];
pub const TILED: &[&str] = &["dense_forward", "dense_backward_input", "dense_backward_weight"];

/// The text with `old` replaced, which it has once.
pub fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

pub fn with_constant(text: &str, name: &str, value: usize) -> String {
    let begin = text.find(&format!("\nconst {name} = ")).unwrap_or_else(|| panic!("no {name}")) + 1;
    let end = begin + text[begin..].find(';').expect("its end");
    format!("{}const {name} = {value}u{}", &text[..begin], &text[end..])
}

/// Name and text of a shape of a kernel.
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

/// Units apart from that of the files themselves: what operands are, and the side of their
/// matrices.
pub const UNITS: &[(&str, usize)] = &[("f16", 8), ("f16", 16)];

/// Name and text of the kernel of a product for a unit.
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
