//! What one router says over BMP, folded into tables. Pure.

use super::message::{Bmp, PeerHead, PeerId, View};
use crate::codec;
use crate::route::{Family, RouteKey};
use crate::update::{self, Update};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::{Asn, Timestamp};

/// Most peers of one router.
pub const MAX_PEERS: usize = 4_096;
/// Most routes kept of one router, over all peers and views. What lies outside the watched space is not kept.
pub const MAX_ROUTES: usize = 200_000;
/// Most neighbourships of ASes kept of one router.
pub const MAX_PAIRS: usize = 1_000_000;
/// ASes of one path that are kept.
const MAX_PATH: usize = 64;

/// What is watched.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Registered space: unicast routes in it are kept, and every Flowspec rule.
    pub spaces: Vec<IpNet>,
    /// ASes whose paths start a customer cone.
    pub direct: BTreeSet<Asn>,
}

/// Counters of one router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// UPDATEs that could not be read.
    pub unreadable: u64,
    /// Routes that were not kept for want of room.
    pub overflowed: u64,
    /// Messages about peers that were never announced as up, or too many.
    pub strange: u64,
    /// NLRI of families that are not known here, or with ADD-PATH.
    pub foreign: u64,
}

/// One peer in one view.
#[derive(Clone, Debug, Default)]
struct Table {
    routes: BTreeMap<RouteKey, Kept>,
    /// Families of which anything was heard, and since when.
    heard: BTreeMap<Family, Timestamp>,
    /// When a route went that was there.
    gone: BTreeMap<RouteKey, Timestamp>,
}

#[derive(Clone, Debug)]
struct Kept {
    since: Timestamp,
    path: Vec<Asn>,
}

#[derive(Clone, Debug)]
struct Peer {
    bgp_id: Ipv4Addr,
    up_since: Timestamp,
    add_path: BTreeSet<Family>,
    views: BTreeMap<View, Table>,
}

/// Whether one route is in one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    There(Timestamp),
    /// The view is told, and it is not there.
    NotThere(Timestamp),
    /// Nothing of the view was heard.
    Unheard,
}

/// All that a router says.
#[derive(Clone, Debug, Default)]
pub struct RouterState {
    /// Its sysName.
    pub name: String,
    /// Counters.
    pub counts: Counts,
    peers: BTreeMap<PeerId, Peer>,
    downs: BTreeMap<IpAddr, Timestamp>,
    pairs: BTreeSet<(Asn, Asn)>,
    routes: usize,
    /// Counts changes of what the customer cone is made from.
    pub cone_changes: u64,
}

/// Withdrawn routes of which the time is kept, for each table.
const MAX_GONE: usize = 1_000;

impl RouterState {
    /// What is left of a session that ended, or is there before one: its name.
    pub fn after(&self) -> RouterState {
        RouterState { name: self.name.clone(), cone_changes: self.cone_changes + 1, ..RouterState::default() }
    }

    /// Takes one message.
    pub fn take(&mut self, message: &Bmp<'_>, watch: &Watch, now: Timestamp) {
        self.counts.messages += 1;
        match message {
            Bmp::Initiation(name) => {
                self.name = name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
            }
            Bmp::Up(head, add_path) => self.up(head, add_path, now),
            Bmp::Down(head) => self.down(head.id, now),
            Bmp::Route(head, octets) => self.route(head, octets, watch, now),
            Bmp::Termination | Bmp::Other => {}
        }
    }

