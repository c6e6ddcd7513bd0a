//! The commands as a person types them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{NOT_RESPONDED, NOT_STATED, RESPONDED, RESPONSUM, report};

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(RESPONSUM)
        .args(arguments)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("an end")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_command_speaks_help_with_examples() {
    for command in [
        vec!["serve"],
        vec!["extract"],
        vec!["annotate"],
        vec!["eval"],
        vec!["model", "inspect"],
        vec!["model", "score"],
    ] {
        let output = run(&[command.clone(), vec!["--help"]].concat(), "");
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Examples:"), "{command:?}");
    }
}

#[test]
fn wrong_usage_and_wrong_settings_exit_2() {
    let settings = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    std::fs::write(settings.path(), "[server]\nbody_bytes_max = 1\n[worker]\nconcurrency = 0\n").expect("written");
    let settings = settings.path().to_str().expect("a path").to_owned();
    for arguments in [
        vec!["nonsense"],
        vec!["serve", "--listen", "here"],
        vec!["check-config", "--config", &settings],
        vec!["check-config", "--config", "/does/not/exist.toml"],
        vec!["serve", "--embedded-db", "--listen", "0.0.0.0:0"],
    ] {
        let output = run(&arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
    let both = stderr(&run(&["check-config", "--config", &settings], ""));
    assert!(both.contains("body_bytes_max") && both.contains("concurrency"), "{both}");
    let output = run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--embedded-db"), "{}", stderr(&output));
}

#[test]
fn annotate_gives_one_line_for_each_and_goes_on_after_a_bad_one() {
    let rows = [
        format!("{{\"id\": \"a\", \"text\": \"{RESPONDED}\"}}"),
        "not JSON".to_owned(),
        format!("{{\"id\": 2, \"text\": \"{NOT_RESPONDED}\"}}"),
        report(NOT_STATED).to_string(),
        "{\"resourceType\": \"Patient\"}".to_owned(),
    ];
    let output = run(&["annotate"], &rows.join("\n"));
    assert_eq!(output.status.code(), Some(1), "a bad line is told at the end");
    let answers = lines(&output);
    assert_eq!(answers.len(), 5);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["label"], &answers[0]["mapped"]),
        (&"a".into(), &"Yes".into(), &"responded".into())
    );
    assert_eq!(answers[1]["line"], 2);
    assert!(answers[1]["error"].is_string());
    assert_eq!(answers[2]["mapped"], "not-responded");
    assert_eq!(answers[3]["mapped"], "not-stated");
    assert_eq!(answers[4]["line"], 5);
    let evidence = &answers[0]["evidence"][0];
    let (start, end) = (evidence["start"].as_u64().expect("a number"), evidence["end"].as_u64().expect("a number"));
    let (start, end) = (usize::try_from(start).expect("small"), usize::try_from(end).expect("small"));
    let quoted: String = RESPONDED.chars().skip(start).take(end - start).collect();
    assert_eq!(evidence["text"], quoted.as_str());
}

#[test]
fn eval_measures_what_the_rows_say() {
    let rows = [(RESPONDED, "Yes"), (NOT_RESPONDED, "No"), (NOT_STATED, "NA"), (RESPONDED, "No")];
    let text: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(n, (text, label))| {
            format!("{{\"id\":{n},\"text\":\"{text}\",\"label\":\"{label}\",\"ambiguous\":{}}}", n == 3)
        })
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text.join("\n")).expect("written");
    let path = file.path().to_str().expect("a path");
    for unit in ["sentence", "document"] {
        let output = run(&["eval", path, "--unit", unit, "--json"], "");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let measured: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(
            (&measured["n"], &measured["accuracy"], &measured["macro_f1"]),
            (&3.into(), &1.0.into(), &1.0.into())
        );
        for name in ["auroc", "yes_no_accuracy", "ece", "classes", "confusion", "ci95"] {
            assert!(!measured[name].is_null(), "{name}");
        }
    }
}

#[test]
fn extract_shows_the_narrative_of_a_file_and_of_a_resource() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    std::fs::write(&page, format!("<h2>IMPRESSION:</h2><p>{RESPONDED}</p>")).expect("written");
    let output = run(&["extract", page.to_str().expect("a path")], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(RESPONDED));
    let output = run(&["extract", "--json", "-"], &report(RESPONDED).to_string());
    let narrative: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(narrative["text"].as_str().map(str::trim), Some(RESPONDED));
    assert_eq!(narrative["coverage"]["read"][0]["origin"], "DiagnosticReport.presentedForm[0]");
}

#[test]
fn model_inspect_and_score_tell_what_the_model_is_and_says() {
    let inspected: Value = serde_json::from_str(&stdout(&run(&["model", "inspect", "--json"], ""))).expect("JSON");
    assert!(inspected.to_string().contains("responsum-minilm-response"), "{inspected}");
    let output = run(&["model", "score"], &format!("{{\"text\": \"{RESPONDED}\"}}\n"));
    let scored = &lines(&output)[0];
    assert_eq!(
        (&scored["label"], &scored["mapped_label"], &scored["truncated"]),
        (&"Yes".into(), &"responded".into(), &false.into())
    );
    let ids = scored["input_ids"].as_array().expect("ids");
    assert_eq!((ids.first(), ids.last()), (Some(&101.into()), Some(&102.into())));
    assert_eq!(scored["logits"].as_array().map(Vec::len), Some(3));
}
