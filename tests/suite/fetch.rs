//! Data sets are found, listed, verified and fetched, and a transfer that breaks off loses nothing.

use crate::cli::{stderr, stdout};
use crate::image_data::{complains, small_archive, tree, write};
use hindsight::data::fetch::{Download, FetchError, Fetched, TIMEOUT};
use hindsight::data::locate::DATA_SETS;
use hindsight::data::md5sum;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

#[test]
fn a_data_set_is_found_in_the_first_folder_that_has_it() {
    let home = tempfile::tempdir().unwrap();
    let [cifar, mini] = DATA_SETS;
    let folders = ["a", "b"].map(|name| home.path().join(name));
    complains(cifar.find(&folders), &["no CIFAR-100", "hindsight data fetch cifar-100", "b/cifar-100-binary.tar.gz"]);
    complains(mini.find(&folders), &["no miniImageNet", "terms", "600 or more a class", "a/miniimagenet", "train.csv"]);
    let second = write(folders[1].join("cifar-100-binary.tar.gz"), "");
    assert_eq!(cifar.find(&folders).unwrap(), second);
    let first = write(folders[0].join("cifar-100-binary/train.bin"), "");
    assert_eq!(cifar.find(&folders).unwrap(), first.parent().unwrap());
    // The folder may be the data set itself.
    assert_eq!(cifar.find(&[first.parent().unwrap().into()]).unwrap(), first.parent().unwrap());
    tree(&folders[1]);
    assert_eq!(mini.find(&folders).unwrap(), folders[1]);
    fs::create_dir(folders[0].join("mini_imagenet")).unwrap();
    assert_eq!(mini.find(&folders).unwrap(), folders[0].join("mini_imagenet"));
}

/// How a server behaves.
#[derive(Clone, Copy, Default)]
struct Manners {
    /// Answers a Range.
    ranges: bool,
    /// Breaks each answer off after so many bytes of the body.
    breaks_off: Option<usize>,
    /// Answers that there is no such thing.
    missing: bool,
}

/// A server of `body` for as many requests as there are `manners`; gives its address, and in the end what was asked.
fn serve(body: &[u8], manners: Vec<Manners>) -> (String, thread::JoinHandle<Vec<Option<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar.tar.gz", listener.local_addr().unwrap());
    let body = body.to_vec();
    let one = move |manners: Manners| answer(listener.accept().unwrap().0, &body, manners);
    (url, thread::spawn(move || manners.into_iter().map(one).collect()))
}

/// A request's lines before its body, in lower case.
fn head(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect()
}

/// Answers one request; gives the start of the range that it asked for.
fn answer(mut stream: TcpStream, body: &[u8], manners: Manners) -> Option<usize> {
    let head = head(&stream);
    let range = head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let (status, from) = match range {
        _ if manners.missing => ("404 Not Found".into(), body.len()),
        Some(from) if manners.ranges && from >= body.len() => ("416 Range Not Satisfiable".into(), body.len()),
        Some(from) if manners.ranges => {
            (format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", body.len() - 1, body.len()), from)
        }
        _ => ("200 OK".to_string(), 0),
    };
    let rest = &body[from..];
    let sent = &rest[..manners.breaks_off.unwrap_or(rest.len()).min(rest.len())];
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len()).unwrap();
    stream.write_all(sent).unwrap();
    range
}

fn body() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

const POLITE: Manners = Manners { ranges: true, breaks_off: None, missing: false };

/// A download whose published sum is that of [`body`].
fn download() -> Download {
    let home = tempfile::tempdir().unwrap();
    let md5 = md5sum::of_file(&write(home.path().join("body"), body())).unwrap().leak();
    Download { url: "", mirror_variable: "HINDSIGHT_MIRROR_OF_TESTS", file: "cifar.tar.gz", size: 300_000, md5 }
}

fn fetch(url: &str, folder: &Path) -> Result<Fetched, FetchError> {
    download().fetch(url, folder, TIMEOUT, &|_, _| {})
}

