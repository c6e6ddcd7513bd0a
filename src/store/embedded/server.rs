//! The server process: starting it, adopting one that outlived its service, stopping it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::EmbeddedError;
use super::account::Account;
use super::binaries::Binaries;

/// Part of the socket's name; nothing listens on it.
pub(super) const PORT: u16 = 5432;

/// Longest wait for a start: recovery after a crash replays what was written since the last checkpoint.
const START_SECONDS_MAX: u64 = 180;
/// Longest wait for an orderly stop, which ends with a checkpoint.
const STOP_SECONDS_MAX: u64 = 60;
/// Longest wait for a stop without a checkpoint.
const QUIT_SECONDS_MAX: u64 = 10;
/// Longest wait for the backends of a killed server to notice and go.
const LEFTOVER_SECONDS_MAX: u64 = 20;
/// How often the waits look.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A log file above this size is set aside at the next start; one older file is kept.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// A server process that is ours: a child, or one adopted.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    child: Option<Child>,
}

impl Server {
    /// The server that an earlier service left running on this cluster, and the folder of its socket. One that is on
    /// its way down is waited for, one that does not answer is stopped, and then there is none.
    pub(super) fn adopt(cluster: &Path) -> Result<Option<(Self, PathBuf)>, EmbeddedError> {
        let path = cluster.join("postmaster.pid");
        let Some(found) = PidFile::read(&path)? else { return Ok(None) };
        let mut orphan = Self { pid: found.pid, child: None };
        if !is_server_of(found.pid, cluster) {
            set_aside(&path)?;
            return Ok(None);
        }
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline && !orphan.has_ended() {
            match PidFile::read(&path)? {
                Some(now) if now.pid == orphan.pid && now.ready => {
                    let socket = now.socket_dir.join(format!(".s.PGSQL.{PORT}"));
                    if UnixStream::connect(socket).is_err() {
                        break;
                    }
                    tracing::info!(
                        pid = orphan.pid.as_raw(),
                        "adopted the Postgres that an earlier service left running"
                    );
                    return Ok(Some((orphan, now.socket_dir)));
                }
                _ => sleep(LOOK_EVERY),
            }
        }
        orphan.stop()?;
        Ok(None)
    }

    /// Starts the server on the cluster in `home` and waits until it takes connections. No other may run there.
    pub(super) fn start(
        home: &Path,
        socket_dir: &Path,
        binaries: &Binaries,
        account: &Account,
    ) -> Result<Self, EmbeddedError> {
        remove_dead_socket(socket_dir)?;
        let leftover = Instant::now() + Duration::from_secs(LEFTOVER_SECONDS_MAX);
        loop {
            match Self::start_once(home, binaries, account) {
                // A server was killed and its backends still hold its memory: they go once they notice.
                Err(EmbeddedError::Program { output, .. })
                    if output.contains("shared memory block") && Instant::now() < leftover =>
                {
                    sleep(Duration::from_millis(200));
                }
                settled => return settled,
            }
        }
    }

    fn start_once(home: &Path, binaries: &Binaries, account: &Account) -> Result<Self, EmbeddedError> {
        let cluster = home.join("cluster");
        let log_path = home.join("postgres.log");
        let (log, log_start) = open_log(&log_path)?;
        let errors = log.try_clone().map_err(EmbeddedError::files("share", &log_path))?;
        let mut command = binaries.command("postgres");
        command.arg("-D").arg(&cluster).stdin(Stdio::null()).stdout(log).stderr(errors);
        // A group of its own: Ctrl-C at a terminal is for the service, which stops its database last.
        command.process_group(0);
        clean_environment(&mut command);
        account.hand_over(&mut command);
        let program = binaries.bin.join("postgres");
        let child = command.spawn().map_err(|source| EmbeddedError::Spawn { path: program, source })?;
        // Cannot fail because process ids are positive and fit 22 bits (Linux) or 17 (macOS).
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id fits i32"));
        let mut server = Self { pid, child: Some(child) };
        match server.wait_until_ready(&cluster, &log_path, log_start) {
            Ok(()) => Ok(server),
            Err(error) => {
                server.tell_to_stop();
                Err(error)
            }
        }
    }

    fn wait_until_ready(&mut self, cluster: &Path, log: &Path, log_start: u64) -> Result<(), EmbeddedError> {
        let path = cluster.join("postmaster.pid");
        let started = Instant::now();
        let mut next_word = Duration::from_secs(5);
        while started.elapsed().as_secs() < START_SECONDS_MAX {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                return Err(EmbeddedError::Program { program: "postgres", status, output: log_tail(log, log_start) });
            }
            if PidFile::read(&path)?.is_some_and(|file| file.pid == self.pid && file.ready) {
                return Ok(());
            }
            if started.elapsed() > next_word {
                tracing::info!(
                    seconds = started.elapsed().as_secs(),
                    "Postgres is still starting: it may be recovering"
                );
                next_word += Duration::from_secs(10);
            }
            sleep(LOOK_EVERY);
        }
        Err(EmbeddedError::NotReady { seconds: START_SECONDS_MAX, log: log.to_owned() })
    }

    /// Whether the process is gone.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            // In a container whose first process never reaps, an adopted one stays as a zombie: its line is empty.
            None => {
                kill(self.pid, None) == Err(Errno::ESRCH)
                    || fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|line| line.is_empty())
            }
        }
    }

    /// Asks for an orderly stop and does not wait.
    pub(super) fn tell_to_stop(&mut self) {
        self.signal(Signal::SIGINT);
    }

    /// Stops the server: in order first, at once if that takes too long.
    pub(super) fn stop(&mut self) -> Result<(), EmbeddedError> {
        for (signal, seconds) in [(Signal::SIGINT, STOP_SECONDS_MAX), (Signal::SIGQUIT, QUIT_SECONDS_MAX)] {
            self.signal(signal);
            let deadline = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < deadline {
                if self.has_ended() {
                    return Ok(());
                }
                sleep(LOOK_EVERY);
            }
        }
        Err(EmbeddedError::NotStopped { pid: self.pid.as_raw(), seconds: STOP_SECONDS_MAX + QUIT_SECONDS_MAX })
    }

    /// Sends a signal unless the process is known to be gone: its id may be someone else's by then.
    fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            // It can only fail if the process has just gone, which the next look finds.
            let _ = kill(self.pid, signal);
        }
    }
}

