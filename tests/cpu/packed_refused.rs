//! Small kernels: what becomes of each form, and what is refused with a sentence.

use super::packed_kernels::module;
use tandem::kernels::packed::{Member, Packed, is_even, packed};

/// A kernel with these functions and this body.
fn kernel(functions: &str, body: &str) -> String {
    format!(
        "struct Params {{ rows: u32, scale: f32 }}
struct Step {{ number: u32 }}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> flags: array<atomic<u32>>;
@group(0) @binding(4) var mirror: texture_storage_2d<rgba32float, read>;
const MIRROR_WIDTH = 1024u;
{functions}
@compute @workgroup_size(8)
fn kernel(@builtin(workgroup_id) group: vec3<u32>) {{
{body}
}}
"
    )
}

fn good(functions: &str, body: &str) -> Packed {
    let packed = packed(&kernel(functions, body), 4).unwrap();
    module(&packed.source).unwrap();
    packed
}

fn bad(functions: &str, body: &str) -> String {
    packed(&kernel(functions, body), 4).unwrap_err()
}

#[test]
fn a_whole_buffer_is_refused() {
    assert_eq!(bad("", "let p = &x;"), "line 12: x is used without an index");
    assert_eq!(bad("", "let p = (x)[0u];"), "line 12: x is used without an index");
    assert_eq!(bad("", "f(&flags);"), "line 12: flags is used without an index");
    assert_eq!(bad("fn f(i: u32) { let n = (&x)[i]; }", ""), "line 9: x is used without an index");
    let sentence = "line 12: mirror is used elsewhere than as the first argument of textureLoad";
    assert_eq!(bad("", "let s = textureDimensions(mirror);"), sentence);
    assert_eq!(bad("", "let s = f(mirror, 1u);"), sentence);
    let sentence = "line 12: mirror is used with a third argument";
    assert_eq!(bad("", "let s = textureLoad(mirror, vec2(1u), 0);"), sentence);
    assert_eq!(bad("", "let p = params;"), "line 12: params is used as a whole");
    assert_eq!(bad("", "let p = step.row;"), "line 12: step is used as a whole");
}

#[test]
fn pointers_to_elements_are_moved() {
    let packed =
        good("", "let p = &flags[2]; atomicMin(p, 1u); atomicMin(&flags[0], step.number);");
    assert!(packed.source.contains("let p = &flags[packed_own_at_flags + (2)];"));
    let by = "atomicMin(&flags[packed_own_at_flags + (0)], packed_own_step_number)";
    assert!(packed.source.contains(by));
}

#[test]
fn an_index_may_hold_another() {
    let body = "let a = x[u32(x[params.rows].x)][params.rows]; let b = x[arrayLength(&x) - 1u];";
    let packed = good("", body);
    let index = "x[packed_own_at_x + (u32(x[packed_own_at_x + (packed_own_params_rows)].x))]";
    assert!(packed.source.contains(index));
    assert!(packed.source.contains("x[packed_own_at_x + (packed_own_length_x - 1u)]"));
    assert_eq!(packed.bindings[0].length_at, Some(24));
}

#[test]
fn hidden_names_are_left_alone() {
    let functions = "fn f(x: f32) -> f32 { let params = vec2(x); return params.x; }";
    let packed = good(functions, "let x = x[0].x; let y = f(x) + textureLoad(mirror, vec2(1u)).x;");
    assert!(packed.source.contains(functions));
    assert!(packed.source.contains("let x = x[packed_own_at_x + (0)].x; let y = f(x)"));
    assert!(packed.source.contains("textureLoad(mirror, packed_own_at_mirror + (vec2(1u)))"));
}

#[test]
fn functions_read_private_copies() {
    let packed = good("fn f() -> f32 { return x[0].x * params.scale; }", "let y = f() + x[1].x;");
    assert!(packed.source.contains("return x[packed_at_x + (0)].x * packed_params_scale;"));
    assert!(packed.source.contains("packed_at_x = packed_own_at_x;"));
    assert!(packed.source.contains("var<private> packed_params_scale: f32;"));
    assert!(!packed.source.contains("packed_own_params_scale"));
}

