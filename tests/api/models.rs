//! Several models: what is loaded, who answers, switching while the service runs, looking on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{FHIR, NOT_RESPONDED, NOT_STATED, RESPONDED, Service, TestDatabase, report, with_id};

/// States a response in words that the tiny model does not know.
pub const ONLY_DEFAULT_UNDERSTANDS: &str =
    "Marked decrease in the size of the liver metastases after four cycles of FOLFOX.";

const WAIT_SECONDS_MAX: u64 = 60;

/// A settings file that a test changes.
pub struct Settings(tempfile::NamedTempFile);

impl Settings {
    pub fn new(toml: &str) -> Self {
        let settings = Self(tempfile::Builder::new().suffix(".toml").tempfile().expect("a file"));
        settings.write(toml);
        settings
    }

    pub fn write(&self, toml: &str) {
        std::fs::write(self.0.path(), toml).expect("written");
    }

    pub fn start(&self, database: &Arc<TestDatabase>, environment: &[(&str, &str)]) -> Service {
        let path = self.0.path().to_str().expect("a path");
        Service::start_with(Arc::clone(database), &["--config", path], environment)
    }
}

pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tiny")
}

/// The tiny model under the name `tiny`, and what else is said of models.
pub fn with_tiny(model: &str) -> String {
    format!("[model]\n{model}\n[models.tiny]\npath = {:?}\n", tiny().to_string_lossy())
}

/// A copy of the tiny model that calls itself another version.
fn another_tiny(version: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["model.onnx", "tokenizer.json", "config.json", "responsum-model.toml"] {
        std::fs::copy(tiny().join(name), folder.path().join(name)).expect("a copy");
    }
    let path = folder.path().join("responsum-model.toml");
    let text = std::fs::read_to_string(&path).expect("text");
    std::fs::write(path, text.replace("version = \"1\"", &format!("version = {version:?}"))).expect("written");
    folder
}

