//! `elbo fetch` against servers of its own: what comes whole, goes on, is refused, and is said.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{elbo, events, output, place, text};

const TRAIN: &str = "train-images-idx3-ubyte";
const TEST: &str = "t10k-images-idx3-ubyte";

/// The files of the set `tiny`, whose hashes the program has.
fn content(name: &str) -> Vec<u8> {
    let count: u32 = if name == TRAIN { 64 } else { 16 };
    let pixels = (0..count * 784).map(|i| (i * 7 + i / 784 * 13) as u8);
    [0x0803, count, 28, 28].into_iter().flat_map(u32::to_be_bytes).chain(pixels).collect()
}

/// What a server was asked for: a path, and from which byte on.
type Asked = (String, Option<usize>);

struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Serves what a function makes of each request, as raw bytes behind which the connection is closed.
    fn new(answer: impl Fn(&str, Option<usize>) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let lines = BufReader::new(&stream).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let path = head[0].split(' ').nth(1).expect("a path").to_owned();
                let range = |line: &String| {
                    let line = line.to_ascii_lowercase();
                    line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok()
                };
                let from = head.iter().find_map(range);
                seen.lock().expect("no panic").push((path.clone(), from));
                let _ = stream.write_all(&answer(&path, from));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().expect("a name")
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn missing() -> Vec<u8> {
    http("404 Not Found", "Content-Length: 0\r\n", b"")
}

/// All of a body, or what is asked for of it.
fn sent(body: &[u8], from: Option<usize>) -> Vec<u8> {
    let (rest, len) = (&body[from.unwrap_or_default()..], body.len());
    let length = format!("Content-Length: {}\r\n", rest.len());
    match from {
        None => http("200 OK", &length, rest),
        Some(from) => {
            let range = format!("{length}Content-Range: bytes {from}-{}/{len}\r\n", len - 1);
            http("206 Partial Content", &range, rest)
        }
    }
}

fn good(path: &str, from: Option<usize>) -> Vec<u8> {
    sent(&content(name_of(path)), from)
}

/// The program in a folder, whose user keeps data in `share`, with a server in place of the web.
fn at(dir: &TempDir, server: &str, flags: &str) -> Command {
    let mut command = elbo(dir, flags);
    command.env("ELBO_FETCH_FROM", server).env("XDG_DATA_HOME", dir.path().join("share"));
    for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command
}

fn fetch(dir: &TempDir, server: &Server) -> Output {
    output(at(dir, &server.address, "fetch tiny"))
}

fn folder(dir: &TempDir) -> PathBuf {
    dir.path().join("share/elbo/tiny")
}

/// The names in the folder of the set.
fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder(dir)).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_whole(dir: &TempDir, output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(names(dir), [TEST, TRAIN], "nothing else is left");
    for name in [TRAIN, TEST] {
        let found = fs::read(folder(dir).join(name)).expect("a file");
        assert!(found == content(name), "{name} has other bytes");
    }
}

/// The stderr of a call that failed with this code.
#[track_caller]
fn refused(output: &Output, code: i32) -> &str {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(text(&output.stdout), "", "nothing came");
    let said = text(&output.stderr);
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    said
}

/// Puts something where an earlier call left off.
fn leave(dir: &TempDir, bytes: &[u8]) {
    fs::create_dir_all(folder(dir)).expect("a folder");
    fs::write(folder(dir).join(format!("{TRAIN}.part")), bytes).expect("a file");
}

#[test]
fn a_set_is_downloaded_once_and_has_a_name() {
    let (dir, server) = (place(), Server::new(good));
    let listed = |flags: &str| text(&output(at(&dir, &server.address, flags)).stdout).to_owned();
    assert!(listed("fetch").contains("62.8 kB to download"), "{}", listed("fetch"));
    let first = output(at(&dir, &server.address, "data tiny"));
    let said = refused(&first, 74);
    assert!(said.contains("hint: `elbo fetch tiny` downloads it (62.8 kB)"), "{said}");

    let first = fetch(&dir, &server);
    assert_whole(&dir, &first);
    let said = text(&first.stderr);
    assert!(said.contains("train on it: elbo train --data tiny"), "{said}");
    assert!(listed("fetch").contains(&format!("here: {}", folder(&dir).display())), "it is here");
    let asked = server.asked();
    let path = |name: &str| (format!("/{name}"), None);
    assert_eq!(asked, [path(TRAIN), path(TEST)], "the first address has all");

    let again = fetch(&dir, &server);
    assert_whole(&dir, &again);
    assert_eq!(server.asked().len(), 2, "nothing is downloaded twice");

    let shown = listed("data tiny");
    assert!(shown.contains("64 images of 28"), "{shown}");
    assert!(shown.contains("16 to test on"), "{shown}");
    // A path goes before a name.
    fs::rename(dir.path().join("data"), dir.path().join("tiny")).expect("a folder");
    assert!(listed("data tiny").contains("64 images of 8"), "a folder of that name");
}