#[test]
fn other_kernels_are_refused() {
    let refused = |source: String| packed(&source, 4).unwrap_err();
    let source = kernel("", "let packed_member = 1u;");
    assert_eq!(refused(source), "line 12: the name packed_member is ours");
    let source = kernel("alias T = u32;", "");
    assert_eq!(refused(source), "alias T: aliases of types are not known here");
    let source = kernel("", "").replace("array<vec4<f32>>", "array<array<u32, 2>>");
    assert_eq!(refused(source), "x: type array<u32,2> is not known");
    let source = kernel("", "").replace("array<vec4<f32>>", "vec4<f32>");
    assert_eq!(refused(source), "x is no array");
    let source = kernel("", "").replace("const MIRROR_WIDTH = 1024u;", "");
    assert_eq!(refused(source), "a kernel with mirrors has the constant MIRROR_WIDTH");
    let source = kernel("", "").replace("scale: f32", "scale: vec4<f32>");
    assert_eq!(refused(source), "Params.scale is not a number of four bytes");
    let source = kernel("", "").replace("@builtin(workgroup_id)", "@builtin(subgroup_color)");
    assert_eq!(refused(source), "parameter group: what is \"@builtin(subgroup_color)\"?");
    let source = kernel("", "").replace("@compute", "");
    assert_eq!(refused(source), "a kernel has one entry point");
    let source = kernel("", "").replace("@group(0) @binding(4) var", "@group(1) @binding(0) var");
    assert_eq!(refused(source), "mirror is not in group 0");
    let source = kernel("", "");
    assert_eq!(packed(&source, 0).unwrap_err(), "a table has at least one member");
    assert!(packed(&source, 3000).unwrap_err().starts_with("3000 members need a table of"));
    assert_eq!(packed("fn f() { /* ", 1).unwrap_err(), "line 1: a comment without an end");
    for end in 0..source.len() {
        let _ = packed(&source[..end], 4);
    }
}

#[test]
fn a_table_has_the_records_of_all_members() {
    let packed = good("", "let n = arrayLength(&x);");
    let begins = |row: u64| vec![16 * row, 4 * row, 16_384 * row];
    let bytes = vec![160, 8, 16_384];
    let member =
        |grid, row| Member { grid, params: vec![7, 8], begins: begins(row), bytes: bytes.clone() };
    let members = [member([3, 1, 2], 0), member([0, 5, 9], 1), member([1, 4, 1], 2)];
    let (words, grid) = packed.table(&members).unwrap();
    assert_eq!(grid, [3, 4, 6]);
    assert_eq!(words.len() * 4, packed.params_bytes());
    assert_eq!(words[..4], [3, 2, 0, 0]);
    let size = packed.record_bytes / 4;
    let record = |i: usize| &words[4 + i * size..][..size];
    assert_eq!(record(0)[..9], [3, 1, 2, 0, 0, 0, 10, 7, 8]);
    assert_eq!(record(1)[..9], [0, 0, 0, 1, 1, 1, 10, 7, 8]);
    assert_eq!(record(2)[..9], [1, 4, 1, 2, 2, 2, 10, 7, 8]);
    assert_eq!(record(3)[..9], [0; 9]);

    assert!(!is_even(&members));
    assert!(!is_even(&[member([0, 1, 1], 0)]));
    assert!(is_even(&[member([2, 1, 1], 0), member([2, 1, 1], 1)]));
    let nothing = [member([0, 1, 1], 0), member([0, 1, 1], 1)];
    assert_eq!(packed.table(&nothing).unwrap().1, [0, 0, 0]);
    let mut odd = members.clone();
    odd[2].begins[0] = 8;
    let sentence = "kernel: member 2: x begins at 8, which is no multiple of 16";
    assert_eq!(packed.table(&odd).unwrap_err(), sentence);
    odd[2].begins.pop();
    assert!(packed.table(&odd).is_err());
    assert!(packed.table(&vec![members[0].clone(); 5]).is_err());
    let wide = [member([1, 1, 40_000], 0), member([1, 1, 1], 1)];
    assert_eq!(packed.table(&wide).unwrap_err(), "kernel: a grid of [1, 1, 80000] workgroups");
}
