//! Socket options of BGP sessions that no library has setters for: the least TTL that is taken (GTSM, RFC 5082) and
//! TCP-MD5 (RFC 2385). Linux.
//!
//! `nix` makes a setter from level, name and type. Both options only read the octets that they are given, and hold no
//! pointers, so any value is safe to pass; a wrong one is refused by the kernel.

use nix::sys::socket::{setsockopt, sockopt::SetStruct};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// Octets of `struct tcp_md5sig` (`linux/tcp.h`): an address of 128, flags, prefix length, key length, interface, key.
const MD5_OCTETS: usize = 216;
const KEY_AT: usize = 136;
const KEY_LENGTH_AT: usize = 130;
/// Longest key, octets (TCP_MD5SIG_MAXKEYLEN).
pub const MAX_KEY_OCTETS: usize = MD5_OCTETS - KEY_AT;

#[derive(Clone, Debug)]
struct MinTtl;
nix::setsockopt_impl!(MinTtl, libc::IPPROTO_IP, libc::IP_MINTTL, i32, SetStruct<i32>);

#[derive(Clone, Debug)]
struct MinHops;
nix::setsockopt_impl!(MinHops, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, i32, SetStruct<i32>);

#[derive(Clone, Debug)]
struct Md5;
nix::setsockopt_impl!(Md5, libc::IPPROTO_TCP, libc::TCP_MD5SIG, [u8; MD5_OCTETS], SetStruct<[u8; MD5_OCTETS]>);

/// Segments with a smaller TTL or hop limit are dropped by the kernel.
///
/// # Errors
/// What the kernel says.
pub fn least_ttl<F: AsFd>(socket: &F, v4: bool, least: i32) -> io::Result<()> {
    let set = if v4 { setsockopt(socket, MinTtl, &least) } else { setsockopt(socket, MinHops, &least) };
    set.map_err(io::Error::from)
}

/// Segments to and from `peer` carry a digest with this key; others are dropped by the kernel.
///
/// # Errors
/// When the key is empty or too long, or the kernel refuses.
pub fn md5<F: AsFd>(socket: &F, peer: IpAddr, key: &[u8]) -> io::Result<()> {
    if key.is_empty() || key.len() > MAX_KEY_OCTETS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a TCP-MD5 key has 1 to 80 octets"));
    }
    setsockopt(socket, Md5, &md5_octets(peer, key)).map_err(io::Error::from)
}

fn md5_octets(peer: IpAddr, key: &[u8]) -> [u8; MD5_OCTETS] {
    let mut out = [0; MD5_OCTETS];
    let family = if peer.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u16;
    out[..2].copy_from_slice(&family.to_ne_bytes());
    // `sockaddr_in` and `sockaddr_in6`: after the port, and for IPv6 after the flow label too.
    match peer {
        IpAddr::V4(a) => out[4..8].copy_from_slice(&a.octets()),
        IpAddr::V6(a) => out[8..24].copy_from_slice(&a.octets()),
    }
    let length = key.len() as u16;
    out[KEY_LENGTH_AT..KEY_LENGTH_AT + 2].copy_from_slice(&length.to_ne_bytes());
    out[KEY_AT..KEY_AT + key.len()].copy_from_slice(key);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stands_where_the_kernel_looks() {
        let octets = md5_octets("192.0.2.1".parse().unwrap(), b"key");
        assert_eq!((&octets[4..8], &octets[136..140]), (&[192, 0, 2, 1][..], &b"key\0"[..]));
        assert_eq!(u16::from_ne_bytes([octets[130], octets[131]]), 3);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        assert!(md5(&socket, peer, b"").is_err());
        assert!(md5(&socket, peer, &[1; 81]).is_err());
        least_ttl(&socket, true, 255).unwrap();
        assert!(least_ttl(&socket, true, 256).is_err(), "the kernel looks at it");
    }
}