    fn up(&mut self, head: &PeerHead, add_path: &[(u16, u8)], now: Timestamp) {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&head.id) {
            self.counts.strange += 1;
            return;
        }
        self.forget(head.id);
        let numbers = |f: &Family| {
            let (afi, safi) = codec::afi_safi(*f);
            (afi as u16, safi as u8)
        };
        let add_path = Family::ALL.into_iter().filter(|f| add_path.contains(&numbers(f))).collect();
        self.downs.remove(&head.id.address);
        self.peers.insert(head.id, Peer { bgp_id: head.bgp_id, up_since: now, add_path, views: BTreeMap::new() });
    }

    fn forget(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.remove(&id) {
            self.routes -= peer.views.values().map(|t| t.routes.len()).sum::<usize>();
            self.cone_changes += 1;
        }
    }

    fn down(&mut self, id: PeerId, now: Timestamp) {
        self.forget(id);
        if self.downs.len() < MAX_PEERS {
            self.downs.insert(id.address, now);
        }
    }

    fn route(&mut self, head: &PeerHead, octets: &[u8], watch: &Watch, now: Timestamp) {
        let Some(body) = body(octets) else {
            self.counts.unreadable += u64::from(octets.get(18) == Some(&update::UPDATE));
            return;
        };
        // Some send the own table, or what they pass on, without announcing it first.
        let unannounced = head.view != View::InPre && head.view != View::InPost;
        if !self.peers.contains_key(&head.id) && unannounced {
            self.up(head, &[], now);
        }
        let Some(peer) = self.peers.get_mut(&head.id) else {
            self.counts.strange += 1;
            return;
        };
        // The flag is wrong in some implementations; a path that fits only the other width says so.
        let first = update::read(body, !head.two_octet);
        let mut update = match first.or_else(|_| update::read(body, head.two_octet)) {
            Ok(update) => update,
            Err(_) => {
                self.counts.unreadable += 1;
                return;
            }
        };
        self.counts.foreign += update.foreign as u64;
        // FRR puts the router's own AS before what it learnt; in the own table it may stand there too.
        let (at, next) = (update.path.first(), update.path.get(1));
        if at != Some(&head.asn) && next == Some(&head.asn) || head.id.loc_rib && at == Some(&head.asn) {
            update.path.remove(0);
        }
        let mut changed = false;
        for pair in update.path.windows(2).filter(|_| update.path.first().is_some_and(|f| watch.direct.contains(f))) {
            if pair[0] != pair[1] && self.pairs.len() < MAX_PAIRS {
                changed |= self.pairs.insert((pair[0], pair[1]));
            }
        }
        let table = peer.views.entry(head.view).or_default();
        if let Some(family) = update.end_of {
            table.heard.entry(family).or_insert(now);
        }
        let Update { withdrawn, announced, mut path, .. } = update;
        path.dedup();
        path.truncate(MAX_PATH);
        for key in withdrawn {
            if peer.add_path.contains(&key.family) {
                self.counts.foreign += 1;
                continue;
            }
            table.heard.entry(key.family).or_insert(now);
            if table.routes.remove(&key).is_some() {
                self.routes -= 1;
                changed |= !key.family.is_flow();
                if table.gone.len() < MAX_GONE {
                    table.gone.insert(key, now);
                }
            }
        }
        for key in announced {
            if peer.add_path.contains(&key.family) {
                self.counts.foreign += 1;
                continue;
            }
            table.heard.entry(key.family).or_insert(now);
            if !watched(&key, watch) {
                continue;
            }
            table.gone.remove(&key);
            changed |= !key.family.is_flow();
            if let Some(kept) = table.routes.get_mut(&key) {
                kept.path.clone_from(&path);
            } else if self.routes < MAX_ROUTES {
                self.routes += 1;
                table.routes.insert(key, Kept { since: now, path: path.clone() });
            } else {
                self.counts.overflowed += 1;
            }
        }
        self.cone_changes += u64::from(changed);
    }

    /// Routes that are kept.
    pub fn routes(&self) -> usize {
        self.routes
    }

    /// Whether the session between this router and the speaker with one of these addresses, or this identifier, is up.
    pub fn session(&self, addresses: &[IpAddr], bgp_id: Ipv4Addr) -> Result<Timestamp, Option<Timestamp>> {
        let peer = self.peer(addresses, bgp_id).map(|p| p.up_since);
        peer.ok_or_else(|| addresses.iter().filter_map(|a| self.downs.get(a)).max().copied())
    }

    fn peer(&self, addresses: &[IpAddr], bgp_id: Ipv4Addr) -> Option<&Peer> {
        let ours = |(id, p): &(&PeerId, &Peer)| !id.loc_rib && (addresses.contains(&id.address) || p.bgp_id == bgp_id);
        self.peers.iter().find(ours).map(|(_, p)| p)
    }

    /// Whether a route of that speaker is in a view of it.
    pub fn presence(&self, addresses: &[IpAddr], bgp_id: Ipv4Addr, view: View, key: &RouteKey) -> Presence {
        self.peer(addresses, bgp_id).map_or(Presence::Unheard, |p| self.of(p, view, key))
    }

    /// Whether a route, whoever it came from, is in the router's own table.
    pub fn in_loc_rib(&self, key: &RouteKey) -> Presence {
        let own = self.peers.iter().find(|(id, _)| id.loc_rib && id.distinguisher == 0);
        own.map_or(Presence::Unheard, |(_, p)| self.of(p, View::LocRib, key))
    }

    fn of(&self, peer: &Peer, view: View, key: &RouteKey) -> Presence {
        let Some(table) = peer.views.get(&view).filter(|_| !peer.add_path.contains(&key.family)) else {
            return Presence::Unheard;
        };
        // What was not kept or not understood may have been this route.
        let whole = self.counts.overflowed == 0 && self.counts.unreadable == 0;
        match (table.routes.get(key), table.heard.get(&key.family)) {
            (Some(kept), _) => Presence::There(kept.since),
            (None, Some(heard)) if whole => Presence::NotThere(table.gone.get(key).copied().unwrap_or(*heard)),
            _ => Presence::Unheard,
        }
    }

    /// Calls `each` with prefix and path of every watched unicast route, before and after policy and used. Our own
    /// announcements are no evidence of who holds what and are left out.
    pub fn paths(&self, addresses: &[IpAddr], own_id: Ipv4Addr, mut each: impl FnMut(IpNet, &[Asn])) {
        for (id, peer) in &self.peers {
            if addresses.contains(&id.address) || (!id.loc_rib && peer.bgp_id == own_id) {
                continue;
            }
            for (view, table) in &peer.views {
                if matches!(view, View::OutPre | View::OutPost) {
                    continue;
                }
                for (key, kept) in &table.routes {
                    if let Some(net) = update::prefix(key) {
                        each(net, &kept.path);
                    }
                }
            }
        }
    }

    /// Neighbouring ASes on paths of direct customers.
    pub fn pairs(&self) -> &BTreeSet<(Asn, Asn)> {
        &self.pairs
    }
}

