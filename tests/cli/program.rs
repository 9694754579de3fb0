//! What the tests of the program share: small data, runs of the program, and how a refusal looks.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long the program may take for anything here; beside other tests its self-test takes a minute, the rest a few seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a small training is given where a test does not say otherwise.
const USUAL: [(&str, &str); 7] = [
    ("--data", "data"),
    ("--out", "out"),
    ("--device", "cpu"),
    ("--hidden", "8"),
    ("--latent", "2"),
    ("--batch-size", "16"),
    ("--epochs", "1"),
];

/// An IDX file of `count` images of 8 x 8.
pub(crate) fn images(count: u32) -> Vec<u8> {
    let pixels = (0..count * 64).map(|i| (i * 7 + i / 64 * 13) as u8);
    [0x0803, count, 8, 8].into_iter().flat_map(u32::to_be_bytes).chain(pixels).collect()
}

/// A folder to work in, with 64 training and 16 test images in `data`.
pub(crate) fn place() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("data")).expect("a folder for the data");
    for (set, count) in [("train", 64), ("t10k", 16)] {
        let path = dir.path().join(format!("data/{set}-images-idx3-ubyte"));
        fs::write(path, images(count)).expect("the temporary folder takes a file");
    }
    dir
}

/// The program with space-separated flags, in a folder.
pub(crate) fn elbo(dir: &TempDir, flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elbo"));
    command.args(flags.split_whitespace()).current_dir(dir);
    // A user's own, which would be used, and the width of a terminal that is not there.
    command.env_remove("ELBO_DATA").env_remove("COLUMNS");
    // Without it the Vulkan loader complains on stderr, which is ours alone here.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    // Not the user's, and kept, since Mesa has its own there.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// `elbo train` with these flags, and the usual ones that are not among them.
pub(crate) fn train(dir: &TempDir, flags: &str) -> Command {
    let mut command = elbo(dir, "train");
    let flags: Vec<_> = flags.split_whitespace().collect();
    let config = flags.contains(&"--config");
    for (flag, value) in USUAL.into_iter().take(if config { 3 } else { USUAL.len() }) {
        if !flags.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(flags);
    command
}

/// What a command prints and ends with.
pub(crate) fn output(command: Command) -> Output {
    let mut command = assert_cmd::Command::from_std(command);
    command.timeout(PATIENCE).output().expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program speaks UTF-8")
}

/// The stdout of a command that must succeed.
pub(crate) fn succeed(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = output(command);
    assert_eq!(output.status.code(), Some(0), "{shown}: {output:?}");
    text(&output.stdout).to_owned()
}

/// The objects of JSON lines, each with its event.
pub(crate) fn events(lines: &str) -> Vec<(String, Value)> {
    let event = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("`{line}`: {e}"));
        let name = value["event"].as_str().unwrap_or_else(|| panic!("no event in `{line}`"));
        (name.to_owned(), value)
    };
    lines.lines().map(event).collect()
}

/// Every file below a folder with its content, and every folder with nothing.
pub(crate) fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder that can be read") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, Vec::new());
        } else {
            let content = fs::read(&path).expect("a file that can be read");
            found.insert(path, content);
        }
    }
    found
}

