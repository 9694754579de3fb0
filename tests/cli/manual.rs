//! What shells and readers of manuals are given.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::fs;
#[cfg(unix)]
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::program::{elbo, output, place, refusal_fault, succeed, text};

/// What a program of the system makes of a text, if the system has it.
fn given(program: &str, flags: &[&str], input: &str) -> Option<Output> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("input");
    fs::write(&path, input).expect("the temporary folder takes a file");
    let file = fs::File::open(&path).expect("a file that was written");
    let made = Command::new(program).args(flags).stdin(Stdio::from(file)).output().ok();
    if made.is_none() {
        println!("there is no `{program}` here: this part proves nothing");
    }
    made
}

#[test]
fn shells_can_read_their_scripts() {
    let dir = place();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(elbo(&dir, &format!("completions {shell}")));
        assert!(script.contains("ELBO_COMPLETE"), "{shell} asks the program");
        let checked = match shell {
            "bash" | "zsh" | "fish" => given(shell, &["-n"], &script),
            _ => None,
        };
        let fine = checked.as_ref().is_none_or(|o| o.status.success() && o.stderr.is_empty());
        assert!(fine, "{shell} cannot read its script: {checked:?}");
    }
    let refused = output(elbo(&dir, "completions csh"));
    assert_eq!(refusal_fault("csh", &refused, 2, "csh"), None, "{refused:?}");
}

/// What bash itself offers when a line is typed and Tab is pressed, word by word.
#[cfg(unix)]
#[test]
fn bash_completes_verbs_flags_presets_devices_and_runs() {
    let dir = place();
    let script = succeed(elbo(&dir, "completions bash"));
    for run in ["runs/0001", "runs/0002", "other"] {
        fs::create_dir_all(dir.path().join(run)).expect("a folder");
        fs::write(dir.path().join(run).join("checkpoint.safetensors"), "").expect("a file");
    }
    fs::create_dir(dir.path().join("runs/empty")).expect("a folder");
    for (line, offers) in [
        ("elbo trai", "train"),
        ("elbo train --like", "--likelihood"),
        ("elbo train --likelihood neg", "negative-binomial"),
        ("elbo train --preset iwae-5", "iwae-5 iwae-50 iwae-5-two"),
        ("elbo train -p cl", "classic"),
        ("elbo bench --model cond", "conditional"),
        ("elbo reproduce dr", "dreg-50"),
        ("elbo evaluate --device \"\"", "auto cpu gpu"),
        ("elbo evaluate \"\"", "runs/0001 runs/0002"),
        ("elbo evaluate runs/", "runs/0001 runs/0002"),
        ("elbo train --resume ru", "runs/0001 runs/0002"),
        ("elbo evaluate oth", "other/"),
    ] {
        let words = line.split(' ').count() - 1;
        let folder = Path::new(env!("CARGO_BIN_EXE_elbo")).parent().expect("a folder").display();
        let ask = format!(
            "\nexport PATH=\"{folder}:$PATH\"; cd '{}'\nCOMP_WORDS=({line}); COMP_CWORD={words}\n\
             _clap_complete_elbo elbo \"${{COMP_WORDS[{words}]}}\"; echo \"${{COMPREPLY[@]}}\"\n",
            dir.path().display()
        );
        let Some(offered) = given("bash", &[], &(script.clone() + &ask)) else { return };
        // Where a word may begin, flags are offered too.
        let found = text(&offered.stdout).split_whitespace();
        let found: Vec<_> = found.filter(|o| !o.starts_with('-') || line.contains('-')).collect();
        assert_eq!(found.join(" "), offers, "{line}: {offered:?}");
    }
}

/// The lines of a page that begin a section, or one below.
fn sections(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with(".SH ") || line.starts_with(".SS ")).collect()
}

/// What a reader of the page sees, if the system can show pages; nothing may be complained of.
fn shown(page: &str) -> Option<String> {
    let shown = given("groff", &["-man", "-Tutf8", "-ww", "-P-cbou"], page)?;
    assert!(shown.status.success() && shown.stderr.is_empty(), "groff: {shown:?}");
    Some(text(&shown.stdout).to_owned())
}

#[test]
fn the_manual_is_one_page_or_a_page_a_verb() {
    let dir = place();
    let page = succeed(elbo(&dir, "man"));
    let verbs = ["train", "bench", "export", "import", "devices", "info", "selftest", "config"];
    let found = sections(&page);
    assert_eq!(page.matches("\n.TH elbo 1 ").count(), 1, "one title: {page}");
    for verb in verbs {
        let heading = format!(".SH \"ELBO {}\"", verb.to_uppercase());
        let at = found.iter().position(|line| *line == heading);
        let below = &found[at.unwrap_or_else(|| panic!("no {heading} in {found:?}")) + 1..];
        assert_eq!(below[..2], [".SS SYNOPSIS", ".SS DESCRIPTION"], "below {heading}");
        let mut own = below.iter().take_while(|line| line.starts_with(".SS "));
        assert!(own.any(|line| *line == ".SS EXAMPLES"), "below {heading}: {below:?}");
    }
    if let Some(shown) = shown(&page) {
        for line in ["elbo train --resume runs/long", "--save-every <N>", "ELBO CONFIG"] {
            assert!(shown.lines().any(|l| l.trim() == line), "`{line}` is a line of\n{shown}");
        }
    }
    // Twice: pages are written anew.
    for _ in 0..2 {
        let listed = succeed(elbo(&dir, "man --out pages/man1"));
        assert!(listed.contains("elbo-train.1"), "`{listed}`");
        for verb in verbs {
            let path = dir.path().join(format!("pages/man1/elbo-{verb}.1"));
            let page = fs::read_to_string(&path).expect("a page for each verb");
            assert!(page.contains(&format!("\n.TH elbo-{verb} 1 ")), "{verb}: {page}");
            let (found, all) = (sections(&page), [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"]);
            assert!(found.starts_with(&all) && found.ends_with(&[".SH EXAMPLES"]), "{found:?}");
            shown(&page);
            fs::write(path, "an older page").expect("a file");
        }
        let root = fs::read_to_string(dir.path().join("pages/man1/elbo.1")).expect("a page");
        assert!(root.contains("elbo\\-train(1)"), "the page names the others: {root}");
    }
    let flags = "man --out data/train-images-idx3-ubyte";
    let refused = output(elbo(&dir, flags));
    assert_eq!(refusal_fault(flags, &refused, 74, "`data/train-images"), None, "{refused:?}");
}
