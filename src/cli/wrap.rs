//! Lines for people, broken between words where the terminal ends.

use std::borrow::Cow;
use std::env;

use terminal_size::{Height, Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Narrower than this nothing is readable either way.
const NARROWEST: usize = 20;

/// How much further right than its first line a sentence goes on.
const HANGING: &str = "  ";

/// The columns of the terminal behind a stream, or else what the variable COLUMNS says.
#[cfg(unix)]
pub(super) fn columns(stream: impl std::os::fd::AsFd) -> Option<usize> {
    columns_of(terminal_size_of(stream))
}

/// The columns of the terminal behind a stream, or else what the variable COLUMNS says.
#[cfg(windows)]
pub(super) fn columns(stream: impl std::os::windows::io::AsHandle) -> Option<usize> {
    columns_of(terminal_size_of(stream))
}

fn columns_of(size: Option<(Width, Height)>) -> Option<usize> {
    let said = || env::var("COLUMNS").ok()?.parse().ok();
    size.map(|(Width(columns), _)| columns.into()).or_else(said).filter(|&n| n > 0)
}

/// The same text, in lines that fit so many columns. A word that is longer, such as a path, stays
/// whole.
pub(super) fn wrapped(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    let Some(columns) = columns.map(|columns| columns.max(NARROWEST)) else {
        return Cow::Borrowed(text);
    };
    let lines: Vec<_> = text.split('\n').map(|line| wrapped_line(line, columns)).collect();
    Cow::Owned(lines.join("\n"))
}

fn wrapped_line(line: &str, columns: usize) -> String {
    let words = line.trim_start_matches(' ');
    let start = &line[..line.len() - words.len()];
    filled(words, columns, [start, &format!("{start}{HANGING}")])
}

/// Words in lines that fit so many columns, behind what the first and the others begin with.
pub(super) fn filled(words: &str, columns: usize, [first, others]: [&str; 2]) -> String {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(others)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(words, options)
}

/// A line that programs read, or a picture: JSON and what has codes for terminals.
pub(super) fn is_exact(line: &str) -> bool {
    line.starts_with('{') || line.contains('\x1b')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_go_on_further_right() {
        let text = "hint: take `auto`, `cpu` or a\n  path/that/is/longer/than/the/columns here";
        let expected =
            "hint: take `auto`,\n  `cpu` or a\n  path/that/is/longer/than/the/columns\n    here";
        assert_eq!(wrapped(text, Some(20)), expected, "at 20 columns");
        assert_eq!(wrapped(text, None), text, "without columns");
        assert_eq!(wrapped("  a    b", Some(20)), "  a    b", "spaces of a table stay");
        let wide = "ä".repeat(20);
        assert_eq!(wrapped(&wide, Some(20)), wide, "columns are characters, not bytes");
    }
}
