//! Completions for shells, pages for `man`, and the text of `--version`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::console::Console;
use crate::fault::{Exit, Fault};
use crate::replace::{cannot_create, replace};

/// The text of `--version` behind the name: the version, the commit of a release build, the target
/// and the features.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = match env!("TANDEM_COMMIT") {
        "" => "not recorded",
        commit => commit,
    };
    format!(
        "{}\ncommit: {commit}\ntarget: {}\nfeatures: none",
        env!("CARGO_PKG_VERSION"),
        env!("TANDEM_TARGET")
    )
});

/// Arguments of `man`.
#[derive(Args)]
pub(super) struct Page {
    /// The verb whose page is wanted [default: the page of the program]
    verb: Option<String>,
    /// Write the pages of the program and of all verbs into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    out: Option<PathBuf>,
}

/// Prints the completions of the program for a shell.
///
/// # Errors
/// 74 if stdout cannot be written to.
pub(super) fn completions(shell: Shell, mut program: Command, console: &Console) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "tandem", &mut script);
    console.text("script", &String::from_utf8_lossy(&script))
}

/// Prints a page of the manual, or writes all of them.
///
/// # Errors
/// 2 for a verb that there is not; 73 or 74 if a page cannot be written.
pub(super) fn man(page: &Page, mut program: Command, console: &Console) -> Result<()> {
    // There are no pages for help itself.
    program = program.disable_help_subcommand(true);
    program.build();
    if let Some(folder) = &page.out {
        return write_all(folder, &program, console);
    }
    let found = match &page.verb {
        None => &program,
        Some(verb) => program.find_subcommand(verb).ok_or_else(|| no_verb(verb, &program))?,
    };
    console.text("page", &rendered(found)?)
}

/// Writes the pages of the program, its verbs and theirs into a directory.
fn write_all(folder: &Path, program: &Command, console: &Console) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| cannot_create(folder, &e))?;
    let mut written = Vec::new();
    let mut waiting = vec![program];
    while let Some(command) = waiting.pop() {
        let name = format!("{}.1", name_of(command));
        replace(&folder.join(&name), rendered(command)?.as_bytes())?;
        written.push(name);
        waiting.extend(command.get_subcommands());
    }
    written.sort();
    let names = written.join(", ");
    console.text("pages", &format!("{}: {names}", folder.display()))
}

/// The name of a page: `tandem`, `tandem-bench`, `tandem-bench-step`.
fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn rendered(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    let source = format!("tandem {}", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name_of(command)).source(source).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}

fn no_verb(verb: &str, program: &Command) -> Fault {
    let verbs: Vec<&str> = program.get_subcommands().map(Command::get_name).collect();
    Fault::new(Exit::Usage, format!("there is no verb {verb:?}"))
        .hint(format!("the verbs are {}", verbs.join(", ")))
}
