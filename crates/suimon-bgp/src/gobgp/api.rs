//! The few messages of GoBGP's interface that the driver needs (`gobgp.proto` of GoBGP 3, package `apipb`), by hand.
//!
//! Routes travel as the octets of BGP (`nlri_binary`, `pattrs_binary`), so that the same encoder writes them for our own
//! sessions and for GoBGP. Fields that are not named here are skipped when they come.

use crate::codec;
use crate::config::GobgpConfig;
use crate::route::Family;
use http::uri::PathAndQuery;
use prost::Message;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// How long one call may take, seconds. A list of some thousand routes takes milliseconds.
const CALL_S: u64 = 20;
/// Octets of one message that may come. Go's own limit for what it takes is 4 MiB.
const MESSAGE_OCTETS: usize = 4 << 20;
/// Routes of one message that we send; 4 KiB each stay under Go's limit.
const PATHS_AT_ONCE: usize = 500;
/// Most routes that are read of one table. More is not ours, and the comparison says so.
const PATHS_READ: usize = 100_000;

/// `Family`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ApiFamily {
    /// AFI.
    #[prost(int32, tag = "1")]
    pub afi: i32,
    /// SAFI.
    #[prost(int32, tag = "2")]
    pub safi: i32,
}

impl From<Family> for ApiFamily {
    fn from(family: Family) -> ApiFamily {
        let (afi, safi) = codec::afi_safi(family);
        ApiFamily { afi: i32::from(afi as u16), safi: i32::from(safi as u8) }
    }
}

/// `Path`.
#[derive(Clone, PartialEq, Message)]
pub struct Path {
    /// Whether it goes.
    #[prost(bool, tag = "5")]
    pub is_withdraw: bool,
    /// Its family.
    #[prost(message, optional, tag = "9")]
    pub family: Option<ApiFamily>,
    /// The neighbour that it came from; no address for a route that was put in locally.
    #[prost(string, tag = "15")]
    pub neighbor_ip: String,
    /// Its NLRI as it travels.
    #[prost(bytes = "vec", tag = "20")]
    pub nlri_binary: Vec<u8>,
    /// Its attributes, each with its head.
    #[prost(bytes = "vec", repeated, tag = "21")]
    pub pattrs_binary: Vec<Vec<u8>>,
}

impl Path {
    /// Whether it was put in through the interface or the command line, not learnt.
    pub fn is_local(&self) -> bool {
        self.neighbor_ip.parse::<std::net::IpAddr>().is_err()
    }
}

#[derive(Clone, PartialEq, Message)]
struct AddPathStreamRequest {
    #[prost(int32, tag = "1")]
    table_type: i32,
    #[prost(message, repeated, tag = "3")]
    paths: Vec<Path>,
}

/// `TableLookupPrefix`.
#[derive(Clone, PartialEq, Message)]
struct Lookup {
    #[prost(string, tag = "1")]
    prefix: String,
    #[prost(int32, tag = "2")]
    option: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ListPathRequest {
    #[prost(int32, tag = "1")]
    table_type: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, optional, tag = "3")]
    family: Option<ApiFamily>,
    #[prost(message, repeated, tag = "4")]
    prefixes: Vec<Lookup>,
    #[prost(bool, tag = "7")]
    enable_nlri_binary: bool,
    #[prost(bool, tag = "8")]
    enable_attribute_binary: bool,
    #[prost(bool, tag = "9")]
    enable_only_binary: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Destination {
    #[prost(message, repeated, tag = "2")]
    paths: Vec<Path>,
}

#[derive(Clone, PartialEq, Message)]
struct ListPathResponse {
    #[prost(message, optional, tag = "1")]
    destination: Option<Destination>,
}

#[derive(Clone, PartialEq, Message)]
struct ListPeerRequest {}

#[derive(Clone, PartialEq, Message)]
struct PeerConf {
    #[prost(string, tag = "4")]
    neighbor_address: String,
}

#[derive(Clone, PartialEq, Message)]
struct PeerState {
    #[prost(string, tag = "5")]
    neighbor_address: String,
    #[prost(int32, tag = "13")]
    session_state: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Peer {
    #[prost(message, optional, tag = "2")]
    conf: Option<PeerConf>,
    #[prost(message, optional, tag = "5")]
    state: Option<PeerState>,
}

#[derive(Clone, PartialEq, Message)]
struct ListPeerResponse {
    #[prost(message, optional, tag = "1")]
    peer: Option<Peer>,
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

const GLOBAL: i32 = 0;
const ADJ_OUT: i32 = 3;
const LOOKUP_LONGER: i32 = 1;
/// `PeerState.SessionState`, from RFC 4271 §8.2.2.
const STATES: [&str; 7] = ["unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"];

/// One of GoBGP's own neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: String,
    /// The state of the session, in small letters.
    pub state: &'static str,
}

impl Neighbour {
    /// Whether routes reach it.
    pub fn up(&self) -> bool {
        self.state == "established"
    }
}

/// What the files of the section hold.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of the authorities that may have signed GoBGP's, PEM.
    pub ca: Vec<u8>,
    /// Our certificate and key, PEM, where GoBGP asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// A connection to GoBGP; it is made when the first call needs it, and again after a loss.
pub struct Client {
    grpc: Grpc<Channel>,
}

/// A call that failed, in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

impl From<Status> for CallError {
    fn from(s: Status) -> CallError {
        let mut text = format!("{:?}: {}", s.code(), s.message());
        let mut source = std::error::Error::source(&s);
        while let Some(e) = source {
            text.push_str(&format!(": {e}"));
            source = e.source();
        }
        CallError(text)
    }
}

impl Client {
    /// Prepares a connection.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn new(config: &GobgpConfig, tls: Option<&Tls>) -> Result<Client, CallError> {
        let bad = |e: tonic::transport::Error| {
            let why = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            CallError(format!("{e}{why}"))
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", config.address))
            .map_err(bad)?
            .connect_timeout(Duration::from_secs(CALL_S))
            .timeout(Duration::from_secs(CALL_S))
            .tcp_nodelay(true);
        if let Some(tls) = tls {
            let mut with = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca));
            if let Some(name) = &config.tls_name {
                with = with.domain_name(name);
            }
            if let Some((certificate, key)) = &tls.identity {
                with = with.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(with).map_err(bad)?;
        }
        Ok(Client { grpc: Grpc::new(endpoint.connect_lazy()).max_decoding_message_size(MESSAGE_OCTETS) })
    }

