//! Sockets with large buffers, shared by several workers, and what the kernel dropped at them.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, recvmmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

/// A worker looks at its other duties at least this often, milliseconds.
const WAIT_MS: u16 = 20;

pub(crate) fn bind(addr: SocketAddr, buffer_octets: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // With CAP_NET_ADMIN past net.core.rmem_max, else up to it.
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer_octets).is_err() {
        socket.set_recv_buffer_size(buffer_octets)?;
    }
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Waits until something can be read, or a little while.
pub(crate) fn wait(socket: &UdpSocket) {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    // An error shows itself at the next read.
    let _ = poll(&mut fds, PollTimeout::from(WAIT_MS));
}

/// Largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// From one datagram's place to the next. A round number of pages would put the beginnings of all of them, which is all
/// that flow datagrams fill, into the same few sets of the caches; this spreads them, aligned for the kernel's copying.
const STRIDE: usize = MAX_DATAGRAM.next_multiple_of(64) + 1_536;
/// Datagrams read by one system call.
pub(crate) const AT_ONCE: usize = 32;
/// What a datagram of an exporter takes of a receive buffer by the kernel's count, in octets.
const KERNEL_OCTETS: usize = 2_304;
/// Datagrams a second that must find room while a worker lets some gather.
const SURGE: usize = 20_000;
/// Longest time that datagrams may gather, in microseconds: little beside the second in which an attack must be told.
const GATHER_US: usize = 40_000;

/// How long datagrams may gather in the socket's buffer: half of it stays free for a surge.
pub(crate) fn gather(socket: &UdpSocket) -> Duration {
    let octets = getsockopt(socket, sockopt::RcvBuf).unwrap_or(0);
    let us = octets / 2 / KERNEL_OCTETS * 1_000_000 / SURGE;
    Duration::from_micros(us.clamp(500, GATHER_US) as u64)
}

/// Room for the datagrams of one system call.
pub(crate) struct Mailbox {
    octets: Vec<u8>,
    heads: MultiHeaders<SockaddrStorage>,
    /// Sender and length of what was read last.
    read: Vec<(IpAddr, usize)>,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Mailbox {
            octets: vec![0; STRIDE * AT_ONCE],
            heads: MultiHeaders::preallocate(AT_ONCE, None),
            read: Vec::with_capacity(AT_ONCE),
        }
    }

    /// Reads what is there, at most [`AT_ONCE`] datagrams.
    pub(crate) fn fill(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.read.clear();
        let mut places: Vec<[IoSliceMut<'_>; 1]> =
            self.octets.chunks_mut(STRIDE).map(|c| [IoSliceMut::new(c)]).collect();
        let fd = socket.as_raw_fd();
        let messages = match recvmmsg(fd, &mut self.heads, places.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            other => other?,
        };
        for message in messages {
            let from = message.address.as_ref().and_then(|a| {
                let v4 = a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
                v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()).to_canonical()))
            });
            // A datagram without a sender does not exist on these sockets; its place in the row is kept.
            self.read.push(from.map_or((IpAddr::from([0, 0, 0, 0]), 0), |from| (from, message.bytes)));
        }
        Ok(())
    }

    /// What was read: sender and payload.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (IpAddr, &[u8])> {
        let payloads = self.octets.chunks(STRIDE);
        self.read.iter().zip(payloads).map(|((from, len), octets)| (*from, octets.get(..*len).unwrap_or_default()))
    }

    pub(crate) fn len(&self) -> usize {
        self.read.len()
    }
}

/// The `drops` column of `/proc/net/udp` and `udp6` over all sockets bound to this port of this address family.
pub(crate) fn kernel_drops(addr: SocketAddr) -> u64 {
    let table = if addr.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    std::fs::read_to_string(table).map_or(0, |text| drops_in(&text, addr.port()))
}

fn drops_in(table: &str, port: u16) -> u64 {
    let wanted = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let drops = fields.last()?;
            local.ends_with(&wanted).then(|| drops.parse::<u64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
                     101: 0100007F:0807 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 17\n \
                     102: 0100007F:0808 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1235 2 0000000000000000 4\n \
                     103: 0100007F:0807 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1236 2 0000000000000000 3\n";
        assert_eq!(drops_in(table, 0x0807), 20);
        assert_eq!(drops_in("", 1), 0);
    }

    #[test]
    fn two_sockets_share_a_port() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
        let second = bind(first.local_addr().unwrap(), 1 << 20).unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
    }
}
