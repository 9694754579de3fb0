//! Every shader keeps to the grammar of WGSL where naga does not: which binary operators may meet
//! without parentheses (WGSL, section 8.19, and the rules of `expression`). Browsers refuse the rest.

use std::collections::BTreeSet;

use elbo::kernels::ALL;

/// Binary operators by how the grammar joins them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    /// `*`, `/`, `%`, `+`, `-`: with one another.
    Sums,
    /// `<<`, `>>`: their operands have no binary operators.
    Shift,
    /// `<`, `<=`, `>`, `>=`, `==`, `!=`: operands are sums or one shift, and no relation.
    Relation,
    /// `&`, `|`, `^`: with themselves only.
    Bits,
    /// `&&`, `||`: with themselves only; operands are relations or what they may hold.
    Logic,
}

/// The kind of a binary operator.
fn kind(operator: &str) -> Option<Joins> {
    Some(match operator {
        "*" | "/" | "%" | "+" | "-" => Joins::Sums,
        "<<" | ">>" => Joins::Shift,
        "<" | "<=" | ">" | ">=" | "==" | "!=" => Joins::Relation,
        "&" | "|" | "^" => Joins::Bits,
        "&&" | "||" => Joins::Logic,
        _ => return None,
    })
}

/// Whether these binary operators, in this order, may stand in one expression without parentheses.
fn may_meet(operators: &[&str]) -> bool {
    let is = |kind_of: Joins| move |operator: &&str| kind(operator) == Some(kind_of);
    let same = || operators.iter().all(|operator| operator == &operators[0]);
    if operators.iter().any(is(Joins::Bits)) {
        return same();
    }
    let logic: Vec<_> = operators.iter().filter(|o| is(Joins::Logic)(o)).collect();
    if logic.iter().any(|operator| operator != &logic[0]) {
        return false;
    }
    operators.split(is(Joins::Logic)).all(|operand| {
        operand.iter().filter(|o| is(Joins::Relation)(o)).count() <= 1
            && operand
                .split(is(Joins::Relation))
                .all(|side| side.iter().all(is(Joins::Sums)) || side.len() == 1)
    })
}

/// A token with the line it stands in.
type Token<'a> = (usize, &'a str);

/// What begins a token of several signs, the longest first.
const SIGNS: [&str; 22] = [
    "<<=", ">>=", "->", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "&&", "||",
    "<<", ">>", "<=", ">=", "==", "!=", "//",
];

/// The tokens of WGSL without its comments; the shaders have none of more than a line.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(source.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let len = if part(first) && first != '.' {
                // A number with an exponent's sign is one token.
                let len = rest.find(|c| !part(c)).unwrap_or(rest.len());
                let signed = first.is_ascii_digit()
                    && !rest.starts_with("0x")
                    && rest[..len].ends_with(['e', 'E'])
                    && rest[len..].starts_with(['+', '-']);
                let more = |at: usize| rest[at..].find(|c| !part(c)).map_or(rest.len(), |n| at + n);
                if signed { more(len + 1) } else { len }
            } else {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                sign.map_or(first.len_utf8(), |sign| sign.len())
            };
            if &rest[..len] == "//" {
                break;
            }
            assert!(!rest.starts_with("/*"), "line {line}: a comment of several lines");
            tokens.push((line, &rest[..len]));
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Types and functions that a template's `<` may follow; after any other name it compares.
fn takes_template(word: &str) -> bool {
    let named =
        ["array", "atomic", "bitcast", "coopLoad", "coopLoadT", "ptr", "var"].contains(&word);
    named
        || ["vec", "mat", "coop_mat"].iter().any(|stem| {
            let rest = word.strip_prefix(stem).unwrap_or_default();
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.chars().all(|c| c.is_ascii_digit() || c == 'x')
        })
}

/// Words after which an operator has one operand only.
const KEYWORDS: [&str; 5] = ["return", "case", "if", "while", "switch"];

/// A line, and operators that stand in one expression there.
type Fault<'a> = (usize, Vec<&'a str>);

/// Ends an expression, whose operators may be a fault.
fn judge<'a>(faults: &mut Vec<Fault<'a>>, line: usize, operators: &mut Vec<&'a str>) {
    let operators = std::mem::take(operators);
    if !may_meet(&operators) {
        faults.push((line, operators));
    }
}

