//! Signals to the program, or keys that ask for the same: to end after a save, or only to save.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use elbo::{Error, ErrorKind, Result};
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// The signals that came.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    end: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
    /// Whether a key asked for the end, which is no failure.
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on. A second Ctrl-C or SIGTERM ends the program at once, after `restore` where something
    /// has to be put right before.
    pub(super) fn listen(restore: Option<fn()>) -> Result<Self> {
        let signals = Self::default();
        let fail = |e| Error::new(ErrorKind::Io, format!("cannot listen for signals: {e}"));
        match restore {
            #[cfg(unix)]
            Some(restore) => end_after(restore).map_err(fail)?,
            _ => end_at_second().map_err(fail)?,
        }
        let end = |signal| {
            flag::register_usize(signal, Arc::clone(&signals.end), signal as usize).map_err(fail)
        };
        end(SIGINT)?;
        end(SIGTERM)?;
        // A terminal that closes sends it more than once, from the shell and from the system, so that it is never
        // the second signal, which would end the program before the save.
        #[cfg(unix)]
        if !is_ignored(SIGHUP) {
            end(SIGHUP)?;
        }
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.save)).map_err(fail)?;
        Ok(signals)
    }

    /// The signal to end that came, or 0.
    pub(super) fn end(&self) -> usize {
        self.end.load(Ordering::Relaxed)
    }

    /// Whether a save was asked for since the last call.
    pub(super) fn save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }

    /// Whether a key asked for the end.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Why the program is to end, if it is.
    pub(super) fn why_end(&self) -> Option<&'static str> {
        match self.end() {
            0 => self.asked().then_some("q"),
            end if end == SIGINT as usize => Some("Ctrl-C"),
            #[cfg(unix)]
            end if end == SIGHUP as usize => Some("the end of its terminal (SIGHUP)"),
            _ => Some("SIGTERM"),
        }
    }

    pub(super) fn ask_end(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn ask_save(&self) {
        self.save.store(true, Ordering::Relaxed);
    }

    /// Ctrl-C as a key, where the terminal makes no signal of it.
    pub(super) fn interrupt(&self) {
        // The system refuses only signals that there are not.
        let _ = low_level::raise(SIGINT);
    }
}

/// Whether whoever started the program had it ignore a signal, as `nohup` does.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no crate asks the system for this")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: a null pointer changes nothing, and what is asked for is written whole where the call gives 0.
    // All bits zero are a value of this type.
    let before = unsafe {
        let mut before = std::mem::zeroed::<libc::sigaction>();
        let given = libc::sigaction(signal, std::ptr::null(), &raw mut before);
        (given == 0).then_some(before)
    };
    before.is_some_and(|before| before.sa_sigaction == libc::SIG_IGN)
}

/// Ends the program at the second signal, in the signal's handler.
fn end_at_second() -> std::io::Result<()> {
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))?;
        flag::register(signal, Arc::clone(&second))?;
    }
    Ok(())
}

/// Ends the program at the second signal, after a function that no handler may call: in a thread.
#[cfg(unix)]
fn end_after(restore: fn()) -> std::io::Result<()> {
    let mut came = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || {
        if let Some(signal) = came.forever().nth(1) {
            restore();
            low_level::exit(128 + signal);
        }
    })?;
    Ok(())
}
