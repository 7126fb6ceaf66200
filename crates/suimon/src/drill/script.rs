//! The people of the drill: scripted roles that act through the public API, and the story that results.

use super::api::Role;
use super::router::{Core, lock};
use super::setup::{CONTACT, SERVICE, TELEPHONE};
use super::timeline::{Stage, Timeline};
use crate::commands::case::text;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_lab::Span;

/// The sentence with which a customer asks (catalogue row 125).
pub const REQUEST: &str = "攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい";
/// Nothing in a drill takes longer than this beyond its own traffic, seconds.
const PATIENCE_S: u64 = 30;
/// Measures that the operator proposes at most: one, and one more when new vectors join.
const MAX_MEASURES: usize = 3;
/// The operator looks at the situation this long before proposing, milliseconds: vectors that come one after another
/// are seen together.
const ASSESS_MS: u64 = 3_000;

/// From this share of the attack on, vectors that no measure answers yet are worth another one.
const WORTH_ANOTHER: f64 = 0.01;
/// The operator watches for this many quarters of a second after each measure.
const WATCH_STEPS: usize = 10;

/// The people.
pub struct Roles {
    /// Takes down words and calls back.
    pub desk: Role,
    /// Proposes.
    pub operator: Role,
    /// Approves.
    pub approver: Role,
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The case.
    pub case: String,
    /// Measures with the time each was applied.
    pub measures: Vec<(String, Timestamp)>,
    /// Whether every chosen way separates.
    pub separates: bool,
    /// Whether the alternative that was approved is the one that the record shows.
    pub choice_kept: bool,
    /// When the detector said so.
    pub detected: Option<Timestamp>,
    /// When the last measure was gone.
    pub released: Option<Timestamp>,
    /// Why the last measure was released.
    pub why_released: String,
}

/// The script.
pub struct Script {
    /// Who acts.
    pub roles: Roles,
    /// Where stages are told.
    pub timeline: Arc<Timeline>,
    /// Router and judge.
    pub core: Arc<Mutex<Core>>,
    /// Seconds without the attack until release.
    pub quiet_seconds: u64,
    /// Seconds of traffic, all in all.
    pub length_s: u64,
    seq: u64,
    seen: Vec<Value>,
}

impl Script {
    /// A script that has not begun.
    pub fn new(
        roles: Roles,
        timeline: Arc<Timeline>,
        core: Arc<Mutex<Core>>,
        quiet_seconds: u64,
        length_s: u64,
    ) -> Self {
        Script { roles, timeline, core, quiet_seconds, length_s, seq: 0, seen: Vec::new() }
    }

    /// Plays it to the end.
    ///
    /// # Errors
    /// When something that has to happen does not.
    pub async fn run(&mut self) -> anyhow::Result<Story> {
        let mut story = Story { separates: true, choice_kept: true, ..Story::default() };
        let seen =
            self.wait("an attack", |e| kind(e) == "attack-seen" && !text(e, "/event/customer").is_empty()).await?;
        let attack = text(&seen, "/event/id");
        story.detected = Some(time(&seen));
        self.tell_detection(&seen);
        let opened = self.wait("a case", |e| kind(e) == "case-opened").await?;
        story.case = text(&opened, "/event/id");
        self.stage(
            Stage::CaseOpened,
            &opened,
            json!({ "case": story.case }),
            &format!("{} {}", story.case, text(&opened, "/event/title")),
        );
        self.too_early(&story.case).await?;
        self.request(&story.case).await?;
        self.assess(time(&seen)).await;
        for round in 0..MAX_MEASURES {
            let known = self.vectors(&attack).await?;
            self.measure(&mut story, round).await?;
            if !self.joined_by_new_vectors(&attack, &known).await? {
                break;
            }
        }
        self.until_released(&mut story).await?;
        self.close(&story).await?;
        Ok(story)
    }

