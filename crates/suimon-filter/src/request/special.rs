//! Special-purpose address space: blocks that belong to nobody or to everybody, so that a request naming them is
//! probably mistaken (IANA special-purpose address registries; RFC 6890 and its updates).

use crate::range::RangeSet;
use ipnet::IpNet;

/// Block, what it is for, and the document.
const BLOCKS: [(&str, &str); 28] = [
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "shared address space, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    ("169.254.0.0/16", "link local, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
    ("192.0.2.0/24", "documentation, RFC 5737"),
    ("192.31.196.0/24", "AS112, RFC 7535"),
    ("192.52.193.0/24", "AMT, RFC 7450"),
    ("192.88.99.0/24", "former 6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("192.175.48.0/24", "AS112, RFC 7534"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation, RFC 5737"),
    ("203.0.113.0/24", "documentation, RFC 5737"),
    ("224.0.0.0/4", "multicast, RFC 5771"),
    ("240.0.0.0/4", "reserved, RFC 1112"),
    ("::/127", "unspecified and loopback, RFC 4291"),
    ("::ffff:0:0/96", "IPv4-mapped, RFC 4291"),
    ("64:ff9b::/96", "IPv4/IPv6 translation, RFC 6052"),
    ("100::/64", "discard only, RFC 6666"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("2002::/16", "6to4, RFC 3056"),
    ("3fff::/20", "documentation, RFC 9637"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link local, RFC 4291"),
    ("ff00::/8", "multicast, RFC 4291"),
];

/// The special blocks that the addresses touch, in words.
pub fn touched(addresses: &[RangeSet; 2]) -> Vec<String> {
    let mut out = Vec::new();
    for (block, what) in BLOCKS {
        let Ok(net) = block.parse::<IpNet>() else { continue };
        let of = super::addresses_of(&[net]);
        if of.iter().zip(addresses).any(|(b, a)| !b.intersect(a).is_empty()) {
            out.push(format!("{block} ({what})"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_block_parses() {
        for (b, _) in super::BLOCKS {
            assert!(b.parse::<ipnet::IpNet>().is_ok_and(|n| n.trunc() == n), "{b}");
        }
    }
}
