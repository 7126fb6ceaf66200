//! Alerts leave the box: queued by the engine, carried by couriers, and what became of them goes on record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use suimon_base::event::AlertAbout;
use suimon_base::{AlertId, Clock};
use suimon_notify::{Action, Alert, Channel, ChannelError, Courier, DeliverError, Input, Limits, Outbox, Severity};
use suimon_spine::Handle;
use tokio::sync::mpsc;

/// How often the outbox looks whether a try is due.
const TICK: Duration = Duration::from_millis(500);
/// Results of tries that may wait.
const RESULTS_QUEUED: usize = 64;

/// Runs until the engine stops. Alerts that an earlier run did not get rid of are taken up again.
///
/// # Errors
/// A channel whose configuration cannot work.
pub fn start(
    handle: Handle,
    clock: Arc<dyn Clock>,
    channels: BTreeMap<String, Channel>,
    base_url: String,
) -> Result<(), ChannelError> {
    if channels.is_empty() {
        return Ok(());
    }
    let courier = Arc::new(Courier::new(channels)?);
    tokio::spawn(async move { run(handle, clock, courier, base_url).await });
    Ok(())
}

async fn run(handle: Handle, clock: Arc<dyn Clock>, courier: Arc<Courier>, base_url: String) {
    let names: Vec<String> = courier.names().map(str::to_owned).collect();
    let gates = names.iter().map(|n| (n.clone(), Arc::default())).collect();
    let mut outbox = Outbox::new(Limits::default());
    let (results, mut tried) = mpsc::channel(RESULTS_QUEUED);
    let mut changes = handle.changes();
    let mut queued = AlertId(0);
    let mut first = true;
    loop {
        let mut inputs = vec![Input::Tick];
        if !first {
            tokio::select! {
                change = changes.changed() => if change.is_err() { return },
                Some((id, channel, result)) = tried.recv() => inputs.push(Input::Tried { id, channel, result }),
                () = tokio::time::sleep(TICK) => {}
            }
        }
        first = false;
        inputs.extend(waiting(&handle, &names, &mut queued, &base_url));
        for input in inputs {
            for action in outbox.step(clock.now(), jitter(), input) {
                act(action, &handle, &courier, &clock, &results, &gates).await;
            }
        }
    }
}

/// Alerts on record that some channel has neither taken nor been given up on.
fn waiting(handle: &Handle, names: &[String], queued: &mut AlertId, base_url: &str) -> Vec<Input> {
    handle.with_state(|s| {
        let new: Vec<_> = s.alerts.range(AlertId(queued.0 + 1)..).map(|(_, a)| a.clone()).collect();
        new.into_iter()
            .map(|a| {
                *queued = a.id;
                let link = a.case.map(|c| format!("{base_url}/cases/{c}"));
                let (severity, text_ja, text_en) = words(a.about);
                let open = names.iter().filter(|n| !a.channels.contains_key(*n)).cloned().collect();
                let alert = Alert {
                    id: a.id,
                    at: a.at,
                    severity,
                    case: a.case,
                    text_ja: text_ja.to_owned(),
                    text_en: text_en.to_owned(),
                    subject_ja: a.subject_ja,
                    subject_en: a.subject_en,
                    link: link.or_else(|| Some(base_url.to_owned())),
                };
                Input::Queue(Arc::new(alert), open)
            })
            .collect()
    })
}

/// How loud, and what to do, in both languages.
fn words(about: AlertAbout) -> (Severity, &'static str, &'static str) {
    match about {
        AlertAbout::Attack => (
            Severity::Critical,
            "攻撃を検知し、事案を受け付けました。状況の確認とお客様への連絡をお願いします。",
            "An attack was detected and a case is open: assess it and contact the customer.",
        ),
        AlertAbout::Approval => (
            Severity::Critical,
            "起案した人とは別の人の承認が必要です。内容を確認し、承認するか却下してください。",
            "A second person has to look at it and approve or reject it.",
        ),
        AlertAbout::Undo => (
            Severity::Critical,
            "手作業で入れたフィルタが機器に残っています。元に戻し、確認した方法を記録してください。",
            "A filter that was entered by hand is still in the device. Enter the undo and record how it was checked.",
        ),
        AlertAbout::HandFailed => (
            Severity::Critical,
            "機器での作業が失敗しました。解除は5秒おきにやり直します。機器の状態を確認してください。",
            "Work on a device failed. A release is tried again every 5 seconds. Look at the device.",
        ),
        AlertAbout::Notice => (
            Severity::Info,
            "まもなく解除します。連絡先に知らせ、知らせたことを記録してください。",
            "A release comes soon. Tell the contacts, and record that they were told.",
        ),
        AlertAbout::Review => (
            Severity::Warning,
            "措置を残す理由を確認してください。必要がなければ解除し、必要なら延長を求めてください。",
            "Look whether the measure is still needed: release it, or ask for a renewal.",
        ),
        AlertAbout::Released => (
            Severity::Info,
            "解除しました。お客様側で接続できるかどうかを確かめていただき、回答を記録してください。",
            "It is released. Ask the customer to try from their side, and record the answer.",
        ),
        AlertAbout::Stale => (
            Severity::Warning,
            "長く残っている措置があります。一つずつ確認し、解除するか延長を求めてください。",
            "Some measures have stood for long. Look at each: release it, or ask for a renewal.",
        ),
        AlertAbout::Collection => (
            Severity::Critical,
            "平時のフロー収集の見直しが必要です。見直しの日を過ぎると収集は止まり、攻撃を検知できません。",
            "The terms of collecting flows have to be looked at again. After the review date collecting stops, and no attack is seen.",
        ),
    }
}

async fn act(
    action: Action,
    handle: &Handle,
    courier: &Arc<Courier>,
    clock: &Arc<dyn Clock>,
    results: &mpsc::Sender<(AlertId, String, Result<(), DeliverError>)>,
    gates: &BTreeMap<String, Arc<Mutex<()>>>,
) {
    match action {
        Action::Try { alert, channel } => {
            let (courier, results, now) = (courier.clone(), results.clone(), clock.now());
            let gate = gates.get(&channel).cloned().unwrap_or_default();
            tokio::task::spawn_blocking(move || {
                // A server that drips its answer may outlive a try; it must not hold one thread after the other.
                let result = match gate.try_lock() {
                    Ok(_held) => courier.deliver(&channel, &alert, now),
                    Err(_) => Err(DeliverError {
                        retry: true,
                        after_ms: None,
                        problem: "the try before has not ended yet".to_owned(),
                    }),
                };
                // Nobody listens any more only when the daemon stops; the alert is taken up again at the next start.
                let _ = results.blocking_send((alert.id, channel, result));
            });
        }
        Action::Delivered { id, channel, tries } => {
            if let Err(error) = handle.alert_result(id, channel, Ok(tries)).await {
                tracing::warn!(%error, alert = %id, "a delivery is not on record");
            }
        }
        Action::GivenUp { id, channel, error, .. } => {
            tracing::error!(alert = %id, %channel, %error, "an alert could not be delivered");
            if let Err(error) = handle.alert_result(id, channel, Err(error)).await {
                tracing::warn!(%error, alert = %id, "a failed delivery is not on record");
            }
        }
    }
}

/// 0 to 1, so that many boxes do not try again at the same moment.
fn jitter() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness the waits are only less spread.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}
