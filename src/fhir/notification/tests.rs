use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::subscription::SubscriptionState;

const JSON: Option<&str> = Some("application/fhir+json; charset=utf-8");

fn endpoint_says(body: &Value) -> Result<Notification, NotificationError> {
    read(Address::Endpoint, JSON, &Bytes::from(body.to_string()))
}

fn topic_says(body: &Value) -> Topic {
    match endpoint_says(body).expect("a notification") {
        Notification::Topic(topic) => topic,
        other => panic!("no topic: {other:?}"),
    }
}

fn report(id: &str) -> Value {
    json!({"resourceType": "DiagnosticReport", "id": id, "status": "final"})
}

/// R4, after the Subscriptions Backport guide: Parameters.
fn r4_status(kind: &str, events: &[Value]) -> Value {
    let mut parameters = vec![
        json!({"name": "subscription", "valueReference": {"reference": "https://ehr.example/fhir/Subscription/s1"}}),
        json!({"name": "topic", "valueCanonical": "http://example.org/topics/reports"}),
        json!({"name": "status", "valueCode": "active"}),
        json!({"name": "type", "valueCode": kind}),
        json!({"name": "events-since-subscription-start", "valueString": events.len().to_string()}),
    ];
    parameters.extend_from_slice(events);
    json!({"resourceType": "Parameters", "id": "st", "parameter": parameters})
}

fn r4_event(number: &Value, focus: &str) -> Value {
    json!({"name": "notification-event", "part": [
        {"name": "focus", "valueReference": {"reference": focus}},
        {"name": "additional-context", "valueReference": {"reference": "https://ehr.example/fhir/Patient/p"}},
        number,
        {"name": "timestamp", "valueInstant": "2026-03-01T10:00:00.5+01:00"},
    ]})
}

#[expect(clippy::needless_pass_by_value, reason = "what json!() makes is passed on")]
fn history(status: Value, entries: Vec<Value>) -> Value {
    let request = json!({"method": "GET", "url": "https://ehr.example/fhir/Subscription/s1/$status"});
    let mut all =
        vec![json!({"fullUrl": "urn:uuid:0", "resource": status, "request": request, "response": {"status": "200"}})];
    all.extend(entries);
    json!({"resourceType": "Bundle", "type": "history", "entry": all})
}

#[test]
fn an_empty_body_is_a_ping_whatever_its_content_type() {
    for (content_type, body) in [(None, ""), (JSON, ""), (Some("application/x-www-form-urlencoded"), ""), (JSON, " \n")]
    {
        let body = Bytes::from_static(body.as_bytes());
        assert_eq!(read(Address::Endpoint, content_type, &body), Ok(Notification::Ping));
    }
}

#[test]
fn xml_loses_nothing_though_it_is_not_read() {
    let body = Bytes::from_static(b"<DiagnosticReport xmlns=\"http://hl7.org/fhir\"/>");
    for content_type in [Some("application/fhir+xml"), Some("text/xml; charset=utf-8"), None] {
        assert_eq!(read(Address::Endpoint, content_type, &body), Ok(Notification::Ping));
    }
    let id = LogicalId::new("a").expect("an id");
    let address = Address::Resource { resource_type: "DiagnosticReport", id: &id, deleted: false };
    let change = changed("DiagnosticReport".into(), id.clone(), What::Written(None));
    assert_eq!(read(address, Some("application/fhir+xml"), &body), Ok(change));
}

#[test]
fn a_resource_keeps_its_very_bytes() {
    let body = Bytes::from_static(b" {\"resourceType\":\"DiagnosticReport\", \"id\":\"a\", \"x\": 1.00}");
    let id = LogicalId::new("a").expect("an id");
    let expected = changed("DiagnosticReport".into(), id.clone(), What::Written(Some(body.clone())));
    assert_eq!(read(Address::Endpoint, None, &body), Ok(expected));
    let address = Address::Resource { resource_type: "DiagnosticReport", id: &id, deleted: false };
    assert!(read(address, JSON, &body).is_ok());
    let other = Address::Resource { resource_type: "DocumentReference", id: &id, deleted: false };
    assert_eq!(read(other, JSON, &body), Err(NotificationError::OtherResource));
}

#[test]
fn a_delete_needs_no_body() {
    let id = LogicalId::new("a").expect("an id");
    let address = Address::Resource { resource_type: "DiagnosticReport", id: &id, deleted: true };
    let deleted = changed("DiagnosticReport".into(), id.clone(), What::Deleted);
    assert_eq!(read(address, None, &Bytes::new()), Ok(deleted));
}

