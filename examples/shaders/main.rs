//! Writes the shaders that nobody writes by hand: `cargo run --example shaders`.
//!
//! A test compares what is in `shaders/` with what this writes.

mod generate;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for (path, text) in generate::files() {
        std::fs::write(root.join(&path), text)?;
        println!("shaders/{path}");
    }
    Ok(())
}
