//! Which pictures a terminal shows: by a protocol of its own where it has one, else by half blocks.

use std::env;
use std::io::IsTerminal;

use ratatui::crossterm::terminal;

/// How long a terminal may take to say what it can.
#[cfg(unix)]
const PATIENCE_MS: u64 = 300;

/// The pixels of a usual cell, across and down.
const CELL: [usize; 2] = [8, 16];

/// Whether the terminal is to show colours (<https://no-color.org>).
pub(in crate::cli) fn colors() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// How a terminal takes pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Protocol {
    /// PNG files as kitty, Ghostty and others take them.
    Kitty,
    /// PNG files as iTerm2, `WezTerm` and others take them.
    Iterm,
    Sixel,
    /// Two pixels in each cell, as characters.
    Blocks,
}

/// The terminal that reads stdout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Screen {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// The pixels of a cell, across and down.
    pub(super) cell: [usize; 2],
    pub(super) protocol: Protocol,
}

impl Screen {
    /// The terminal, if stdout is one that shows colours.
    pub(super) fn find() -> Option<Self> {
        if !std::io::stdout().is_terminal() || !colors() {
            return None;
        }
        let (columns, rows) = terminal::size().ok().filter(|(columns, _)| *columns > 0)?;
        let [columns, rows] = [columns, rows].map(usize::from);
        let pixels = terminal::window_size().map_or([0; 2], |size| [size.width, size.height]);
        let [width, height] = pixels.map(usize::from);
        // Where it does not tell, a usual size.
        let cell = match [width / columns, height / rows.max(1)] {
            [0, _] | [_, 0] => CELL,
            cell => cell,
        };
        Some(Self { columns, rows, cell, protocol: protocol() })
    }

    /// The rows that a picture may have, so that its words and the next prompt are seen with it.
    pub(super) fn free_rows(&self) -> usize {
        self.rows.saturating_sub(3).max(1)
    }

    /// The columns and rows that a picture of so many pixels takes, of which a page has half: no more than
    /// that, and no more than there are. A terminal whose cells have more pixels than usual shows all.
    pub(super) fn cells(&self, size: [usize; 2]) -> [usize; 2] {
        let [across, down] = self.cell;
        let rooms = [self.columns * across, self.free_rows() * down];
        let dense = down.clamp(CELL[1], 2 * CELL[1]);
        let size = fit(size.map(|pixels| (pixels * dense).div_ceil(2 * CELL[1])), rooms);
        [size[0].div_ceil(across).min(self.columns), size[1].div_ceil(down).min(self.free_rows())]
    }
}

/// The size of a picture that is no larger than a room, nor than it was, in its proportions.
pub(super) fn fit([width, height]: [usize; 2], [across, down]: [usize; 2]) -> [usize; 2] {
    let [wide, tall] = [across as f64 / width.max(1) as f64, down as f64 / height.max(1) as f64];
    let scale = wide.min(tall).min(1.0);
    let size = |pixels: usize, most: usize| {
        ((pixels as f64 * scale).round() as usize).clamp(1, most.max(1))
    };
    [size(width, across), size(height, down)]
}

fn protocol() -> Protocol {
    let told = |name: &str| env::var(name).unwrap_or_default();
    by_name(told).unwrap_or_else(ask)
}

/// What the environment tells of the terminal, if it tells.
fn by_name(told: impl Fn(&str) -> String) -> Option<Protocol> {
    let (kind, program) = (told("TERM"), told("TERM_PROGRAM"));
    // What lies between does not let pictures through.
    let between = ["screen", "tmux"].iter().any(|name| kind.starts_with(name));
    if between || !told("TMUX").is_empty() || kind == "linux" {
        return Some(Protocol::Blocks);
    }
    let kitty = kind.contains("kitty") || kind.contains("ghostty") || program == "ghostty";
    if kitty || !told("KITTY_WINDOW_ID").is_empty() {
        return Some(Protocol::Kitty);
    }
    let iterm =
        ["iTerm.app", "WezTerm", "mintty", "rio", "WarpTerminal"].contains(&program.as_str());
    (iterm || told("LC_TERMINAL") == "iTerm2").then_some(Protocol::Iterm)
}

