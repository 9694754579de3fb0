//! The program: reads the command line, runs a verb, prints what went wrong and exits with its code.

mod cli;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    // Before anything else: `elbo bench` says how long the first step took from here.
    let start = Instant::now();
    #[cfg(target_os = "linux")]
    name_no_screen();
    cli::run(start)
}

/// Mesa's Vulkan asks Wayland which device draws the screen. Where nothing says where Wayland's socket lies, as in
/// a container, its library prints an error that looks like ours. There is no screen then, which is said here.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the environment can be set in no other way")]
fn name_no_screen() {
    let is_path =
        |name| std::env::var_os(name).is_some_and(|v| std::path::Path::new(&v).is_absolute());
    if !is_path("XDG_RUNTIME_DIR") && !is_path("WAYLAND_DISPLAY") {
        // SAFETY: no thread but this one runs yet, and so none reads the environment meanwhile.
        unsafe { std::env::set_var("WAYLAND_DISPLAY", "/dev/null") };
    }
}
