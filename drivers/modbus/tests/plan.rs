//! The planner: its figures, its minimality against every possible plan, and what it never does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_driver::{ConnectionString, TagSpec};
use millstream_modbus::address::Area;
use millstream_modbus::options::{self, Settings};
use millstream_modbus::plan::{Plan, PlanLimits, Tag};
use millstream_modbus::refused::{Place, Refused, Span};
use millstream_model::Options;
use proptest::prelude::*;
use tokio::time::Instant;

fn settings(query: &str) -> Settings {
    let text = format!("modbus-tcp://host{query}");
    let target = options::target(ConnectionString::parse(&text).unwrap()).unwrap();
    Settings::new(&target.options)
}

fn tags(addresses: impl IntoIterator<Item = String>, settings: &Settings) -> Vec<Tag> {
    let specs: Vec<TagSpec> =
        addresses.into_iter().enumerate().map(|(i, a)| TagSpec::new(format!("t{i}"), a)).collect();
    Tag::parse_all(&specs, settings).unwrap()
}

fn plan(addresses: impl IntoIterator<Item = String>, query: &str) -> Plan {
    let settings = settings(query);
    Plan::new(&tags(addresses, &settings), settings.limits, &Refused::default())
}

fn every(step: u32) -> impl Iterator<Item = String> {
    (0..1000).map(move |i| format!("holding-register:{}:INT", 1 + i * step))
}

#[test]
fn requests_per_scan_for_a_thousand_registers() {
    for (step, most) in [(1, 8), (2, 16), (5, 40), (10, 77), (60, 334)] {
        assert_eq!(plan(every(step), "").requests.len(), most, "every {step}.");
    }
    let coils = (0..4001).map(|i| format!("coil:{}", 1 + i));
    assert_eq!(plan(coils, "").requests.len(), 3);
    assert_eq!(plan(every(1), "?max-registers-per-request=100").requests.len(), 10);
}

#[test]
fn gaps_are_read_only_where_that_saves_a_request() {
    // 1-10 and 120-140 take two requests in any case, so the gap between them stays unread.
    let addresses = (1..=10).chain(120..=140).map(|i| format!("holding-register:{i}"));
    let texts: Vec<_> = plan(addresses, "").requests.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["read holding-registers 1-10 of unit 1", "read holding-registers 120-140 of unit 1"]);
    let one = plan(["40001".to_owned(), "40125".to_owned()], "");
    assert_eq!(one.requests.len(), 1, "a gap that saves a round trip is read");
}

#[test]
fn areas_and_units_are_never_merged_and_values_never_split() {
    let addresses = [
        "holding-register:1",
        "input-register:1",
        "coil:1",
        "discrete-input:1",
        "holding-register:2{unit-id: 2}",
    ];
    assert_eq!(plan(addresses.map(str::to_owned), "").requests.len(), 5);
    let straddling =
        plan(["holding-register:1:INT[124]".to_owned(), "holding-register:125:LREAL".to_owned()], "");
    let texts: Vec<_> = straddling.requests.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["read holding-registers 1-124 of unit 1", "read holding-registers 125-128 of unit 1"]);
}

#[test]
fn file_records_share_frames() {
    let near = plan(["600001", "600002", "600004", "600100"].map(str::to_owned), "");
    assert_eq!(near.requests[0].to_string(), "read extended-registers 1-4, 100 of unit 1");
    let across = plan(["extended-register:9995[10]".to_owned()], "");
    assert_eq!(across.requests[0].to_string(), "read extended-registers 9995-9999, 10000-10004 of unit 1");
    assert_eq!(plan((0..200).map(|i| format!("extended-register:{}", i * 10)), "").requests.len(), 6);
}

#[test]
fn the_summary_counts_bytes_and_tags() {
    let settings = settings("");
    let tags = tags(["400001:REAL", "400010", "00001"].map(str::to_owned), &settings);
    let summary = Plan::new(&tags, settings.limits, &Refused::default()).summary(&tags);
    assert_eq!(summary.requests.len(), 2);
    assert_eq!(summary.requests[1].tags, [0, 1]);
    assert_eq!((summary.requests[1].request_bytes, summary.requests[1].response_bytes), (12, 29));
    assert_eq!((summary.requests[0].request_bytes, summary.requests[0].response_bytes), (12, 10));
    assert_eq!(summary.types[0].to_string(), "REAL");
}

#[test]
fn a_value_wider_than_the_device_s_limit_is_a_mistake() {
    let specs = [TagSpec::new("a", "400001:INT[20]"), TagSpec::new("b", "400001"), TagSpec::new("c", "4:x")];
    let problems = Tag::parse_all(&specs, &settings("?max-registers-per-request=10")).unwrap_err();
    assert_eq!(
        problems.iter().map(|p| (p.tag, p.diagnostic.code)).collect::<Vec<_>>(),
        [(Some(0), "address-size"), (Some(2), "address-number"),]
    );
}