    fn tell_detection(&self, seen: &Value) {
        let (first, told) = {
            let core = lock(&self.core);
            (core.progress.first_attack, core.progress.first_told)
        };
        if let Some(at) = first {
            self.timeline.stage(Stage::FirstAttackPacket, at, json!({}), "");
        }
        let detected = seen
            .pointer("/event/attack/detected")
            .and_then(Value::as_str)
            .and_then(|t| t.parse().ok())
            .unwrap_or(time(seen));
        let exporter_ms = first.zip(told).map(|(f, t)| t.ms_since(f));
        let detect_ms = told.map(|t| detected.ms_since(t).max(0));
        if let Some(at) = told {
            let words = exporter_ms.map_or_else(String::new, |ms| format!("the exporter's own delay: {ms} ms"));
            self.timeline.stage(Stage::FirstExported, at, json!({ "exporter_delay_ms": exporter_ms }), words);
        }
        let evidence = if self.timeline.is_japanese() {
            "/event/attack/evidence/words_ja"
        } else {
            "/event/attack/evidence/words_en"
        };
        let delay = detect_ms.map_or_else(String::new, |ms| format!("{ms} ms after the first exported flow\n"));
        self.timeline.stage(
            Stage::Detected,
            detected,
            json!({
                "attack": text(seen, "/event/id"),
                "target": text(seen, "/event/attack/target"),
                "vectors": seen.pointer("/event/attack/vectors").and_then(Value::as_array).map(|v| v.iter().map(|x| text(x, "/vector")).collect::<Vec<_>>()),
                "detection_delay_ms": detect_ms,
                "exporter_delay_ms": exporter_ms,
            }),
            format!("{delay}{}", wrap(&text(seen, evidence), 90)),
        );
    }