/// What is wrong with a refusal; it should have this exit code and say this in its first line.
pub(crate) fn refusal_fault(case: &str, output: &Output, code: i32, says: &str) -> Option<String> {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    // The parser of the command line has words of its own.
    let hint = |line: &str| line.starts_with("hint: ") || line.contains("try '--help'");
    let rules = [
        (output.status.code() == Some(code), format!("the exit code is {code}")),
        (error.contains(says), format!("an error line names `{says}`")),
        (stderr.lines().any(hint), "a hint line follows".to_owned()),
        (!stderr.contains("panicked"), "nothing panics".to_owned()),
        (stdout.is_empty(), "stdout is empty".to_owned()),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    let broken: Vec<_> = broken.map(|(_, rule)| rule).collect();
    let seen = format!("{}; stdout `{stdout}`; stderr `{stderr}`", output.status);
    (!broken.is_empty()).then(|| format!("{case}: not so: {}; {seen}", broken.join(", ")))
}

/// Runs cases that must be refused and leave everything as it was.
pub(crate) fn assert_refused(dir: &TempDir, cases: &[(&str, i32, &str)]) {
    let before = tree(dir.path());
    let mut faults = Vec::new();
    for &(flags, code, says) in cases {
        let output = output(train(dir, &format!("{flags} --quiet")));
        faults.extend(refusal_fault(flags, &output, code, says));
        let after = tree(dir.path());
        if after != before {
            let names: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
            faults.push(format!("{flags}: it left {names:?}, or changed what was there"));
            // The next case must not stumble over it.
            let _ = fs::remove_dir_all(dir.path().join("out"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Runs the program in a shell after some words, for limits that a process gives its children.
#[cfg(unix)]
pub(crate) fn below(words: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{words}; exec \"$@\""), "sh"]).arg(command.get_program());
    shell.args(command.get_args()).env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    shell.current_dir(command.get_current_dir().expect("commands here have a folder"));
    shell
}

/// A filesystem of a given size.
#[cfg(target_os = "linux")]
pub(crate) struct Small(pub(crate) PathBuf);

#[cfg(target_os = "linux")]
impl Small {
    /// Where mounting is not allowed (to who is not root, and to root in most containers) there is
    /// none; a full disk is then tested by `/dev/full` and by a limit on files alone.
    pub(crate) fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&path).expect("a folder to mount on");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("no small filesystem can be mounted here: this part proves nothing");
        }
        mounted.then_some(Self(path))
    }

    pub(crate) fn call(&self, program: &str, args: &[&str]) {
        let status = Command::new(program).args(args).arg(&self.0).status();
        assert!(status.as_ref().is_ok_and(|s| s.success()), "{program} {args:?}: {status:?}");
    }
}

#[cfg(target_os = "linux")]
impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A terminal in which a line is run, by `script` of util-linux; what it shows goes to the file `typed`.
/// `None`, where there is no such program.
#[cfg(unix)]
pub(crate) fn terminal(dir: &TempDir, line: &str) -> Option<Child> {
    let version = Command::new("script").arg("--version").output();
    if !version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("util-linux")) {
        println!("there is no `script` of util-linux, which makes terminals: this proves nothing");
        return None;
    }
    let mut script = Command::new("script");
    script.args(["-q", "-f", "-c", line, "typed"]).current_dir(dir);
    script.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR")).env("TERM", "xterm-256color");
    script.stdin(Stdio::piped()).stdout(Stdio::null());
    Some(script.spawn().expect("`script` starts"))
}

/// A command as it is typed in a shell.
#[cfg(unix)]
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The program while it runs; it is killed if a test gives up on it.
#[cfg(unix)]
pub(crate) struct Running(Child);

#[cfg(unix)]
impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let (signal, process) = (format!("-{name}"), self.0.id().to_string());
        let status = Command::new("kill").args([signal, process]).status();
        assert!(status.as_ref().is_ok_and(|s| s.success()), "kill -{name}: {status:?}");
    }

    /// How it ended, if it did.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }

    /// Waits until something is so, while the program runs.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn() -> bool) {
        let start = Instant::now();
        while !so() {
            let status = self.status();
            assert!(status.is_none(), "it ended before {what}: {status:?}");
            assert!(start.elapsed() < PATIENCE, "no {what} in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.status() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it still runs after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The keys and shapes of a file of weights, all of which are finite.
pub(crate) fn weights(path: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = fs::read(path).expect("weights that can be read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    for (name, tensor) in file.iter() {
        let mut values = tensor.data().chunks(4).map(|v| v.try_into().map(f32::from_le_bytes));
        assert!(values.all(|v| v.is_ok_and(f32::is_finite)), "{name} has finite values");
    }
    file.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect()
}
