//! A capture file, and its bytes as a frame. `pcap-parser` must find as many packets in a pcap file that both read to its
//! end, and `etherparse` the same addresses and ports in a frame that both parse.
#![no_main]

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use libfuzzer_sys::fuzz_target;
use pcap_parser::PcapCapture;
use std::net::IpAddr;
use suimon_wire::packet::{LinkType, parse_frame};
use suimon_wire::{input, pcap};

fuzz_target!(|data: &[u8]| {
    if let Ok(frames) = pcap::frames(data) {
        let mut clean = true;
        let mut count = 0;
        for frame in frames {
            match frame {
                Ok(frame) => {
                    let _ = parse_frame(frame.link, frame.bytes, frame.wire_len);
                    count += 1;
                }
                Err(_) => clean = false,
            }
        }
        // `PcapCapture::from_file` reads the packets of big-endian files as little-endian.
        let comparable = matches!(data, [_, _, _, 0xa1, ..]);
        if clean && comparable {
            if let Ok(capture) = PcapCapture::from_file(data) {
                assert_eq!(count, capture.blocks.len());
            }
        }
        if let Ok(datagrams) = input::flow_datagrams(data) {
            assert!(datagrams.count() <= count + 1);
        }
    }
    for link in [LinkType::RawIp, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::Loopback, LinkType::Mpls] {
        let _ = parse_frame(link, data, data.len() as u32);
    }
    let ours = parse_frame(LinkType::Ethernet, data, data.len() as u32);
    let (Some((header, _)), Ok(theirs)) = (ours, SlicedPacket::from_ethernet(data)) else { return };
    let (src, dst): (IpAddr, IpAddr) = match &theirs.net {
        Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return,
    };
    assert_eq!((header.src, header.dst), (src, dst));
    if header.proto == 51 {
        return; // behind IPsec's AH only the other decoder goes on, over IPv4
    }
    let ports = match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
        _ => return,
    };
    assert_eq!(header.ports, Some(ports));
});
