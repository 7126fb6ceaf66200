//! One peer: the state machine of the fsm crate, its timers and its connection.
//!
//! Reading and writing never wait for each other: what is to be sent lies in a buffer and leaves when the socket takes it.
//! We always connect ourselves; nothing listens.

use super::{Shared, socket, wants};
use crate::codec::{self, PeerAttributes};
use crate::config::{Password, PeerConfig};
use crate::customer::AdjIn;
use crate::route::{Family, Route, RouteKey, Target};
use crate::table::Table;
use crate::update;
use bytes::{Buf, BytesMut};
use rustbgpd_fsm::{Action, Event, NegotiatedSession, Session, SessionState, TimerType};
use rustbgpd_wire::{
    EXTENDED_MAX_MESSAGE_LEN, MAX_MESSAGE_LEN, Message, RouteRefreshMessage, RouteRefreshSubtype, decode_message,
    encode_message, peek_message_length,
};
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// With more octets than this waiting for the socket, changes wait too; the diff is made when it has drained.
const OUTBOX_OCTETS: usize = 1 << 20;
/// A peer that takes nothing for this many hold times is given up (RFC 9687 asks for more than one).
const SEND_HOLDS: u32 = 2;

/// What a session is made of.
pub struct Parts {
    pub local_as: u32,
    pub router_id: Ipv4Addr,
    pub config: PeerConfig,
    pub password: Option<Password>,
    pub shared: Arc<Shared>,
    pub table: watch::Receiver<Arc<Table>>,
    pub stop: watch::Receiver<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alarm {
    Retry,
    Hold,
    Keepalive,
    /// From Idle to the next attempt.
    Idle,
    /// The peer takes nothing.
    Send,
}

const ALARMS: [Alarm; 5] = [Alarm::Retry, Alarm::Hold, Alarm::Keepalive, Alarm::Idle, Alarm::Send];

enum Input {
    Connected(io::Result<TcpStream>),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Alarm(Alarm),
    Table,
    Stop,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

struct Peer {
    parts: Parts,
    internal: bool,
    fsm: Session,
    link: Option<TcpStream>,
    connecting: Option<Connecting>,
    inbox: BytesMut,
    outbox: BytesMut,
    alarms: [Option<Instant>; ALARMS.len()],
    /// Families that both sides take; empty while the session is down.
    families: Vec<Family>,
    attributes: PeerAttributes,
    enhanced_refresh: bool,
    longest: u16,
    adj_out: BTreeMap<RouteKey, Arc<Route>>,
    /// Up to which change the outbox goes.
    generation: u64,
    stopping: bool,
}

/// Runs a peer until the speaker stops.
pub async fn run(parts: Parts) {
    let name = parts.config.name.clone();
    let shared = parts.shared.clone();
    let mut peer = Peer::new(parts);
    peer.feed(Event::ManualStart);
    while !peer.stopping {
        let input = peer.next().await;
        peer.take(input);
    }
    shared.update(&name, |s| s.stopped = true);
}

impl Peer {
    fn new(parts: Parts) -> Peer {
        let internal = parts.config.remote_as == parts.local_as;
        let mut config = rustbgpd_fsm::PeerConfig::new(parts.local_as, parts.config.remote_as, parts.router_id);
        config.hold_time = parts.config.hold_s;
        config.connect_retry_secs = parts.config.retry_s;
        let families = parts.config.families();
        config.families = families.iter().map(|f| codec::afi_safi(*f)).collect();
        config.disable_ipv4_unicast = !families.contains(&Family::Ipv4);
        // Off, and off for ever: with it the peer would keep our filters after our death.
        config.graceful_restart = false;
        let attributes = PeerAttributes {
            local_as: parts.local_as,
            internal,
            four_octet_as: true,
            next_hop_v4: parts.config.next_hop_v4,
            next_hop_v6: parts.config.next_hop_v6,
            rtbh_communities: parts.config.rtbh_communities.clone(),
            flowspec_communities: parts.config.flowspec_communities.clone(),
            large_communities: parts.config.large_communities.clone(),
        };
        Peer {
            parts,
            internal,
            fsm: Session::new(config),
            link: None,
            connecting: None,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            alarms: [None; ALARMS.len()],
            families: Vec::new(),
            attributes,
            enhanced_refresh: false,
            longest: MAX_MESSAGE_LEN,
            adj_out: BTreeMap::new(),
            generation: 0,
            stopping: false,
        }
    }

