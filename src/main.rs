//! The program: runs the command line, prints an error as one line and a hint, leaves with the
//! contract's exit code.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    silence_device_selection();
    tandem::cli::main()
}

/// Without a desktop, Mesa's device-selection layer for Vulkan prints an error of Wayland's on
/// stderr each time it is asked; it has nothing to select there, so it is told to stay away.
#[allow(unsafe_code)]
fn silence_device_selection() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none()
        && std::env::var_os("NODEVICE_SELECT").is_none()
    {
        // SAFETY: nothing else runs yet: this is the first statement of `main`, and no thread was
        // started.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
