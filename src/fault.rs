//! What can go wrong, as the user meets it: one line with cause and place, one line with what to
//! do, and an exit code.
//!
//! Everything in this crate returns [`anyhow::Result`]; an error whose cause the user can act on is
//! a [`Fault`]. `main` finds it in the chain, prints it and leaves with its code. An error without
//! a `Fault` is a bug of ours and leaves with [`Exit::Internal`].

use std::fmt;

/// The exit codes of the program (numbers 64 to 78 are those of BSD's sysexits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Bad command line.
    Usage = 2,
    /// Stopped because a value was not finite.
    NotFinite = 3,
    /// A data or model file is malformed, or newer than this program.
    Data = 65,
    /// An input is missing.
    NoInput = 66,
    /// No usable adapter, a limit is too small, or the self-test failed.
    Unavailable = 69,
    /// Device lost, or a bug.
    Internal = 70,
    /// Output cannot be created.
    CantCreate = 73,
    /// A write failed.
    Io = 74,
    /// The run directory is in use by another process.
    Busy = 75,
    /// The configuration is wrong.
    Config = 78,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// An error with an exit code and, usually, a hint.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The code that the program leaves with.
    pub exit: Exit,
    /// What failed, where, what was expected, what was found. One line.
    pub message: String,
    /// What to do about it. One line.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Fault {
        Fault { exit, message: message.into(), hint: None }
    }

    /// The same fault, with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// The configuration is wrong (78). `place` is a key path such as `optimizer.learning_rate`.
    pub fn config(place: &str, message: impl fmt::Display) -> Fault {
        Fault::new(Exit::Config, format!("{place}: {message}"))
    }

    /// A data or model file is malformed (65). `place` is a path, with line and column where there
    /// are any.
    pub fn data(place: impl fmt::Display, message: impl fmt::Display) -> Fault {
        Fault::new(Exit::Data, format!("{place}: {message}"))
    }

    /// An input is missing (66).
    pub fn missing(place: impl fmt::Display, message: impl fmt::Display) -> Fault {
        Fault::new(Exit::NoInput, format!("{place}: {message}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The exit code for a file or directory that could not be created: where there is no room for it,
/// that of a failed write.
pub fn of_creation(error: &std::io::Error) -> Exit {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Exit::Io,
        _ => Exit::CantCreate,
    }
}

/// The exit code of an error: that of the first [`Fault`] in its chain, else [`Exit::Internal`].
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|e| e.downcast_ref::<Fault>()).map_or(Exit::Internal, |f| f.exit)
}

/// The hint of an error, if its [`Fault`] has one.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|e| e.downcast_ref::<Fault>()).and_then(|f| f.hint.as_deref())
}

/// What to say of a text that names no file here but one elsewhere, such as `https://…`; `None` if
/// it is no such address. `place` is where it stands, or the text itself.
pub fn address(place: &str, text: &str) -> Option<Fault> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    if !is_scheme
        || !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        || std::path::Path::new(text).exists()
    {
        return None;
    }
    let hint = match scheme {
        "file" => format!("give the path alone: {}", quoted(rest)),
        "http" | "https" | "ftp" => {
            format!(
                "download it first, for instance with curl -LO {}, and give the path of the copy",
                quoted(text)
            )
        }
        _ => "bring it here first, and give the path of the copy".to_owned(),
    };
    let found = if place == text { String::new() } else { format!("{} ", quoted(text)) };
    Some(
        Fault::missing(
            place,
            format!("{found}is an address, and files are read from this machine alone"),
        )
        .hint(hint),
    )
}

/// Opens a file for reading; a missing one is exit 66, with the path in the message.
pub fn open(path: &std::path::Path) -> anyhow::Result<std::fs::File> {
    if let Some(fault) = path.to_str().and_then(|text| address(text, text)) {
        return Err(fault.into());
    }
    std::fs::File::open(path).map_err(|e| {
        Fault::missing(path.display(), format!("cannot be opened: {e}"))
            .hint(
                "check the path; in a configuration it starts at the configuration's folder, on \
                 the command line at the working directory",
            )
            .into()
    })
}

/// Text from a file, made safe to print: control bytes escaped, cut at 80 characters.
pub fn quoted(text: &str) -> String {
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 {
        out.push('…');
    }
    format!("\"{out}\"")
}
