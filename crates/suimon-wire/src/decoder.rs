//! The decoder: which exporter, which protocol, and what is kept between datagrams.

use crate::context::{Context, Uptime};
use crate::cursor::Cursor;
use crate::exporter::{Exporter, Totals};
use crate::limits::Limits;
use crate::session::{Out, Scratch, Session};
use crate::summary::{ExporterCounters, Summary, Version};
use crate::{DecodeError, sflow, v5};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::Timestamp;
use suimon_base::flow::{ExporterKey, FlowRecord};

/// Milliseconds between two searches for a silent exporter to forget, so that a flood of forged ones costs little.
const EVICT_EVERY_MS: i64 = 1_000;

/// Octets of what one decoder remembers, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Exporter keys known.
    pub exporters: usize,
    /// Templates known.
    pub templates: usize,
    /// Octets of templates.
    pub template_bytes: usize,
    /// Octets of data sets that wait for their template.
    pub held_bytes: usize,
    /// Samplers and sampled interfaces known.
    pub samplers: usize,
}

/// Decodes datagrams; keeps templates, sampling and sequence numbers per exporter address and domain.
///
/// What it keeps is bounded by [`Limits`]. An exporter key that was silent for [`Limits::exporter_idle_ms`] makes room
/// for a new one when the table is full; its counters go with it.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    config: HashMap<IpAddr, u32>,
    exporters: HashMap<ExporterKey, Box<Exporter>, RandomState>,
    domains: HashMap<IpAddr, usize>,
    totals: Totals,
    scratch: Scratch,
    now: Timestamp,
    evicted_at: Timestamp,
}

/// What the first octets of a datagram say.
enum Header {
    V5(v5::Header),
    V9 { uptime_ms: u32, secs: u32, sequence: u32 },
    Ipfix { len: usize, secs: u32, sequence: u32 },
    Sflow(sflow::Header),
}

impl Decoder {
    /// An empty decoder.
    pub fn new(limits: Limits) -> Self {
        Decoder {
            limits,
            config: HashMap::new(),
            exporters: HashMap::default(),
            domains: HashMap::new(),
            totals: Totals::default(),
            scratch: Scratch::new(),
            now: Timestamp::ZERO,
            evicted_at: Timestamp::ZERO,
        }
    }

    /// Sets the sampling rate of an exporter by configuration: used where neither record, options data nor header say
    /// one. 0 takes the setting back.
    pub fn set_sampling(&mut self, exporter: IpAddr, rate: u32) {
        if rate == 0 {
            self.config.remove(&exporter);
        } else {
            self.config.insert(exporter, rate);
        }
        let config = self.config.get(&exporter).copied();
        for (_, known) in self.exporters.iter_mut().filter(|(key, _)| key.addr == exporter) {
            known.config = config;
        }
    }

    /// Decodes one datagram and calls `sink` once per flow. Nothing is allocated per flow.
    ///
    /// # Errors
    /// Where the header cannot be read or there is no room for the exporter. Anything malformed behind a good header is
    /// told in the [`Summary`], and the flows around it are decoded.
    pub fn datagram<F: FnMut(ExporterKey, &FlowRecord) + ?Sized>(
        &mut self,
        exporter: IpAddr,
        received: Timestamp,
        bytes: &[u8],
        sink: &mut F,
    ) -> Result<Summary, DecodeError> {
        self.batches(exporter, received, bytes, &mut |key, records| {
            for record in records {
                sink(key, record);
            }
        })
    }

    /// [`Decoder::datagram`] with the flows as they are decoded, up to 64 at a time and in order, where they can be
    /// counted without being copied.
    ///
    /// # Errors
    /// As for [`Decoder::datagram`].
    pub fn batches<F: FnMut(ExporterKey, &[FlowRecord]) + ?Sized>(
        &mut self,
        exporter: IpAddr,
        received: Timestamp,
        bytes: &[u8],
        sink: &mut F,
    ) -> Result<Summary, DecodeError> {
        let (header, version, key) = read_header(exporter, bytes)?;
        self.now = received;
        self.decode(&header, version, key, bytes, false, &mut |records| sink(key, records))
    }

    /// Takes only templates and sampling from a datagram that another worker decodes: no flows, no counting of
    /// datagrams or sequence numbers. What cannot be read is left to that worker to report.
    pub fn learn(&mut self, exporter: IpAddr, bytes: &[u8]) {
        if let Ok((header @ (Header::V9 { .. } | Header::Ipfix { .. }), version, key)) = read_header(exporter, bytes) {
            // A refused exporter is counted by the worker that decodes.
            let _ = self.decode(&header, version, key, bytes, true, &mut |_| {});
        }
    }

    /// Counters of each exporter key.
    pub fn counters(&self) -> impl Iterator<Item = (ExporterKey, &ExporterCounters)> {
        self.exporters.iter().map(|(key, exporter)| (*key, &exporter.counters))
    }

    /// How much is remembered.
    pub fn usage(&self) -> Usage {
        Usage {
            exporters: self.exporters.len(),
            templates: self.exporters.values().map(|e| e.templates().len()).sum(),
            template_bytes: self.totals.template_bytes,
            held_bytes: self.totals.held_bytes,
            samplers: self.exporters.values().map(|e| e.samplers.len()).sum(),
        }
    }

