//! The service as a child process: built, started on a free port, watched, stopped.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::{self, seconds};

/// Longest wait until the service says that it is ready: it makes its database and loads its model.
const READY_SECONDS_MAX: u64 = 60;
/// Longest wait for an orderly end before it is killed.
const STOP_SECONDS_MAX: u64 = 30;

/// Builds the service with cargo's own progress, and gives its path.
pub(crate) fn build() -> Result<PathBuf> {
    let arguments =
        ["build", "--package", "responsum", "--bin", "responsum", "--message-format=json-render-diagnostics"];
    let mut command = workspace::cargo(&arguments);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().context("start cargo build")?;
    let output = BufReader::new(child.stdout.take().context("read what cargo says")?);
    let mut program = None;
    for line in output.lines() {
        let message: Value = serde_json::from_str(&line.context("read what cargo says")?).unwrap_or_default();
        if let (Some("responsum"), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str()) {
            program = Some(PathBuf::from(path));
        }
    }
    ensure!(child.wait().context("wait for cargo build")?.success(), "the service does not build");
    program.context("cargo did not say where the program is")
}

/// A loopback port that nobody uses at this moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

/// The running service. Dropped, it is stopped; if this process dies in any way, it is stopped too.
pub(crate) struct Service {
    child: Child,
    /// A shell that waits on its standard input: the end of this process ends that, and then the shell ends the
    /// service.
    watchdog: Child,
    log: PathBuf,
    kept: bool,
    /// Like `http://127.0.0.1:8080`.
    pub(crate) url: String,
}

impl Service {
    /// Starts it with a database of its own in `data_dir` and waits until it is ready.
    pub(crate) fn start(program: &Path, data_dir: &Path, port: u16, settings: Option<&Path>) -> Result<Self> {
        let log = data_dir.join("service.log");
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--embedded-db", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(data_dir)
            .args(settings.map(|settings| [Path::new("--config"), settings]).into_iter().flatten())
            // The demo shows the defaults, whatever this shell is set up for.
            .env_remove("DATABASE_URL")
            .current_dir(data_dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log file")?)
            .stderr(output)
            .process_group(0);
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let watchdog = Command::new("sh")
            .args(["-c", r#"read word; [ "$word" = keep ] || kill -TERM "$0" 2>/dev/null"#, &child.id().to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start a shell")?;
        let mut service = Self { child, watchdog, log, kept: false, url: format!("http://127.0.0.1:{port}") };
        service.wait_until_ready()?;
        Ok(service)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        let ready = format!("{}/health/ready", self.url);
        let agent = crate::http::agent();
        loop {
            if let Some(status) = self.child.try_wait().context("look at the service")? {
                bail!("the service ended before it was ready ({status}).\n{}", self.log_tail());
            }
            if agent.get(&ready).call().is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            ensure!(
                started.elapsed().as_secs() < READY_SECONDS_MAX,
                "the service was not ready after {READY_SECONDS_MAX} s.\n{}",
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The end of what it logged, for a person.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = workspace::tail(&String::from_utf8_lossy(&text), 20);
        format!("The end of its log:\n{tail}")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Leaves it running after this process.
    pub(crate) fn keep(mut self) -> Result<()> {
        let mut stdin = self.watchdog.stdin.take().context("speak to the watchdog")?;
        stdin.write_all(b"keep\n").context("speak to the watchdog")?;
        drop(stdin);
        self.watchdog.wait().context("wait for the watchdog")?;
        self.kept = true;
        Ok(())
    }

    /// Stops it in order, and says how that went.
    pub(crate) fn stop(mut self) -> Result<()> {
        let started = Instant::now();
        let status = self.end()?;
        match status {
            Some(status) if status.success() => {
                println!("Service stopped in {}", seconds(started.elapsed()));
                Ok(())
            }
            Some(status) => bail!("the service ended with {status} when it was told to stop.\n{}", self.log_tail()),
            None => bail!("the service did not stop within {STOP_SECONDS_MAX} s and was killed.\n{}", self.log_tail()),
        }
    }

    /// Asks it to end, and kills it if it does not; none if it had to be killed.
    fn end(&mut self) -> Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait().context("look at the service")? {
            return Ok(Some(status));
        }
        // The end of its input makes the watchdog send SIGTERM.
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().context("wait for the watchdog")?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("look at the service")? {
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().context("kill the service")?;
        self.child.wait().context("wait for the service")?;
        Ok(None)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.end() {
            eprintln!("warning: the service may still run: {error:#}");
        }
    }
}
