//! `decode`: one JSON object a flow.

use super::read;
use crate::cli::DecodeArgs;
use crate::exit::{Exit, bad_input};
use crate::output;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use suimon_base::Timestamp;
use suimon_base::flow::{ExporterKey, FlowRecord};
use suimon_wire::json::FlowJson;
use suimon_wire::{Decoder, Limits, input, pcap};

/// Exporter of raw datagram files, which do not say who sent them.
const RAW_EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Prints every flow of every file.
#[expect(clippy::print_stderr, reason = "what cannot be decoded is told beside the flows, on standard error")]
pub fn run(args: &DecodeArgs, _json: bool) -> anyhow::Result<Exit> {
    let mut decoder = Decoder::new(Limits::default());
    let mut malformed = 0_u64;
    for path in &args.files {
        let file = read(path)?;
        malformed += datagrams(&mut decoder, path, &file, &mut |key, _, flow| {
            output::json(&FlowJson::new(key, flow));
        })?;
    }
    let held: u64 = decoder.counters().map(|(_, c)| c.unknown_template_sets).sum();
    if malformed > 0 || held > 0 {
        eprintln!("suimon: {malformed} malformed parts, {held} data sets came before their template");
    }
    Ok(Exit::Done)
}

/// Decodes a capture of flow datagrams or one raw datagram; returns how many parts were malformed.
///
/// # Errors
/// Exit code 2 for a file that is neither.
pub fn datagrams(
    decoder: &mut Decoder,
    path: &Path,
    file: &[u8],
    sink: &mut dyn FnMut(ExporterKey, Timestamp, &FlowRecord),
) -> anyhow::Result<u64> {
    let mut malformed = 0;
    if pcap::is_capture(file) {
        let place = |e: pcap::PcapError| bad_input(format!("{}: {e}", path.display()));
        for datagram in input::flow_datagrams(file).map_err(place)? {
            let d = datagram.map_err(place)?;
            let result =
                decoder.datagram(d.exporter, d.received, d.bytes, &mut |key, flow| sink(key, d.received, flow));
            malformed += result.map_or(1, |s| u64::from(s.malformed));
        }
        return Ok(malformed);
    }
    // A raw file may hold several IPFIX messages in a row.
    for message in input::messages(file) {
        let received = export_time(message);
        let summary = decoder
            .datagram(RAW_EXPORTER, received, message, &mut |key, flow| sink(key, received, flow))
            .map_err(|e| bad_input(format!("{}: {e}", path.display())))?;
        if let Some(error) = &summary.first_error {
            tracing::warn!(file = %path.display(), %error, "malformed part");
        }
        malformed += u64::from(summary.malformed);
    }
    Ok(malformed)
}

/// The export time in the datagram's own header, since a raw file has no time of receipt: seconds at offset 8 for
/// NetFlow v5 and v9 and at offset 4 for IPFIX. sFlow has none.
fn export_time(datagram: &[u8]) -> Timestamp {
    let word = |at: usize| -> Option<i64> {
        let bytes = datagram.get(at..at + 4)?;
        Some(i64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    let secs = match datagram.get(..2) {
        Some([0, 5 | 9]) => word(8),
        Some([0, 10]) => word(4),
        _ => None,
    };
    Timestamp::from_secs(secs.unwrap_or(0))
}
