//! Random numbers whose values never change: one ChaCha8 stream a seed, and the few distributions a scenario needs.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A seeded stream. Streams of one seed with different `stream` numbers are independent.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Random(rng)
    }

    /// Any 32 bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// `0..n`; 0 where `n` is 0. The bias of the multiplication is below n/2³², of no account here.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// `lo..=hi`.
    pub(crate) fn between(&mut self, lo: u16, hi: u16) -> u16 {
        let span = u32::from(hi.saturating_sub(lo)) + 1;
        lo.saturating_add(self.below(span) as u16)
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Above 0, up to 1.
    fn unit(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 1.0) / 4_294_967_296.0
    }

    /// Microseconds to the next event of a Poisson process of `per_s` events a second; a very long time for rate 0.
    pub(crate) fn wait_us(&mut self, per_s: f64) -> u64 {
        if per_s <= 0.0 {
            return NEVER_US;
        }
        ((-self.unit().ln() * 1e6 / per_s) as u64).min(NEVER_US)
    }

    /// An address of the IPv4 network `net/len`.
    pub(crate) fn v4_in(&mut self, net: Ipv4Addr, len: u8) -> Ipv4Addr {
        let host_bits = 32 - u32::from(len.min(32));
        let mask = if host_bits == 32 { u32::MAX } else { (1 << host_bits) - 1 };
        Ipv4Addr::from_bits((net.to_bits() & !mask) | (self.bits() & mask))
    }

    /// An address of the IPv6 network `net/len` with random interface bits.
    pub(crate) fn v6_in(&mut self, net: Ipv6Addr, len: u8) -> Ipv6Addr {
        let host_bits = 128 - u32::from(len.min(128));
        let mask = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
        let random = (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
        Ipv6Addr::from_bits((net.to_bits() & !mask) | (random & mask))
    }

    /// An address a spoofing sender makes up: any unicast address, wrongly including those nobody routes.
    pub(crate) fn spoofed(&mut self, v6: bool) -> IpAddr {
        if v6 {
            return IpAddr::V6(self.v6_in(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3));
        }
        // 1.0.0.0 to 223.255.255.255.
        IpAddr::V4(Ipv4Addr::from_bits((1 << 24) + self.below(223 << 24)))
    }
}

/// Longer than any scenario: about 31 years.
pub(crate) const NEVER_US: u64 = 1_000_000_000_000_000;
