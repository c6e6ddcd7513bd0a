//! `responsum health`: asks a running service whether it is ready.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the service may take to answer.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(5);

/// True if `/health/ready` answers 200. An HTTP client would be a dependency for one line of text.
pub fn run(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_SECONDS_MAX)?;
    stream.set_read_timeout(Some(ANSWER_SECONDS_MAX))?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}