    fn name(&self) -> &str {
        &self.parts.config.name
    }

    fn note(&self, note: String) {
        tracing::warn!(peer = self.name(), note, "bgp session");
        self.parts.shared.update(self.name(), |s| s.note = note);
    }

    fn set_alarm(&mut self, alarm: Alarm, after: Option<Duration>) {
        self.alarms[alarm as usize] = after.map(|d| Instant::now() + d);
    }

    /// Waits for whatever comes first.
    async fn next(&mut self) -> Input {
        let alarm = ALARMS.into_iter().filter_map(|a| Some((self.alarms[a as usize]?, a))).min_by_key(|(at, _)| *at);
        let connecting = &mut self.connecting;
        let (reader, writer) = match self.link.as_mut() {
            Some(link) => {
                let (r, w) = link.split();
                (Some(r), Some(w))
            }
            None => (None, None),
        };
        let (inbox, outbox) = (&mut self.inbox, &mut self.outbox);
        let connected = async {
            match connecting {
                Some(attempt) => attempt.await,
                None => pending().await,
            }
        };
        let read = async {
            match reader {
                Some(mut r) => r.read_buf(inbox).await,
                None => pending().await,
            }
        };
        let wrote = async {
            match writer {
                Some(mut w) if !outbox.is_empty() => w.write_buf(outbox).await,
                _ => pending().await,
            }
        };
        let rang = async {
            match alarm {
                Some((at, which)) => {
                    sleep_until(at).await;
                    which
                }
                None => pending().await,
            }
        };
        tokio::select! {
            result = connected => Input::Connected(result),
            result = read => Input::Read(result),
            result = wrote => Input::Wrote(result),
            which = rang => Input::Alarm(which),
            // The senders live as long as the speaker, which stops us first.
            changed = self.parts.table.changed() => if changed.is_ok() { Input::Table } else { Input::Stop },
            _ = self.parts.stop.changed() => Input::Stop,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Connected(Ok(stream)) => {
                self.connecting = None;
                self.link = Some(stream);
                self.feed(Event::TcpConnectionConfirmed);
            }
            Input::Connected(Err(e)) => {
                self.connecting = None;
                self.note(format!("cannot connect to {}: {e}", self.parts.config.socket()));
                self.feed(Event::TcpConnectionFails);
            }
            Input::Read(Ok(0)) => self.lost("the peer closed the connection".to_owned()),
            Input::Read(Ok(_)) => self.received(),
            Input::Read(Err(e)) | Input::Wrote(Err(e)) => self.lost(e.to_string()),
            Input::Wrote(Ok(_)) => self.wrote(),
            Input::Alarm(alarm) => self.rang(alarm),
            Input::Table => self.sync(),
            Input::Stop => {
                self.stopping = true;
                self.feed(Event::ManualStop { reason: None });
            }
        }
    }

    fn lost(&mut self, why: String) {
        self.note(why);
        self.close();
        self.feed(Event::TcpConnectionFails);
    }

    fn rang(&mut self, alarm: Alarm) {
        self.set_alarm(alarm, None);
        match alarm {
            Alarm::Retry => self.feed(Event::ConnectRetryTimerExpires),
            Alarm::Hold => {
                self.note("hold time expired: nothing came from the peer".to_owned());
                self.feed(Event::HoldTimerExpires);
            }
            Alarm::Keepalive => self.feed(Event::KeepaliveTimerExpires),
            Alarm::Idle => self.feed(Event::ManualStart),
            Alarm::Send => self.lost("the peer took nothing for twice the hold time".to_owned()),
        }
    }

