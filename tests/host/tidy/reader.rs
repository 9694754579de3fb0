//! A reader of Rust and WGSL, as far as the rules need one: what is code, where items end, which modules are
//! named.

/// Rust or WGSL with comments and the contents of literals blanked, byte by byte.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while out.len() < bytes.len() {
        let (at, rest) = (out.len(), &text.as_bytes()[out.len()..]);
        let len = skipped(rest, at.checked_sub(1).map(|before| bytes[before]));
        let keep = |&byte: &u8| if byte == b'\n' || len == 0 { byte } else { b' ' };
        out.extend(rest[..len.max(1)].iter().map(keep));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The length of the comment or literal at the start of `rest`, or 0.
fn skipped(rest: &[u8], before: Option<u8>) -> usize {
    let find = |from: usize, end: &[u8]| {
        let at = rest[from..].windows(end.len()).position(|window| window == end);
        at.map_or(rest.len(), |at| from + at + end.len())
    };
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match rest {
        [b'/', b'/', ..] => find(2, b"\n") - 1,
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
            let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
            if rest.get(1 + hashes) == Some(&b'"') { find(2 + hashes, &end) } else { 0 }
        }
        [b'"', ..] => {
            let mut at = 1;
            while at < rest.len() && rest[at] != b'"' {
                at += if rest[at] == b'\\' { 2 } else { 1 };
            }
            (at + 1).min(rest.len())
        }
        [b'\'', b'\\', _, ..] => find(3, b"'"),
        // A character, not a lifetime; it may take several bytes.
        [b'\'', first, ..] => {
            let len = [1, 2, 3, 4].into_iter().find(|&n| rest.get(1 + n) == Some(&b'\''));
            len.filter(|&n| n == 1 || !first.is_ascii()).map_or(0, |n| n + 2)
        }
        _ => 0,
    }
}

/// The end of the item that starts at a place: past its braces, or its semicolon.
pub(super) fn end_of_item(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The code of a text without what is compiled for tests only.
pub(super) fn shipped(text: &str) -> String {
    const TEST: &str = "#[cfg(test)]";
    let mut code = code(text);
    while let Some(start) = code.find(TEST) {
        let end = end_of_item(&code, start + TEST.len());
        let blank: String = code[start..end].chars().filter(|&c| c == '\n').collect();
        code.replace_range(start..end, &blank);
    }
    code
}

/// The words of code: names, keywords and numbers, with where each starts.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    code.split(move |c| !part(c)).map(move |word| {
        let start = at;
        // All that splits is one byte: names and what is between them are ASCII in code.
        at += word.len() + code[start + word.len()..].chars().next().map_or(0, char::len_utf8);
        (start, word)
    })
}

/// The line of a place, counted from one.
pub(super) fn line(code: &str, at: usize) -> usize {
    code[..at].lines().count() + usize::from(code[..at].ends_with('\n') || at == 0)
}

/// The modules of the crate that code names, with the line.
pub(super) fn used(code: &str) -> Vec<(usize, &str)> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let from = line(code, at);
        let Some(group) = rest.strip_prefix('{') else {
            used.push((from, words(rest).next().map_or("", |(_, word)| word)));
            continue;
        };
        let group = &group[..end_of_item(rest, 0).saturating_sub(2)];
        for (start, word) in words(group).filter(|(_, word)| !word.is_empty()) {
            let before = &group[..start];
            let nested = before.matches('{').count() > before.matches('}').count();
            if !nested && !before.ends_with(':') {
                used.push((from, word));
            }
        }
    }
    used
}

/// The reader that the rules rest on.
#[test]
fn comments_and_literals_are_no_code() {
    let cases = [
        ("a // unsafe\nb", "a          \nb"),
        ("a /* \" */ b", "a         b"),
        (r#"f("a\"b // c") + 1"#, r"f(           ) + 1"),
        ("r#\"a\"b\"# c", "         c"),
        ("'\"' 'a 'é' '\\'' x", "    'a           x"),
    ];
    for (text, expected) in cases {
        let found = code(text);
        assert_eq!(found, expected, "the code of `{text}`");
    }
    let names: Vec<_> = used("use crate::{a::{b, c}, d};\ncrate::e::f();");
    assert_eq!(names, [(1, "a"), (1, "d"), (2, "e")], "modules that are used");
    let test = "a\n#[cfg(test)]\nmod tests { fn b() {} }\nc";
    assert_eq!(shipped(test), "a\n\n\nc", "code without its tests");
}
