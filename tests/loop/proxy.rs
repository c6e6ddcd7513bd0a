//! A proxy between two parties that speak HTTP, and that does them harm on command.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a hanging proxy holds a request at most; the client's own limit is far below.
const HANG: Duration = Duration::from_mins(2);

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It works.
    None,
    /// Nobody listens.
    Refused,
    /// It takes requests, passes none on, and says nothing.
    Hanging,
    /// Every answer takes a while.
    Slow(Duration),
    /// A server error, and the request does not arrive.
    Unavailable,
    /// The request arrives, and the answer is a server error all the same.
    LateError,
    /// Too many requests, with a second's `Retry-After`.
    TooMany,
    /// The request arrives, and half of the answer's body comes back.
    Truncated,
    /// The request does not come back: it arrives, and the connection is closed before the answer.
    Swallowed,
    /// What is sent is said to have arrived, and is lost.
    Lost,
    /// Everything arrives twice.
    Doubled,
    /// It arrives later, and in another order.
    Reordered,
}

/// A proxy at an address of its own.
pub struct Proxy {
    /// `http://127.0.0.1:…`
    pub url: String,
    state: Arc<State>,
}

struct State {
    port: u16,
    target: Mutex<String>,
    harm: Mutex<Harm>,
    /// What a reordering network holds.
    held: Mutex<Vec<Vec<u8>>>,
    ended: AtomicBool,
}

impl Proxy {
    /// Listens, and passes on to `target`, which is `host:port`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            port,
            target: Mutex::new(target.to_owned()),
            harm: Mutex::new(Harm::None),
            held: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let listening = Arc::clone(&state);
        thread::spawn(move || listening.listen(listener));
        Self { url: format!("http://127.0.0.1:{port}"), state }
    }

    /// Passes on to another target from now on.
    pub fn target(&self, target: &str) {
        target.clone_into(&mut self.state.target.lock().expect("a target"));
    }

    /// Does this to every request from now on. What a reordering network held is passed on.
    pub fn harm(&self, harm: Harm) {
        *self.state.harm.lock().expect("a harm") = harm;
        self.state.release();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn now(&self) -> Harm {
        *self.harm.lock().expect("a harm")
    }

    fn listen(self: Arc<Self>, listener: TcpListener) {
        let mut listener = Some(listener);
        while !self.ended.load(Ordering::SeqCst) {
            if self.now() == Harm::Refused {
                listener = None;
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            if listener.is_none() {
                listener = TcpListener::bind(("127.0.0.1", self.port)).ok();
            }
            let Some(open) = &listener else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            open.set_nonblocking(true).expect("a listener that does not block");
            match open.accept() {
                Ok((client, _)) => {
                    let state = Arc::clone(&self);
                    thread::spawn(move || {
                        let _ = state.pass(client);
                    });
                }
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// One request and its answer.
    fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_read_timeout(Some(Duration::from_secs(30)))?;
        let request = read_message(&mut client, true)?;
        match self.now() {
            Harm::None => client.write_all(&self.forward(&request)?)?,
            Harm::Refused => {}
            Harm::Hanging => {
                let since = Instant::now();
                while self.now() == Harm::Hanging && since.elapsed() < HANG && !self.ended.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(50));
                }
            }
            Harm::Slow(pause) => {
                thread::sleep(pause);
                client.write_all(&self.forward(&request)?)?;
            }
            Harm::Unavailable => client.write_all(&answer("503 Service Unavailable", ""))?,
            Harm::LateError => {
                self.forward(&request)?;
                client.write_all(&answer("502 Bad Gateway", ""))?;
            }
            Harm::TooMany => client.write_all(&answer("429 Too Many Requests", "retry-after: 1\r\n"))?,
            Harm::Truncated => {
                let whole = self.forward(&request)?;
                let body = head_length(&whole).unwrap_or(0);
                client.write_all(&whole[..body + (whole.len() - body) / 2])?;
            }
            Harm::Swallowed => drop(self.forward(&request)?),
            Harm::Lost => client.write_all(&answer("200 OK", ""))?,
            Harm::Doubled => {
                let _ = self.forward(&request)?;
                client.write_all(&self.forward(&request)?)?;
            }
            Harm::Reordered => {
                client.write_all(&answer("200 OK", ""))?;
                let full = {
                    let mut held = self.held.lock().expect("what is held");
                    held.push(request);
                    held.len() >= 8
                };
                if full {
                    self.release();
                }
            }
        }
        client.shutdown(Shutdown::Both)
    }

    /// Passes on what was held, the last one first.
    fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().expect("what is held"));
        for mut request in held.into_iter().rev() {
            // Whoever was told that it arrived does not send it again.
            while self.forward(&request).is_err() && !self.ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(50));
                request = request.clone();
            }
        }
    }

    fn forward(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let target = self.target.lock().expect("a target").clone();
        let mut server = TcpStream::connect(target)?;
        server.set_read_timeout(Some(Duration::from_mins(1)))?;
        server.write_all(request)?;
        read_message(&mut server, false)
    }
}

/// A request or an answer, whole, that says that the connection ends with it.
fn read_message(stream: &mut TcpStream, request: bool) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let head = loop {
        if let Some(head) = head_length(&message) {
            break head;
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        message.extend_from_slice(&chunk[..read]);
    };
    let text = String::from_utf8_lossy(&message[..head]).into_owned();
    let header = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let empty = request || text.split(' ').nth(1).is_some_and(|status| matches!(status, "204" | "304"));
    let chunked = header("transfer-encoding").is_some();
    let done = |message: &[u8]| match length {
        _ if chunked => message.ends_with(b"0\r\n\r\n"),
        Some(length) => message.len() >= head + length,
        None => empty,
    };
    while !done(&message) {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        message.extend_from_slice(&chunk[..read]);
    }
    let kept = text.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:") && !line.is_empty());
    let mut closing: Vec<u8> = kept.flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
    closing.extend_from_slice(b"connection: close\r\n\r\n");
    closing.extend_from_slice(&message[head..]);
    Ok(closing)
}

fn head_length(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn answer(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}
