use super::*;
use crate::Severity;
use proptest::prelude::*;

const LIMITS: Limits =
    Limits { first_wait_ms: 1_000, max_wait_ms: 8_000, max_age_ms: 60_000, max_try_ms: 5_000, max_waiting: 6 };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + ms)
}

fn alert(id: u64, ms: i64, severity: Severity) -> Arc<Alert> {
    Arc::new(Alert {
        id: AlertId(id),
        at: at(ms),
        severity,
        case: None,
        subject_ja: "件名".to_owned(),
        subject_en: "subject".to_owned(),
        text_ja: "本文".to_owned(),
        text_en: "text".to_owned(),
        link: None,
    })
}

fn queue(id: u64, ms: i64, severity: Severity, channels: &[&str]) -> Input {
    Input::Queue(alert(id, ms, severity), channels.iter().map(|c| (*c).to_owned()).collect())
}

fn tried(id: u64, channel: &str, result: Result<(), DeliverError>) -> Input {
    Input::Tried { id: AlertId(id), channel: channel.to_owned(), result }
}

/// Actions in short: `try N-1 web`, `ok N-1 web 2`, `up N-1 web 2: error`.
fn short(actions: Vec<Action>) -> Vec<String> {
    let one = |action| match action {
        Action::Try { alert, channel } => format!("try {} {channel}", alert.id),
        Action::Delivered { id, channel, tries } => format!("ok {id} {channel} {tries}"),
        Action::GivenUp { id, channel, tries, error } => format!("up {id} {channel} {tries}: {error}"),
    };
    actions.into_iter().map(one).collect()
}

#[test]
fn waits_double_up_to_the_longest_and_the_last_word_is_the_error() {
    let mut outbox = Outbox::new(LIMITS);
    assert_eq!(short(outbox.step(at(0), 1.0, queue(1, 0, Severity::Critical, &["web"]))), ["try N-1 web"]);
    let mut now = 0;
    for wait in [1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000, 8_000] {
        let failed = tried(1, "web", Err(DeliverError::passing("503")));
        assert_eq!(short(outbox.step(at(now), 1.0, failed)), [""; 0]);
        assert_eq!(outbox.next_due(), Some(at(now + wait)));
        assert_eq!(short(outbox.step(at(now + wait - 1), 1.0, Input::Tick)), [""; 0], "not a moment earlier");
        now += wait;
        assert_eq!(short(outbox.step(at(now), 1.0, Input::Tick)), ["try N-1 web"]);
    }
    outbox.step(at(now), 1.0, tried(1, "web", Err(DeliverError::passing("503"))));
    let end = short(outbox.step(at(60_000), 1.0, Input::Tick));
    assert_eq!(end, ["up N-1 web 10: 503; too old to be tried again"]);
    assert!(outbox.is_empty());
}

#[test]
fn the_receivers_own_wish_and_the_jitter_shape_the_wait() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.step(at(0), 0.0, queue(1, 0, Severity::Info, &["web"]));
    outbox.step(at(0), 0.0, tried(1, "web", Err(DeliverError::passing("x"))));
    assert_eq!(outbox.next_due(), Some(at(500)), "half the wait without jitter");
    outbox.step(at(500), 0.0, Input::Tick);
    let busy = DeliverError { after_ms: Some(30_000), ..DeliverError::passing("429") };
    outbox.step(at(500), 0.0, tried(1, "web", Err(busy)));
    assert_eq!(outbox.next_due(), Some(at(30_500)));
}

#[test]
fn a_dead_channel_stops_no_other_and_a_lasting_error_is_final() {
    let mut outbox = Outbox::new(LIMITS);
    let start = short(outbox.step(at(0), 0.5, queue(1, 0, Severity::Warning, &["mail", "web"])));
    assert_eq!(start, ["try N-1 mail", "try N-1 web"]);
    assert_eq!(short(outbox.step(at(1), 0.5, queue(2, 1, Severity::Warning, &["mail", "web"]))), [""; 0]);
    let next = short(outbox.step(at(2), 0.5, tried(1, "mail", Ok(()))));
    assert_eq!(next, ["ok N-1 mail 1", "try N-2 mail"]);
    let next = short(outbox.step(at(3), 0.5, tried(1, "web", Err(DeliverError::lasting("404")))));
    assert_eq!(next, ["up N-1 web 1: 404", "try N-2 web"]);
}

