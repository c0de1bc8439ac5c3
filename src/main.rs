//! The program `tandem`: everything it does is in the library.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    silence_device_selection();
    tandem::cli::main()
}

/// Turns Mesa's device-selection layer for Vulkan off where there is no desktop: it has nothing to
/// select there, and prints an error about Wayland to stderr on each use.
#[allow(unsafe_code)]
fn silence_device_selection() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none()
        && std::env::var_os("NODEVICE_SELECT").is_none()
    {
        // SAFETY: no other thread runs: this is the first statement of `main`.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
