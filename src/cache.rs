//! The user's cache directory: what a later run may reuse and nothing depends on. What cannot be
//! read is as if it were not there, and what cannot be written is made again next time.

use std::path::PathBuf;

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

/// Contents of an entry.
pub fn read(name: &str) -> Option<Vec<u8>> {
    std::fs::read(directory()?.join(name)).ok()
}

/// Writes an entry, whole or not at all.
pub fn write(name: &str, bytes: &[u8]) {
    let Some(directory) = directory() else { return };
    let temporary = directory.join(format!("{name}.{}.tmp", std::process::id()));
    let written =
        std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&temporary, bytes));
    if written.and_then(|()| std::fs::rename(&temporary, directory.join(name))).is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
}
