//! What the drill prints: one line a stage, in a terminal with a live line below, or one JSON object a stage.

use super::play::Play;
use super::router::{Core, lock};
use crate::cli::{DrillArgs, LangArg};
use crate::output;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use suimon_base::{Clock, Timestamp};
use suimon_lab::judge::Tally;

/// Names of the stages, as `stage` in JSON; the schema lists the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Start,
    Undetectable,
    FirstAttackPacket,
    FirstExported,
    Detected,
    CaseOpened,
    Denied,
    Request,
    Callback,
    Proposed,
    Basis,
    TradeOff,
    Approved,
    Applied,
    Effect,
    AttackOver,
    Quiet,
    Released,
    Closed,
    Judged,
    Report,
    Ready,
}

impl Stage {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Start => "start",
            Stage::Undetectable => "undetectable",
            Stage::FirstAttackPacket => "first-attack-packet",
            Stage::FirstExported => "first-exported",
            Stage::Detected => "detected",
            Stage::CaseOpened => "case-opened",
            Stage::Denied => "denied",
            Stage::Request => "request",
            Stage::Callback => "callback",
            Stage::Proposed => "proposed",
            Stage::Basis => "basis",
            Stage::TradeOff => "trade-off",
            Stage::Approved => "approved",
            Stage::Applied => "applied",
            Stage::Effect => "effect",
            Stage::AttackOver => "attack-over",
            Stage::Quiet => "quiet",
            Stage::Released => "released",
            Stage::Closed => "closed",
            Stage::Judged => "judged",
            Stage::Report => "report",
            Stage::Ready => "ready",
        }
    }

    fn label(self, lang: LangArg) -> &'static str {
        match (lang, self) {
            (LangArg::En, Stage::FirstAttackPacket) => "first attack packet",
            (LangArg::En, Stage::FirstExported) => "first flow told",
            (LangArg::En, Stage::CaseOpened) => "case opened",
            (LangArg::En, Stage::Callback) => "call-back",
            (LangArg::En, Stage::TradeOff) => "trade-off",
            (LangArg::En, Stage::AttackOver) => "attack over",
            (LangArg::En, other) => other.name(),
            (LangArg::Ja, Stage::Start) => "開始",
            (LangArg::Ja, Stage::Undetectable) => "検知不能",
            (LangArg::Ja, Stage::FirstAttackPacket) => "最初の攻撃パケット",
            (LangArg::Ja, Stage::FirstExported) => "最初のフロー通知",
            (LangArg::Ja, Stage::Detected) => "検知",
            (LangArg::Ja, Stage::CaseOpened) => "事案の受付",
            (LangArg::Ja, Stage::Denied) => "不可",
            (LangArg::Ja, Stage::Request) => "依頼",
            (LangArg::Ja, Stage::Callback) => "折り返し確認",
            (LangArg::Ja, Stage::Proposed) => "提案",
            (LangArg::Ja, Stage::Basis) => "根拠",
            (LangArg::Ja, Stage::TradeOff) => "得失",
            (LangArg::Ja, Stage::Approved) => "承認",
            (LangArg::Ja, Stage::Applied) => "適用",
            (LangArg::Ja, Stage::Effect) => "効果",
            (LangArg::Ja, Stage::AttackOver) => "攻撃の終了",
            (LangArg::Ja, Stage::Quiet) => "静穏",
            (LangArg::Ja, Stage::Released) => "解除",
            (LangArg::Ja, Stage::Closed) => "完了",
            (LangArg::Ja, Stage::Judged) => "判定",
            (LangArg::Ja, Stage::Report) => "報告",
            (LangArg::Ja, Stage::Ready) => "待機",
        }
    }
}

/// The printer.
pub struct Timeline {
    json: bool,
    lang: LangArg,
    live: bool,
    clock: Arc<dyn Clock>,
    start: Mutex<Option<Timestamp>>,
    /// Whether the last thing on the terminal is the live line.
    dirty: Mutex<bool>,
}

impl Timeline {
    /// A printer for standard output.
    pub fn new(args: &DrillArgs, json: bool, clock: Arc<dyn Clock>) -> Self {
        let live = !json && std::io::stdout().is_terminal();
        Timeline { json, lang: args.lang, live, clock, start: Mutex::default(), dirty: Mutex::default() }
    }

    /// Whether texts are Japanese.
    pub fn is_japanese(&self) -> bool {
        self.lang == LangArg::Ja
    }

