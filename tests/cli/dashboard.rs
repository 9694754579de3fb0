//! `elbo train --tui`: where it is refused, and that the terminal is given back however a run ends.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
use std::io::Write;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Running, line, output, place, refusal_fault, terminal, train};

#[test]
fn without_a_terminal_it_is_refused() {
    let dir = place();
    let cases = [
        ("--tui", "stdout is none"),
        ("--tui --json", "'--tui' cannot be used with '--json'"),
        ("--tui --quiet", "'--tui' cannot be used with '--quiet'"),
    ];
    for (flags, says) in cases {
        let fault = refusal_fault(flags, &output(train(&dir, flags)), 2, says);
        assert_eq!(fault, None, "{flags}");
        assert!(!dir.path().join("out").exists(), "{flags} leaves nothing");
    }
}

/// How a run in a terminal is made to end.
enum Way {
    Itself,
    Keys(&'static [u8]),
    /// Signals that arrive at once.
    Signals(&'static [&'static str]),
}

#[test]
fn the_terminal_is_given_back() {
    let cases = [
        ("2", Way::Itself, "0"),
        ("1000000", Way::Keys(b"q"), "0"),
        ("1000000", Way::Keys(b"\x03"), "130"),
        ("1000000", Way::Signals(&["TERM"]), "143"),
        ("1000000", Way::Signals(&["TERM", "INT"]), ""),
    ];
    for (index, (epochs, way, code)) in cases.into_iter().enumerate() {
        run_in_terminal(index, epochs, &way, code);
    }
}

fn run_in_terminal(index: usize, epochs: &str, way: &Way, code: &str) {
    let dir = place();
    let command = train(&dir, &format!("--tui --epochs {epochs}"));
    let line = format!(
        "stty rows 24 cols 80; stty -a > before; {}; echo $? > code; stty -a > after",
        line(&command)
    );
    let Some(mut child) = terminal(&dir, &line) else { return };
    let mut keys = child.stdin.take().expect("its stdin is a pipe");
    let mut running = Running::of(child);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    if !matches!(way, Way::Itself) {
        running.until("an epoch in the dashboard", || {
            read("out/metrics.jsonl").lines().count() > 1 && typed(&dir).contains("messages")
        });
    }
    match way {
        Way::Itself => {}
        Way::Keys(bytes) => keys.write_all(bytes).expect("the terminal takes keys"),
        Way::Signals(names) => {
            let process = read("out/lock").trim().to_owned();
            // Stopped, it gets them all before it can do anything about the first.
            for name in ["STOP"].iter().chain(*names).chain(&["CONT"]) {
                let kill = Command::new("kill").args([&format!("-{name}"), &process]).status();
                assert!(kill.is_ok_and(|status| status.success()), "kill -{name} {process}");
            }
        }
    }
    running.wait();
    let ended = read("code").trim().to_owned();
    let codes = if code.is_empty() { vec!["130", "143"] } else { vec![code] };
    let typed = typed(&dir);
    assert!(codes.contains(&ended.as_str()), "way {index}: code {ended}, not {codes:?}: {typed}");
    assert_eq!(read("before"), read("after"), "way {index}: the terminal's settings");
    assert!(!read("before").is_empty(), "way {index}: there are settings");
    let last = |sequence: &str| typed.rfind(sequence);
    let (entered, left) = (last("\x1b[?1049h"), last("\x1b[?1049l"));
    assert!(entered.is_some() && entered < left, "way {index}: its screen is left: {typed:?}");
    let (hidden, shown) = (last("\x1b[?25l"), last("\x1b[?25h"));
    assert!(hidden.is_some() && hidden < shown, "way {index}: the cursor is shown: {typed:?}");
    // Those that end at the second signal tell nothing more.
    if !code.is_empty() {
        let after = typed.split("\x1b[?1049l").last().unwrap_or_default();
        for word in [" at mean ", "weights: "] {
            assert!(after.contains(word), "way {index}: `{word}` stays on the screen: {after:?}");
        }
    }
}

/// What was written to the terminal.
fn typed(dir: &TempDir) -> String {
    String::from_utf8_lossy(&fs::read(dir.path().join("typed")).unwrap_or_default()).into_owned()
}