    async fn ready(&mut self) -> Result<(), CallError> {
        self.grpc.ready().await.map_err(|e| {
            let why = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            CallError(format!("{e}{why}"))
        })
    }

    /// Reads a stream to its end, at most `most` messages.
    async fn read<Q, A>(&mut self, method: &'static str, ask: Q, most: usize) -> Result<Vec<A>, CallError>
    where
        Q: Message + Send + Sync + Default + 'static,
        A: Message + Send + Sync + Default + 'static,
    {
        self.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.grpc.server_streaming(Request::new(ask), PathAndQuery::from_static(method), codec).await?;
        let mut stream = answer.into_inner();
        let mut out = Vec::new();
        while let Some(message) = stream.message().await? {
            if out.len() >= most {
                return Err(CallError(format!("more than {most} answers to {method}")));
            }
            out.push(message);
        }
        Ok(out)
    }

    async fn list(&mut self, ask: ListPathRequest) -> Result<Vec<Path>, CallError> {
        let answers: Result<Vec<ListPathResponse>, CallError> =
            self.read("/apipb.GobgpApi/ListPath", ask, PATHS_READ).await;
        let answers = match answers {
            // So says GoBGP of a table or a prefix that holds nothing.
            Err(e) if e.0.contains("not in table") || e.0.contains("not found") => Vec::new(),
            other => other?,
        };
        Ok(answers.into_iter().filter_map(|a| a.destination).flat_map(|d| d.paths).collect())
    }

    /// Routes of a table that lie in `spaces` (unicast), or all of them (Flowspec).
    async fn table(
        &mut self,
        table_type: i32,
        name: &str,
        family: Family,
        spaces: &[ipnet::IpNet],
    ) -> Result<Vec<Path>, CallError> {
        let ask = ListPathRequest {
            table_type,
            name: name.to_owned(),
            family: Some(family.into()),
            prefixes: Vec::new(),
            enable_nlri_binary: true,
            enable_attribute_binary: true,
            enable_only_binary: true,
        };
        if family.is_flow() {
            return self.list(ask).await;
        }
        let mut out = Vec::new();
        // One by one: for several prefixes GoBGP answers nothing at all where one of them holds nothing.
        for space in spaces.iter().filter(|s| s.addr().is_ipv4() == family.is_v4()) {
            let prefixes = vec![Lookup { prefix: space.to_string(), option: LOOKUP_LONGER }];
            out.extend(self.list(ListPathRequest { prefixes, ..ask.clone() }).await?);
        }
        Ok(out)
    }

    /// GoBGP's own table of a family.
    ///
    /// # Errors
    /// When GoBGP does not answer, or has more than can be read.
    pub async fn rib(&mut self, family: Family, spaces: &[ipnet::IpNet]) -> Result<Vec<Path>, CallError> {
        self.table(GLOBAL, "", family, spaces).await
    }

    /// What GoBGP has sent to a neighbour.
    ///
    /// # Errors
    /// As [`Client::rib`]; also where the neighbour does not take the family.
    pub async fn adj_out(
        &mut self,
        neighbour: &str,
        family: Family,
        spaces: &[ipnet::IpNet],
    ) -> Result<Vec<Path>, CallError> {
        self.table(ADJ_OUT, neighbour, family, spaces).await
    }

    /// GoBGP's neighbours, at most `most`.
    ///
    /// # Errors
    /// When GoBGP does not answer or has more.
    pub async fn neighbours(&mut self, most: usize) -> Result<Vec<Neighbour>, CallError> {
        let answers: Vec<ListPeerResponse> = self.read("/apipb.GobgpApi/ListPeer", ListPeerRequest {}, most).await?;
        let one = |p: Peer| {
            let state = p.state.unwrap_or_default();
            let configured = p.conf.unwrap_or_default().neighbor_address;
            let address = if configured.is_empty() { state.neighbor_address } else { configured };
            let number = usize::try_from(state.session_state).unwrap_or(0);
            Neighbour { address, state: STATES.get(number).copied().unwrap_or(STATES[0]) }
        };
        Ok(answers.into_iter().filter_map(|a| a.peer).map(one).collect())
    }

    /// Puts routes into GoBGP's table, or takes out those marked as withdrawn, in this order.
    ///
    /// # Errors
    /// When GoBGP refuses one or does not answer; those before it may have been taken.
    pub async fn change(&mut self, paths: Vec<Path>) -> Result<(), CallError> {
        for part in paths.chunks(PATHS_AT_ONCE) {
            self.ready().await?;
            let ask = AddPathStreamRequest { table_type: GLOBAL, paths: part.to_vec() };
            // To the server one message and its end look like a stream of one.
            let codec = ProstCodec::<AddPathStreamRequest, Empty>::default();
            let method = PathAndQuery::from_static("/apipb.GobgpApi/AddPathStream");
            self.grpc.unary(Request::new(ask), method, codec).await?;
        }
        Ok(())
    }
}