    fn wrote(&mut self) {
        if self.outbox.is_empty() {
            self.set_alarm(Alarm::Send, None);
            self.done();
            // Changes that had to wait.
            self.sync();
        } else {
            self.arm_send();
        }
    }

    fn arm_send(&mut self) {
        let hold = Duration::from_secs(self.parts.config.hold_s.into());
        self.set_alarm(Alarm::Send, Some(hold * SEND_HOLDS));
    }

    /// Puts a message into the outbox.
    fn send(&mut self, octets: &[u8]) {
        if self.outbox.is_empty() {
            self.arm_send();
        }
        self.outbox.extend_from_slice(octets);
    }

    fn send_message(&mut self, message: &Message) {
        match encode_message(message) {
            Ok(octets) => self.send(&octets),
            Err(e) => self.note(format!("a message could not be written: {e}")),
        }
    }

    /// Everything in the outbox has left.
    fn done(&mut self) {
        if self.families.is_empty() {
            return;
        }
        let (generation, adj_out) = (self.generation, &self.adj_out);
        self.parts.shared.update(&self.parts.config.name, |s| {
            s.done = generation;
            s.adj_out.clone_from(adj_out);
        });
    }

    fn received(&mut self) {
        while self.link.is_some() {
            let length = match peek_message_length(&self.inbox, self.longest) {
                Ok(Some(length)) if self.inbox.len() >= usize::from(length) => usize::from(length),
                Ok(_) => return,
                Err(e) => {
                    self.note(format!("the peer sent what is no message: {e}"));
                    self.feed(Event::DecodeError(e));
                    return;
                }
            };
            let mut octets = self.inbox.split_to(length).freeze();
            match decode_message(&mut octets, self.longest) {
                Ok(message) => self.message(message),
                Err(e) => {
                    self.note(format!("the peer sent a message that cannot be read: {e}"));
                    self.feed(Event::DecodeError(e));
                }
            }
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Open(open) => self.feed(Event::OpenReceived(open)),
            Message::Keepalive => self.feed(Event::KeepaliveReceived),
            Message::Notification(n) => {
                self.note(format!("the peer closed with {:?}, subcode {}", n.code, n.subcode));
                self.feed(Event::NotificationReceived(n));
            }
            Message::Update(u) if self.parts.config.is_customer() => {
                let four = self.attributes.four_octet_as;
                let read = update::read_parts(&u.withdrawn_routes, &u.path_attributes, &u.nlri, four);
                if let Err(e) = &read {
                    self.note(format!("the customer sent an UPDATE that cannot be read: {e}"));
                }
                self.parts.shared.update(&self.parts.config.name, |s| match read {
                    Ok(update) => s.adj_in.take(update),
                    Err(_) => s.adj_in.unreadable += 1,
                });
                self.feed(Event::UpdateReceived);
            }
            Message::Update(_) => {
                // We only announce: whatever the peer offers is neither read nor kept.
                self.parts.shared.update(&self.parts.config.name, |s| s.updates_ignored += 1);
                self.feed(Event::UpdateReceived);
            }
            Message::RouteRefresh(r) => {
                if let (Some(afi), Some(safi)) = (r.afi(), r.safi()) {
                    self.feed(Event::RouteRefreshReceived { afi, safi });
                    if let (Some(family), RouteRefreshSubtype::Normal) = (codec::family_of(afi, safi), r.subtype()) {
                        self.refresh(family);
                    }
                }
            }
            _ => {}
        }
    }