#[test]
fn a_fetched_file_has_its_name_and_is_not_fetched_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new/folder");
    let (url, server) = serve(&body(), vec![POLITE]);
    let path = folder.join("cifar.tar.gz");
    let seen = Mutex::new(vec![]);
    let fetched =
        download().fetch(&url, &folder, TIMEOUT, &|have, of| seen.lock().unwrap().push((have, of.0))).unwrap();
    assert_eq!(fetched, Fetched::New(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), body());
    assert_eq!(server.join().unwrap(), [None]);
    let seen = seen.into_inner().unwrap();
    assert_eq!((seen[0], seen[seen.len() - 1]), ((0, Some(300_000)), (300_000, Some(300_000))));
    // Nobody listens there any more.
    assert_eq!(fetch(&url, &folder).unwrap(), Fetched::Present(path));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_transfer_that_broke_off_is_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let breaks = |after| Manners { breaks_off: Some(after), ..POLITE };
    let (url, server) = serve(&body(), vec![breaks(100_000), breaks(50_000), POLITE]);
    complains(fetch(&url, home.path()), &["expected 300000 bytes, found 100000", "fetch again to go on from there"]);
    complains(fetch(&url, home.path()), &["expected 300000 bytes, found 150000"]);
    assert!(!home.path().join("cifar.tar.gz").exists());
    fetch(&url, home.path()).unwrap();
    assert_eq!(fs::read(home.path().join("cifar.tar.gz")).unwrap(), body());
    assert_eq!(server.join().unwrap(), [None, Some(100_000), Some(150_000)]);
}

#[test]
fn a_server_without_ranges_sends_the_whole_once_more() {
    let home = tempfile::tempdir().unwrap();
    write(home.path().join("cifar.tar.gz.part"), &body()[..1000]);
    let (url, server) = serve(&body(), vec![Manners::default()]);
    fetch(&url, home.path()).unwrap();
    assert_eq!(fs::read(home.path().join("cifar.tar.gz")).unwrap(), body());
    assert_eq!(server.join().unwrap(), [Some(1000)]);
}

#[test]
fn a_whole_part_needs_only_its_name() {
    let home = tempfile::tempdir().unwrap();
    write(home.path().join("cifar.tar.gz.part"), body());
    let (url, server) = serve(&body(), vec![POLITE]);
    fetch(&url, home.path()).unwrap();
    assert_eq!(fs::read(home.path().join("cifar.tar.gz")).unwrap(), body());
    server.join().unwrap();
}

#[test]
fn a_part_of_another_file_is_deleted_and_said_so() {
    let home = tempfile::tempdir().unwrap();
    // Shorter than the file, and longer.
    for part in [vec![1; 1000], vec![1; 400_000]] {
        write(home.path().join("cifar.tar.gz.part"), part);
        let (url, server) = serve(&body(), vec![POLITE, POLITE]);
        complains(fetch(&url, home.path()), &["expected a file with MD5 sum", download().md5, "deleted it", "mirror"]);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        fetch(&url, home.path()).unwrap();
        server.join().unwrap();
        fs::remove_file(home.path().join("cifar.tar.gz")).unwrap();
    }
}

/// A server that answers one request with `start`, then `repeated` every tenth of a second until nobody listens.
fn slow_server(start: &'static str, repeated: &'static str) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar.tar.gz", listener.local_addr().unwrap());
    let serve = move || {
        let mut stream = listener.accept().unwrap().0;
        head(&stream);
        let mut sent = stream.write_all(start.as_bytes());
        while sent.is_ok() {
            thread::sleep(Duration::from_millis(100));
            // Without anything to send, whether somebody listens is told by reading.
            let mut heard = [0];
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            sent = match stream.read(&mut heard) {
                Ok(0) => return,
                _ => stream.write_all(repeated.as_bytes()),
            };
        }
    };
    (url, thread::spawn(serve))
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\nstart";

#[test]
fn a_server_that_stalls_is_given_up_and_what_came_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let part = home.path().join("cifar.tar.gz.part");
    let second = Duration::from_secs(1);
    let fetch = |url: &str| download().fetch(url, home.path(), second, &|_, _| {});
    // No answer; an answer that is never whole; nothing after five bytes; a byte now and then.
    for (start, repeated) in [("", ""), ("HTTP/1.1 200 OK\r\nX: ", "x")] {
        let (url, server) = slow_server(start, repeated);
        complains(fetch(&url), &[&url, "timeout", "--timeout"]);
        server.join().unwrap();
        assert!(!part.exists());
    }
    for repeated in ["", "x"] {
        let (url, server) = slow_server(HEAD, repeated);
        complains(fetch(&url), &["expected 300000 bytes, found", "fetch again to go on", "longer --timeout"]);
        server.join().unwrap();
        assert!(fs::read(&part).unwrap().starts_with(b"start"));
        fs::remove_file(&part).unwrap();
    }
}

