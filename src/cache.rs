//! The user's cache directory. It holds what a later run can reuse and make again if it is missing,
//! so errors while reading or writing it are ignored.

use std::path::PathBuf;

/// The folder `tandem` in the user's cache directory, or the folder that `TANDEM_CACHE_DIR` names.
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
    let written =
        std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&temporary, bytes));
    if written.and_then(|()| std::fs::rename(&temporary, directory.join(name))).is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
}
