//! `elbo train --tui`: a dashboard that fills the terminal while a run trains.
//!
//! A thread of its own draws and reads keys, so that neither waits for a long step, and training
//! waits for neither: they share only what is known of the run, for as long as a copy takes.

mod curves;
mod draw;
mod mosaic;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, BufWriter, Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use elbo::{Error, ErrorKind, Result};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};

use crate::cli::picture::colors;
use crate::cli::signals::Signals;
use view::View;
pub(super) use view::{About, Pictures, Point, Progress};

/// From one picture to the next.
const FRAME: Duration = Duration::from_millis(125);
/// From one look at the keys, the signals and the end of training to the next.
const LOOK: Duration = Duration::from_millis(25);
/// A terminal that takes nothing for so long is not waited for when the program ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the dashboard has the terminal.
static UP: AtomicBool = AtomicBool::new(false);
/// Held by who writes to the terminal, so that nothing is drawn after it was given back.
static TERMINAL: Mutex<()> = Mutex::new(());

/// The dashboard of a run; dropped, it gives the terminal back.
#[derive(Debug)]
pub(super) struct Dashboard {
    view: Arc<Mutex<View>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Dashboard {
    /// Takes the terminal. `epochs` were trained before.
    pub(super) fn start(about: About, epochs: Vec<Point>, signals: Signals) -> Result<Self> {
        let fail = |e: io::Error| {
            let error = Error::new(ErrorKind::Io, format!("cannot take over the terminal: {e}"));
            error.hint("leave out `--tui`")
        };
        give_back_on_panic();
        enable_raw_mode().map_err(fail)?;
        UP.store(true, Ordering::SeqCst);
        let terminal = execute!(stdout(), EnterAlternateScreen).and_then(|()| {
            Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, stdout())))
        });
        let terminal = terminal.inspect_err(|_| restore()).map_err(fail)?;
        let mut view = View::new(about, epochs);
        view.colors = colors();
        let view = Arc::new(Mutex::new(view));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&view), Arc::clone(&stop));
        let thread = thread::Builder::new().name("dashboard".to_owned());
        let thread = thread.spawn(move || {
            let (view, stop) = shared;
            let shown = show(terminal, &view, &stop, &signals);
            restore();
            shown
        });
        let thread = thread.inspect_err(|_| restore()).map_err(fail)?;
        Ok(Self { view, stop, thread: Some(thread) })
    }

    /// Whether it is still there: it ends early when the terminal is gone or something panicked.
    pub(super) fn is_up(&self) -> bool {
        UP.load(Ordering::SeqCst)
    }

    pub(super) fn begin(&self, first: u64, last: u64, per_epoch: u64) {
        lock(&self.view).begin(first, last, per_epoch, Instant::now());
    }

    pub(super) fn epoch(&self, epoch: u64, of: usize) {
        lock(&self.view).epoch(epoch, of, Instant::now());
    }

    pub(super) fn progress(&self, told: Progress) {
        lock(&self.view).progress(told, Instant::now());
    }

    pub(super) fn evaluating(&self) {
        lock(&self.view).doing = view::Doing::Evaluating;
    }

    pub(super) fn evaluated(&self, point: Point) {
        lock(&self.view).evaluated(point);
    }

    pub(super) fn pictures(&self, pictures: Pictures) {
        lock(&self.view).pictures = Some(Arc::new(pictures));
    }

    pub(super) fn saved(&self, step: u64) {
        lock(&self.view).saved(step);
    }

    pub(super) fn say(&self, line: &str) {
        lock(&self.view).say(line);
    }

    /// Gives the terminal back; with what broke the dashboard, if something did.
    pub(super) fn end(&mut self) -> Option<io::Error> {
        self.stop.store(true, Ordering::SeqCst);
        let until = Instant::now() + PATIENCE;
        let thread = self.thread.take().filter(|thread| {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            // Crossterm never comes back from a terminal that closes while it waits for a key.
            thread.is_finished()
        });
        // If it panicked, the terminal was given back then, and the panic's message says why.
        let shown = thread.and_then(|thread| thread.join().ok());
        restore();
        shown.and_then(io::Result::err)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    // What is known is shown, even if who told it panicked meanwhile.
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws and reads keys until it is told to stop or the terminal is given back.
fn show(
    mut terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    view: &Mutex<View>,
    stop: &AtomicBool,
    signals: &Signals,
) -> io::Result<()> {
    let mut due = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        #[cfg(unix)]
        if is_closed() {
            return Err(io::Error::other("it was closed"));
        }
        if event::poll(LOOK)?
            && let Event::Key(pressed) = event::read()?
        {
            key(pressed, view, signals);
        }
        let now = Instant::now();
        if now < due {
            continue;
        }
        due = now + FRAME;
        // A copy, so that a slow terminal does not hold up training.
        let shown = lock(view).clone();
        let _held = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner);
        if !UP.load(Ordering::SeqCst) {
            return Ok(());
        }
        terminal.draw(|frame| draw::draw(frame, &shown, signals.why_end(), now))?;
    }
    Ok(())
}

/// Whether the terminal is gone. Crossterm, which takes that for keys of no length, would look for more for ever.
#[cfg(unix)]
fn is_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok()
        && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

fn key(pressed: KeyEvent, view: &Mutex<View>, signals: &Signals) {
    if pressed.kind != KeyEventKind::Press {
        return;
    }
    match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => {
            signals.interrupt();
        }
        KeyCode::Char('q') => signals.ask_end(),
        KeyCode::Char('s') => {
            lock(view).say("a save was asked for");
            signals.ask_save();
        }
        _ => {}
    }
}

/// Gives the terminal back as it was, if the dashboard has it.
pub(super) fn restore() {
    let until = Instant::now() + PATIENCE;
    let mut held = TERMINAL.try_lock();
    // Whoever draws may be the one that panicked, or wait for a terminal that takes nothing.
    while matches!(held, Err(TryLockError::WouldBlock)) && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
        held = TERMINAL.try_lock();
    }
    if UP.swap(false, Ordering::SeqCst) {
        // There is nobody to tell if it does not take this.
        let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// A panic's message is for the terminal as it was. Some panics are caught; the dashboard is over
/// all the same, and what follows is printed line by line.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}