/// An operation that an administrator asks for.
#[track_caller]
pub fn operate(service: &Service, path: &str, body: &Value) -> crate::harness::Answer {
    service.send("POST", path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
}

#[track_caller]
pub fn wait_until(service: &Service, what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed().as_secs() < WAIT_SECONDS_MAX, "{what} did not happen: {}", service.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn reloads(service: &Service, outcome: &str) -> u64 {
    let metrics = service.get("/metrics").expect(200).body;
    let line = format!("responsum_config_reloads_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

/// Sends SIGHUP and waits until it was heard to its end.
#[track_caller]
fn hang_up(service: &Service, outcome: &str) {
    let before = reloads(service, outcome);
    service.signal(Signal::SIGHUP);
    wait_until(service, "a reload", || reloads(service, outcome) > before);
}

/// How many model threads the process has.
fn model_threads(service: &Service) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.child.id())).expect("its threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "model").count()
}

fn model_of(service: &Service, report: &str) -> Value {
    service.get(&format!("/fhir/{report}/$annotation")).expect(200).json()["model"].clone()
}

#[test]
fn models_are_listed_with_what_they_are() {
    let folder = another_tiny("2");
    std::fs::write(folder.path().join("README.md"), "# Tiny\n\nKnows **forty** words.\n\nMore.\n").expect("written");
    let toml = format!("{}[models.carded]\npath = {:?}\n", with_tiny("shadow = [\"tiny\"]"), folder.path());
    let service = Settings::new(&toml).start(&Arc::new(TestDatabase::new()), &[]);
    let models = service.get("/models").expect(200).json();
    let models = models["models"].as_array().expect("models");
    let names: Vec<_> = models.iter().map(|model| model["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["carded", "default", "tiny"]);
    let (carded, default, tiny) = (&models[0], &models[1], &models[2]);
    assert_eq!((&default["id"], &default["layout"]), (&json!("responsum-minilm-response"), &json!("built-in")));
    assert_eq!((&default["activeFor"], &default["shadow"]), (&json!(["local"]), &json!(false)));
    assert!(default["calibration"]["temperature"].is_number(), "{default}");
    assert_eq!((&tiny["activeFor"], &tiny["shadow"]), (&json!([]), &json!(true)));
    assert_eq!((&tiny["id"], &tiny["version"], &tiny["layout"]), (&json!("tiny"), &json!("1"), &json!("responsum")));
    assert_eq!(tiny["calibration"], Value::Null);
    assert_eq!(tiny["labels"][1], json!({"name": "No", "label": "not-responded"}));
    assert_eq!(tiny["sha256"].as_str().map(str::len), Some(64));
    assert_eq!([&default["card"], &tiny["card"], &carded["card"]], [true, false, true]);
    assert_eq!(service.get("/models/tiny").expect(200).json(), *tiny);
    // Cards.
    let card = service.get("/models/default/card").expect(200);
    assert!(card.header("content-type").starts_with("text/markdown"), "{}", card.header("content-type"));
    let built_in = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default/README.md"));
    assert_eq!(card.body, built_in.expect("the card"));
    assert!(service.get("/models/carded/card").expect(200).body.starts_with("# Tiny"));
    assert_eq!(service.get("/models/tiny/card").expect(404).issue(), "not-found");
    assert_eq!(service.get("/models/nobody/card").expect(404).issue(), "not-found");
    // The Device says what the card says.
    let device = service.get(&format!("/fhir/{}", carded["device"].as_str().expect("a device"))).expect(200).json();
    let notes: Vec<_> = device["note"].as_array().expect("notes").iter().map(|note| note["text"].as_str()).collect();
    assert_eq!(notes[1], Some("Knows forty words.\n\nThe whole model card: GET /models/carded/card"));
    assert_eq!(device["identifier"][0]["value"], carded["sha256"]);
    assert_eq!((&device["deviceName"][0]["name"], &device["version"][0]["value"]), (&json!("tiny"), &json!("2")));
}

#[test]
#[expect(clippy::print_stdout, reason = "its figures, with --nocapture")]
fn a_switch_under_load_loses_nothing() {
    let settings = Settings::new(&with_tiny("active = \"tiny\""));
    let database = Arc::new(TestDatabase::new());
    let service = settings.start(&database, &[]);
    let done = AtomicBool::new(false);
    let (mut accepted, mut asked) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let (service, done) = (&service, &done);
        let posting: Vec<_> = (0..3)
            .map(|poster| {
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    while !done.load(Ordering::SeqCst) {
                        let id = format!("p{poster}-{}", ids.len());
                        let body = with_id(report([RESPONDED, NOT_RESPONDED, NOT_STATED][ids.len() % 3]), &id);
                        service.put(&format!("/fhir/DiagnosticReport/{id}"), &body).expect(201);
                        ids.push(id);
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    ids
                })
            })
            .collect();
        let asking = scope.spawn(move || {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                let bundle = service.post("/fhir/DiagnosticReport/$annotate", &report(RESPONDED)).expect(200).json();
                let entries = bundle["entry"].as_array().expect("entries");
                // The answer names the model that gave it.
                assert_eq!(entries[0]["resource"]["device"]["reference"], entries[1]["fullUrl"], "{bundle}");
                asked += 1;
            }
            asked
        });
        // The built-in model and the tiny one in turns, by signal and by request.
        for turn in 0..6 {
            settings.write(&if turn % 2 == 0 { String::new() } else { with_tiny("active = \"tiny\"") });
            if turn % 3 == 0 {
                hang_up(service, "switched");
            } else {
                operate(service, "/models/$reload", &json!({})).expect(200);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        done.store(true, Ordering::SeqCst);
        accepted = posting.into_iter().flat_map(|poster| poster.join().expect("a poster")).collect();
        asked = asking.join().expect("answers");
    });
    service.put("/fhir/DiagnosticReport/after", &with_id(report(RESPONDED), "after")).expect(201);
    service.settle();
    assert!(accepted.len() > 20 && asked > 5, "{} posted, {asked} asked", accepted.len());
    let documents = i64::try_from(accepted.len()).expect("few") + 1;
    assert_eq!(database.count("SELECT count(*) FROM documents WHERE state = 'annotated'"), documents);
    assert_eq!(database.count("SELECT count(*) FROM annotations"), documents, "none lost, none doubled");
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0, "none given up");
    let ids = database.texts("SELECT DISTINCT model_id FROM annotations JOIN model_versions USING (model_version_id)");
    assert_eq!(ids.len(), 2, "both have answered: {ids:?}");
    assert_eq!(model_of(&service, "DiagnosticReport/after")["id"], "tiny", "after the reload the new one answers");
    let each = database.texts(
        "SELECT model_id || ' ' || count(*) FROM annotations JOIN model_versions USING (model_version_id)
         GROUP BY model_id ORDER BY model_id",
    );
    println!("6 switches, {documents} documents accepted and annotated once ({}), {asked} $annotate", each.join(", "));
    // The old ones have left with their last user.
    wait_until(&service, "the old models' end", || model_threads(&service) == 1);
}

#[test]
fn settings_that_do_not_load_change_nothing_and_say_why() {
    let settings = Settings::new(&with_tiny(""));
    let service = settings.start(&Arc::new(TestDatabase::new()), &[]);
    let models = service.get("/models").expect(200).body;
    let empty = tempfile::tempdir().expect("a folder");
    for (toml, parts) in [
        ("[model]\nactive = \"x\"\nshadow = [\"y\"]\n".to_owned(), vec!["model.active", "model.shadow"]),
        ("[model\n".to_owned(), vec!["line 1"]),
        (
            "[models.a]\nthreads = 0\n[worker]\nconcurrency = 0\n".to_owned(),
            vec!["models.a.threads", "worker.concurrency"],
        ),
        (
            format!("[models.a]\npath = {:?}\n[models.b]\npath = {:?}\n", empty.path(), empty.path()),
            vec!["model \"a\"", "model \"b\""],
        ),
    ] {
        settings.write(&toml);
        let refused = operate(&service, "/models/$reload", &json!({})).expect(422).json();
        assert_eq!(refused["resourceType"], "OperationOutcome");
        let issues = refused["issue"].as_array().expect("issues");
        assert_eq!(issues.len(), parts.len(), "one issue for each fault: {refused}");
        for part in &parts {
            let mut said = issues.iter().filter_map(|issue| issue["diagnostics"].as_str());
            assert!(said.any(|text| text.contains(part)), "{part}: {refused}");
        }
        hang_up(&service, "failed");
        assert!(parts.iter().all(|part| service.log().contains(&part.replace('"', "\\\""))), "{}", service.log());
        assert_eq!(service.get("/models").expect(200).body, models);
    }
    let id = service.accepted(&report(RESPONDED));
    service.settle();
    assert_eq!(model_of(&service, &format!("DiagnosticReport/{id}"))["id"], "responsum-minilm-response");
    assert_eq!((reloads(&service, "failed"), reloads(&service, "switched")), (8, 0));
}

#[test]
fn a_reload_changes_models_and_names_what_takes_a_restart() {
    let settings = Settings::new(&with_tiny(""));
    let service = settings.start(&Arc::new(TestDatabase::new()), &[]);
    settings
        .write(&(with_tiny("active = \"tiny\"") + "[worker]\npoll_seconds = 2.0\n[server]\nbody_bytes_max = 2048\n"));
    let reloaded = operate(&service, "/models/$reload", &json!({})).expect(200).json();
    assert_eq!(reloaded["restartNeeded"], json!(["server.body_bytes_max", "worker.poll_seconds"]));
    assert_eq!(service.get("/models/tiny").expect(200).json()["activeFor"], json!(["local"]));
    assert_eq!(service.get("/models/default").expect(404).issue(), "not-found", "nobody names it");
    assert_eq!(service.get("/health/ready").expect(200).json()["model"]["id"], "tiny");
    service.accepted(&report(&format!("{RESPONDED} ").repeat(40)));
    service.settle();
    // The same again is no change, but for what still waits for a restart.
    let again = operate(&service, "/models/$reload", &json!({})).expect(200).json();
    assert_eq!(again["restartNeeded"], json!(["server.body_bytes_max", "worker.poll_seconds"]));
    settings.write(&with_tiny("active = \"tiny\""));
    let back = operate(&service, "/models/$reload", &json!({})).expect(200).json();
    assert_eq!(back["restartNeeded"], json!([]));
}

#[test]
fn a_calibration_to_the_sites_reports_is_a_part_of_what_the_model_is() {
    let settings = Settings::new(&with_tiny(""));
    let service = settings.start(&Arc::new(TestDatabase::new()), &[]);
    let plain = service.get("/models/tiny").expect(200).json();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let write = |sha256: &str, bias: &str| {
        let text = format!(
            "model_sha256 = \"{sha256}\"\nreports = 24\n[document]\noverview = 0.5\nsentence = 0.5\nbias = [{bias}]\n"
        );
        std::fs::write(file.path(), text).expect("written");
    };
    settings.write(&(with_tiny("") + &format!("calibration = {:?}\n", file.path())));
    write(&"0".repeat(64), "0.0, 0.0, 0.0");
    let refused = operate(&service, "/models/$reload", &json!({})).expect(422).body;
    assert!(refused.contains("fitted to another model"), "{refused}");
    let mut seen = vec![plain["sha256"].clone()];
    for bias in ["0.1, 0.0, 0.0", "0.2, 0.0, 0.0"] {
        write(plain["sha256"].as_str().expect("a hash"), bias);
        operate(&service, "/models/$reload", &json!({})).expect(200);
        let fitted = service.get("/models/tiny").expect(200).json();
        assert_eq!(fitted["version"], "1+calibrated");
        assert_eq!(fitted["calibration"]["siteReports"], 24, "{fitted}");
        assert!(!seen.contains(&fitted["sha256"]), "another fit answers otherwise, so it is another model");
        seen.push(fitted["sha256"].clone());
    }
}

#[test]
fn a_model_in_shadow_looks_on_and_says_nothing() {
    let settings = Settings::new(&with_tiny("shadow = [\"tiny\"]"));
    let database = Arc::new(TestDatabase::new());
    let service = settings.start(&database, &[]);
    let texts = [RESPONDED, RESPONDED, RESPONDED, NOT_RESPONDED, NOT_RESPONDED, NOT_STATED, NOT_STATED];
    for (n, text) in texts.into_iter().chain([ONLY_DEFAULT_UNDERSTANDS]).enumerate() {
        service.put(&format!("/fhir/DiagnosticReport/r{n}"), &with_id(report(text), &format!("r{n}"))).expect(201);
    }
    let unread = service.accepted(&report(""));
    let kept = service.put(
        "/fhir/DiagnosticReport/kept",
        &with_id(json!({"resourceType": "DiagnosticReport", "status": "registered"}), "kept"),
    );
    assert_eq!(kept.status, 201, "{unread}");
    service.settle();
    // What leaves is as if it were not there.
    assert_eq!(database.count("SELECT count(*) FROM annotations"), 9);
    assert_eq!(database.count("SELECT count(*) FROM shadow_annotations"), 9, "of all that was annotated");
    assert_eq!(database.count("SELECT count(*) FROM observations"), 6);
    assert_eq!(database.count("SELECT count(*) FROM observation_versions"), 6);
    let reviewed = database.count(
        "SELECT count(*) FROM reviews JOIN annotations USING (annotation_id) JOIN model_versions USING (model_version_id)
         WHERE model_id = 'tiny'",
    );
    assert_eq!(reviewed, 0);
    assert_eq!(service.get("/fhir/Observation").expect(200).json()["total"], 6);
    // How far they agree.
    let figures = service.get("/models/default/agreement/tiny").expect(200).json();
    assert_eq!((&figures["documents"], &figures["notAsked"]), (&json!(8), &json!(1)));
    assert_eq!(figures["confusion"], json!([[3, 0, 1], [0, 2, 0], [0, 0, 2]]));
    assert_eq!((&figures["same"], &figures["agreement"]), (&json!(7), &json!(0.875)));
    let kappa = figures["kappa"].as_f64().expect("kappa");
    assert!((kappa - (0.875 - 22.0 / 64.0) / (1.0 - 22.0 / 64.0)).abs() < 1e-9, "{kappa}");
    let differ =
        json!({"source": "local", "report": "DiagnosticReport/r7", "version": 1, "a": "responded", "b": "not-stated"});
    assert_eq!(figures["differ"], json!({"total": 1, "documents": [differ]}));
    let turned = service.get("/models/tiny/agreement/responsum-minilm-response").expect(200).json();
    assert_eq!(turned["confusion"], json!([[3, 0, 0], [0, 2, 0], [1, 0, 2]]));
    assert_eq!(turned["differ"]["documents"][0]["a"], "not-stated");
    // Only the current versions count.
    service.put("/fhir/DiagnosticReport/r7", &with_id(report(RESPONDED), "r7")).expect(200);
    service.settle();
    let figures = service.get("/models/default/agreement/tiny").expect(200).json();
    assert_eq!((&figures["documents"], &figures["agreement"]), (&json!(8), &json!(1.0)));
    let metrics = service.get("/metrics").expect(200).body;
    assert!(metrics.contains("responsum_shadow_documents_total{outcome=\"annotated\"} 10"), "{metrics}");
}

#[test]
fn documents_that_differ_are_paged_and_models_of_one_id_told_apart() {
    let second = another_tiny("2");
    let toml = format!("{}[models.second]\npath = {:?}\n", with_tiny("shadow = [\"tiny\", \"second\"]"), second.path());
    let service = Settings::new(&toml).start(&Arc::new(TestDatabase::new()), &[]);
    for n in 0..5 {
        let body = with_id(report(ONLY_DEFAULT_UNDERSTANDS), &format!("r{n}"));
        service.put(&format!("/fhir/DiagnosticReport/r{n}"), &body).expect(201);
    }
    service.settle();
    let (mut path, mut found) = ("/models/default/agreement/tiny?count=2".to_owned(), Vec::new());
    loop {
        let page = service.get(&path).expect(200).json()["differ"].clone();
        assert_eq!(page["total"], 5);
        found.extend(page["documents"].as_array().expect("documents").iter().map(|d| d["report"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/models/default/agreement/tiny{next}");
    }
    assert_eq!(
        found,
        [
            "DiagnosticReport/r0",
            "DiagnosticReport/r1",
            "DiagnosticReport/r2",
            "DiagnosticReport/r3",
            "DiagnosticReport/r4"
        ]
    );
    // "tiny" is a name, and the id of two.
    let sha256 = service.get("/models/second").expect(200).json()["sha256"].as_str().expect("a hash").to_owned();
    for (b, expected) in
        [("tiny@2", "2"), ("tiny@1", "1"), (&format!("tiny@{}", &sha256[..8]), "2"), (&format!("tiny@2@{sha256}"), "2")]
    {
        let figures = service.get(&format!("/models/tiny/agreement/{b}")).expect(200).json();
        assert_eq!((&figures["b"]["version"], &figures["documents"]), (&json!(expected), &json!(5)), "{b}");
    }
    for (b, status, issue) in [
        ("nobody", 404, "not-found"),
        ("tiny@3", 404, "not-found"),
        ("tiny@", 404, "not-found"),
        ("tiny@1@ffffffff", 404, "not-found"),
    ] {
        assert_eq!(service.get(&format!("/models/tiny/agreement/{b}")).expect(status).issue(), issue, "{b}");
    }
    assert_eq!(service.get("/models/tiny/agreement/second?page=2").expect(400).issue(), "not-supported");
}

#[test]
fn an_id_of_several_models_asks_for_more() {
    let second = another_tiny("2");
    let toml = format!("[models.first]\npath = {:?}\n[models.second]\npath = {:?}\n", tiny(), second.path());
    let service = Settings::new(&toml).start(&Arc::new(TestDatabase::new()), &[]);
    assert_eq!(service.get("/models/first/agreement/tiny").expect(400).issue(), "multiple-matches");
    let figures = service.get("/models/first/agreement/tiny@2").expect(200).json();
    assert_eq!(
        (&figures["documents"], &figures["kappa"], &figures["agreement"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
}

#[test]
fn a_shadow_that_fails_takes_nothing_from_the_answer() {
    let database = Arc::new(TestDatabase::new());
    let service = Settings::new(&with_tiny("shadow = [\"tiny\"]")).start(&database, &[]);
    database.execute("ALTER TABLE shadow_annotations ADD CHECK (label = 'not-stated') NOT VALID");
    let id = service.accepted(&report(RESPONDED));
    service.settle();
    assert_eq!(service.observation(&format!("DiagnosticReport/{id}"))["status"], "preliminary");
    let annotation = service.get(&format!("/fhir/DiagnosticReport/{id}/$annotation")).expect(200).json();
    assert_eq!(annotation["state"], "annotated");
    assert_eq!(database.texts("SELECT kind FROM jobs WHERE abandoned"), ["shadow"]);
    assert_eq!(service.get("/models/default/agreement/tiny").expect(200).json()["documents"], 0);
    let metrics = service.get("/metrics").expect(200).body;
    assert!(metrics.contains("responsum_shadow_documents_total{outcome=\"failed\"} 1"), "{metrics}");
}

#[test]
fn a_shadow_that_was_taken_away_leaves_no_jobs_behind() {
    let settings = Settings::new(&with_tiny("shadow = [\"tiny\"]"));
    let database = Arc::new(TestDatabase::new());
    // Nobody does its jobs yet.
    let service = settings.start(&database, &[("RESPONSUM__WORKER__BACKGROUND_CONCURRENCY", "0")]);
    service.accepted(&report(RESPONDED));
    wait_until(&service, "an answer", || database.count("SELECT count(*) FROM annotations") == 1);
    assert_eq!(database.count("SELECT count(*) FROM jobs WHERE kind = 'shadow'"), 1);
    drop(service);
    settings.write("");
    let service = settings.start(&database, &[]);
    service.settle();
    assert_eq!(database.count("SELECT count(*) FROM shadow_annotations"), 0);
    assert_eq!(database.count("SELECT count(*) FROM jobs"), 0);
}

#[test]
fn models_are_switched_by_administrators_and_by_no_page_of_another_site() {
    let token = |name: &str, secret: &str, scope: &str| {
        let hash = responsum::digest::sha256(secret.as_bytes()).hex();
        format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nscopes = [\"{scope}\"]\n")
    };
    let tokens = tempfile::NamedTempFile::new().expect("a file");
    let text = token("reader", "r-secret", "read")
        + &token("writer", "w-secret", "write")
        + &token("root", "a-secret", "admin");
    std::fs::write(tokens.path(), text).expect("written");
    let environment = [("RESPONSUM__SERVER__TOKENS_FILE", tokens.path().to_str().expect("a path"))];
    let service = Service::start_with(Arc::new(TestDatabase::new()), &[], &environment);
    let operations = ["/models/$reload", "/models/%24reload", "/models/default/$reannotate"];
    for path in operations {
        assert_eq!(operate(&service, path, &json!({})).status, 401, "{path}");
    }
    let service = service.with_token("w-secret");
    for path in operations {
        assert_eq!(operate(&service, path, &json!({})).expect(403).issue(), "forbidden", "{path}");
    }
    assert_eq!(service.get("/models").status, 403);
    let service = service.with_token("r-secret");
    assert_eq!(operate(&service, "/models/$reload", &json!({})).status, 403);
    for path in ["/models", "/models/default/card", "/models/default/agreement/default", "/models/reannotations"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    let service = service.with_token("a-secret");
    operate(&service, "/models/$reload", &json!({})).expect(200);
    // A form of another site cannot send this content type.
    let form = [("content-type", "text/plain")];
    assert_eq!(service.send("POST", "/models/$reload", &form, Some(b"{}")).expect(415).issue(), "not-supported");
    assert_eq!(service.send("POST", "/models/$reload", &[], None).status, 415);
    assert_eq!(service.send("POST", "/models/$reload", &[FHIR], Some(b"")).status, 200, "a body is not needed");
    assert_eq!(operate(&service, "/models/$reload", &json!({"force": true})).expect(400).issue(), "invalid");
    assert_eq!(service.send("DELETE", "/models/default", &[], None).status, 405);
}
