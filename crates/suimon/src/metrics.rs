//! Everything that moves gets a counter; here they become OpenMetrics text.

use crate::flow_sense::FlowFigures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use suimon_spine::Handle;

/// Makes the text; the console serves it.
pub fn renderer(handle: Handle, flows: Option<Arc<FlowFigures>>) -> Arc<dyn Fn() -> String + Send + Sync> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures { handle, flows }));
    Arc::new(move || {
        let mut out = String::new();
        // Writing to a string fails only where a metric of ours is wrong, which the test would show.
        if text::encode(&mut out, &registry).is_err() {
            tracing::error!("metrics cannot be written");
        }
        out
    })
}

struct Figures {
    handle: Handle,
    flows: Option<Arc<FlowFigures>>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut e: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let live = self.handle.live();
        let (cases, in_force, seq) = self.handle.with_state(|s| {
            let open = s.cases.values().filter(|c| c.phase != suimon_base::case::Phase::Closed).count();
            (open, s.in_force().count(), s.seq)
        });
        gauge(&mut e, "suimon_attacks_running", "Attacks that run now", live.attacks.len() as f64)?;
        gauge(&mut e, "suimon_cases_open", "Cases that are not closed", cases as f64)?;
        gauge(
            &mut e,
            "suimon_measures_in_force",
            "Measures of which something may be in the network",
            in_force as f64,
        )?;
        let orphans = self.handle.with_state(|s| s.drift.open().count());
        let dark = live.views.values().filter(|v| v.unreachable.is_some()).count();
        let places = live.views.values().flat_map(|v| &v.measures);
        let differ = places.filter(|p| p.state.name() != "as-wanted").count();
        gauge(
            &mut e,
            "suimon_orphans_open",
            "Differences between network and ledger that nobody has decided on",
            orphans as f64,
        )?;
        gauge(&mut e, "suimon_hands_unreachable", "Hands that cannot look at the network", dark as f64)?;
        gauge(&mut e, "suimon_places_not_as_wanted", "Measures in places that are not seen as wanted", differ as f64)?;
        counter(&mut e, "suimon_ledger_events", "Events in the ledger", seq)?;
        gauge(
            &mut e,
            "suimon_ledger_events_waiting",
            "Events that wait because the ledger cannot be written",
            live.waiting_events as f64,
        )?;
        counter(
            &mut e,
            "suimon_observations_lost",
            "Events lost while the ledger could not be written",
            live.lost_observations,
        )?;
        let Some(flows) = &self.flows else { return Ok(()) };
        self.collector(&mut e, flows)?;
        let d = *flows.detector.lock().unwrap_or_else(PoisonError::into_inner);
        gauge(&mut e, "suimon_detect_hosts", "Addresses tracked now", d.hosts as f64)?;
        gauge(&mut e, "suimon_detect_hosts_quiet", "Of these, far below every limit", d.hosts_quiet as f64)?;
        gauge(&mut e, "suimon_detect_covers", "Covering prefixes tracked now", d.covers as f64)?;
        let growing = [
            ("flows", "Flow records seen by detection", d.flows),
            ("outside", "Records that touch no network", d.outside),
            ("hosts_evicted", "Addresses forgotten after a time without traffic", d.hosts_evicted),
            ("hosts_refused", "Records of addresses beyond the bound", d.hosts_refused),
            ("covers_refused", "Records of covering prefixes beyond the bound", d.covers_refused),
            ("long_flows", "Records longer than a window", d.long_flows),
            ("long_refused", "Long flows beyond the bound", d.long_refused),
            ("samples_refused", "Targets without a sample because of the bound", d.samples_refused),
            ("attacks_refused", "Attacks not reported because of the bound", d.attacks_refused),
        ];
        for (name, help, value) in growing {
            counter(&mut e, &format!("suimon_detect_{name}"), help, value)?;
        }
        Ok(())
    }
}

impl Figures {
    fn collector(&self, e: &mut DescriptorEncoder<'_>, flows: &FlowFigures) -> fmt::Result {
        counter(
            e,
            "suimon_collect_kernel_drops",
            "Datagrams that the kernel dropped at our sockets",
            flows.kernel_drops.load(Ordering::Relaxed),
        )?;
        let collector = flows.collector.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((stats, _)) = collector else { return Ok(()) };
        let totals = [
            ("datagrams", "Flow datagrams received", &stats.datagrams),
            ("octets", "Octets of flow datagrams received", &stats.octets),
            ("flows", "Flows given to detection", &stats.flows),
            ("flows_elsewhere", "Flows left out because another router counts them", &stats.flows_elsewhere),
            ("unreadable", "Datagrams whose header cannot be read", &stats.unreadable),
            ("handed_over", "Datagrams handed to the home worker of their exporter", &stats.handed_over),
            ("handover_lost", "Datagrams lost on the way to the home worker", &stats.handover_lost),
        ];
        for (name, help, value) in totals {
            counter(e, &format!("suimon_collect_{name}"), help, value.load(Ordering::Relaxed))?;
        }
        let exporters = stats.exporters();
        type Get = fn(&suimon_collect::ExporterStats) -> u64;
        let each: [(&str, &str, Get); 10] = [
            ("datagrams", "Datagrams of this exporter", |c| c.datagrams),
            ("flows", "Flows of this exporter", |c| c.flows),
            ("sequence_gaps", "Units missing by sequence number", |c| c.sequence_gaps),
            ("sequence_late", "Units that came late after all", |c| c.sequence_late),
            ("sequence_resets", "Restarts of this exporter by sequence number", |c| c.sequence_resets),
            ("unknown_template_sets", "Data sets before their template", |c| c.unknown_template_sets),
            ("held_dropped", "Data sets given up for want of a template", |c| c.held_dropped),
            ("malformed", "Malformed sets, samples and datagrams", |c| c.malformed),
            ("template_changes", "Templates changed while in use", |c| c.template_changes),
            ("templates_refused", "Templates refused at a bound", |c| c.templates_refused),
        ];
        for (name, help, get) in each {
            let name = format!("suimon_exporter_{name}");
            let mut family = e.encode_descriptor(&name, help, None, prometheus_client::metrics::MetricType::Counter)?;
            for (key, c) in &exporters {
                let labels = [("exporter", key.addr.to_string()), ("domain", key.domain.to_string())];
                ConstCounter::new(get(c)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn counter(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(e.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = ConstGauge::new(value);
    metric.encode(e.encode_descriptor(name, help, None, metric.metric_type())?)
}
