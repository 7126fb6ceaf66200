//! One sFlow datagram. `flowparser-sflow` must find as many samples of each kind where both think it good.
#![no_main]

use flowparser_sflow::{SflowParser, SflowSample};
use libfuzzer_sys::fuzz_target;
use suimon_base::Timestamp;
use suimon_wire::{Decoder, Limits, Version};

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(Limits::default());
    let exporter = "192.0.2.1".parse().expect("an address");
    let mut flows = 0;
    let ours = decoder.datagram(exporter, Timestamp::ZERO, data, &mut |_, _| flows += 1);
    let Ok(summary) = ours else { return };
    assert_eq!(summary.flows, flows);
    if summary.version != Version::Sflow5 || summary.malformed > 0 {
        return;
    }
    let theirs = SflowParser::default().parse_bytes(data);
    let (None, [datagram]) = (&theirs.error, &theirs.datagrams[..]) else { return };
    let (mut flow_samples, mut counter_samples) = (0, 0);
    for sample in &datagram.samples {
        match sample {
            SflowSample::Flow(_) | SflowSample::ExpandedFlow(_) | SflowSample::DiscardedPacket(_) => flow_samples += 1,
            SflowSample::Counter(_) | SflowSample::ExpandedCounter(_) => counter_samples += 1,
            SflowSample::Unknown { .. } => {}
        }
    }
    assert_eq!(flows, flow_samples);
    let counted: u64 = decoder.counters().map(|(_, c)| c.counter_samples).sum();
    assert_eq!(counted, counter_samples);
});
