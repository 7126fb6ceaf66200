//! Kinds of customers beside the web server of [`LegitProfile::web`].

use super::legit::LegitProfile;
use std::net::IpAddr;

impl LegitProfile {
    /// A name server that is asked by others and also looks names up itself: about 600 queries and 200 answers a second,
    /// some queries over TCP.
    pub fn dns(host: IpAddr) -> Self {
        LegitProfile {
            host,
            tcp_ports: vec![53],
            tcp_per_s: 4.0,
            udp_ports: vec![53],
            udp_per_s: 75.0,
            resolver: host,
            dns_per_s: 200.0,
            ntp_per_s: 2.0,
            ping_per_s: 1.0,
        }
    }

    /// A game server on TCP 25565 and UDP 27015, with a page on 443: about 800 packets a second.
    pub fn game(host: IpAddr) -> Self {
        LegitProfile {
            host,
            tcp_ports: vec![25_565, 25_565, 25_565, 443],
            tcp_per_s: 20.0,
            udp_ports: vec![27_015],
            udp_per_s: 50.0,
            resolver: host,
            dns_per_s: 2.0,
            ntp_per_s: 1.0,
            ping_per_s: 5.0,
        }
    }

    /// A VPN gateway: OpenVPN on UDP 1194, IPsec behind NAT on UDP 500 and 4500 (RFC 3948), TLS on TCP 443; about 900
    /// packets a second.
    pub fn vpn(host: IpAddr) -> Self {
        LegitProfile {
            host,
            tcp_ports: vec![443],
            tcp_per_s: 10.0,
            udp_ports: vec![1_194, 4_500, 4_500, 500],
            udp_per_s: 90.0,
            resolver: host,
            dns_per_s: 2.0,
            ntp_per_s: 1.0,
            ping_per_s: 1.0,
        }
    }
}