    fn decode(
        &mut self,
        header: &Header,
        version: Version,
        key: ExporterKey,
        bytes: &[u8],
        learn_only: bool,
        out: &mut Out<'_>,
    ) -> Result<Summary, DecodeError> {
        let mut summary = Summary::new(version, key);
        let exporter = match self.exporters.get_mut(&key) {
            Some(known) => known,
            None => {
                self.admit(key, header)?;
                let new = Exporter::new(self.config.get(&key.addr).copied());
                self.exporters.entry(key).or_insert(Box::new(new))
            }
        };
        let config = exporter.config;
        exporter.last_heard = self.now;
        let (sequence, export_secs, uptime_ms) = match *header {
            Header::V5(h) => {
                let (flows, fault) = v5::records(&h, bytes, config, &mut self.scratch, out);
                fault.into_iter().for_each(|f| summary.fault(f));
                summary.flows = flows;
                let counters = &mut exporter.counters;
                exporter.sequence.note(h.sequence, Some(u32::from(h.count)), counters);
                counters.datagrams += 1;
                counters.flows += u64::from(flows);
                counters.malformed += u64::from(summary.malformed);
                return Ok(summary);
            }
            Header::Sflow(h) => {
                sflow::samples(&h, bytes, config, &mut self.scratch, exporter, &mut summary, out);
                return Ok(summary);
            }
            Header::V9 { uptime_ms, secs, sequence } => (sequence, secs, Some(uptime_ms)),
            Header::Ipfix { secs, sequence, .. } => (sequence, secs, None),
        };
        let export_us = i64::from(export_secs) * 1_000_000;
        let uptime = uptime_ms.map_or(Uptime::Unknown, |uptime_ms| Uptime::Header { now_us: export_us, uptime_ms });
        let context = Context { version, received: self.now, export_us, uptime };
        let body = match header {
            Header::Ipfix { len, .. } => bytes.get(16..bytes.len().min(*len)).map(|b| Cursor::at(b, 16)),
            _ => bytes.get(20..).map(|b| Cursor::at(b, 20)),
        };
        if let Header::Ipfix { len, .. } = header
            && *len > bytes.len()
            && !learn_only
        {
            summary.fault(DecodeError::BadLength { offset: 2, what: "message", length: *len });
            exporter.counters.malformed += 1;
        }
        let mut session = Session {
            limits: &self.limits,
            totals: &mut self.totals,
            scratch: &mut self.scratch,
            exporter,
            summary: &mut summary,
            config,
            context,
            learn_only,
            out,
        };
        let records = session.sets(body.unwrap_or(Cursor::new(&[])));
        if !learn_only {
            let units = if version == Version::V9 { Some(1) } else { records };
            exporter.sequence.note(sequence, units, &mut exporter.counters);
            exporter.counters.datagrams += 1;
        }
        Ok(summary)
    }

    /// Makes room for a new exporter key.
    fn admit(&mut self, key: ExporterKey, header: &Header) -> Result<(), DecodeError> {
        let offset = match header {
            Header::V5(_) => 20,
            Header::V9 { .. } => 16,
            Header::Ipfix { .. } => 12,
            Header::Sflow(h) => h.domain_offset,
        };
        let domains = self.domains.get(&key.addr).copied().unwrap_or(0);
        let full = self.exporters.len() >= self.limits.exporters || domains >= self.limits.domains_per_address;
        if full && !self.evict(domains >= self.limits.domains_per_address, key.addr) {
            return Err(DecodeError::TooManyExporters { offset, limit: self.limits.exporters });
        }
        *self.domains.entry(key.addr).or_default() += 1;
        Ok(())
    }

    /// Forgets the exporter key that was silent longest, if for long enough; only keys of `addr` where `same` is set.
    fn evict(&mut self, same: bool, addr: IpAddr) -> bool {
        if self.now.ms_since(self.evicted_at) < EVICT_EVERY_MS {
            return false;
        }
        self.evicted_at = self.now;
        let oldest = self
            .exporters
            .iter()
            .filter(|(key, _)| !same || key.addr == addr)
            .min_by_key(|(_, exporter)| exporter.last_heard)
            .filter(|(_, exporter)| self.now.ms_since(exporter.last_heard) >= self.limits.exporter_idle_ms)
            .map(|(key, _)| *key);
        let Some(gone) = oldest.and_then(|key| self.exporters.remove_entry(&key)) else { return false };
        self.totals.template_bytes -= gone.1.template_bytes();
        self.totals.held_bytes -= gone.1.held_bytes();
        if let Some(n) = self.domains.get_mut(&gone.0.addr) {
            *n -= 1;
            if *n == 0 {
                self.domains.remove(&gone.0.addr);
            }
        }
        true
    }
}

#[inline(always)]
fn read_header(exporter: IpAddr, bytes: &[u8]) -> Result<(Header, Version, ExporterKey), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let key = |domain| ExporterKey { addr: exporter, domain };
    match cursor.u16()? {
        5 => {
            let header = v5::Header::read(bytes)?;
            Ok((Header::V5(header), Version::V5, key(u32::from(header.engine))))
        }
        9 => {
            // The count of records (or, as some exporters have it, of sets) is not needed: lengths tell all.
            let _count = cursor.u16()?;
            let (uptime_ms, secs, sequence) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            Ok((Header::V9 { uptime_ms, secs, sequence }, Version::V9, key(cursor.u32()?)))
        }
        10 => {
            let len = usize::from(cursor.u16()?);
            if len < 16 {
                return Err(DecodeError::BadLength { offset: 2, what: "message", length: len });
            }
            let (secs, sequence) = (cursor.u32()?, cursor.u32()?);
            Ok((Header::Ipfix { len, secs, sequence }, Version::Ipfix, key(cursor.u32()?)))
        }
        0 if bytes.get(2..4) == Some(&[0, 5]) => {
            let header = sflow::Header::read(bytes)?;
            Ok((Header::Sflow(header), Version::Sflow5, key(header.sub_agent)))
        }
        version => Err(DecodeError::UnknownVersion { offset: 0, version: u32::from(version) }),
    }
}
