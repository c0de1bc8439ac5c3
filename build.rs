//! Puts the commit and the target that a program was built from into its `--version`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TANDEM_COMMIT");
    // Builds of the other profiles are made again and again: a commit would build them anew.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if is_release { commit() } else { None };
    println!("cargo:rustc-env=TANDEM_COMMIT={}", commit.unwrap_or_default());
    println!("cargo:rustc-env=TANDEM_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

/// The commit: what the environment says, what a packed crate says, or what git says.
fn commit() -> Option<String> {
    if let Some(given) = std::env::var("TANDEM_COMMIT").ok().filter(|given| !given.is_empty()) {
        return Some(given);
    }
    if let Ok(packed) = std::fs::read_to_string(".cargo_vcs_info.json") {
        let (_, sha) = packed.split_once("\"sha1\": \"")?;
        return sha.get(..12).map(str::to_owned);
    }
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The output of git, without the end of the line.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
