//! One datagram of NetFlow v9 or IPFIX: its sets, one after the other.

use crate::columns::{Facts, Starts, Stride, be_number, run};
use crate::context::{Context, Uptime};
use crate::cursor::Cursor;
use crate::exporter::{Exporter, Held, TemplateKey, Totals};
use crate::limits::Limits;
use crate::plan::Plan;
use crate::sampling::{Noted, Samplers, Told};
use crate::summary::{Summary, Version};
use crate::{DecodeError, templates};
use suimon_base::flow::{FlowRecord, Sampling};

/// Records read in one go; 64 of them stay in the first-level cache beside the datagram.
pub(crate) const BATCH: usize = 64;

/// Room that is used again for every datagram, so that nothing is allocated per flow.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) records: Box<[FlowRecord]>,
    /// Segment starts: `BATCH` for segment 0, then `BATCH` for segment 1, …
    starts: Vec<u32>,
    pub(crate) fields: Vec<crate::elements::Field>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Scratch {
            records: vec![FlowRecord::default(); BATCH].into_boxed_slice(),
            starts: Vec::new(),
            fields: Vec::new(),
        }
    }
}

/// Takes finished records in batches.
pub(crate) type Out<'a> = dyn FnMut(&[FlowRecord]) + 'a;

pub(crate) struct Session<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) totals: &'a mut Totals,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) exporter: &'a mut Exporter,
    pub(crate) summary: &'a mut Summary,
    /// Sampling rate by configuration.
    pub(crate) config: Option<u32>,
    pub(crate) context: Context,
    /// Only templates and options are wanted; there is nowhere to put flows.
    pub(crate) learn_only: bool,
    pub(crate) out: &'a mut Out<'a>,
}

impl Session<'_> {
    /// Walks the sets. Returns the number of data records, `None` where it cannot be known.
    pub(crate) fn sets(&mut self, mut cursor: Cursor<'_>) -> Option<u32> {
        let mut records = Some(0u32);
        self.release_held();
        while cursor.remaining() >= 4 {
            let start = cursor.offset();
            if cursor.rest().iter().all(|b| *b == 0) {
                break; // padding behind the last set
            }
            let (Ok(id), Ok(len)) = (cursor.u16(), cursor.u16()) else { break };
            let wanted = usize::from(len).wrapping_sub(4);
            let cut = wanted > cursor.remaining();
            if cut {
                self.fault(DecodeError::BadLength { offset: start + 2, what: "set", length: usize::from(len) });
                records = None;
                if len < 4 {
                    break;
                }
            }
            let Ok(body) = cursor.sub(wanted.min(cursor.remaining())) else { break };
            let counted = match (self.context.version, id) {
                // A template that was cut short would be compiled wrongly; whole data records are still good.
                (Version::V9, 0) | (Version::Ipfix, 2) if !cut => self.templates(body, false),
                (Version::V9, 1) | (Version::Ipfix, 3) if !cut => self.templates(body, true),
                (_, 256..) => self.data(id, body),
                _ if cut => Some(0),
                _ => {
                    self.fault(DecodeError::ReservedId { offset: start, id });
                    Some(0)
                }
            };
            records = records.zip(counted).map(|(a, b)| a.saturating_add(b));
        }
        records
    }

    fn fault(&mut self, error: DecodeError) {
        self.summary.fault(error);
        self.exporter.counters.malformed += 1;
    }

    fn templates(&mut self, body: Cursor<'_>, options: bool) -> Option<u32> {
        if let Err(error) = templates::read_set(self, body, options) {
            self.fault(error);
        }
        self.release_held();
        Some(0)
    }

    /// Decodes held sets whose template has come.
    fn release_held(&mut self) {
        if !self.exporter.held_ready || self.learn_only {
            return;
        }
        let current = self.context;
        for held in self.exporter.take_ready(current.received, self.limits, self.totals) {
            self.context = held.context;
            self.known(held.key, Cursor::at(&held.body, held.offset));
        }
        self.context = current;
    }

    fn data(&mut self, id: u16, body: Cursor<'_>) -> Option<u32> {
        let key = TemplateKey::new(self.context.version, id);
        if self.exporter.template(key).is_some() {
            return Some(self.known(key, body));
        }
        if !self.learn_only {
            self.exporter.counters.unknown_template_sets += 1;
            let held = Held { key, context: self.context, offset: body.offset(), body: body.rest().into() };
            if self.exporter.hold(held, self.limits, self.totals) {
                self.summary.held += 1;
            }
        }
        None
    }

    /// A data set whose template is known. Returns the number of records.
    fn known(&mut self, key: TemplateKey, body: Cursor<'_>) -> u32 {
        let config = self.config;
        let boot_us = self.exporter.boot_us;
        let (samplers, plan) = self.exporter.samplers_and_template(key);
        let Some(plan) = plan else { return 0 };
        if plan.min_len == 0 {
            self.fault(DecodeError::EmptyRecord { offset: body.offset(), id: key.id() });
            return 0;
        }
        if plan.options {
            let mut told = OptionsTold::default();
            let (records, fault) = options(plan, body, self.scratch, samplers, self.limits, &mut told);
            self.exporter.counters.options_records += u64::from(records);
            self.exporter.counters.samplers_refused += told.refused;
            if let Some(boot_us) = told.boot_us {
                self.exporter.boot_us = Some(boot_us);
            }
            self.summary.learned |= told.changed;
            fault.into_iter().for_each(|f| self.fault(f));
            return records;
        }
        if self.learn_only {
            return 0;
        }
        if let (Uptime::Unknown, Some(boot_us)) = (self.context.uptime, boot_us) {
            self.context.uptime = Uptime::Since { boot_us };
        }
        let base = samplers.base(config);
        let facts = Facts { context: &self.context, samplers, base };
        let (flows, fault) = flows(plan, body, self.scratch, &facts, self.out);
        self.exporter.counters.flows += u64::from(flows);
        self.summary.flows += flows;
        fault.into_iter().for_each(|f| self.fault(f));
        flows
    }
}