#[test]
fn the_command_gives_a_server_up_after_the_seconds_that_it_is_told() {
    let home = tempfile::tempdir().unwrap();
    let (url, server) = slow_server(HEAD, "");
    let output = data(home.path(), &url, &["fetch", "cifar-100", "--timeout", "1"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("found 5 when the transfer broke off"), "{}", stderr(&output));
    let output = data(home.path(), &url, &["fetch", "cifar-100", "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_transfer_that_has_no_end_is_stopped_at_the_published_size() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar.tar.gz", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        head(&stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        while stream.write_all(&[7; 1 << 16]).is_ok() {}
    });
    complains(fetch(&url, home.path()), &["expected a file of 300000 bytes, found a longer one", "mirror"]);
    server.join().unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_refusal_is_named_with_its_status_and_keeps_the_part() {
    let home = tempfile::tempdir().unwrap();
    let part = write(home.path().join("cifar.tar.gz.part"), &body()[..1000]);
    let (url, server) = serve(&body(), vec![Manners { missing: true, ..POLITE }]);
    complains(fetch(&url, home.path()), &[&url, "status 404", "HINDSIGHT_MIRROR_OF_TESTS"]);
    server.join().unwrap();
    assert_eq!(fs::read(&part).unwrap().len(), 1000);
    // Now nobody listens.
    complains(fetch(&url, home.path()), &[&url, "check the connection"]);
}

#[test]
fn another_file_of_the_name_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = write(home.path().join("cifar.tar.gz"), "somebody's");
    complains(fetch("http://127.0.0.1:1/", home.path()), &["there already", download().md5, "move it away"]);
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
}

/// `hindsight data` with a home of its own, and no proxy.
fn hindsight_data(home: &Path, mirror: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hindsight"));
    command.arg("data").args(args).env_clear();
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("data")).env("XDG_CACHE_HOME", home.join("cache"));
    command.env("HINDSIGHT_CIFAR100_URL", mirror);
    command
}

fn data(home: &Path, mirror: &str, args: &[&str]) -> Output {
    hindsight_data(home, mirror, args).output().unwrap()
}

#[test]
fn data_lists_what_is_here_and_what_to_do_for_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let given = home.path().join("given");
    let path = write(given.join("cifar-100-binary.tar.gz"), small_archive());
    let output = data(home.path(), "", &["--data", given.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let platform = if cfg!(target_os = "linux") { home.path().join("data/hindsight") } else { "hindsight".into() };
    let path = format!("CIFAR-100     {}", path.display());
    for part in ["MNIST         built in", &path, "miniImageNet  not found", platform.to_str().unwrap(), "terms"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn verify_names_what_is_not_as_published_and_fails() {
    let home = tempfile::tempdir().unwrap();
    let given = home.path().join("given");
    let verify = || data(home.path(), "", &["verify", "--data", given.to_str().unwrap()]);
    let output = verify();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("MNIST         as published"), "{}", stdout(&output));
    write(given.join("cifar-100-binary.tar.gz"), small_archive());
    let output = verify();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("expected MD5 sum 03b5dce01913d631647c71ecec9e9cb8"), "{}", stdout(&output));
}

#[test]
fn fetch_refuses_what_is_not_what_was_published() {
    let home = tempfile::tempdir().unwrap();
    let (url, server) = serve(&body(), vec![POLITE]);
    let output = data(home.path(), &url, &["fetch", "cifar-100"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in ["expected a file with MD5 sum 03b5dce01913d631647c71ecec9e9cb8", "HINDSIGHT_CIFAR100_URL"] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn fetch_goes_through_the_proxy_of_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let request = head(&stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        answer(stream, &body(), POLITE);
        request[0].clone()
    });
    let mut command = hindsight_data(home.path(), "http://nowhere.invalid/cifar.tar.gz", &["fetch", "cifar-100"]);
    let output = command.env("HTTP_PROXY", proxy).output().unwrap();
    // What came is the body, which is not CIFAR-100.
    assert!(stderr(&output).contains(download().md5), "{}", stderr(&output));
    assert!(server.join().unwrap().starts_with("connect nowhere.invalid:80 "));
}

#[test]
fn what_may_not_be_passed_on_is_said_to_be_so() {
    let home = tempfile::tempdir().unwrap();
    let output = data(home.path(), "", &["fetch", "mini-imagenet"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("terms"), "{}", stderr(&output));
    let output = data(home.path(), "", &["fetch", "cifar-10"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cifar-100"), "{}", stderr(&output));
}