    /// The operator asks before the customer has: refused, with what is missing (catalogue row 44).
    async fn too_early(&mut self, case: &str) -> anyhow::Result<()> {
        let answer = self.roles.operator.try_post("/api/v1/measures", &self.proposal(case)).await?;
        let value = answer.json()?;
        anyhow::ensure!(
            answer.status == 403,
            "a proposal without any basis was answered with {}: {value}",
            answer.status
        );
        let pointer = if self.timeline.is_japanese() { "ja" } else { "en" };
        let mut words = text(&value, &format!("/error/denial/summary/{pointer}"));
        let offer = text(&value, &format!("/error/denial/offer/{pointer}"));
        if !offer.is_empty() {
            words = format!("{words}\n→ {offer}");
        }
        let missing = value.pointer("/error/denial/missing").cloned().unwrap_or_default();
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::Denied,
            now,
            json!({ "measure": text(&value, "/error/measure"), "missing": missing }),
            wrap(&words, 90),
        );
        Ok(())
    }

    async fn request(&mut self, case: &str) -> anyhow::Result<()> {
        let body = json!({
            "words": REQUEST,
            "requester": { "company": "Exercise customer", "contact": CONTACT, "service": SERVICE },
            "channel": "telephone",
        });
        let made = self.roles.desk.post(&format!("/api/v1/cases/{case}/requests"), &body).await?;
        let request = text(&made, "/request");
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::Request,
            now,
            json!({ "case": case, "request": request, "words": REQUEST, "seq": made.get("seq") }),
            format!("{request} 「{REQUEST}」"),
        );
        let body = json!({ "confirmed": true, "note": format!("called back on the registered number {TELEPHONE}") });
        let done = self.roles.desk.post(&format!("/api/v1/requests/{request}/callback"), &body).await?;
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::Callback,
            now,
            json!({ "request": request, "confirmed": true, "seq": done.get("seq") }),
            format!("{TELEPHONE}: ok"),
        );
        Ok(())
    }

    async fn assess(&self, detected: Timestamp) {
        let spent = u64::try_from(self.timeline.now().ms_since(detected)).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(ASSESS_MS.saturating_sub(spent))).await;
    }

    fn proposal(&self, case: &str) -> Value {
        json!({
            "case": case,
            "end": format!("quiet:{}s", self.quiet_seconds),
            "reason": "the customer asks for it and the attack is under way",
        })
    }

    async fn measure(&mut self, story: &mut Story, round: usize) -> anyhow::Result<()> {
        let mut proposal = self.proposal(&story.case);
        if round > 0 {
            proposal["reason"] = json!("new vectors joined the attack");
        }
        let made = self.roles.operator.post("/api/v1/measures", &proposal).await?;
        let id = text(&made, "/measures/0");
        let whole = self.roles.operator.get(&format!("/api/v1/measures/{id}")).await?;
        let m = whole.get("measure").unwrap_or(&whole);
        let plan = m.pointer("/draft/plan").cloned().unwrap_or_default();
        let equal = plan.pointer("/proof/equal") == Some(&json!(true));
        anyhow::ensure!(equal, "{id}: the filter is not proved equal to its rules: {}", text(&plan, "/proof"));
        let separates = plan.get("separates") == Some(&json!(true));
        let chosen = plan.get("chosen").and_then(Value::as_u64).unwrap_or(0) as usize;
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::Proposed,
            now,
            json!({ "measure": id, "case": story.case, "separates": separates, "lines": plan.get("lines"), "text": plan.get("text"), "undo": plan.get("undo"), "seq": made.get("seq") }),
            format!("{id}, proved exact\n{}", text(&plan, "/text").trim_end()),
        );
        self.basis(&id, m);
        if !separates {
            self.trade_off(&id, &plan);
        }
        story.separates &= separates;
        let body = json!({ "choose": chosen, "claims": { "wider-because": if separates { Value::Null } else { json!("the trade-off was looked at and this way was chosen") } } });
        let approved = self.roles.approver.post(&format!("/api/v1/measures/{id}/approve"), &body).await?;
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::Approved,
            now,
            json!({ "measure": id, "choice": chosen, "seq": approved.get("seq") }),
            format!("{id} by a second person"),
        );
        let wanted = id.clone();
        let applied =
            self.wait("the router", |e| kind(e) == "measure-applied" && text(e, "/event/id") == wanted).await?;
        let at = time(&applied);
        {
            let mut core = lock(&self.core);
            if core.judge.span() == Span::Before {
                core.judge.enter(Span::Measure);
            }
        }
        self.stage(
            Stage::Applied,
            &applied,
            json!({ "measure": id, "seq": applied.get("seq") }),
            &format!("{id} on {} ({})", text(&applied, "/event/place"), text(&applied, "/event/receipt")),
        );
        let whole = self.roles.operator.get(&format!("/api/v1/measures/{id}")).await?;
        let m = whole.get("measure").unwrap_or(&whole);
        story.choice_kept &= m.pointer("/draft/plan/chosen").and_then(Value::as_u64) == Some(chosen as u64);
        story.measures.push((id, at));
        Ok(())
    }

    fn basis(&self, id: &str, m: &Value) {
        let lang = if self.timeline.is_japanese() { "ja" } else { "en" };
        let grounds = m.pointer("/decision/grounds").and_then(Value::as_array).cloned().unwrap_or_default();
        let list: Vec<String> = grounds
            .iter()
            .map(|g| {
                let bases = g.get("basis").and_then(Value::as_array).cloned().unwrap_or_default();
                let bases = bases.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
                format!("{} {} ({bases})", text(g, "/case"), text(g, &format!("/title/{lang}")))
            })
            .collect();
        let pack = format!("{} {}", text(m, "/decision/pack/id"), text(m, "/decision/pack/version"));
        let now = self.timeline.now();
        let cases: Vec<String> = grounds.iter().map(|g| text(g, "/case")).collect();
        self.timeline.stage(
            Stage::Basis,
            now,
            json!({ "measure": id, "cases": cases, "pack": pack, "infringement": m.pointer("/draft/infringement") }),
            format!("{} [{pack}]", list.join("; ")),
        );
    }

    fn trade_off(&self, id: &str, plan: &Value) {
        let percent = |v: Option<&Value>| {
            v.and_then(Value::as_f64).map_or_else(|| "?".to_owned(), |x| format!("{:.1} %", x * 100.0))
        };
        let words = if self.timeline.is_japanese() { "/words-ja" } else { "/words-en" };
        let mut lines = vec!["no rule of this dialect separates attack and customers; what each way costs:".to_owned()];
        let alternatives = plan.get("alternatives").and_then(Value::as_array).cloned().unwrap_or_default();
        for (i, a) in alternatives.iter().enumerate() {
            let mark = if plan.get("chosen").and_then(Value::as_u64) == Some(i as u64) { "*" } else { " " };
            lines.push(format!(
                "{mark}{i:>2} {}: attack −{}, legitimate −{}, new connections −{}{}",
                text(a, "/means"),
                percent(a.get("attack-dropped")),
                percent(a.get("legitimate-dropped")),
                percent(a.get("connections-dropped")),
                if text(a, "/refused").is_empty() {
                    String::new()
                } else {
                    format!(" (not in this dialect: {})", text(a, "/refused"))
                },
            ));
            if mark == "*" {
                lines.push(wrap(&format!("    {}", text(a, words)), 90));
            }
        }
        let now = self.timeline.now();
        self.timeline.stage(
            Stage::TradeOff,
            now,
            json!({ "measure": id, "alternatives": alternatives, "chosen": plan.get("chosen") }),
            lines.join("\n"),
        );
    }

    /// The attack's vectors with their packets a second now.
    async fn vectors(&self, attack: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        let a = self.roles.operator.get(&format!("/api/v1/attacks/{attack}")).await?;
        let list = a.pointer("/attack/vectors").and_then(Value::as_array).cloned().unwrap_or_default();
        let pps = |v: &Value| v.pointer("/current/pps").and_then(Value::as_f64).unwrap_or(0.0);
        Ok(list.iter().map(|v| (text(v, "/vector"), pps(v))).collect())
    }

    /// The operator watches for a while: does something new come through that is worth another measure?
    async fn joined_by_new_vectors(&mut self, attack: &str, known: &BTreeMap<String, f64>) -> anyhow::Result<bool> {
        for _ in 0..WATCH_STEPS {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if lock(&self.core).progress.done {
                return Ok(false);
            }
            let now = self.vectors(attack).await?;
            let all: f64 = now.values().sum();
            let new: f64 = now.iter().filter(|(v, _)| !known.contains_key(*v)).map(|(_, pps)| pps).sum();
            if new > all * WORTH_ANOTHER {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn until_released(&mut self, story: &mut Story) -> anyhow::Result<()> {
        let ids: Vec<String> = story.measures.iter().map(|(id, _)| id.clone()).collect();
        let mut left = ids.len();
        let mut over = false;
        while left > 0 {
            let wanted = ids.clone();
            let e = self
                .wait("the end", move |e| {
                    let mine = wanted.contains(&text(e, "/event/id"));
                    (mine && matches!(kind(e).as_str(), "effect-measured" | "release-intended" | "measure-released"))
                        || kind(e) == "attack-ended"
                })
                .await?;
            let id = text(&e, "/event/id");
            match kind(&e).as_str() {
                "attack-ended" if !over => {
                    over = true;
                    self.stage(Stage::AttackOver, &e, json!({ "attack": id }), &id);
                }
                "effect-measured" => self.effect(&id, &e),
                "release-intended" => {
                    story.why_released = text(&e, "/event/reason/why");
                    let quiet_ms = e.pointer("/event/reason/quiet_ms").cloned();
                    self.stage(
                        Stage::Quiet,
                        &e,
                        json!({ "measure": id, "why": story.why_released, "quiet_ms": quiet_ms }),
                        &format!("{id}: {}{}", story.why_released, quiet_words(&e)),
                    );
                }
                "measure-released" => {
                    left -= 1;
                    story.released = Some(time(&e));
                    if left == 0 {
                        lock(&self.core).judge.enter(Span::Released);
                    }
                    self.stage(
                        Stage::Released,
                        &e,
                        json!({ "measure": id, "checked": text(&e, "/event/checked"), "seq": e.get("seq") }),
                        &format!("{id}: {}", text(&e, "/event/checked")),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn effect(&self, id: &str, e: &Value) {
        let f = |p: &str| e.pointer(&format!("/event/effect/{p}")).and_then(Value::as_f64).unwrap_or(0.0);
        let share = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 100.0 };
        let words = format!(
            "{id} by flows: attack {:.0} pps arrive, {:.2} % pass; other {:.0} pps arrive, {:.2} % pass",
            f("attack-arriving-pps"),
            share(f("attack-passed-pps"), f("attack-arriving-pps")),
            f("other-arriving-pps"),
            share(f("other-passed-pps"), f("other-arriving-pps")),
        );
        self.stage(Stage::Effect, e, json!({ "measure": id, "effect": e.pointer("/event/effect") }), &words);
    }

    async fn close(&mut self, story: &Story) -> anyhow::Result<()> {
        let body = json!({ "host-check": "the customer reaches the host and sees nothing unusual" });
        let done = self.roles.operator.post(&format!("/api/v1/cases/{}/close", story.case), &body).await?;
        let now = self.timeline.now();
        self.timeline.stage(Stage::Closed, now, json!({ "case": story.case, "seq": done.get("seq") }), &story.case);
        Ok(())
    }

    fn stage(&self, stage: Stage, event: &Value, fields: Value, words: &str) {
        self.timeline.stage(stage, time(event), fields, words);
    }

    /// The next event, in order, that `wanted` takes; others before it are kept for later calls.
    async fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let deadline =
            self.timeline.now().plus_ms(i64::try_from((self.length_s + PATIENCE_S) * 1_000).unwrap_or(i64::MAX));
        loop {
            if let Some(at) = self.seen.iter().position(&wanted) {
                return Ok(self.seen.remove(at));
            }
            anyhow::ensure!(self.timeline.now() < deadline, "waited for {what} in vain");
            anyhow::ensure!(
                !(lock(&self.core).progress.done
                    && self.timeline.now().ms_since(deadline) > -1_000 * PATIENCE_S as i64 / 2),
                "the traffic is over, and still no {what}"
            );
            let page =
                self.roles.operator.get(&format!("/api/v1/events?after={}&limit=500&wait_ms=500", self.seq)).await?;
            for e in page.get("events").and_then(Value::as_array).into_iter().flatten() {
                self.seq = e.get("seq").and_then(Value::as_u64).unwrap_or(self.seq);
                self.seen.push(e.clone());
            }
        }
    }
}

impl Script {
    /// Releases and closes what an interrupted drill left in the same data folder.
    ///
    /// # Errors
    /// When something of it stays in the network.
    pub async fn clear_up(&mut self) -> anyhow::Result<()> {
        let operator = &self.roles.operator;
        let of_a_drill = |v: &&Value| v.get("exercise") == Some(&json!(true));
        let deadline = self.timeline.now().plus_ms(i64::try_from(PATIENCE_S * 1_000).unwrap_or(i64::MAX));
        loop {
            let list = operator.get("/api/v1/measures").await?;
            let all = list.get("measures").unwrap_or(&list).as_array().cloned().unwrap_or_default();
            let in_force = |v: &&Value| matches!(text(v, "/status").as_str(), "applying" | "applied" | "releasing");
            let left: Vec<&Value> = all.iter().filter(of_a_drill).filter(in_force).collect();
            if left.is_empty() {
                break;
            }
            anyhow::ensure!(self.timeline.now() < deadline, "{} of an earlier drill stays", text(left[0], "/id"));
            for m in left.iter().filter(|m| text(m, "/status") != "releasing") {
                let body = json!({ "words": "left by an interrupted drill" });
                // It may have ended by itself between the two calls; the next look tells.
                operator.try_post(&format!("/api/v1/measures/{}/release", text(m, "/id")), &body).await?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let list = operator.get("/api/v1/cases").await?;
        let all = list.get("cases").unwrap_or(&list).as_array().cloned().unwrap_or_default();
        for c in all.iter().filter(of_a_drill).filter(|c| text(c, "/phase") != "closed") {
            let path = format!("/api/v1/cases/{}/close", text(c, "/id"));
            operator.post(&path, &json!({ "host-check": "left by an interrupted drill" })).await?;
        }
        Ok(())
    }

    /// Skips what an earlier drill in the same data folder left: starts after this event.
    pub fn after(&mut self, seq: u64) {
        self.seq = seq;
    }
}

/// The measured quiet of a release, in words.
fn quiet_words(e: &Value) -> String {
    let quiet_ms = e.pointer("/event/reason/quiet_ms").and_then(Value::as_f64);
    quiet_ms.map_or_else(String::new, |ms| format!(" for {:.1} s", ms / 1_000.0))
}

fn kind(e: &Value) -> String {
    text(e, "/event/event")
}

fn time(e: &Value) -> Timestamp {
    text(e, "/at").parse().unwrap_or(Timestamp::ZERO)
}

/// Breaks at blanks; Japanese text breaks anywhere.
pub fn wrap(words: &str, columns: usize) -> String {
    let mut out = String::new();
    for line in words.lines() {
        let mut used = 0;
        for word in line.split_inclusive(|c: char| c == ' ' || (c as u32) > 0x2e80) {
            let len: usize = word.chars().map(|c| if (c as u32) < 0x1100 { 1 } else { 2 }).sum();
            if used > 0 && used + len > columns {
                out.push('\n');
                used = 0;
            }
            out.push_str(word);
            used += len;
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}
