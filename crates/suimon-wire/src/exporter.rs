//! What is remembered of one exporter key.

use crate::context::Context;
use crate::limits::Limits;
use crate::plan::Plan;
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::summary::{ExporterCounters, Version};
use std::collections::VecDeque;
use suimon_base::Timestamp;

/// NetFlow v9 and IPFIX number their templates apart, even from one address and domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TemplateKey(u32);

impl TemplateKey {
    pub(crate) fn new(version: Version, id: u16) -> Self {
        TemplateKey(u32::from(version == Version::Ipfix) << 16 | u32::from(id))
    }
    pub(crate) const fn id(self) -> u16 {
        self.0 as u16
    }
    fn is_ipfix(self) -> bool {
        self.0 >> 16 != 0
    }
}

/// A data set that waits for its template.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key: TemplateKey,
    pub(crate) context: Context,
    pub(crate) offset: usize,
    pub(crate) body: Box<[u8]>,
}

/// Octets of bookkeeping of one held set.
const HELD_OVERHEAD: usize = size_of::<Held>();

impl Held {
    pub(crate) fn memory(&self) -> usize {
        HELD_OVERHEAD + self.body.len()
    }
}

/// Octets in use over all exporters.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) template_bytes: usize,
    pub(crate) held_bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Exporter {
    /// Sorted by key.
    templates: Vec<(TemplateKey, Box<Plan>)>,
    /// Sampling rate by configuration.
    pub(crate) config: Option<u32>,
    pub(crate) samplers: Samplers,
    /// Microseconds since 1970 at which the exporter started, from options data (element 160).
    pub(crate) boot_us: Option<i64>,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// A template came that held sets wait for.
    pub(crate) held_ready: bool,
    pub(crate) sequence: Sequence,
    pub(crate) counters: ExporterCounters,
    pub(crate) last_heard: Timestamp,
}

/// What became of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    New,
    Changed,
    Refused,
}

impl Exporter {
    pub(crate) fn new(config: Option<u32>) -> Self {
        Exporter { config, ..Exporter::default() }
    }

    pub(crate) fn template(&self, key: TemplateKey) -> Option<&Plan> {
        find(&self.templates, key)
    }

    pub(crate) fn templates(&self) -> &[(TemplateKey, Box<Plan>)] {
        &self.templates
    }

    pub(crate) fn samplers_and_template(&mut self, key: TemplateKey) -> (&mut Samplers, Option<&Plan>) {
        (&mut self.samplers, find(&self.templates, key))
    }

    /// Whether this very template is known, so that it need not be compiled again.
    pub(crate) fn knows(&self, key: TemplateKey, options: bool, spec: &[u8]) -> bool {
        self.template(key).is_some_and(|plan| plan.options == options && *plan.spec == *spec)
    }

    pub(crate) fn store(&mut self, key: TemplateKey, plan: Plan, limits: &Limits, totals: &mut Totals) -> Stored {
        let size = plan.memory();
        let at = self.templates.binary_search_by_key(&key, |(k, _)| *k);
        let old = at.ok().and_then(|i| self.templates.get(i)).map_or(0, |(_, p)| p.memory());
        if totals.template_bytes - old + size > limits.template_bytes {
            return Stored::Refused;
        }
        let stored = match at {
            Ok(i) => {
                *self.templates[i].1 = plan;
                Stored::Changed
            }
            Err(_) if self.templates.len() >= limits.templates_per_exporter => return Stored::Refused,
            Err(i) => {
                self.templates.insert(i, (key, Box::new(plan)));
                Stored::New
            }
        };
        totals.template_bytes = totals.template_bytes - old + size;
        self.held_ready |= self.held.iter().any(|h| h.key == key);
        stored
    }

    /// Forgets templates (RFC 7011 §8.1); returns how many there were.
    pub(crate) fn withdraw(&mut self, matching: impl Fn(TemplateKey, &Plan) -> bool, totals: &mut Totals) -> u64 {
        let before = self.templates.len();
        self.templates.retain(|(key, plan)| {
            let gone = matching(*key, plan);
            if gone {
                totals.template_bytes -= plan.memory();
            }
            !gone
        });
        (before - self.templates.len()) as u64
    }

    /// Withdraws all IPFIX templates, or all options templates.
    pub(crate) fn withdraw_all(&mut self, options: bool, totals: &mut Totals) -> u64 {
        self.withdraw(|key, plan| key.is_ipfix() && plan.options == options, totals)
    }

    /// Holds a set, giving up the oldest where a bound is reached; returns whether it was held.
    pub(crate) fn hold(&mut self, held: Held, limits: &Limits, totals: &mut Totals) -> bool {
        let size = held.memory();
        if size > limits.held_bytes_per_exporter {
            self.counters.held_dropped += 1;
            return false;
        }
        while self.held_bytes + size > limits.held_bytes_per_exporter {
            self.drop_oldest(totals);
        }
        // Another exporter's sets are not given up for this one's: a stranger could push them out.
        while totals.held_bytes + size > limits.held_bytes {
            if !self.drop_oldest(totals) {
                self.counters.held_dropped += 1;
                return false;
            }
        }
        self.held_bytes += size;
        totals.held_bytes += size;
        self.counters.held += 1;
        self.held.push_back(held);
        true
    }

    fn drop_oldest(&mut self, totals: &mut Totals) -> bool {
        let Some(old) = self.held.pop_front() else { return false };
        self.held_bytes -= old.memory();
        totals.held_bytes -= old.memory();
        self.counters.held_dropped += 1;
        true
    }

    /// Takes out the held sets whose templates are known now, oldest first, and gives up those that are too old.
    pub(crate) fn take_ready(&mut self, now: Timestamp, limits: &Limits, totals: &mut Totals) -> Vec<Held> {
        self.held_ready = false;
        while self.held.front().is_some_and(|h| now.ms_since(h.context.received) > limits.held_ms) {
            self.drop_oldest(totals);
        }
        let mut ready = Vec::new();
        let mut waiting = VecDeque::new();
        for held in std::mem::take(&mut self.held) {
            if find(&self.templates, held.key).is_some() {
                ready.push(held);
            } else {
                waiting.push_back(held);
            }
        }
        self.held = waiting;
        let freed: usize = ready.iter().map(Held::memory).sum();
        self.held_bytes -= freed;
        totals.held_bytes -= freed;
        ready
    }

    pub(crate) fn template_bytes(&self) -> usize {
        self.templates.iter().map(|(_, p)| p.memory()).sum()
    }
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

fn find(templates: &[(TemplateKey, Box<Plan>)], key: TemplateKey) -> Option<&Plan> {
    let at = templates.binary_search_by_key(&key, |(k, _)| *k).ok()?;
    templates.get(at).map(|(_, plan)| &**plan)
}
