//! Generated shaders equal the output of their generator.

#[path = "../../examples/shaders/generate/mod.rs"]
mod generate;

use generate::fit;
use generate::variants::{SHAPES, TILED, shaped};

#[test]
fn generated_shaders_are_what_their_generator_writes() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for (path, text) in generate::files() {
        let found = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(found == text, "shaders/{path} differs: run cargo run --example shaders");
    }
}

#[test]
fn long_lines_are_broken_between_words_and_before_operators() {
    let long = "a".repeat(60);
    assert_eq!(
        fit(&format!("    let x = {long} + {long};\n")),
        format!("    let x = {long}\n        + {long};\n")
    );
    assert_eq!(fit(&format!("// {long} {long}\n")), format!("// {long}\n// {long}\n"));
    let commented = format!("    y: u32, // {long} {long}\n");
    assert_eq!(fit(&commented), format!("    // {long}\n    // {long}\n    y: u32,\n"));
}

/// The text of the function `name`, from its head to its end.
fn function<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begin = text.find(&format!("\nfn {name}("))? + 1;
    Some(&text[begin..begin + text[begin..].find("\n}\n")?])
}

/// The kernels for matrix units and the tiled kernels have the same functions for fetching and
/// storing, word for word.
#[test]
fn units_fetch_and_store_as_tiles_do() {
    let read = |name: &str| tandem::kernels::by_name(name).expect("a kernel").source;
    for kernel in TILED {
        let (tiled, unit) = (read(kernel), read(&format!("{kernel}_matrix_f32_8")));
        let names = tiled.lines().filter_map(|line| line.strip_prefix("fn ")?.split('(').next());
        let shared: Vec<&str> = names.filter(|name| function(unit, name).is_some()).collect();
        assert!(shared.len() >= 5, "{kernel}: {shared:?}");
        for name in shared {
            assert_eq!(function(tiled, name), function(unit, name), "{kernel}: {name}");
        }
    }
}

/// The tile sizes that schedules use are the ones in the files.
#[test]
fn ladders_name_every_shape() {
    for kernel in TILED {
        let plain = tandem::kernels::by_name(kernel).expect("a kernel");
        let ladder = tandem::kernels::tuning::ladder(plain);
        let found: Vec<_> =
            ladder.iter().map(|p| (p.kernel.name.to_string(), p.rows * p.columns)).collect();
        let mut expected: Vec<_> =
            SHAPES.iter().map(|s| (shaped(kernel, s).0, s[..4].iter().product())).collect();
        expected.insert(2, (kernel.to_string(), 32 * 32));
        assert_eq!(found, expected, "left: tuning::ladder, right: the files");
        assert!(ladder.iter().all(|p| p.kernel.name == *kernel
            || p.kernel.name.ends_with(&format!("_{}x{}", p.rows, p.columns))));
    }
}
