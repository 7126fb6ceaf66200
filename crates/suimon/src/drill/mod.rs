//! The drill: the whole job in one process with real sockets, on a capture or a scenario made from a seed.

mod api;
mod play;
mod router;
mod script;
mod setup;
mod timeline;

use crate::cli::{DrillArgs, LangArg};
use crate::clock::SystemClock;
use crate::daemon::{self, Daemon};
use crate::exit::{Exit, bad_input};
use crate::output;
use api::Role;
use play::Play;
use router::{Core, ModelRouterHand, lock, start_player};
use script::{Roles, Script, Story};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use suimon_base::{Actor, Clock, Pps, Timestamp};
use suimon_filter::dialect::Dialect;
use suimon_lab::Scenario;
use suimon_spine::Hand;
use timeline::{Stage, Timeline};

/// Share of the attack's packets that may still pass where the chosen rules separate.
const ATTACK_MAY_PASS: f64 = 0.01;
/// Share of legitimate packets and of new connections that must pass where the chosen rules separate.
const LEGITIMATE_MUST_PASS: f64 = 0.99;
/// Detection takes at most this long from the first exported flow, milliseconds.
const DETECTION_MAY_TAKE_MS: i64 = 1_000;
/// Sampled packets that the detector wants before it fires; its default.
const WINDOW_MS: u64 = 1_000;