    /// Sends a family again (RFC 2918), between marks where the peer knows them (RFC 7313).
    fn refresh(&mut self, family: Family) {
        if !self.families.contains(&family) {
            return;
        }
        let (afi, safi) = codec::afi_safi(family);
        let mark = |subtype| Message::RouteRefresh(RouteRefreshMessage::new_with_subtype(afi, safi, subtype));
        if self.enhanced_refresh {
            self.send_message(&mark(RouteRefreshSubtype::BoRR));
        }
        let again: Vec<(RouteKey, Arc<Route>)> =
            self.adj_out.iter().filter(|(k, _)| k.family == family).map(|(k, r)| (k.clone(), r.clone())).collect();
        let refs: Vec<(&RouteKey, &Route)> = again.iter().map(|(k, r)| (k, &**r)).collect();
        match codec::announce(family, &refs, &self.attributes) {
            Ok(messages) => messages.iter().for_each(|m| self.send(m)),
            Err(e) => self.note(format!("{family} could not be sent again: {e}")),
        }
        if self.enhanced_refresh {
            self.send_message(&mark(RouteRefreshSubtype::EoRR));
        }
        self.parts.shared.update(&self.parts.config.name, |s| s.refreshes += 1);
    }

    /// Sends what the peer lacks and withdraws what it should no longer have.
    fn sync(&mut self) {
        if self.families.is_empty() || self.outbox.len() > OUTBOX_OCTETS {
            return;
        }
        let table = self.parts.table.borrow_and_update().clone();
        if table.generation() == self.generation {
            return;
        }
        let config = &self.parts.config;
        let mut trouble = None;
        let gone: Vec<(RouteKey, Arc<Route>)> = self
            .adj_out
            .iter()
            .filter(|(k, _)| !table.routes().get(*k).is_some_and(|w| wants(config, &self.families, k, &w.route)))
            .map(|(k, r)| (k.clone(), r.clone()))
            .collect();
        let mut room = config.max_routes.saturating_sub(self.adj_out.len() - gone.len());
        let mut new: Vec<(RouteKey, Arc<Route>)> = Vec::new();
        for (key, w) in table.routes() {
            let known = self.adj_out.get(key);
            if !wants(config, &self.families, key, &w.route) || known.is_some_and(|r| **r == *w.route) {
                continue;
            }
            if known.is_none() {
                if room == 0 {
                    trouble =
                        Some(format!("more than max-routes {} are wanted; the rest was held back", config.max_routes));
                    continue;
                }
                room -= 1;
            }
            new.push((key.clone(), w.route.clone()));
        }
        for family in self.families.clone() {
            let add: Vec<(&RouteKey, &Route)> =
                new.iter().filter(|(k, _)| k.family == family).map(|(k, r)| (k, &**r)).collect();
            let remove: Vec<(&RouteKey, &Target)> =
                gone.iter().filter(|(k, _)| k.family == family).map(|(k, r)| (k, &r.target)).collect();
            // New ones first: a measure that changes leaves no gap.
            match codec::announce(family, &add, &self.attributes) {
                Ok(messages) => {
                    messages.iter().for_each(|m| self.send(m));
                    self.adj_out.extend(new.iter().filter(|(k, _)| k.family == family).cloned());
                }
                Err(e) => trouble = Some(format!("{family} could not be announced: {e}")),
            }
            match codec::withdraw(family, &remove) {
                Ok(messages) => {
                    messages.iter().for_each(|m| self.send(m));
                    for (key, _) in remove {
                        self.adj_out.remove(key);
                    }
                }
                Err(e) => trouble = Some(format!("{family} could not be withdrawn: {e}")),
            }
        }
        self.generation = table.generation();
        if let Some(trouble) = trouble {
            self.note(trouble);
        }
        if self.outbox.is_empty() {
            self.done();
        }
    }

