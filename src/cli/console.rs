//! Decides what is printed to stdout and to stderr, and in which colours.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::flags::{Color, Common, Progress};
use crate::fault::{Exit, Fault};
use crate::run::machine::Machine;

/// The streams of the program and how they are written to.
pub(super) struct Console {
    quiet: bool,
    /// Whether details are printed too.
    pub verbose: bool,
    colored: bool,
    progress: Progress,
    terminal: bool,
    /// Print JSON on stdout.
    pub json: bool,
}

/// Escapes control characters, except line breaks and tabs: text may come from files, and a
/// terminal would obey them.
fn plain(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return text.into();
    }
    text.chars().flat_map(|c| if acts(c) { c.escape_debug().collect() } else { vec![c] }).collect()
}

/// Prints a line on stderr. Whether that fails is ignored: a closed stderr must not end a training.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

impl Console {
    pub(super) fn new(common: &Common) -> Console {
        let terminal =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        let colored = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let Common { quiet, verbose, progress, json, .. } = *common;
        Console { quiet, verbose, colored, progress, terminal, json }
    }

    /// Text with a colour, if colours are wanted.
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }

    /// Prints a line on stderr, unless `-q` is given.
    pub(super) fn note(&self, line: &str) {
        if !self.quiet {
            say(&plain(line));
        }
    }

    /// Prints a line on stderr if `-v` is given.
    pub(super) fn detail(&self, line: &str) {
        if self.verbose {
            say(&plain(line));
        }
    }

    /// Prints what the run computes on, and a note if that is a software adapter.
    pub(super) fn machine(&self, machine: &Machine) {
        self.note(&format!("adapter: {}", machine.describe()));
        if let Machine::Device(gpu) = machine
            && gpu.entry.class == crate::kernels::tuning::Class::Software
            && !self.quiet
        {
            say(&format!(
                "{}: {} runs the shaders on the CPU; --device cpu does the same without them in \
                 about a fifth of the time (TANDEM_DEVICE=cpu makes it the default)",
                self.paint("33", "note"),
                plain(&gpu.entry.name)
            ));
        }
    }

    /// Prints an error with its hint.
    pub(super) fn error(&self, message: &str, hint: Option<&str>, is_bug: bool) {
        say(&format!("{}: {}", self.paint("1;31", "error"), plain(message)));
        let hint = hint.or(is_bug.then_some(
            "this may be a bug in tandem; run it again with -v and report what it prints",
        ));
        if let Some(hint) = hint {
            say(&format!("{}: {}", self.paint("1;36", "hint"), plain(hint)));
        }
    }

    /// Prints the result on stdout. A closed pipe is not an error.
    ///
    /// # Errors
    /// 74 if stdout cannot be written to.
    pub(super) fn result(&self, text: &str) -> Result<()> {
        match writeln!(std::io::stdout().lock(), "{}", plain(text.trim_end())) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Fault::new(Exit::Io, format!("stdout: {e}")).into())
            }
            _ => Ok(()),
        }
    }

    /// Prints a text for another program on stdout, such as a graph for Graphviz; with `--json` as
    /// the value of `key` in a document.
    pub(super) fn text(&self, key: &str, text: &str) -> Result<()> {
        match self.json {
            true => self.result_json(&serde_json::json!({ key: text })),
            false => self.result(text),
        }
    }

    /// Prints a JSON document on stdout.
    pub(super) fn result_json(&self, value: &serde_json::Value) -> Result<()> {
        self.result(&serde_json::to_string_pretty(value)?)
    }

    /// How progress is shown.
    pub(super) fn progress(&self) -> Progress {
        match self.progress {
            _ if self.quiet => Progress::None,
            Progress::Auto if self.terminal => Progress::Bar,
            Progress::Auto => Progress::Plain,
            // Without a terminal a bar would only write escape bytes.
            Progress::Bar if !self.terminal => Progress::Plain,
            other => other,
        }
    }

    /// A progress bar over bytes on stderr; hidden unless bars are shown.
    pub(super) fn bytes_bar(&self) -> ProgressBar {
        self.styled_bar("{msg} data {BAR} {bytes}/{total_bytes} {eta} left", 0)
    }

    /// A progress bar over `steps` on stderr; hidden unless bars are shown.
    pub(super) fn bar(&self, steps: u64) -> ProgressBar {
        self.styled_bar("{BAR} {pos}/{len} {msg} {eta} left", steps)
    }

    fn styled_bar(&self, template: &str, length: u64) -> ProgressBar {
        if self.progress() != Progress::Bar {
            return ProgressBar::hidden();
        }
        let template =
            template.replace("{BAR}", if self.colored { "{bar:32.green}" } else { "{bar:32}" });
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style)
    }
}