#[test]
fn json_and_other_folders() {
    let (dir, server) = (place(), Server::new(good));
    let sets = output(at(&dir, &server.address, "fetch --json"));
    let sets = events(text(&sets.stdout));
    let names: Vec<_> = sets.iter().map(|(_, set)| set["name"].as_str().expect("a name")).collect();
    let known = ["mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "tiny"];
    assert_eq!(names, known, "the sets");
    assert!(sets.iter().all(|(event, set)| event == "set" && set["here"] == false), "{sets:?}");

    let flags = "fetch tiny --out images/of-mine --json";
    let fetched = output(at(&dir, &server.address, flags));
    assert_eq!(text(&fetched.stderr), "", "{fetched:?}");
    let fetched: Value = serde_json::from_slice(&fetched.stdout).expect("one object");
    assert_eq!((&fetched["event"], &fetched["here"]), (&"fetched".into(), &true.into()));
    assert_eq!(fetched["data"], "images/of-mine", "{fetched}");
    let there = fs::read(dir.path().join("images/of-mine").join(TRAIN)).expect("a file");
    assert!(there == content(TRAIN), "it is in the folder that was named");

    let said = output(at(&dir, &server.address, "fetch tiny --out images/of-mine"));
    let said = text(&said.stderr);
    assert!(said.contains("elbo train --data images/of-mine"), "{said}");
    let two = output(at(&dir, &server.address, "fetch tiny mnist --out images"));
    assert!(refused(&two, 2).contains("several are named"), "{two:?}");
    let no_name = output(at(&dir, &server.address, "fetch fashon-mnist"));
    let said = text(&no_name.stderr);
    assert!(said.contains("'fashion-mnist'") && no_name.status.code() == Some(2), "{said}");
}

#[test]
fn a_download_goes_on() {
    let (whole, half) = (content(TRAIN), 30_000);
    // It goes on from what is there.
    let (dir, server) = (place(), Server::new(good));
    leave(&dir, &whole[..half]);
    assert_whole(&dir, &fetch(&dir, &server));
    assert_eq!(server.asked()[0], (format!("/{TRAIN}"), Some(half)), "only the rest is asked for");
    // A server that knows no ranges begins anew.
    let (dir, server) = (place(), Server::new(|path, _| good(path, None)));
    leave(&dir, &whole[..half]);
    assert_whole(&dir, &fetch(&dir, &server));
    assert_eq!(server.asked().len(), 2, "it is asked once for each file");
    // What is there is wrong, too long, or the whole.
    let (dir, server) = (place(), Server::new(good));
    for (left, asked) in [(vec![1; half], 2), (vec![1; 60_000], 1), (whole, 0)] {
        leave(&dir, &left);
        let before = server.asked().len();
        assert_whole(&dir, &fetch(&dir, &server));
        let count =
            server.asked()[before..].iter().filter(|(path, _)| path.contains(TRAIN)).count();
        assert_eq!(count, asked, "{} bytes were left", left.len());
        fs::remove_dir_all(folder(&dir)).expect("a folder");
    }
}

#[test]
fn a_connection_that_is_cut_goes_on_at_once_or_later() {
    let cut = |path: &str, from: Option<usize>| {
        let mut answer = good(path, from);
        answer.truncate(answer.len().min(20_000));
        answer
    };
    // Each time some bytes come, all addresses are tried again.
    let (dir, server) = (place(), Server::new(cut));
    assert_whole(&dir, &fetch(&dir, &server));
    let second = server.asked()[1].clone();
    assert!(second.0.starts_with("/mirror/") && second.1.is_some(), "the next goes on: {second:?}");

    let (dir, server) = (
        place(),
        Server::new(move |path, from| match from {
            None => cut(path, from),
            Some(_) => http("503 Service Unavailable", "Content-Length: 0\r\n", b""),
        }),
    );
    let failed = fetch(&dir, &server);
    let said = refused(&failed, 74);
    assert!(said.contains("503 Service Unavailable"), "{said}");
    assert!(said.contains("kept: the same command goes on from there"), "{said}");
    assert_eq!(names(&dir), [format!("{TRAIN}.part")], "what came is kept");
    let left = fs::read(folder(&dir).join(format!("{TRAIN}.part"))).expect("a part");
    assert!(left.len() > 10_000 && content(TRAIN).starts_with(&left), "{} bytes", left.len());
    let server = Server::new(good);
    assert_whole(&dir, &fetch(&dir, &server));
    assert_eq!(server.asked()[0].1, Some(left.len()), "the next call goes on from there");
}

#[test]
fn the_next_address_is_tried() {
    let first =
        |path: &str, from| if path.starts_with("/mirror/") { good(path, from) } else { missing() };
    let (dir, server) = (place(), Server::new(first));
    assert_whole(&dir, &fetch(&dir, &server));
    assert_eq!(server.asked().len(), 4, "each file is asked for twice");
    // A page in place of the file, of the right status.
    let page = |path: &str, from| match path.starts_with("/mirror/") {
        true => good(path, from),
        false => sent(b"<html>log on</html>", None),
    };
    let (dir, server) = (place(), Server::new(page));
    leave(&dir, &content(TRAIN)[..100]);
    assert_whole(&dir, &fetch(&dir, &server));
    assert_eq!(server.asked()[1].1, Some(100), "a page does not cost what is there");
}

#[test]
fn what_was_not_published_is_refused() {
    let other = |path: &str| {
        let mut other = content(name_of(path));
        *other.last_mut().expect("some bytes") ^= 1;
        other
    };
    let short = |path: &str| content(name_of(path))[..1000].to_vec();
    type Answer = Box<dyn Fn(&str, Option<usize>) -> Vec<u8> + Send>;
    let cases: [(&str, Answer); 6] = [
        ("its SHA-256 is", Box::new(move |path, from| sent(&other(path), from))),
        ("it offers 1000 bytes, expected 50192", Box::new(move |path, _| sent(&short(path), None))),
        ("it answers 404 Not Found", Box::new(|_, _| missing())),
        ("it sends more than 50192 bytes", Box::new(|_, _| http("200 OK", "", &vec![7; 90_000]))),
        (
            "other bytes than it was asked",
            Box::new(|path, _| sent(&content(name_of(path)), Some(5))),
        ),
        ("cannot download", Box::new(|_, _| b"no HTTP at all\r\n\r\n".to_vec())),
    ];
    for (says, answer) in cases {
        let (dir, server) = (place(), Server::new(answer));
        let failed = fetch(&dir, &server);
        let said = refused(&failed, 74);
        assert!(said.contains(says), "{says}: {said}");
        assert!(said.contains("/mirror/"), "both addresses are named: {said}");
        assert_eq!(names(&dir), [""; 0], "{says}: nothing is left");
    }
}

#[test]
fn what_is_there_is_not_replaced() {
    let (dir, server) = (place(), Server::new(good));
    fs::create_dir_all(folder(&dir)).expect("a folder");
    fs::write(folder(&dir).join(TEST), "mine").expect("a file");
    let failed = fetch(&dir, &server);
    assert!(refused(&failed, 1).contains("is another file than the published one"), "{failed:?}");
    assert_eq!(fs::read(folder(&dir).join(TEST)).expect("a file"), b"mine", "it is untouched");

    leave(&dir, b"");
    fs::remove_file(folder(&dir).join(TRAIN)).expect("what came before");
    let path = folder(&dir).join(format!("{TRAIN}.part"));
    let held = fs::File::open(path).expect("a file");
    held.lock().expect("a lock");
    let failed = fetch(&dir, &server);
    assert!(refused(&failed, 75).contains("by another process"), "{failed:?}");
}

#[test]
fn a_place_that_takes_nothing_is_named() {
    let (dir, server) = (place(), Server::new(good));
    fs::write(dir.path().join("file"), "").expect("a file");
    let failed = output(at(&dir, &server.address, "fetch tiny --out file/below"));
    assert!(refused(&failed, 74).contains("`file/below`"), "{failed:?}");
    // Nobody listens at the port of a server that is gone.
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", port.local_addr().expect("an address"));
    drop(port);
    let failed = output(at(&dir, &address, "fetch tiny"));
    assert!(refused(&failed, 74).contains("cannot download"), "{failed:?}");
    #[cfg(target_os = "linux")]
    full(&dir, &server);
}

/// A disk that is full, where one may be mounted.
#[cfg(target_os = "linux")]
fn full(dir: &TempDir, server: &Server) {
    let Some(disk) = crate::program::Small::mount(dir.path().join("disk"), "32k") else { return };
    let failed = output(at(dir, &server.address, "fetch tiny --out disk/tiny"));
    let said = refused(&failed, 74);
    assert!(said.contains("No space left") && said.contains("goes on from there"), "{said}");
    let left = fs::metadata(dir.path().join(format!("disk/tiny/{TRAIN}.part"))).expect("a part");
    assert!(left.len() > 0 && left.len() <= 32_768, "{} bytes are kept", left.len());
    drop(disk);
}