    fn feed(&mut self, event: Event) {
        for action in self.fsm.handle_event(event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::SendOpen(open) => self.send_message(&Message::Open(open)),
            Action::SendKeepalive => self.send_message(&Message::Keepalive),
            Action::SendNotification(n) => {
                if !self.stopping {
                    self.note(format!("closed with {:?}, subcode {}", n.code, n.subcode));
                }
                self.send_message(&Message::Notification(n));
            }
            Action::StartTimer(TimerType::ConnectRetry, seconds) => {
                // Without the growing waits of the state machine: a router that comes back during an attack is wanted soon.
                let seconds = seconds.min(self.parts.config.retry_s);
                self.set_alarm(Alarm::Retry, Some(Duration::from_secs(seconds.into())));
            }
            Action::StartTimer(timer, seconds) => {
                self.set_alarm(alarm_of(timer), Some(Duration::from_secs(seconds.into())));
            }
            Action::StopTimer(timer) => self.set_alarm(alarm_of(timer), None),
            Action::InitiateTcpConnection => {
                self.close();
                self.connecting = Some(Box::pin(socket::connect(
                    self.parts.config.clone(),
                    self.internal,
                    self.parts.password.clone(),
                )));
            }
            Action::CloseTcpConnection => self.close(),
            Action::StateChanged { new, .. } => {
                tracing::info!(peer = self.name(), state = new.as_str(), "bgp session");
                self.parts.shared.update(self.name(), |s| s.state = new.as_str());
                if new == SessionState::Idle && !self.stopping {
                    self.alarms = [None; ALARMS.len()];
                    self.set_alarm(Alarm::Idle, Some(Duration::from_secs(self.parts.config.retry_s.into())));
                }
            }
            Action::SessionEstablished(negotiated) => self.established(&negotiated),
            Action::SessionDown => self.down(),
            _ => {}
        }
    }

    fn established(&mut self, negotiated: &NegotiatedSession) {
        let both: Vec<Family> =
            negotiated.negotiated_families.iter().filter_map(|(a, s)| codec::family_of(*a, *s)).collect();
        let refused: Vec<String> =
            self.parts.config.families().iter().filter(|f| !both.contains(f)).map(ToString::to_string).collect();
        self.attributes.four_octet_as = negotiated.four_octet_as;
        self.enhanced_refresh = negotiated.peer_enhanced_route_refresh;
        self.longest = if negotiated.peer_extended_message { EXTENDED_MAX_MESSAGE_LEN } else { MAX_MESSAGE_LEN };
        let note =
            if refused.is_empty() { String::new() } else { format!("the peer does not take {}", refused.join(", ")) };
        self.families = both;
        self.adj_out.clear();
        self.generation = 0;
        self.parts.shared.update(&self.parts.config.name, |s| {
            s.families.clone_from(&self.families);
            s.established += 1;
            s.note = note;
            s.done = 0;
            s.adj_out.clear();
            s.adj_in = AdjIn::default();
        });
        self.sync();
        if self.outbox.is_empty() {
            self.done();
        }
    }

    fn down(&mut self) {
        self.families.clear();
        self.adj_out.clear();
        self.generation = 0;
        self.parts.shared.update(&self.parts.config.name, |s| {
            s.lost += u64::from(!s.families.is_empty());
            s.families.clear();
            s.adj_out.clear();
            s.done = 0;
        });
    }

    /// Closes, after one attempt to let the last words out.
    fn close(&mut self) {
        if let Some(link) = self.link.take() {
            while self.outbox.has_remaining() {
                match link.try_write(&self.outbox) {
                    Ok(n) if n > 0 => self.outbox.advance(n),
                    _ => break,
                }
            }
        }
        self.connecting = None;
        self.inbox.clear();
        self.outbox.clear();
        self.longest = MAX_MESSAGE_LEN;
        self.set_alarm(Alarm::Send, None);
    }
}

const fn alarm_of(timer: TimerType) -> Alarm {
    match timer {
        TimerType::Hold => Alarm::Hold,
        TimerType::Keepalive => Alarm::Keepalive,
        _ => Alarm::Retry,
    }
}
