//! Fetching a data set's file: what an interrupted transfer left is gone on with, and nothing is called by its
//! name before its checksum is the published one.

use super::md5sum;
use crate::files::{self, shown};
use std::env;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

/// How long a server may take by default: see [`Download::fetch`].
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes per second that have to come, on average over each timeout. A slower transfer would take days.
const LEAST_RATE: u64 = 1024;

/// A file that is published.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    /// Where.
    pub url: &'static str,
    /// The variable that names a mirror of it.
    pub mirror_variable: &'static str,
    /// Its name.
    pub file: &'static str,
    /// Its published size, in bytes.
    pub size: u64,
    /// Its published MD5 sum.
    pub md5: &'static str,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file of that name which is another.
    #[error(
        "{}: there already, with MD5 sum {found} instead of the published {}; move it away or delete it, then fetch again",
        shown(path), wanted.md5
    )]
    Occupied {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What was wanted.
        wanted: Box<Download>,
    },
    /// No connection, or one that made no sense.
    #[error(
        "{url}: {source}; check the connection, and HTTPS_PROXY if there is a proxy, name a mirror in {}, or give the \
         server longer with --timeout",
        wanted.mirror_variable
    )]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What went wrong.
        source: Box<ureq::Error>,
        /// What was wanted.
        wanted: Box<Download>,
    },
    /// The server has no such file, or does not give it.
    #[error(
        "{url}: expected the file, found status {status}; try again later, or name a mirror in {}",
        wanted.mirror_variable
    )]
    Refused {
        /// What was asked for.
        url: String,
        /// What the server said.
        status: u16,
        /// What was wanted.
        wanted: Box<Download>,
    },
    /// The transfer broke off.
    #[error(
        "{url}: expected {of} bytes, found {have} when the transfer broke off{}; fetch again to go on from there{}",
        because(source.as_ref()), if slow(source.as_ref()) { ", with a longer --timeout if the server is slow" } else { "" }
    )]
    BrokenOff {
        /// What was asked for.
        url: String,
        /// What has come, all in all.
        have: u64,
        /// The whole, if the server said so.
        of: Length,
        /// What the system said, if it said something.
        source: Option<io::Error>,
    },
    /// The transfer is whole, but it is of another file.
    #[error(
        "{url}: expected a file with MD5 sum {}, found one with {found}, and deleted it; fetch again, and if it comes out \
         the same, name a mirror in {}", wanted.md5, wanted.mirror_variable
    )]
    WrongFile {
        /// What was asked for.
        url: String,
        /// What came.
        found: String,
        /// What was wanted.
        wanted: Box<Download>,
    },
    /// The transfer is of a longer file.
    #[error(
        "{url}: expected a file of {} bytes, found a longer one, and deleted what had come; fetch again, and if it comes \
         out the same, name a mirror in {}", wanted.size, wanted.mirror_variable
    )]
    TooLong {
        /// What was asked for.
        url: String,
        /// What was wanted.
        wanted: Box<Download>,
    },
    /// The file cannot be written.
    #[error("{}: cannot be written ({source}); check the folder's permissions and its free space", shown(path))]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How long a file is, as far as the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub Option<u64>);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => bytes.fmt(f),
            None => f.write_str("more"),
        }
    }
}

fn because(source: Option<&io::Error>) -> String {
    source.map(|source| format!(" ({source})")).unwrap_or_default()
}

/// Whether it was a timeout.
fn slow(source: Option<&io::Error>) -> bool {
    let of_ureq = |source: &io::Error| {
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        matches!(inner, Some(ureq::Error::Timeout(_)))
    };
    source.is_some_and(|source| source.kind() == io::ErrorKind::TimedOut || of_ureq(source))
}

/// What fetching came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It was there already.
    Present(PathBuf),
    /// It is there now.
    New(PathBuf),
}

/// Is told how many bytes have come, and of how many.
pub type Progress<'a> = &'a dyn Fn(u64, Length);

impl Download {
    /// Where it is taken from: the mirror that is named, else its own place.
    pub fn source(&self) -> String {
        env::var(self.mirror_variable).ok().filter(|url| !url.is_empty()).unwrap_or_else(|| self.url.into())
    }

    /// Fetches it from `url` into `folder`.
    ///
    /// A server that takes longer than `timeout` for a connection, for the head of its answer or between two pieces of
    /// the file is given up, and so is one that sends less than 1 KiB per second for that long.
    ///
    /// # Errors
    /// Says what happened and what to do next. What has come by then stays in a file with `.part` at the end of its
    /// name, unless it is of another file.
    pub fn fetch(
        &self,
        url: &str,
        folder: &Path,
        timeout: Duration,
        progress: Progress<'_>,
    ) -> Result<Fetched, FetchError> {
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let path = folder.join(self.file);
        if path.exists() {
            return self.present(path);
        }
        let part = folder.join(format!("{}.part", self.file));
        self.transfer(url, &part, timeout, progress)?;
        self.accept(url, &part, &path)?;
        Ok(Fetched::New(path))
    }