fn watched(key: &RouteKey, watch: &Watch) -> bool {
    key.family.is_flow() || update::prefix(key).is_some_and(|net| watch.spaces.iter().any(|s| s.contains(&net)))
}

/// The body of an UPDATE, where it is one and whole.
fn body(octets: &[u8]) -> Option<&[u8]> {
    let (head, body) = octets.split_at_checked(update::HEAD_OCTETS)?;
    let length = usize::from(u16::from_be_bytes([head[16], head[17]]));
    (head[18] == update::UPDATE && length == octets.len()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{head, message, up};
    use super::super::message::{self};
    use super::*;
    use crate::codec::PeerAttributes;
    use crate::route::Route;

    fn at(s: i64) -> Timestamp {
        "2026-05-01T00:00:00Z".parse::<Timestamp>().unwrap().plus_ms(1000 * s)
    }

    fn attributes(path_as: u32) -> PeerAttributes {
        PeerAttributes {
            local_as: path_as,
            internal: false,
            four_octet_as: true,
            next_hop_v4: Some([192, 0, 2, 254].into()),
            next_hop_v6: None,
            rtbh_communities: vec![],
            flowspec_communities: vec![],
            large_communities: vec![],
        }
    }

    fn watch() -> Watch {
        Watch { spaces: vec!["198.51.100.0/24".parse().unwrap()], direct: [Asn(64501)].into() }
    }

    fn key(text: &str) -> RouteKey {
        codec::key(&crate::route::Target::Prefix(text.parse().unwrap())).unwrap()
    }

    fn announce(net: &str, asn: u32) -> Vec<u8> {
        let route = Route::black_hole(net.parse().unwrap());
        codec::announce(Family::Ipv4, &[(&key(net), &route)], &attributes(asn)).unwrap().remove(0)
    }

    fn withdraw(net: &str) -> Vec<u8> {
        let target = crate::route::Target::Prefix(net.parse().unwrap());
        codec::withdraw(Family::Ipv4, &[(&key(net), &target)]).unwrap().remove(0)
    }

    fn tell(state: &mut RouterState, octets: &[u8], now: Timestamp) {
        state.take(&message::read(octets).unwrap(), &watch(), now);
    }

    fn about(flags: u8, last: u8, update: &[u8]) -> Vec<u8> {
        message(0, &[head(0, flags, last), update.to_vec()].concat())
    }

    const ID: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    #[test]
    fn a_route_is_there_not_there_or_not_heard_of() {
        let mut s = RouterState::default();
        let us: [IpAddr; 1] = ["192.0.2.9".parse().unwrap()];
        let hole = key("198.51.100.7/32");
        assert_eq!(s.session(&us, ID), Err(None));
        tell(&mut s, &up(0, 0, 9, false), at(1));
        assert_eq!(s.session(&us, ID), Ok(at(1)));
        assert_eq!(s.presence(&us, ID, View::InPost, &hole), Presence::Unheard);
        tell(&mut s, &about(0, 9, &announce("198.51.100.7/32", 64500)), at(2));
        assert_eq!(s.presence(&us, ID, View::InPre, &hole), Presence::There(at(2)));
        assert_eq!(s.presence(&us, ID, View::InPost, &hole), Presence::Unheard, "a view that is not told says nothing");
        tell(&mut s, &about(0x40, 9, &announce("203.0.113.0/24", 64500)), at(3));
        assert_eq!(s.presence(&us, ID, View::InPost, &hole), Presence::NotThere(at(3)));
        assert_eq!(s.presence(&us, ID, View::InPost, &key("203.0.113.0/24")), Presence::NotThere(at(3)), "not watched");
        tell(&mut s, &about(0x40, 9, &announce("198.51.100.7/32", 64500)), at(4));
        assert_eq!(s.presence(&us, ID, View::InPost, &hole), Presence::There(at(4)));
        tell(&mut s, &about(0x40, 9, &withdraw("198.51.100.7/32")), at(5));
        assert_eq!(s.presence(&us, ID, View::InPost, &hole), Presence::NotThere(at(5)));
        assert_eq!(s.routes(), 1);
        tell(&mut s, &message(2, &head(0, 0, 9)), at(6));
        assert_eq!((s.session(&us, ID), s.routes()), (Err(Some(at(6))), 0));
        // An UPDATE that could not be read may have been the route.
        let mut broken = RouterState::default();
        tell(&mut broken, &up(0, 0, 9, false), at(1));
        tell(&mut broken, &about(0x40, 9, &announce("198.51.100.9/32", 64500)), at(2));
        assert_eq!(broken.presence(&us, ID, View::InPost, &hole), Presence::NotThere(at(2)));
        let mut update = announce("198.51.100.7/32", 64500);
        let last = update.len() - 5;
        update[last] = 33;
        tell(&mut broken, &about(0x40, 9, &update), at(3));
        assert_eq!((broken.counts.unreadable, broken.presence(&us, ID, View::InPost, &hole)), (1, Presence::Unheard));
        // Somebody who was never announced.
        tell(&mut s, &about(0, 77, &announce("198.51.100.7/32", 64500)), at(7));
        assert_eq!(s.counts.strange, 1);
        // With ADD-PATH the NLRI look otherwise.
        tell(&mut s, &up(0, 0, 9, true), at(8));
        tell(&mut s, &about(0, 9, &announce("198.51.100.7/32", 64500)), at(9));
        assert_eq!(s.presence(&us, ID, View::InPre, &hole), Presence::Unheard);
    }

    #[test]
    fn the_cone_is_made_of_others_paths() {
        let mut s = RouterState::default();
        let us: [IpAddr; 1] = ["192.0.2.9".parse().unwrap()];
        for last in [1, 9] {
            tell(&mut s, &up(0, 0, last, false), at(1));
        }
        let mut long = announce("198.51.100.64/26", 64501);
        // A second AS behind the first.
        let place = long.windows(4).position(|w| w == 64501u32.to_be_bytes()).unwrap();
        long.splice(place + 4..place + 4, 64777u32.to_be_bytes());
        let before = s.cone_changes;
        let fixed = fix(long, place);
        tell(&mut s, &about(0, 1, &fixed), at(2));
        tell(&mut s, &about(0, 9, &announce("198.51.100.7/32", 64500)), at(2));
        let mut seen = Vec::new();
        s.paths(&us, ID, |net, path| seen.push((net.to_string(), path.to_vec())));
        assert_eq!(seen, [("198.51.100.64/26".to_owned(), vec![Asn(64501), Asn(64777)])]);
        assert!(s.pairs().contains(&(Asn(64501), Asn(64777))));
        assert!(s.cone_changes > before);
    }

    /// The lengths of the message and of its attributes as they are.
    fn fix(mut m: Vec<u8>, place: usize) -> Vec<u8> {
        let total = m.len() as u16;
        m[16..18].copy_from_slice(&total.to_be_bytes());
        // The NLRI is four octets and its length; before it stand the attributes.
        let attributes = total - 19 - 4 - 5;
        m[21..23].copy_from_slice(&attributes.to_be_bytes());
        m[place - 3] = 2 + 8;
        m[place - 2] = AS_SEQUENCE;
        m[place - 1] = 2;
        m
    }

    const AS_SEQUENCE: u8 = 2;
}
