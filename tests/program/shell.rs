//! Completions that shells can read, pages for `man`, the text of `--version`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// The verbs that `--help` lists, `help` left out.
fn verbs() -> Vec<String> {
    let help = tandem(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<String> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned))
        .filter(|verb| !verb.is_empty() && verb != "help")
        .collect();
    assert!(verbs.len() >= 12, "{help}");
    verbs
}

/// The output of the program, which must end with code 0 and say nothing on stderr.
fn tandem(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).output().expect("tandem");
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The output of a command that reads `input`, or `None` where it is not installed.
fn piped(command: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("a reader");
    let output = child.wait_with_output().expect("an end");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{command:?}: {complaints}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn completions_name_every_verb_and_the_shell_can_read_them() {
    let verbs = verbs();
    for shell in SHELLS {
        let script = tandem(&["completions", shell]);
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{shell} lacks {verb}");
        }
        // Other shells than bash are read where they are installed.
        let reading: &[&str] = match shell {
            "bash" => &["bash", "-n"],
            "zsh" => &["zsh", "-n"],
            "fish" => &["fish", "--no-execute"],
            _ => continue,
        };
        let was_read = piped(reading, &script).is_some();
        assert!(was_read || shell != "bash", "bash is not installed");
    }
}

#[test]
fn bash_completes_verbs_devices_and_files() {
    let script = tandem(&["completions", "bash"]);
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("rows.csv"), "").expect("a file");
    let complete = |words: &[&str]| -> Vec<String> {
        let (last, before) = words.split_last().expect("words");
        let ask = format!(
            "compopt() {{ :; }}\n{script}\ncd {folder:?}\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n\
             _tandem tandem '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            folder = folder.path(),
            words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            at = words.len() - 1,
            before = before.last().expect("a word before"),
        );
        let found = piped(&["bash", "-s"], &ask).expect("bash is not installed");
        found.lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["tandem", "eva"]), ["evaluate"]);
    assert_eq!(complete(&["tandem", "train", "--device", ""]), ["auto", "cpu", "reference"]);
    assert_eq!(complete(&["tandem", "completions", "z"]), ["zsh"]);
    assert_eq!(complete(&["tandem", "predict", "--data", "ro"]), ["rows.csv"]);
}

#[test]
fn a_device_may_have_any_name_all_the_same() {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["devices", "--device", "no such name"])
        .output()
        .expect("tandem");
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}

#[test]
fn man_has_a_page_for_the_program_and_for_every_verb() {
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("man1");
    let told = tandem(&["man", "--out", out.to_str().expect("a path")]);
    let verbs = verbs();
    let names = verbs.iter().map(|verb| format!("tandem-{verb}.1"));
    for name in names.chain(["tandem.1".into(), "tandem-bench-step.1".into()]) {
        let page =
            std::fs::read_to_string(out.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(page.contains(".TH tandem") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
        assert!(told.contains(&name), "{told}");
        readable(&out.join(&name));
    }
    for verb in &verbs {
        let page = std::fs::read_to_string(out.join(format!("tandem-{verb}.1"))).expect("a page");
        assert_eq!(tandem(&["man", verb]), page, "{verb}");
    }
    assert!(!told.contains("help"), "{told}");
    assert_eq!(tandem(&["man"]), std::fs::read_to_string(out.join("tandem.1")).expect("a page"));
}

/// Has groff format a page with all its warnings, where it is installed.
fn readable(page: &Path) {
    let text = std::fs::read_to_string(page).expect("a page");
    let Some(formatted) = piped(&["groff", "-Kutf8", "-man", "-Tutf8", "-ww", "-P-cbu"], &text)
    else {
        return eprintln!("groff is not installed");
    };
    assert!(formatted.contains("NAME") && formatted.contains("SYNOPSIS"), "{formatted}");
}

#[test]
fn a_page_that_there_is_not_is_refused_with_the_verbs() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tandem")).args(["man", "trian"]).output().expect("tandem");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("there is no verb \"trian\"") && told.contains("train"), "{told}");
}

#[test]
fn the_version_is_one_line_in_short_and_says_what_was_built_in_long() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(tandem(&["-V"]), format!("tandem {version}\n"));
    let long = tandem(&["--version"]);
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines[0], format!("tandem {version}"));
    for (line, word) in lines[1..].iter().zip(["commit: ", "target: ", "features: "]) {
        assert!(line.starts_with(word) && line.len() > word.len(), "{long}");
    }
    assert_eq!(lines.len(), 4, "{long}");
}