#[test]
fn the_backport_for_r4_is_read_with_every_payload() {
    let number = json!({"name": "event-number", "valueString": "7"});
    let focus = "https://ehr.example/fhir/DiagnosticReport/a";
    let whole =
        json!({"fullUrl": focus, "resource": report("a"), "request": {"method": "POST", "url": "DiagnosticReport"}});
    let only_id = json!({"fullUrl": focus, "request": {"method": "PUT", "url": "DiagnosticReport/a"}, "response": {"status": "200"}});
    let deleted = json!({"fullUrl": focus, "request": {"method": "DELETE", "url": "DiagnosticReport/a"}});
    let extra =
        json!({"fullUrl": "https://ehr.example/fhir/Patient/p", "resource": {"resourceType": "Patient", "id": "p"}});
    let bytes = Bytes::from(report("a").to_string());
    for (entries, what) in [
        (vec![], What::Written(None)),
        (vec![only_id], What::Written(None)),
        (vec![extra.clone(), whole], What::Written(Some(bytes))),
        (vec![extra, deleted], What::Deleted),
    ] {
        let topic = topic_says(&history(r4_status("event-notification", &[r4_event(&number, focus)]), entries));
        assert_eq!(topic.kind, TopicKind::EventNotification);
        assert_eq!(topic.subscription, "https://ehr.example/fhir/Subscription/s1");
        assert_eq!(topic.topic.as_deref(), Some("http://example.org/topics/reports"));
        assert_eq!((topic.state, topic.events_since_start), (Some(SubscriptionState::Active), Some(1)));
        let [event] = &topic.events[..] else { panic!("one event") };
        assert_eq!((event.number, event.focus.as_deref()), (Some(7), Some(focus)));
        assert_eq!(event.at, Some(time::macros::datetime!(2026-03-01 09:00:00.5 UTC)));
        assert_eq!(event.what, what);
    }
}

#[test]
fn r4b_and_r5_are_read_alike() {
    let status = |number: Value| {
        json!({"resourceType": "SubscriptionStatus", "type": "event-notification", "status": "active",
            "eventsSinceSubscriptionStart": "310", "subscription": {"reference": "Subscription/s1"},
            "topic": "http://example.org/topics/reports", "notificationEvent": [
                {"eventNumber": number, "timestamp": "2026-03-01T09:00:00Z", "focus": {"reference": "DiagnosticReport/a/_history/3"}},
                {"eventNumber": 310, "focus": {"reference": "DocumentReference/b"}}]})
    };
    for (kind, number) in [("history", json!("309")), ("subscription-notification", json!(309))] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [
            {"fullUrl": "urn:uuid:1", "resource": status(number)},
            {"fullUrl": "https://ehr.example/fhir/DocumentReference/b", "resource": {"resourceType": "DocumentReference", "id": "b"}}]});
        let topic = topic_says(&bundle);
        assert_eq!(topic.events_since_start, Some(310));
        let events: Vec<_> = topic.events.iter().map(|event| (event.number, event.focus.as_deref())).collect();
        assert_eq!(events, [(Some(309), Some("DiagnosticReport/a")), (Some(310), Some("DocumentReference/b"))]);
        assert_eq!(topic.events[0].what, What::Written(None));
        assert!(matches!(&topic.events[1].what, What::Written(Some(_))));
    }
}

#[test]
fn handshakes_heartbeats_and_errors_are_told_apart() {
    for (code, kind) in [
        ("handshake", TopicKind::Handshake),
        ("heartbeat", TopicKind::Heartbeat),
        ("query-status", TopicKind::QueryStatus),
        ("query-event", TopicKind::QueryEvent),
    ] {
        let topic = topic_says(&history(r4_status(code, &[]), vec![]));
        assert_eq!((topic.kind, topic.events.len()), (kind, 0));
    }
    let mut status = r4_status("heartbeat", &[]);
    let error = json!({"name": "error", "valueCodeableConcept": {"coding": [{"code": "no-response"}, {"code": "a text of a report"}]}});
    status["parameter"].as_array_mut().expect("a list").push(error);
    assert_eq!(topic_says(&history(status.clone(), vec![])).errors, ["no-response"]);
    assert_eq!(topic_says(&status).kind, TopicKind::Heartbeat, "a status that stands alone");
}

#[test]
fn an_empty_payload_has_events_without_focus() {
    let event = json!({"name": "notification-event", "part": [{"name": "event-number", "valueUnsignedInt": 4}]});
    let topic = topic_says(&history(r4_status("event-notification", &[event]), vec![]));
    assert_eq!(topic.events, [Event { number: Some(4), at: None, focus: None, what: What::Written(None) }]);
}

#[test]
fn a_focus_that_is_a_urn_is_named_by_its_resource() {
    let number = json!({"name": "event-number", "valueInteger": 1});
    let entry = json!({"fullUrl": "urn:uuid:5", "resource": report("a")});
    let bundle = history(r4_status("event-notification", &[r4_event(&number, "urn:uuid:5")]), vec![entry]);
    assert_eq!(topic_says(&bundle).events[0].focus.as_deref(), Some("DiagnosticReport/a"));
}