    /// The head of the timeline.
    pub fn head(&self, play: &Play, args: &DrillArgs) {
        if self.json {
            return;
        }
        let title = if self.is_japanese() { &play.title_ja } else { &play.title_en };
        let words = if self.is_japanese() { "訓練" } else { "exercise" };
        output::line(format!("{} {title} ({words})", self.paint("1", "水門 Suimon")));
        for note in &play.notes {
            output::line(format!("  {note}"));
        }
        output::line(format!(
            "  target {} · {} 1:{} · {} · seed {} · attack {} s",
            play.target,
            format!("{:?}", args.export).to_lowercase(),
            args.sampling,
            args.dialect,
            args.seed,
            (play.attack_end_us - play.attack_start_us) / 1_000_000
        ));
        output::line("");
    }

    /// The wall time from which the `+` times count.
    pub fn begin(&self, at: Timestamp) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// One stage. `fields` are added to the JSON object; `text` is for people.
    pub fn stage(&self, stage: Stage, at: Timestamp, fields: Value, text: impl AsRef<str>) {
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(at);
        let since_ms = at.ms_since(start);
        if self.json {
            let mut object = json!({ "stage": stage.name(), "at": at, "since_start_ms": since_ms });
            if let (Some(map), Value::Object(more)) = (object.as_object_mut(), fields) {
                map.extend(more);
            }
            return output::json(&object);
        }
        self.clear_live();
        let color = match stage {
            Stage::Detected | Stage::FirstAttackPacket => "31",
            Stage::Denied | Stage::Undetectable | Stage::TradeOff => "33",
            Stage::Applied | Stage::Approved => "36",
            Stage::Released | Stage::Closed | Stage::Judged => "32",
            _ => "0",
        };
        let label = stage.label(self.lang);
        let wall = at.to_string().chars().skip(11).take(12).collect::<String>();
        let mut lines = text.as_ref().lines();
        let first = lines.next().unwrap_or_default();
        let pad = " ".repeat(20_usize.saturating_sub(width(label)));
        output::line(format!("{wall} {:>+8.3} {}{pad} {first}", since_ms as f64 / 1_000.0, self.paint(color, label)));
        for line in lines {
            output::line(format!("{}{line}", " ".repeat(43)));
        }
    }

    /// The report, as it is.
    pub fn report(&self, text: &str, at: Timestamp) {
        if self.json {
            self.stage(Stage::Report, at, json!({ "report": text }), "");
        } else {
            self.clear_live();
            output::line("");
            output::raw(text);
        }
    }

    /// Redraws the live line until the player is done.
    pub async fn live(self: Arc<Self>, core: Arc<Mutex<Core>>) {
        if !self.live {
            return;
        }
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let (tally, at_us, done) = {
                let core = lock(&core);
                let at = core.progress.at_us;
                (core.judge.between(at.saturating_sub(1_000_000), at), at, core.progress.done)
            };
            if done {
                self.clear_live();
                return;
            }
            self.draw(&tally, at_us);
        }
    }

    fn draw(&self, t: &Tally, at_us: u64) {
        let bar = |passed: u64, offered: u64, color: &str| {
            let full = 16;
            let share = if offered == 0 { 0.0 } else { passed as f64 / offered as f64 };
            let filled = (share * f64::from(full)).round() as usize;
            let text = format!("{}{}", "█".repeat(filled), "·".repeat(full as usize - filled.min(full as usize)));
            self.paint(color, &text)
        };
        let (a, l) = (t.attack, t.legitimate);
        let line = format!(
            "\r\x1b[2K{:>7.1} s  attack {:>8} pps {} {:>5.1} %   legitimate {:>6} pps {} {:>5.1} %",
            at_us as f64 / 1e6,
            a.offered,
            bar(a.passed, a.offered, "31"),
            a.share().unwrap_or(0.0) * 100.0,
            l.offered,
            bar(l.passed, l.offered, "32"),
            l.share().unwrap_or(1.0) * 100.0,
        );
        let mut out = std::io::stdout().lock();
        // A terminal that went away is noticed by the next stage line.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        *self.dirty.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn clear_live(&self) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *dirty) {
            output::raw("\r\x1b[2K");
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.live { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Columns of a text in a terminal: Japanese letters take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if (c as u32) < 0x1100 { 1 } else { 2 }).sum()
}
