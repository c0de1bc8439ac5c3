//! The user's cache directory. It holds what a later run can reuse and make again if it is missing,
//! so errors while reading or writing it are ignored.

use std::io::Write;
use std::path::PathBuf;

use crate::replace::Replacement;

/// `tandem` in the user's cache directory; `TANDEM_CACHE_DIR` names another one.
pub fn directory() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(own) = variable("TANDEM_CACHE_DIR") {
        return Some(own);
    }
    let base = match std::env::consts::OS {
        "windows" => variable("LOCALAPPDATA"),
        "macos" => variable("HOME").map(|home| home.join("Library/Caches")),
        _ => {
            variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
        }
    };
    base.map(|base| base.join("tandem"))
}

/// The contents of an entry; `None` if it cannot be read.
pub fn read(name: &str) -> Option<Vec<u8>> {
    std::fs::read(directory()?.join(name)).ok()
}

/// Writes an entry atomically, if it can be written.
pub fn write(name: &str, bytes: &[u8]) {
    let Some(directory) = directory() else { return };
    let temporary = directory.join(format!("{name}.{}.tmp", std::process::id()));
    let replacement = Replacement::new(temporary, directory.join(name));
    let create = || std::fs::create_dir_all(&directory).and_then(|()| replacement.create());
    // An entry that cannot be written is made again next time.
    let _ = create().and_then(|mut file| {
        file.write_all(bytes)?;
        replacement.commit(file)
    });
}