    /// What to make of a file that has the name already. Not ours to delete, if it is another.
    fn present(&self, path: PathBuf) -> Result<Fetched, FetchError> {
        let found = md5sum::of_file(&path).map_err(unwritable(&path))?;
        if found == self.md5 {
            Ok(Fetched::Present(path))
        } else {
            Err(FetchError::Occupied { path, found, wanted: Box::new(*self) })
        }
    }

    /// Fetches what `part` lacks.
    fn transfer(&self, url: &str, part: &Path, timeout: Duration, progress: Progress<'_>) -> Result<(), FetchError> {
        let have = match files::open(part) {
            Ok((_, size)) => size,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(unwritable(part)(error)),
        };
        let mut response = self.ask(url, have, timeout)?;
        let from = match response.status().as_u16() {
            206 if range_start(response.headers()) == Some(have) => have,
            // A server without ranges sends the whole once more.
            200 => 0,
            // Nothing lies behind what is there: it is whole, or of another file, as its sum will tell.
            416 if have > 0 => return Ok(()),
            status => return Err(FetchError::Refused { url: url.into(), status, wanted: Box::new(*self) }),
        };
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(part);
        let mut file = file.map_err(unwritable(part))?;
        file.set_len(from).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unwritable(part))?;
        let of = Length(response.body().content_length().map(|rest| from + rest));
        let end = Limits { size: self.size, timeout };
        let (have, source) =
            copy(&mut response, &mut file, from, end, &|have| progress(have, of)).map_err(unwritable(part))?;
        if have > self.size {
            fs::remove_file(part).map_err(unwritable(part))?;
            return Err(FetchError::TooLong { url: url.into(), wanted: Box::new(*self) });
        }
        file.sync_all().map_err(unwritable(part))?;
        match source.is_none() && of.0.is_none_or(|of| of == have) {
            true => Ok(()),
            false => Err(FetchError::BrokenOff { url: url.into(), have, of, source }),
        }
    }

    /// Asks for what follows the first `have` bytes.
    fn ask(&self, url: &str, have: u64, timeout: Duration) -> Result<Response<Body>, FetchError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_send_request(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .user_agent(concat!("hindsight/", env!("CARGO_PKG_VERSION")));
        let request = Agent::new_with_config(config.build()).get(url);
        let request = if have > 0 { request.header("Range", format!("bytes={have}-")) } else { request };
        let unreachable =
            |source| FetchError::Unreachable { url: url.into(), source: Box::new(source), wanted: Box::new(*self) };
        request.call().map_err(unreachable)
    }

    /// Gives a whole transfer its name, if it is the file that was wanted.
    fn accept(&self, url: &str, part: &Path, path: &Path) -> Result<(), FetchError> {
        let found = md5sum::of_file(part).map_err(unwritable(part))?;
        if found == self.md5 {
            return fs::rename(part, path).map_err(unwritable(path));
        }
        fs::remove_file(part).map_err(unwritable(part))?;
        Err(FetchError::WrongFile { url: url.into(), found, wanted: Box::new(*self) })
    }
}

/// When a transfer is given up.
struct Limits {
    /// Bytes: longer files are others.
    size: u64,
    /// Time within which [`LEAST_RATE`] has to be reached, on average.
    timeout: Duration,
}

/// Appends what comes to `file`, which has `have` bytes. Gives what it has then, and what broke the transfer off.
fn copy(
    response: &mut Response<Body>,
    file: &mut File,
    mut have: u64,
    limits: Limits,
    progress: &dyn Fn(u64),
) -> io::Result<(u64, Option<io::Error>)> {
    let mut reader = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    let (mut since, mut before) = (Instant::now(), have);
    loop {
        progress(have);
        if since.elapsed() >= limits.timeout {
            let seconds = since.elapsed().as_secs_f64();
            if ((have - before) as f64) < LEAST_RATE as f64 * seconds {
                let slow = format!("{} bytes in {seconds:.0} s", have - before);
                return Ok((have, Some(io::Error::new(io::ErrorKind::TimedOut, slow))));
            }
            (since, before) = (Instant::now(), have);
        }
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok((have, None)),
            Ok(read) => read,
            Err(source) => return Ok((have, Some(source))),
        };
        file.write_all(&buffer[..read])?;
        have += read as u64;
        if have > limits.size {
            return Ok((have, None));
        }
    }
}

/// The N of `Content-Range: bytes N-M/L`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> FetchError {
    |source| FetchError::Unwritable { path: path.to_owned(), source }
}