#[test]
fn connection_strings_of_every_plc4x_generation() {
    let old = settings("?unit-identifier=7&request-timeout=250");
    let new = settings("?default-unit-identifier=7&request-timeout-ms=250");
    assert_eq!(old, new);
    assert_eq!((old.unit, old.request_timeout.as_millis(), old.in_flight_max), (7, 250, 1));
    for (text, code) in [
        ("modbus-tcp:serial://x", "transport"),
        ("modbus-tcp://x?unit-identifier=1&default-unit-identifier=1", "duplicate-option"),
        ("modbus-tcp://x?request-timeout=0", "option-value"),
        ("modbus-tcp://x?max-in-flight=99", "option-value"),
        ("modbus-tcp://x?max-in-fligth=2", "unknown-option"),
        ("modbus-tcp://x?ping-address=foo", "address-area"),
    ] {
        let mistakes = options::target(ConnectionString::parse(text).unwrap()).unwrap_err();
        assert_eq!(mistakes[0].code, code, "{text}");
    }
    assert!(Options::check(options::OPTIONS, std::iter::empty()).is_ok());
}

/// The least number of requests over every partition of the tags, found by trying all of them.
fn brute_force(spans: &[Span], max: u32, refused: &[Span]) -> usize {
    fn place(at: usize, spans: &[Span], groups: &mut Vec<Span>, fits: &dyn Fn(Span) -> bool) -> usize {
        let Some(span) = spans.get(at) else { return groups.len() };
        let mut best = usize::MAX;
        for index in 0..groups.len() {
            let before = groups[index];
            let joined = Span { start: before.start.min(span.start), end: before.end.max(span.end) };
            if fits(joined) {
                groups[index] = joined;
                best = best.min(place(at + 1, spans, groups, fits));
                groups[index] = before;
            }
        }
        groups.push(*span);
        best = best.min(place(at + 1, spans, groups, fits));
        groups.pop();
        best
    }
    let fits = |window: Span| {
        window.end - window.start <= max && !refused.iter().any(|refused| window.contains(*refused))
    };
    place(0, spans, &mut Vec::new(), &fits)
}

const PLACE: Place = Place { unit: 1, area: Area::HoldingRegister };

fn check_minimal(spans: &[(u32, u16)], max: u16, holes: &[(u32, u16)]) -> Result<(), TestCaseError> {
    let settings = settings("");
    let tags = tags(
        spans.iter().map(|(start, len)| format!("holding-register:{}[0..{}]:INT", start + 1, len - 1)),
        &settings,
    );
    let mut refused = Refused::default();
    for (start, len) in holes {
        refused.learn(Instant::now(), PLACE, Span::new(*start, *len));
    }
    let plan = Plan::new(&tags, PlanLimits::new(max, 2000), &refused);
    let known: Vec<Span> = refused.spans(PLACE).collect();
    let readable: Vec<Span> = tags
        .iter()
        .map(|tag| tag.span)
        .filter(|span| !known.iter().any(|hole| span.contains(*hole)))
        .collect();
    prop_assert_eq!(
        plan.requests.len(),
        brute_force(&readable, max.into(), &known),
        "{:?} {:?}",
        spans,
        known
    );
    // Whole values, no refused span, every tag once or known to be unreachable.
    let mut seen: Vec<usize> = plan.unreachable.clone();
    for request in &plan.requests {
        let window = request.span();
        prop_assert!(window.len() <= max && !known.iter().any(|hole| window.contains(*hole)));
        for slot in request.slots() {
            prop_assert!(window.contains(tags[slot.tag].span));
            seen.push(slot.tag);
        }
    }
    seen.sort_unstable();
    prop_assert_eq!(seen, (0..tags.len()).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn minimal_for_every_placement_of_four_registers() {
    // All multisets of four starts among nine, windows of three and of four.
    for code in 0..9_u32.pow(4) {
        let starts: Vec<u32> = (0..4).map(|i| code / 9_u32.pow(i) % 9).collect();
        if starts.is_sorted() {
            let spans: Vec<(u32, u16)> = starts.iter().map(|start| (*start, 1)).collect();
            check_minimal(&spans, 3, &[]).unwrap();
            check_minimal(&spans, 4, &[(4, 1)]).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn minimal_against_every_partition(
        spans in prop::collection::vec((0_u32..30, 1_u16..6), 1..8),
        max in 5_u16..14,
        holes in prop::collection::vec((0_u32..32, 1_u16..4), 0..4),
    ) {
        check_minimal(&spans, max, &holes)?;
    }
}
