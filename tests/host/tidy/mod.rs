//! The rules of the house that a program can hold; needs no GPU.
#![allow(clippy::print_stdout, reason = "tests may talk")]

mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reader::{code, end_of_item, line, shipped, used, words};

const MOST_LINES: usize = 400;
const MOST_LINES_OF_A_FUNCTION: usize = 70;

/// Modules in their order: each uses only itself and those before it.
#[rustfmt::skip]
const ORDER: &[&str] = &[
    "error", "files", "config", "engine", "kernels", "cpu", "gpu", "session", "selftest", "nn", "model", "data",
    "optim", "metrics", "checkpoint", "evaluate", "train", "probe", "quality",
    "sampler", "bench", "cli", "main",
];

/// Modules that record and never run, so they name no session.
const RECORDERS: [&str; 2] = ["nn", "model"];
const SESSIONS: [&str; 4] = ["cpu", "gpu", "session", "selftest"];

/// Files of kernels without a shader: the table, the cases, and functions of the CPU schedules.
const WITHOUT_SHADER: [&str; 4] = ["mod", "case", "draw", "fast"];

/// The only files with `unsafe`: the call of `gemm`, the consent to experimental features, what a driver is
/// given of its own cache, the program's environment before any thread runs, and which signals it is to ignore.
const UNSAFE: [&str; 5] = [
    "src/kernels/matmul/gemm.rs",
    "src/gpu/mixed.rs",
    "src/gpu/cache.rs",
    "src/main.rs",
    "src/cli/signals.rs",
];

/// What has no place in a text. These are put together so that they are not found here.
const SYNC: &str = concat!("keep in ", "sync");
const LEFT: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK"), concat!("X", "XX")];

/// A source file.
struct File {
    /// The path from the repository's root, with slashes.
    path: String,
    text: String,
}

impl File {
    /// The top module of a file under `src/`; the root has none.
    fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let name = rest.split(['/', '.']).next()?;
        (name != "lib").then_some(name)
    }

    /// The file's name up to the first dot.
    fn stem(&self) -> &str {
        // The products' shaders have a folder, a file for each part of their sources.
        if self.path.starts_with("shaders/matmul/") {
            return "matmul";
        }
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }
}

fn read(folder: &Path, root: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of a folder").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read(&path, root, files);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "wgsl") {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let relative = path.strip_prefix(root).expect("a path below the root");
            let path = relative.to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
}

/// All Rust and WGSL of the repository.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "shaders", "tests", "benches", "examples"] {
        let folder = root.join(folder);
        if folder.is_dir() {
            read(&folder, root, &mut files);
        }
    }
    files
}

/// Fails if there is any fault, with all of them.
fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}, but:\n{}", faults.join("\n"));
}

#[test]
fn files_are_short() {
    let (files, mut faults) = (files(), Vec::new());
    for file in &files {
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{} has {lines} lines", file.path));
        }
    }
    for folder in ["src/", "shaders/", "tests/", "benches/", "examples/"] {
        let inside = files.iter().filter(|file| file.path.starts_with(folder));
        let (count, lines) = inside.fold((0, 0), |(n, l), f| (n + 1, l + f.text.lines().count()));
        println!("{folder} {lines} lines in {count} files");
    }
    assert_none("a file has at most 400 lines", &faults);
}

#[test]
fn functions_are_short() {
    let mut faults = Vec::new();
    let mut longest = (0, String::new());
    for file in &files() {
        let code = code(&file.text);
        for (at, _) in words(&code).filter(|&(_, word)| word == "fn") {
            let name = code[at + 2..].trim_start().split(['(', '<']).next().unwrap_or_default();
            // A type of functions has no name.
            if name.is_empty() {
                continue;
            }
            let lines = code[at..end_of_item(&code, at)].lines().count();
            let place = format!("{}:{}: {name} has {lines} lines", file.path, line(&code, at));
            if lines > longest.0 {
                longest = (lines, place.clone());
            }
            if lines > MOST_LINES_OF_A_FUNCTION {
                faults.push(place);
            }
        }
    }
    println!("the longest function: {}", longest.1);
    assert_none("a function has at most 70 lines", &faults);
}

#[test]
fn every_file_says_what_it_is() {
    let mut faults = Vec::new();
    for File { path, text } in &files() {
        let mark = if path.ends_with(".rs") { "//! " } else { "// " };
        let paragraph: Vec<_> = text.lines().map_while(|line| line.strip_prefix(mark)).collect();
        let paragraph = paragraph.join(" ");
        if !paragraph.contains(['.', ';']) {
            let first = text.lines().next().unwrap_or_default();
            faults.push(format!("{path}: `{first}`"));
        }
    }
    assert_none("a file begins with a sentence that says what it is", &faults);
}