/// Runs a drill.
pub fn run(args: &DrillArgs, json: bool) -> anyhow::Result<Exit> {
    if args.scenario.as_deref() == Some("list") {
        return Ok(list(json));
    }
    let dialect: Dialect = args.dialect.parse().map_err(|e| bad_input(format!("{e}")))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let play = Play::new(args)?;
    let timeline = Arc::new(Timeline::new(args, json, clock.clone()));
    timeline.head(&play, args);
    timeline.begin(clock.now());
    timeline.stage(
        Stage::Start,
        clock.now(),
        json!({
            "title": play.title_en, "target": play.target, "seed": args.seed, "sampling": args.sampling,
            "export": format!("{:?}", args.export).to_lowercase(), "dialect": args.dialect, "exercise": true,
            "attack_ms": (play.attack_end_us - play.attack_start_us) / 1_000,
        }),
        "legitimate traffic only",
    );
    if let Some(exit) = undetectable(&play, args, &timeline) {
        return Ok(exit);
    }
    let temporary;
    let data: PathBuf = match &args.data {
        Some(dir) => dir.clone(),
        None => {
            temporary = tempfile::Builder::new().prefix("suimon-drill-").tempdir()?;
            temporary.path().to_path_buf()
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play_it(&play, args, &data, dialect, clock, timeline))
}

fn list(json: bool) -> Exit {
    for s in Scenario::all() {
        if json {
            output::json(
                &json!({ "name": s.name, "title_en": s.title_en, "title_ja": s.title_ja, "about_en": s.about_en, "about_ja": s.about_ja }),
            );
        } else {
            output::line(format!("{:<18} {}\n{:<18} {}", s.name, s.title_en, "", s.title_ja));
        }
    }
    Exit::Done
}

/// Says so where sampling leaves too little to see of every vector.
fn undetectable(play: &Play, args: &DrillArgs, timeline: &Timeline) -> Option<Exit> {
    let min_samples = suimon_detect::Config::default().min_samples;
    let hosts = 1_u64 << (play.target.max_prefix_len() - play.target.prefix_len()).min(32);
    let mut best: Option<(String, suimon_detect::Expected, Pps, Pps)> = None;
    for (vector, rate) in &play.attack_pps {
        let Some(threshold) = play.thresholds.get(vector) else { continue };
        // Spread over a prefix, the covering prefix's threshold counts.
        let factor = if hosts > 1 { suimon_detect::config::COVER_MULTIPLE } else { 1.0 };
        let threshold = Pps((threshold.0 as f64 * factor) as u64);
        let expected = suimon_detect::detectable(threshold, *rate, WINDOW_MS, args.sampling, min_samples);
        if expected.detectable {
            return None;
        }
        if best.as_ref().is_none_or(|(_, b, _, _)| expected.probability > b.probability) {
            best = Some((vector.to_string(), expected, threshold, *rate));
        }
    }
    let (vector, e, threshold, rate) = best?;
    let words = format!(
        "undetectable at this sampling: 1 in {} leaves {:.1} samples a second of {vector} ({rate}); {} are needed for the threshold of {threshold} (probability {:.1} % a second)",
        args.sampling,
        e.samples,
        e.needed,
        e.probability * 100.0
    );
    timeline.stage(
        Stage::Undetectable,
        timeline.now(),
        json!({
            "vector": vector, "sampling": args.sampling, "samples": e.samples, "needed": e.needed,
            "probability": e.probability, "rate_pps": rate, "threshold_pps": threshold,
        }),
        script::wrap(&words, 90),
    );
    Some(Exit::No)
}

async fn play_it(
    play: &Play,
    args: &DrillArgs,
    data: &Path,
    dialect: Dialect,
    clock: Arc<dyn Clock>,
    timeline: Arc<Timeline>,
) -> anyhow::Result<Exit> {
    let config = setup::config(play, args, data, clock.now())?;
    let hand = Arc::new(ModelRouterHand::new(data, dialect)?);
    let core = hand.core();
    let hands: Vec<Arc<dyn Hand>> = vec![hand];
    let daemon = daemon::start(config, clock.clone(), hands).await?;
    let role = |name| Role::new(name, daemon.address, &daemon.sign_in, clock.now());
    let roles = Roles { desk: role("desk"), operator: role("operator"), approver: role("approver") };
    let mut script = Script::new(roles, timeline.clone(), core.clone(), play.quiet_seconds, play.end_us / 1_000_000);
    script.clear_up().await?;
    script.after(daemon.handle.with_state(|s| s.seq));
    let stop = Arc::new(AtomicBool::new(false));
    let collector = *daemon.collectors.first().ok_or_else(|| anyhow::anyhow!("no collector"))?;
    let player = start_player(play, args, core.clone(), collector, clock.clone(), stop.clone())?;
    let live = tokio::spawn(timeline.clone().live(core.clone()));
    let told = script.run().await;
    live.abort();
    stop.store(true, Ordering::Relaxed);
    if player.join().is_err() {
        anyhow::bail!("the player panicked");
    }
    let story = told?;
    let ok = judge(play, &story, &core, &timeline);
    let lang = if args.lang == LangArg::Ja { "ja" } else { "en" };
    let report = script.roles.operator.get_text(&format!("/api/v1/cases/{}/report?lang={lang}", story.case)).await?;
    timeline.report(&report, clock.now());
    if args.keep {
        keep(&daemon, &timeline, clock.as_ref()).await?;
    }
    daemon.stop().await;
    Ok(if ok { Exit::Done } else { Exit::No })
}

async fn keep(daemon: &Daemon, timeline: &Timeline, clock: &dyn Clock) -> anyhow::Result<()> {
    let token = daemon.sign_in.link_token(Actor::os_user(&crate::commands::serve::own_user()), clock.now());
    let url = format!("http://{}/sign-in?token={token}", daemon.address);
    timeline.stage(
        Stage::Ready,
        clock.now(),
        json!({ "pages": format!("http://{}/", daemon.address), "sign-in": url, "socket": daemon.socket }),
        format!("{url}\nctrl-c ends it"),
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// The verdict over packets and new connections, from the judge beside the router, not from our own flows.
fn judge(play: &Play, story: &Story, core: &Mutex<Core>, timeline: &Timeline) -> bool {
    let core = lock(core);
    let p = &core.progress;
    let us = |t: Timestamp| u64::try_from(t.as_micros() - p.epoch.as_micros()).unwrap_or(0);
    let first = story.measures.first().map_or(play.attack_end_us, |(_, t)| us(*t));
    let last = story.measures.last().map_or(play.attack_end_us, |(_, t)| us(*t));
    let before = core.judge.between(play.attack_start_us, first);
    let after = core.judge.between(last, play.attack_end_us);
    let detection_ms = story.detected.zip(p.first_told).map(|(d, t)| d.ms_since(t).max(0));
    let (attack_after, packets_after) = (after.attack.share(), after.legitimate.share());
    let connections_after = after.connections.share();
    let separated = attack_after.is_some_and(|x| x < ATTACK_MAY_PASS)
        && packets_after.is_some_and(|x| x > LEGITIMATE_MUST_PASS)
        && connections_after.is_some_and(|x| x > LEGITIMATE_MUST_PASS);
    let mut faults: Vec<String> = Vec::new();
    if attack_after.is_none() {
        faults.push("the attack was over before the measure was in force, so nothing shows what it does".to_owned());
    } else if story.separates && !separated {
        faults.push("the rules were said to separate, and did not".to_owned());
    }
    if !story.choice_kept {
        faults.push("another way was applied than was approved".to_owned());
    }
    if detection_ms.is_none_or(|ms| ms > DETECTION_MAY_TAKE_MS) {
        faults.push(format!("detection took {detection_ms:?} ms"));
    }
    if story.released.is_none_or(|t| us(t) < play.attack_end_us) {
        faults.push("released before the attack was over".to_owned());
    }
    let pct = |x: Option<f64>| x.map_or_else(|| "none came, none".to_owned(), |x| format!("{:.2} %", x * 100.0));
    let words = format!(
        "before: attack {} passed, legitimate {}, new connections {}\nafter:  attack {} passed, legitimate {}, new connections {} ({} broken)\ndetection {} ms · exporter delay avg {} ms, max {} ms · player behind at most {} ms{}",
        pct(before.attack.share()),
        pct(before.legitimate.share()),
        pct(before.connections.share()),
        pct(attack_after),
        pct(packets_after),
        pct(connections_after),
        after.broken,
        detection_ms.unwrap_or(-1),
        p.exporter.delay_avg_us() / 1_000,
        p.exporter.delay_max_us / 1_000,
        p.behind_us / 1_000,
        if faults.is_empty() { String::new() } else { format!("\nFAULTS: {}", faults.join("; ")) },
    );
    timeline.stage(
        Stage::Judged,
        timeline.now(),
        json!({
            "ok": faults.is_empty(), "faults": faults, "separates": story.separates, "before": before, "after": after,
            "detection_ms": detection_ms, "exporter_delay_avg_ms": p.exporter.delay_avg_us() / 1_000,
            "exporter_delay_max_ms": p.exporter.delay_max_us / 1_000, "player_behind_ms": p.behind_us / 1_000,
            "why_released": story.why_released,
        }),
        words,
    );
    faults.is_empty()
}