fn flows(
    plan: &Plan,
    body: Cursor<'_>,
    scratch: &mut Scratch,
    facts: &Facts<'_>,
    out: &mut Out<'_>,
) -> (u32, Option<DecodeError>) {
    let mut total = 0;
    if plan.gaps.is_empty() {
        let len = plan.min_len as usize;
        for chunk in body.rest().chunks(len * BATCH) {
            let n = chunk.len() / len;
            if n == 0 {
                break; // padding
            }
            let records = &mut scratch.records[..n];
            run(plan, |_| Stride { body: chunk, len }, facts, records);
            out(records);
            total += n as u32;
        }
        return (total, None);
    }
    let mut at = 0;
    loop {
        let (n, fault) = locate(plan, body, &mut at, &mut scratch.starts);
        let records = &mut scratch.records[..n];
        let starts = &scratch.starts;
        let segment = |s: u16| {
            let from = usize::from(s) * BATCH;
            Starts { body: body.rest(), at: starts.get(from..from + n).unwrap_or_default() }
        };
        if n > 0 {
            run(plan, segment, facts, records);
            out(records);
            total += n as u32;
        }
        if n < BATCH || fault.is_some() {
            return (total, fault);
        }
    }
}

/// Finds where the segments of up to [`BATCH`] records begin, from octet `at` of the set on.
fn locate(plan: &Plan, body: Cursor<'_>, at: &mut usize, starts: &mut Vec<u32>) -> (usize, Option<DecodeError>) {
    let bytes = body.rest();
    let room = (plan.gaps.len() + 1) * BATCH;
    if starts.len() < room {
        starts.resize(room, 0);
    }
    for n in 0..BATCH {
        if bytes.len() - *at < plan.min_len as usize {
            return (n, None);
        }
        let mut pos = *at;
        starts[n] = pos as u32;
        for (k, gap) in plan.gaps.iter().enumerate() {
            pos += *gap as usize;
            // RFC 7011 §7: one octet of length, or 255 and two more.
            let len = match bytes.get(pos..) {
                Some([255, hi, lo, ..]) => 3 + usize::from(u16::from_be_bytes([*hi, *lo])),
                Some([len, ..]) => 1 + usize::from(*len),
                _ => return (n, Some(cut(body, *at, pos + 1 - *at))),
            };
            if len > bytes.len() - pos {
                return (n, Some(cut(body, pos, len)));
            }
            pos += len;
            starts[(k + 1) * BATCH + n] = pos as u32;
        }
        pos += plan.tail as usize;
        if pos > bytes.len() {
            return (n, Some(cut(body, *at, pos - *at)));
        }
        *at = pos;
    }
    (BATCH, None)
}

fn cut(body: Cursor<'_>, pos: usize, needed: usize) -> DecodeError {
    DecodeError::Truncated { offset: body.offset() + pos, needed, available: body.remaining().saturating_sub(pos) }
}

#[derive(Default)]
struct OptionsTold {
    changed: bool,
    refused: u64,
    boot_us: Option<i64>,
}

fn options(
    plan: &Plan,
    body: Cursor<'_>,
    scratch: &mut Scratch,
    samplers: &mut Samplers,
    limits: &Limits,
    told: &mut OptionsTold,
) -> (u32, Option<DecodeError>) {
    let (mut at, mut total) = (0, 0);
    loop {
        let (n, fault) = locate(plan, body, &mut at, &mut scratch.starts);
        for i in 0..n {
            let mut said = Told::default();
            for op in &plan.ops {
                let start = scratch.starts[usize::from(op.segment) * BATCH + i] as usize + op.offset as usize;
                let value = be_number(body.rest().get(start..start + usize::from(op.width)).unwrap_or_default());
                match op.action {
                    crate::elements::Action::InitMs => {
                        told.boot_us = Some(i64::try_from(value).unwrap_or(0).saturating_mul(1_000));
                    }
                    action => said.note(action, value, op.width),
                }
            }
            match samplers.note(&said, limits.samplers_per_exporter) {
                Noted::Same => {}
                Noted::Changed => told.changed = true,
                Noted::Refused => told.refused += 1,
            }
        }
        total += n as u32;
        if n < BATCH || fault.is_some() {
            return (total, fault);
        }
    }
}

/// The sampling behind records of an exporter that sent no options: by its header, by config, or assumed.
pub(crate) fn header_sampling(header: u32, config: Option<u32>) -> Sampling {
    use suimon_base::flow::SamplingSource::{Config, Header};
    match (header, config) {
        (0, Some(rate)) => Sampling { rate, source: Config },
        (0, None) => Sampling::default(),
        (rate, _) => Sampling { rate, source: Header },
    }
}