#[test]
fn text_is_clean() {
    let mut faults = Vec::new();
    for File { path, text } in &files() {
        for (i, line) in text.lines().enumerate() {
            let mut fault = |what: &str| faults.push(format!("{path}:{}: {what}", i + 1));
            if line.contains('\t') {
                fault("a tab");
            }
            if line.ends_with([' ', '\r']) {
                fault("white space at the end");
            }
            if line.to_lowercase().contains(SYNC) {
                fault("what must be kept in sync is held by a test");
            }
            for (at, word) in words(line) {
                let number = line[at + word.len()..].trim_start_matches(['(', ' ']);
                let has_number = number
                    .strip_prefix('#')
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                if LEFT.contains(&word) && !has_number {
                    fault("work that is left has an issue's number");
                }
            }
        }
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            faults.push(format!("{path}: it ends with one line feed"));
        }
    }
    assert_none("text is clean", &faults);
}

#[test]
fn shaders_and_kernels_are_paired() {
    let files = files();
    let shaders = || files.iter().filter(|file| file.path.starts_with("shaders/"));
    let stems: BTreeSet<_> = shaders().map(File::stem).collect();
    let kernels: BTreeSet<_> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("src/kernels/"))
        .filter_map(|path| path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")))
        .filter(|stem| !stem.contains('/') && !WITHOUT_SHADER.contains(stem))
        .collect();
    assert_eq!(stems, kernels, "the shaders, and the files of kernels");
    let names: BTreeSet<_> = elbo::kernels::ALL.iter().map(|kernel| kernel.name()).collect();
    let mut faults = Vec::new();
    for file in shaders() {
        let code = code(&file.text);
        let entry_of = |part: &str| {
            let entry = part.split_once("fn ").map_or("", |(_, rest)| rest);
            entry.split('(').next().unwrap_or_default().to_owned()
        };
        let entries: Vec<_> = match file.path.strip_prefix("shaders/matmul/") {
            // What binds operands is an entry; its function is the tile's.
            Some(name) if code.contains("@binding(1)") => vec![name.replace(".wgsl", "")],
            Some(_) => Vec::new(),
            None => code.split("@compute").skip(1).map(entry_of).collect(),
        };
        for entry in entries {
            let name = format!("{}.{entry}", file.stem());
            if !names.contains(name.as_str()) {
                faults.push(format!("{}: {name} is not in the table", file.path));
            }
        }
    }
    assert_none("every entry point is a kernel", &faults);
}

#[test]
fn modules_use_only_those_before_them() {
    let (mut faults, mut count) = (Vec::new(), 0);
    let place = |module: &str| ORDER.iter().position(|&name| name == module);
    for file in files().iter().filter(|file| file.path.starts_with("src/")) {
        let Some(module) = file.module() else { continue };
        let Some(own) = place(module) else {
            faults.push(format!("{}: `{module}` has no place in the order", file.path));
            continue;
        };
        for (line, name) in used(&shipped(&file.text)) {
            count += 1;
            let before = place(name).is_some_and(|other| other <= own);
            let runs = RECORDERS.contains(&module) && SESSIONS.contains(&name);
            if !before || runs {
                faults.push(format!("{}:{line}: {module} uses {name}", file.path));
            }
        }
    }
    println!("{count} uses of modules");
    assert!(count > 50, "only {count} uses of modules were found");
    assert_none("a module uses only those before it", &faults);
}

#[test]
fn what_belongs_in_one_place_is_there() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.path.starts_with("src/")) {
        let (path, code) = (&file.path, shipped(&file.text));
        // The root re-exports it, so that a host application has the same version.
        let gpu = path.starts_with("src/gpu/") || path == "src/lib.rs";
        let prints = path == "src/main.rs" || path.starts_with("src/cli");
        for (at, word) in words(&code) {
            let mut fault = |what| faults.push(format!("{path}:{}: {what}", line(&code, at)));
            let is_macro = code[at + word.len()..].starts_with('!');
            match word {
                "wgpu" if !gpu => fault("only `gpu` names wgpu"),
                "println" | "eprintln" | "print" | "eprint" | "stdout" | "stderr"
                    if !prints && (is_macro || word.starts_with("std")) =>
                {
                    fault("only the program prints");
                }
                "unsafe" if !UNSAFE.contains(&path.as_str()) => fault("unsafe"),
                "unsafe_code" if !UNSAFE.contains(&path.as_str()) => fault("unsafe code is let in"),
                _ => {}
            }
        }
        let let_in = code.matches("#[expect(unsafe_code").count();
        let blocks = words(&code).filter(|&(_, word)| word == "unsafe").count();
        let safety = file.text.matches("// SAFETY: ").count();
        if let_in != blocks || safety != blocks {
            let what = format!("{blocks} unsafe, {let_in} let in, {safety} explained");
            faults.push(format!("{path}: {what}"));
        }
    }
    assert_none("what belongs in one place is nowhere else", &faults);
}