/// Asks the terminal, if this process may: one in the background would be stopped.
#[cfg(unix)]
fn ask() -> Protocol {
    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;

    let stdin = std::io::stdin();
    let ours = stdin.is_terminal() && tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
    if !ours || terminal::enable_raw_mode().is_err() {
        return Protocol::Blocks;
    }
    // Its kind, which all terminals tell. Kitty's protocol has a question of its own, but some print that.
    let answer = xterm_query::query_osc("\x1b[c", PATIENCE_MS);
    // It was taken over a moment ago; if it cannot be given back, nobody can be told.
    let _ = terminal::disable_raw_mode();
    answer.map_or(Protocol::Blocks, |answer| by_answer(&answer))
}

/// Elsewhere nothing is asked.
#[cfg(not(unix))]
fn ask() -> Protocol {
    Protocol::Blocks
}

/// What a terminal's kind says: of its numbers 4 is for sixels.
#[cfg(unix)]
fn by_answer(answer: &str) -> Protocol {
    let numbers = answer.strip_prefix("[?").and_then(|rest| rest.split('c').next());
    match numbers.is_some_and(|numbers| numbers.split(';').any(|number| number == "4")) {
        true => Protocol::Sixel,
        false => Protocol::Blocks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_known_by_name() {
        let known = |name: &str, value: &str| {
            by_name(|asked: &str| if asked == name { value.to_owned() } else { String::new() })
        };
        for (name, value, expected) in [
            ("TERM", "xterm-kitty", Some(Protocol::Kitty)),
            ("TERM", "xterm-ghostty", Some(Protocol::Kitty)),
            ("KITTY_WINDOW_ID", "1", Some(Protocol::Kitty)),
            ("TERM_PROGRAM", "iTerm.app", Some(Protocol::Iterm)),
            ("TERM_PROGRAM", "WezTerm", Some(Protocol::Iterm)),
            ("LC_TERMINAL", "iTerm2", Some(Protocol::Iterm)),
            ("TERM", "tmux-256color", Some(Protocol::Blocks)),
            ("TERM", "xterm-256color", None),
            ("TERM_PROGRAM", "Apple_Terminal", None),
        ] {
            assert_eq!(known(name, value), expected, "{name}={value}");
        }
        let within = |name: &str| match name {
            "TMUX" => "/tmp/tmux".to_owned(),
            "KITTY_WINDOW_ID" => "1".to_owned(),
            _ => String::new(),
        };
        assert_eq!(by_name(within), Some(Protocol::Blocks), "tmux within kitty");
    }

    #[cfg(unix)]
    #[test]
    fn answers_are_understood() {
        for (answer, expected) in [
            ("[?62;4;22c\x1b", Protocol::Sixel),
            ("[?4c\x1b", Protocol::Sixel),
            ("[?64;14;24c\x1b", Protocol::Blocks),
            ("4", Protocol::Blocks),
            ("", Protocol::Blocks),
        ] {
            assert_eq!(by_answer(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn pictures_fit() {
        let screen = Screen { columns: 80, rows: 24, cell: [8, 16], protocol: Protocol::Kitty };
        assert_eq!(screen.cells([200, 100]), [13, 4], "no larger than on a page");
        assert_eq!(screen.cells([12_800, 200]), [80, 1], "too wide");
        assert_eq!(screen.cells([1476, 1526]), [41, 21], "too tall");
        let dense = Screen { cell: [16, 32], ..screen };
        assert_eq!(dense.cells([200, 100]), [13, 4], "all pixels, in cells of more");
        for (width, height) in [(1, 1), (1, 10_000), (10_000, 1), (0, 0), (640, 336)] {
            for rows in 0..30 {
                let [across, down] = Screen { rows, ..screen }.cells([width, height]);
                let fits = (1..=80).contains(&across) && (1..=rows.max(4) - 3).contains(&down);
                assert!(fits, "{width} x {height} take {across} x {down} of {rows} rows");
            }
        }
    }
}
