//! Signals to the program: those that end it after a save, and the one that only saves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use elbo::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signals that came.
#[derive(Debug, Default)]
pub(super) struct Signals {
    end: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on. A second signal to end does so at once.
    pub(super) fn listen() -> Result<Self> {
        let signals = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        let fail = |e| Error::new(ErrorKind::Io, format!("cannot listen for signals: {e}"));
        for signal in [SIGINT, SIGTERM] {
            let code = 128 + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&second))
                .and_then(|_| flag::register(signal, Arc::clone(&second)))
                .and_then(|_| {
                    flag::register_usize(signal, Arc::clone(&signals.end), signal as usize)
                })
                .map_err(fail)?;
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
}