#[test]
fn a_bundle_without_status_tells_what_its_entries_name() {
    let bundle = json!({"resourceType": "Bundle", "type": "history", "entry": [
        {"resource": report("a")}, {"request": {"method": "DELETE", "url": "DiagnosticReport/b"}}, {"fullUrl": "urn:uuid:1"}]});
    let Notification::Changed(changes) = endpoint_says(&bundle).expect("changes") else { panic!("changes") };
    let changes: Vec<_> = changes.iter().map(|change| (change.id.as_str(), change.what == What::Deleted)).collect();
    assert_eq!(changes, [("a", false), ("b", true)]);
}

#[test]
fn faults_name_what_is_wrong() {
    let mut no_kind = r4_status("heartbeat", &[]);
    no_kind["parameter"].as_array_mut().expect("a list").remove(3);
    let many = vec![json!({"fullUrl": "x"}); CHANGES_MAX + 1];
    for (body, expected) in [
        (json!({}), NotificationError::NoResourceType),
        (json!([]), NotificationError::Json(JsonError::NotAnObject)),
        (json!({"resourceType": "DiagnosticReport"}), NotificationError::NoId),
        (json!({"resourceType": "DiagnosticReport", "id": "a b"}), NotificationError::NoId),
        (json!({"resourceType": "Bundle"}), NotificationError::EmptyBundle),
        (json!({"resourceType": "Bundle", "entry": {}}), NotificationError::EntriesNotAList),
        (json!({"resourceType": "Bundle", "entry": many}), NotificationError::TooMany),
        (history(r4_status("rumour", &[]), vec![]), NotificationError::Status("type")),
        (history(no_kind, vec![]), NotificationError::Status("type")),
        (json!({"resourceType": "SubscriptionStatus", "type": "heartbeat"}), NotificationError::Status("subscription")),
    ] {
        assert_eq!(endpoint_says(&body).expect_err("a fault"), expected, "{body}");
    }
    let text = Bytes::from_static(b"hello");
    for content_type in [None, Some("text/plain"), Some("application/octet-stream")] {
        assert_eq!(read(Address::Endpoint, content_type, &text), Err(NotificationError::MediaType));
    }
}

#[test]
fn recorded_deliveries_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/subscriptions/sekmet.jsonl");
    let Ok(recorded) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: recorded_deliveries_are_read: there is no {}", path.display());
        return;
    };
    let (mut pings, mut changes, mut topics) = (0, 0, Vec::new());
    for line in recorded.lines() {
        let delivery: Value = serde_json::from_str(line).expect("JSON");
        let body = Bytes::from(delivery["body"].as_str().expect("a body").to_owned());
        let named = delivery["path"].as_str().and_then(|path| type_and_id(path.strip_prefix("/hook/")?));
        let address = match &named {
            Some((resource_type, id)) => Address::Resource { resource_type, id, deleted: false },
            None => Address::Endpoint,
        };
        match read(address, delivery["headers"]["Content-Type"].as_str(), &body).expect("a notification") {
            Notification::Ping => pings += 1,
            Notification::Changed(changed) => changes += changed.len(),
            Notification::Topic(topic) => topics.push(topic),
        }
    }
    assert_eq!((pings, changes), (2, 6));
    let numbers: Vec<_> = topics.iter().map(|topic| topic.events.first().and_then(|event| event.number)).collect();
    assert_eq!(numbers, [None, Some(2), Some(1)]);
    assert!(topics[1..].iter().all(|topic| matches!(topic.events[0].what, What::Written(Some(_)))));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(Address::Endpoint, None, &Bytes::from(body.clone()));
        let _ = read(Address::Endpoint, JSON, &Bytes::from(body));
    }

    #[test]
    fn the_order_of_names_says_nothing(seed in any::<u64>(), numbers in proptest::collection::vec(1..10_000_i64, 0..6)) {
        let events: Vec<Value> = numbers.iter().map(|number| {
            r4_event(&json!({"name": "event-number", "valueString": number.to_string()}), &format!("DiagnosticReport/r{number}"))
        }).collect();
        let ordered = r4_status("event-notification", &events);
        let mut shuffled = ordered.clone();
        // Events keep their order among themselves; what stands around them moves.
        let list = shuffled["parameter"].as_array_mut().expect("a list");
        let by = usize::try_from(seed % 5).expect("small");
        list[..5].rotate_left(by);
        let last = list.len() - 1;
        if numbers.len() < 2 { list.swap(0, last); }
        prop_assert_eq!(topic_says(&history(shuffled, vec![])), topic_says(&history(ordered, vec![])));
    }

    #[test]
    fn what_is_cut_off_is_never_taken_for_whole(cut in 1..400_usize) {
        let number = json!({"name": "event-number", "valueString": "1"});
        let body = history(r4_status("event-notification", &[r4_event(&number, "DiagnosticReport/a")]), vec![]).to_string();
        let cut = cut.min(body.len() - 1);
        prop_assert!(read(Address::Endpoint, JSON, &Bytes::from(body[..cut].to_owned())).is_err());
    }
}
