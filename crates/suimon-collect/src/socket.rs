//! Sockets with large buffers, shared by several workers, and what the kernel dropped at them.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;

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
