//! What several test files share.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use suimon_base::Timestamp;
use suimon_base::flow::FlowRecord;
use suimon_wire::{DecodeError, Decoder, Limits, Summary};

pub fn exporter() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

pub fn decoder() -> Decoder {
    Decoder::new(Limits::default())
}

/// Decodes one datagram of [`exporter`].
pub fn decode(decoder: &mut Decoder, bytes: &[u8]) -> (Result<Summary, DecodeError>, Vec<FlowRecord>) {
    let mut flows = Vec::new();
    let received = Timestamp::from_secs(1_700_000_000);
    let result = decoder.datagram(exporter(), received, bytes, &mut |_, flow| flows.push(*flow));
    (result, flows)
}

/// The payload files below a folder, sorted by name with templates before data.
pub fn payloads(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "dat" || e == "bin") {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|p| (!p.to_string_lossy().contains("tpl"), p.clone()));
    found
}
