//! One file from the web: resumed where it stopped, and not there before it is what was published.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use elbo::checkpoint::sync_folder;
use elbo::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{Response, header};

use crate::cli::fetch::sets;
use crate::cli::fetch::size;

/// How often all addresses are tried again while each time some bytes came.
const ROUNDS: usize = 5;

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

const NO_WRITE: &str = "free some space, or choose a folder that can be written with `--out`; what came is kept, and \
     the same command goes on from there";

/// Is told how many bytes of a file are there.
pub(super) type Progress<'a> = &'a dyn Fn(u64);

/// A client with limits of time. It takes a proxy from the usual variables of the environment.
pub(super) fn agent(https_only: bool) -> Agent {
    let config = Agent::config_builder()
        .https_only(https_only)
        // A status is an answer, which the file's other addresses may better.
        .http_status_as_error(false)
        .timeout_resolve(Some(SILENCE))
        .timeout_connect(Some(SILENCE))
        // Of each read, so that a slow connection may take as long as it needs.
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("elbo/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::new_with_config(config)
}

/// Why a file did not come.
enum Fault {
    /// What an address did, where another may do better.
    Remote(String),
    /// What this machine refused.
    Here(Error),
}

/// Whether a file is there. One that is there and has other bytes is refused: it may be the user's own.
pub(super) fn is_there(path: &Path, file: &sets::File) -> Result<bool> {
    let refuse = |e| Error::io("read", path, e).hint("see that it can be read, or remove it");
    let mut found = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(refuse)?,
    };
    let mut hash = Sha256::new();
    let bytes = hashed(&mut found, &mut hash).map_err(refuse)?;
    let found = digits(&hash);
    if found == file.sha256 {
        return Ok(true);
    }
    let what = format!(
        "is another file than the published one: {bytes} bytes with SHA-256 {found}, expected {} bytes \
         with {}",
        file.bytes, file.sha256
    );
    Err(Error::data(path, what).hint("move it elsewhere, or choose another folder with `--out`"))
}

/// Downloads a file into a folder that is there, from the first address that has it. What comes is kept beside
/// its place, as `NAME.part`, until it is the whole; then it takes its place at once.
pub(super) fn download(
    agent: &Agent,
    (file, addresses): (&sets::File, &[String]),
    folder: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    let mut part = Part::open(folder, file)?;
    let mut faults = Vec::new();
    for _ in 0..ROUNDS {
        let before = part.len;
        faults.clear();
        for address in addresses {
            match attempt(agent, file, address, &mut part, progress) {
                Ok(()) => return part.keep(&folder.join(file.name)),
                Err(Fault::Here(error)) => return Err(error),
                Err(Fault::Remote(what)) => faults.push(format!("\n  {address}\n    {what}")),
            }
        }
        if part.len <= before {
            break;
        }
    }
    let hint = match part.len {
        0 => String::new(),
        len => format!("{} are kept: the same command goes on from there; ", size(len)),
    };
    part.remove_empty();
    let what = format!("cannot download `{}`:{}", file.name, faults.concat());
    Err(Error::new(ErrorKind::Io, what).hint(format!(
        "{hint}try again later, or put the file into `{}` by other means",
        folder.display()
    )))
}

/// Has one address send what is not there yet, and sees that the whole is what was published.
fn attempt(
    agent: &Agent,
    file: &sets::File,
    address: &str,
    part: &mut Part,
    progress: Progress<'_>,
) -> std::result::Result<(), Fault> {
    let from = match part.len == file.bytes {
        true => part.len,
        false => receive(agent, file, address, part, progress)?,
    };
    let found = digits(&part.hash);
    if found == file.sha256 {
        return Ok(());
    }
    part.restart()?;
    if from > 0 {
        // Perhaps only what lay here was wrong.
        return attempt(agent, file, address, part, progress);
    }
    let what = format!("its SHA-256 is {found}, expected {}; it was removed", file.sha256);
    Err(Fault::Remote(what))
}