/// The folder of the socket of the server that runs this cluster, once it takes connections; none if none runs.
pub(super) fn socket_of(cluster: &Path) -> Result<Option<PathBuf>, EmbeddedError> {
    let found = PidFile::read(&cluster.join("postmaster.pid"))?;
    let ready = found.filter(|found| found.ready && is_server_of(found.pid, cluster));
    Ok(ready.map(|found| found.socket_dir))
}

/// What `postmaster.pid` tells (PostgreSQL, `src/include/utils/pidfile.h`).
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    socket_dir: PathBuf,
    ready: bool,
}

impl PidFile {
    /// None if there is no file, or it is not written yet.
    fn read(path: &Path) -> Result<Option<Self>, EmbeddedError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedError::files("read", path)(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse::<i32>().ok().filter(|pid| *pid > 0)?;
        let socket_dir = PathBuf::from(lines.nth(3).unwrap_or_default());
        Some(Self { pid: Pid::from_raw(pid), socket_dir, ready: lines.nth(2).is_some_and(|s| s.trim() == "ready") })
    }
}

/// Whether this process is a Postgres that runs this cluster, and not another one with a reused id.
fn is_server_of(pid: Pid, cluster: &Path) -> bool {
    if kill(pid, None) == Err(Errno::ESRCH) {
        return false;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).map_or_else(
        |_| {
            let listed = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output();
            listed.map(|output| output.stdout).unwrap_or_default()
        },
        |line| line.into_iter().map(|byte| if byte == 0 { b' ' } else { byte }).collect(),
    );
    let line = String::from_utf8_lossy(&line).into_owned();
    line.contains(&format!("postgres -D {}", cluster.display()))
}

/// Tells Postgres that the id in this file is nobody's, where the system has given it to another process: Postgres
/// would take that one for a running server. The rest of the file stays, because it names the shared memory by which
/// Postgres sees whether backends of the dead server are still there.
fn set_aside(path: &Path) -> Result<(), EmbeddedError> {
    let text = fs::read_to_string(path).map_err(EmbeddedError::files("read", path))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    // Above every system's highest process id.
    let text = format!("{}\n{rest}", i32::MAX);
    fs::write(path, text).map_err(EmbeddedError::files("write", path))
}

/// Removes what a killed server left in the socket's folder, which is this cluster's alone: Postgres would take the
/// process id in the lock file for a running server if the system has given it to another process.
fn remove_dead_socket(socket_dir: &Path) -> Result<(), EmbeddedError> {
    for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
        let path = socket_dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(EmbeddedError::files("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens the log for appending, and tells where this start's part begins. A big one is set aside first.
fn open_log(path: &Path) -> Result<(File, u64), EmbeddedError> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1")).map_err(EmbeddedError::files("set aside", path))?;
    }
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = opened.map_err(EmbeddedError::files("open", path))?;
    let length = file.metadata().map_err(EmbeddedError::files("look at", path))?.len();
    Ok((file, length))
}

/// The last lines that Postgres wrote since `start`.
fn log_tail(path: &Path, start: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut log| {
        log.seek(SeekFrom::Start(start))?;
        log.take(LOG_BYTES_MAX).read_to_end(&mut text)
    });
    match read {
        Ok(_) => {
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(8)..].join("\n")
        }
        Err(error) => format!("its log cannot be read: {error}"),
    }
}

/// Leaves out what the user's own environment says of Postgres and of languages.
pub(super) fn clean_environment(command: &mut Command) {
    let theirs = |name: &str| name.starts_with("PG") || name.starts_with("LC_") || name == "LANG" || name == "LANGUAGE";
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(theirs) {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read_while_it_grows() {
        let whole = "4711\n/data/cluster\n1764000000\n5432\n/data/socket\n\n  5432001   42\nready   \n";
        let parsed = PidFile::parse(whole).expect("a pid");
        assert_eq!(parsed.pid, Pid::from_raw(4711));
        assert_eq!(parsed.socket_dir, PathBuf::from("/data/socket"));
        assert!(parsed.ready);
        for (text, expected) in [
            ("", None),
            ("x\n", None),
            ("-4711\n/data\n", None),
            ("4711\n/data\n1\n5432\n", Some(false)),
            ("4711\n/data\n1\n5432\n/s\n\n 1 2\nstarting\n", Some(false)),
            ("4711\n/data\n1\n5432\n/s\n\n 1 2\nstopping\n", Some(false)),
        ] {
            assert_eq!(PidFile::parse(text).map(|file| file.ready), expected, "{text:?}");
        }
    }

    #[test]
    fn another_process_with_the_same_id_is_no_server() {
        assert!(!is_server_of(Pid::this(), Path::new("/data/cluster")));
        assert!(!is_server_of(Pid::from_raw(i32::MAX), Path::new("/data/cluster")));
    }
}
