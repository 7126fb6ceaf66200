//! TCP connections with the options that BGP wants.

use super::options;
use crate::config::{Password, PeerConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};

/// TTL of GTSM (RFC 5082 §3).
const GTSM_TTL: u32 = 255;
/// TTL towards a peer of another AS on the same link, the usual default.
const ONE_HOP: u32 = 1;

/// What the socket of this peer sends with; `None` leaves the system's default.
fn ttl(config: &PeerConfig, internal: bool) -> Option<u32> {
    if config.gtsm {
        return Some(GTSM_TTL);
    }
    match config.multihop {
        Some(hops) => Some(hops.into()),
        None if internal => None,
        None => Some(ONE_HOP),
    }
}

/// Connects.
pub async fn connect(config: PeerConfig, internal: bool, password: Option<Password>) -> io::Result<TcpStream> {
    let to = config.socket();
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(ttl) = ttl(&config, internal) {
        match to {
            SocketAddr::V4(_) => socket.set_ttl_v4(ttl)?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(ttl)?,
        }
    }
    if config.gtsm {
        options::least_ttl(&socket, to.is_ipv4(), GTSM_TTL as i32)?;
    }
    if let Some(password) = password {
        options::md5(&socket, to.ip(), password.octets())?;
    }
    if let Some(source) = config.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