/// Receives the rest of a file, and says from which byte on that was.
fn receive(
    agent: &Agent,
    file: &sets::File,
    address: &str,
    part: &mut Part,
    progress: Progress<'_>,
) -> std::result::Result<u64, Fault> {
    let remote = |what: String| Err(Fault::Remote(what));
    let mut request = agent.get(address);
    if part.len > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", part.len));
    }
    let mut response = request.call().map_err(|e| Fault::Remote(e.to_string()))?;
    let status = response.status();
    let from = match status.as_u16() {
        200 => 0,
        206 if part.len > 0 && begins_at(&response) == Some(part.len) => part.len,
        206 => return remote("it answers with other bytes than it was asked for".to_owned()),
        416 => return remote(format!("it has fewer than {} bytes", file.bytes)),
        _ => return remote(format!("it answers {status}")),
    };
    // Before anything is given up: who has to log on to a network gets a page in place of the file.
    let expected = file.bytes - from;
    if let Some(offered) = response.body().content_length().filter(|&n| n != expected) {
        return remote(format!("it offers {offered} bytes, expected {expected}"));
    }
    if from < part.len {
        part.restart()?;
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    while part.len <= file.bytes {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) if part.len + n as u64 > file.bytes => {
                part.restart()?;
                return remote(format!(
                    "it sends more than {} bytes; they were removed",
                    file.bytes
                ));
            }
            Ok(n) => part.append(buffer.get(..n).unwrap_or_default())?,
            Err(e) => return remote(format!("it stopped after {} bytes: {e}", part.len)),
        }
        progress(part.len);
    }
    match part.len == file.bytes {
        true => Ok(from),
        false => remote(format!("it ended after {} of {} bytes", part.len, file.bytes)),
    }
}

/// The first byte of a part, as its answer says.
fn begins_at<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// What came of a file so far. The process that has it open has it alone.
struct Part {
    path: PathBuf,
    file: fs::File,
    len: u64,
    hash: Sha256,
}

impl Part {
    /// Opens what an earlier call left, or nothing.
    fn open(folder: &Path, of: &sets::File) -> Result<Self> {
        let path = folder.join(format!("{}.part", of.name));
        let refuse = |e| Error::io("write", &path, e).hint(NO_WRITE);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(refuse)?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                let what = format!("`{}` is being downloaded by another process", path.display());
                return Err(Error::new(ErrorKind::InUse, what).hint("wait for it, or end it"));
            }
            // Where a filesystem knows no locks, the hash still tells what two have mixed.
            Err(fs::TryLockError::Error(_)) | Ok(()) => {}
        }
        let mut hash = Sha256::new();
        // No more than tells that it is too long, whatever it is.
        let len = hashed(&mut (&mut file).take(of.bytes + 1), &mut hash).map_err(refuse)?;
        let mut part = Self { path, file, len, hash };
        if part.len > of.bytes {
            part.truncate()?;
        }
        Ok(part)
    }

    fn truncate(&mut self) -> Result<()> {
        let cut = self.file.set_len(0).and_then(|()| self.file.rewind());
        cut.map_err(|e| Error::io("write", &self.path, e).hint(NO_WRITE))?;
        (self.len, self.hash) = (0, Sha256::new());
        Ok(())
    }

    fn restart(&mut self) -> std::result::Result<(), Fault> {
        self.truncate().map_err(Fault::Here)
    }

    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), Fault> {
        let fail = |e| Fault::Here(Error::io("write to", &self.path, e).hint(NO_WRITE));
        self.file.write_all(bytes).map_err(fail)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives the whole its name, when it is on the disk.
    fn keep(self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let kept = self.file.sync_all().and_then(|()| fs::rename(&self.path, path));
        kept.and_then(|()| sync_folder(folder))
            .map_err(|e| Error::io("write", path, e).hint(NO_WRITE))
    }

    /// Leaves nothing where nothing came.
    fn remove_empty(&self) {
        if self.len == 0 {
            // An empty file would do no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes a file into a hash, and says how many bytes it has.
fn hashed(file: &mut dyn Read, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut len = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(len);
        }
        hash.update(buffer.get(..n).unwrap_or_default());
        len += n as u64;
    }
}

fn digits(hash: &Sha256) -> String {
    hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
