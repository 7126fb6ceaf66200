//! The way back of a measure in the report.

use super::{effect, line};
use crate::report::Lang;
use crate::report::words::Words;
use suimon_base::ending::{NoticeWhen, ProbeFound};
use suimon_base::state::Measure;

pub(super) fn part(out: &mut String, m: &Measure, w: &Words) {
    let e = &m.ending;
    if let Some((at, end)) = &e.renewed {
        let end = if w.lang == Lang::Ja { end.words_ja() } else { end.to_string() };
        line(out, w.renewed, format!("{at} {end}"));
    }
    if let Some(r) = &e.renewal {
        line(out, w.renewal_waits, format!("{} {} {}", r.at, r.by, r.words));
    }
    if let Some((at, why)) = &e.proposed {
        line(out, w.proposed_release, format!("{at} {why}"));
    }
    for p in &e.probes {
        let found = match p.found {
            ProbeFound::Present => w.probe_present,
            ProbeFound::Absent => w.probe_absent,
            ProbeFound::Unclear => w.probe_unclear,
        };
        let passed = format!("{} {}", w.packets_passed, p.passed_packets);
        line(out, w.probe, format!("{} – {} {found} ({passed})", p.since, p.until));
    }
    if let Some((due, contacts)) = &e.notice {
        line(out, w.notice_due, format!("{due} {}", contacts.join(", ")));
    }
    for t in &e.told {
        let what = match t.when {
            NoticeWhen::Before => w.told_before,
            NoticeWhen::After => w.told_after,
        };
        line(out, what, format!("{} {} ({}) {}", t.at, t.contact, t.by, t.words));
    }
    if let Some(flows) = &e.flows_after {
        line(out, w.flows_after, effect(flows, w));
    }
    if let Some(a) = &e.access {
        match &a.answer {
            None => line(out, w.access_asked, format!("{} {}", a.asked, a.of)),
            Some((at, ok, by, words)) => {
                line(out, if *ok { w.access_ok } else { w.access_not_ok }, format!("{at} {by} 「{words}」"));
            }
        }
    }
    if let Some(next) = e.followed_by {
        line(out, w.followed_by, next);
    }
}