#[test]
fn the_most_severe_goes_first_and_the_least_severe_goes_when_full() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.step(at(0), 0.5, queue(1, 0, Severity::Info, &["web"]));
    for id in 2..=6 {
        let severity = if id == 4 { Severity::Critical } else { Severity::Warning };
        assert_eq!(short(outbox.step(at(0), 0.5, queue(id, 0, severity, &["web"]))), [""; 0]);
    }
    let full = short(outbox.step(at(1), 0.5, queue(7, 1, Severity::Info, &["web"])));
    assert_eq!(full, ["up N-7 web 0: the outbox is full"], "the new one is the least, and N-1 is being tried");
    let full = short(outbox.step(at(1), 0.5, queue(8, 1, Severity::Critical, &["web"])));
    assert_eq!(full, ["up N-2 web 0: the outbox is full"]);
    let next = short(outbox.step(at(2), 0.5, tried(1, "web", Ok(()))));
    assert_eq!(next, ["ok N-1 web 1", "try N-4 web"]);
    assert_eq!(outbox.counters(), Counters { queued: 8, delivered: 1, dropped: 2, ..Counters::default() });
}

#[test]
fn a_lost_answer_is_a_failed_try_and_a_late_success_counts() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.step(at(0), 0.0, queue(1, 0, Severity::Info, &["web"]));
    assert_eq!(outbox.next_due(), Some(at(5_000)));
    assert_eq!(short(outbox.step(at(5_000), 0.0, Input::Tick)), [""; 0]);
    assert_eq!(short(outbox.step(at(5_500), 0.0, Input::Tick)), ["try N-1 web"]);
    assert_eq!(short(outbox.step(at(5_600), 0.0, tried(1, "web", Ok(())))), ["ok N-1 web 2"]);
    assert_eq!(short(outbox.step(at(5_700), 0.0, tried(1, "web", Ok(())))), [""; 0], "told twice, recorded once");
}

#[derive(Clone, Debug)]
enum Happens {
    Queue(u64, Severity, bool, bool),
    Answer(usize, u8),
    Pass(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Critical)];
    prop_oneof![
        (1..12u64, severity, any::<bool>(), any::<bool>()).prop_map(|(i, s, a, b)| Happens::Queue(i, s, a, b)),
        (0..4usize, 0..4u8).prop_map(|(which, how)| Happens::Answer(which, how)),
        (0..7_000i64).prop_map(Happens::Pass),
    ]
}

proptest! {
    /// Whatever happens: each delivery gets exactly one last word, no channel has two tries at once, the bound holds,
    /// and left alone the outbox empties itself.
    #[test]
    fn every_delivery_ends_once(story in prop::collection::vec(happens(), 1..80), jitter in 0.0..=1.0f64) {
        let mut outbox = Outbox::new(LIMITS);
        let mut now = 0;
        let mut running: Vec<(u64, String)> = Vec::new();
        let mut open = BTreeSet::new();
        let quiet_end = std::iter::repeat_n(Happens::Pass(5_000), 20);
        for event in story.into_iter().chain(quiet_end) {
            let input = match event {
                Happens::Queue(id, severity, web, mail) => {
                    let channels: Vec<_> = [("web", web), ("mail", mail)].iter().filter(|c| c.1).map(|c| c.0).collect();
                    open.extend(channels.iter().map(|c| (id, (*c).to_owned())));
                    queue(id, now, severity, &channels)
                }
                Happens::Answer(which, how) => {
                    if running.is_empty() { continue; }
                    let (id, channel) = running.remove(which % running.len());
                    let result = match how {
                        0 => Ok(()),
                        1 => Err(DeliverError::lasting("no")),
                        _ => Err(DeliverError::passing("later")),
                    };
                    tried(id, &channel, result)
                }
                Happens::Pass(ms) => {
                    now += ms;
                    Input::Tick
                }
            };
            for action in outbox.step(at(now), jitter, input) {
                match action {
                    Action::Try { alert, channel } => {
                        running.retain(|(_, c)| *c != channel);
                        prop_assert!(open.contains(&(alert.id.0, channel.clone())));
                        running.push((alert.id.0, channel));
                    }
                    Action::Delivered { id, channel, .. } | Action::GivenUp { id, channel, .. } => {
                        prop_assert!(open.remove(&(id.0, channel)), "one last word");
                    }
                }
            }
            prop_assert_eq!(outbox.len(), open.len(), "nothing is lost");
            prop_assert!(outbox.len() <= LIMITS.max_waiting);
        }
        prop_assert!(outbox.is_empty(), "left: {:?}", outbox);
        prop_assert_eq!(outbox.next_due(), None);
    }
}
