//! Errors as the user meets them: one line with cause and place, one line with what to do, and an
//! exit code.
//!
//! Everything in this crate returns [`anyhow::Result`]; an error whose cause the user can act on is
//! a [`Fault`]. `main` finds it in the chain of causes, prints it and exits with its code. An error
//! without a `Fault` is a bug of this program and exits with [`Exit::Internal`].

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

impl Exit {
    /// The exit with a code.
    pub fn of_code(code: u8) -> Option<Exit> {
        use Exit::*;
        let all = [Usage, NotFinite, Data, NoInput, Unavailable, Internal, CantCreate, Io, Busy];
        let mut all = all.into_iter().chain([Config, Interrupted, Terminated]);
        all.find(|exit| *exit as u8 == code)
    }
}

/// Kinds of faults that callers treat differently although their exit code is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultKind {
    /// No caller needs to tell it apart.
    #[default]
    Other,
    /// A file is in a newer format than this program knows: the file is whole, and a newer program
    /// can read it.
    NewerFormat,
    /// There is no room for a run beside others; alone it may have room.
    NoRoom,
    /// Another rank does not answer any more.
    Gone,
}

/// An error with an exit code and, usually, a hint.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What callers can tell it apart by.
    pub kind: FaultKind,
    /// The code that the program exits with.
    pub exit: Exit,
    /// What failed, where, what was expected, what was found. One line.
    pub message: String,
    /// What to do about it. One line.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Other, exit, message: message.into(), hint: None }
    }

    /// Adds a hint: what to do about the fault.
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

    /// A file of format `found`, which tandem `writer` wrote, is newer than the format `known` of
    /// this program (65).
    pub fn newer_format(place: impl fmt::Display, found: u64, writer: &str, known: u64) -> Fault {
        let own = env!("CARGO_PKG_VERSION");
        let message = format!(
            "format {found}, written by tandem {}, is newer than this program (tandem {own}, \
             format {known})",
            quoted(writer)
        );
        let fault = Fault::data(place, message).hint("update tandem");
        Fault { kind: FaultKind::NewerFormat, ..fault }
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

/// The exit code for a file or directory that could not be created: [`Exit::Io`] where the disk is
/// full, else [`Exit::CantCreate`].
pub fn of_creation(error: &std::io::Error) -> Exit {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Exit::Io,
        _ => Exit::CantCreate,
    }
}

/// The first fault in the chain of causes of an error.
fn fault_of(error: &anyhow::Error) -> Option<&Fault> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// Whether an error says that there is no room for a run beside others.
pub fn is_no_room(error: &anyhow::Error) -> bool {
    fault_of(error).is_some_and(|fault| fault.kind == FaultKind::NoRoom)
}

/// The exit code of an error: the code of its fault, or [`Exit::Internal`] where it has none.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    fault_of(error).map_or(Exit::Internal, |fault| fault.exit)
}

/// The hint of an error, if its fault has one.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    fault_of(error).and_then(|fault| fault.hint.as_deref())
}

/// The kind of an error; [`FaultKind::Other`] where it has no fault.
pub fn kind_of(error: &anyhow::Error) -> FaultKind {
    fault_of(error).map_or(FaultKind::Other, |fault| fault.kind)
}

/// The fault of an input that is given as an address, such as `https://…`, and not as a path;
/// `None` if the text is no address. `place` is where the text stands, or the text itself.
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

/// Text from a file, made safe to print: control characters escaped, cut at 80 characters.
pub fn quoted(text: &str) -> String {
    let end = text.char_indices().nth(80).map_or(text.len(), |(at, _)| at);
    let mut out = text[..end].escape_debug().to_string().replace("\\'", "'");
    if text.chars().count() > 80 {
        out.push('…');
    }
    format!("\"{out}\"")
}