/// The expressions whose operators may not meet: the line they end in, and the operators.
fn faults(source: &str) -> Vec<Fault<'_>> {
    let mut faults = Vec::new();
    // The operators of each expression that is open, the innermost last, and whether `>` ends it.
    let mut open = vec![(false, Vec::new())];
    let mut before = "";
    for (line, token) in tokens(source) {
        let (template, operators) = open.last_mut().expect("no more are closed than were opened");
        let operand = before.ends_with(|c: char| c.is_alphanumeric() || "_)]".contains(c))
            && !KEYWORDS.contains(&before);
        let is_template = token == "<" && takes_template(before);
        before = token;
        match token {
            "(" | "[" => open.push((false, Vec::new())),
            "<" if is_template => open.push((true, Vec::new())),
            ")" | "]" => {
                judge(&mut faults, line, operators);
                open.pop();
            }
            ">" | ">>" if *template => {
                for _ in 0..token.len() {
                    judge(&mut faults, line, &mut open.pop().expect("a template was opened").1);
                }
                // What a template ends is a type, whose value is an operand once it has arguments.
                before = "";
            }
            _ if operand && kind(token).is_some() => operators.push(token),
            // What is between expressions; assignments end in `=`.
            "," | ";" | "{" | "}" | ":" | "->" => judge(&mut faults, line, operators),
            _ if token.ends_with('=') && kind(token).is_none() => {
                judge(&mut faults, line, operators);
            }
            _ => {}
        }
    }
    assert_eq!(open.len(), 1, "what was opened is closed");
    faults
}

#[test]
fn operators_meet_only_where_the_grammar_lets_them() {
    let (mut faulty, mut count) = (BTreeSet::new(), 0);
    for kernel in ALL {
        for schedule in kernel.schedules() {
            count += 1;
            let source = schedule.wgsl();
            let lines: Vec<_> = source.lines().collect();
            for (line, operators) in faults(&source) {
                let (name, text) = (kernel.name(), lines[line - 1].trim());
                // What several sources share is told once.
                faulty.insert(format!("`{text}` joins {operators:?} without parentheses ({name})"));
            }
        }
    }
    let faulty: Vec<_> = faulty.into_iter().collect();
    assert!(count >= ALL.len(), "every kernel has a schedule");
    assert!(faulty.is_empty(), "WGSL asks for parentheses:\n{}", faulty.join("\n"));
}

/// The reader of expressions that the test rests on.
#[test]
fn expressions_are_read_as_the_grammar_does() {
    let refused = [
        "a >> 1u & 7u",
        "a << 2u | b",
        "a & 3u == 0u",
        "a + 1u << 2u",
        "1u << a - 1u",
        "a | b & c",
        "a ^ b | c",
        "a < b == c",
        "a && b || c",
        "a & b && c",
        "-a & b + c",
        "a[i] * 2u >> 1u",
        "vec2<u32>(1u) & b << c",
        "f(x) >> 3u >> 2u",
        "g(a, b & c == d)",
        "bitcast<u32>(x) & 1u == 1u",
        "1e-3 < x | y",
        "x == 1.0e+2 ^ y",
    ];
    for text in refused {
        let source = format!("fn f() {{\n    let x = {text};\n}}\n");
        assert_eq!(faults(&source).len(), 1, "`{text}` is refused");
    }
    let allowed = [
        "(a >> 1u) & 7u",
        "a * b + c - d % e",
        "a + b < c * d",
        "a << 2u < b",
        "a == b && c < d && e >= f",
        "a | b | c",
        "a ^ b ^ c",
        "!a || b < c || d",
        "-a * -b",
        "~a & !b",
        "&a",
        "a & *b",
        "vec4<f32>(a, b) * c",
        "a[i + 1u] & b",
        "array<vec2<u32>, 4>()",
        "(a & b) == c",
        "f(a & b, c << d)",
        "1e-3 * x + 2",
        "a << (b + c)",
        "bitcast<u32>(x) & bitcast<u32>(y)",
        "select(a, b, c < d || e > f)",
    ];
    for text in allowed {
        let source =
            format!("fn f() {{\n    x <<= {text}; // a & b == c\n    if {text} {{ i++; }}\n}}\n");
        assert_eq!(faults(&source), [], "`{text}` is allowed");
    }
}
