//! An independent FHIR server that plays the EHR: sekmet-fhir, as pip installs it (tests/loop/install.py).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long it may take to start.
const START_SECONDS_MAX: u64 = 60;

/// The server, on a port and a folder of its own.
pub struct Ehr {
    child: Child,
    /// `http://127.0.0.1:…/fhir`
    pub base: String,
    data: tempfile::TempDir,
    packages: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loop/install.py")
}

/// Makes keys in a folder: `rsa`, `ec` or `tls`.
pub fn make_keys(kind: &str, folder: &Path) {
    run(Command::new("python3").arg(script()).arg(kind).arg(folder));
}

/// Runs Python and gives what it prints.
fn run(command: &mut Command) -> String {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = output.expect("python3 starts (README: Python 3 with pip is needed)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn serve(packages: &str, data: &Path) -> Child {
    Command::new("python3")
        .args(["-c", "from sekmet.cli import app; app()", "serve", "-c"])
        .arg(data.join("settings.yaml"))
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 starts")
}

impl Ehr {
    /// `more` are further lines of its settings.
    pub fn start(more: &str) -> Self {
        Self::start_known_as(None, more)
    }

    /// One that names itself and its resources by another address, behind which it is.
    pub fn start_known_as(address: Option<&str>, more: &str) -> Self {
        let packages = run(Command::new("python3").arg(script()));
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            free.local_addr().expect("an address").port()
        };
        let data = tempfile::tempdir().expect("a folder");
        let base = format!("http://127.0.0.1:{port}/fhir");
        let yaml = format!(
            "base_url: {}\nhost: 127.0.0.1\nport: {port}\ndata_dir: {}\nsimulator: {{enabled: false}}\n{more}\n",
            address.unwrap_or(&base),
            data.path().display()
        );
        std::fs::write(data.path().join("settings.yaml"), yaml).expect("written");
        let child = serve(&packages, data.path());
        let mut ehr = Self { child, base, data, packages };
        ehr.until_it_answers();
        ehr
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }

    /// Starts it again, on what it had stored.
    pub fn restart(&mut self) {
        self.child = serve(&self.packages, self.data.path());
        self.until_it_answers();
    }

    fn until_it_answers(&mut self) {
        let started = Instant::now();
        while ureq::get(format!("{}/metadata", self.base)).call().is_err() {
            assert!(started.elapsed().as_secs() < START_SECONDS_MAX, "the test EHR does not start");
            assert!(self.child.try_wait().expect("a state").is_none(), "the test EHR ended");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sends a request with this bearer token.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>, token: Option<&str>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}/{path}", self.base));
        request = request.header("content-type", "application/fhir+json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut answer = match method {
            "GET" => agent.run(request.body(()).expect("a request")),
            _ => agent.run(request.body(body).expect("a request")),
        }
        .expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a body");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Stores a resource under its id.
    #[track_caller]
    pub fn put(&self, resource: &Value) {
        let text = |name: &str| resource[name].as_str().expect("text").to_owned();
        let (status, body) =
            self.send("PUT", &format!("{}/{}", text("resourceType"), text("id")), Some(resource), None);
        assert!((200..300).contains(&status), "{status} {body}");
    }

    /// Stores a resource under an id of the server's; its reference.
    #[track_caller]
    pub fn post(&self, resource: &Value) -> String {
        let kind = resource["resourceType"].as_str().expect("a type");
        let (status, body) = self.send("POST", kind, Some(resource), None);
        assert_eq!(status, 201, "{body}");
        format!("{kind}/{}", body["id"].as_str().expect("an id"))
    }

    /// All resources of a type.
    pub fn all(&self, resource_type: &str) -> Vec<Value> {
        self.all_with(resource_type, None)
    }

    /// The same, with a bearer token.
    pub fn all_with(&self, resource_type: &str, token: Option<&str>) -> Vec<Value> {
        let (status, bundle) = self.send("GET", &format!("{resource_type}?_count=500"), None, token);
        assert_eq!(status, 200, "{bundle}");
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|mut entry| entry["resource"].take()).collect()
    }
}

impl Drop for Ehr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
