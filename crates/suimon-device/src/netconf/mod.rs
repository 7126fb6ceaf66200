//! Routers with NETCONF (RFC 6241 over RFC 6242): candidate, confirmed commit, confirmation.
//!
//! The session that made the confirmed commit stays open while a second session reads the running configuration back; only
//! then does the first confirm. Where the first is lost, the router itself restores what was before (RFC 6241
//! section 8.4.1), at the latest when the time is over. A committed configuration survives a restart of the router.

mod client;
mod framing;
mod junos;
mod message;
mod xr;

pub use junos::Junos;
pub use xr::IosXr;

use crate::bound::{self, Bound, MAX_LISTS};
use crate::config::Binding;
use crate::device::{Applied, Device, UndoBy};
use crate::error::DeviceError;
use crate::names::{is_ours, owner};
use crate::observed::{Counters, Observed, Seen, State};
use crate::ssh::SshTarget;
use crate::wanted::Wanted;
use client::{Client, unreadable};
use message::Reply;
use suimon_base::MeasureId;
use suimon_filter::dialect::Dialect;

/// A list in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NcList {
    /// Its name.
    pub name: String,
    /// Whether it is of IPv6.
    pub v6: bool,
    /// Its text in the platform's dialect.
    pub text: String,
    /// Its entries.
    pub lines: usize,
}

/// How one platform writes its configuration in NETCONF.
pub trait Platform: Send + Sync {
    /// The dialect of its texts.
    fn dialect(&self) -> Dialect;
    /// The request for the running configuration of filters and interfaces.
    fn read(&self) -> String;
    /// Lists and bindings in the reply to [`read`](Self::read).
    ///
    /// # Errors
    /// What cannot be read.
    fn understand(&self, reply: &str) -> Result<(Vec<NcList>, Vec<Bound>), String>;
    /// A binding as the platform names it when it is read back.
    fn binding(&self, b: &Binding) -> Binding {
        b.clone()
    }
    /// What stands in `<edit-config>` after its target to enter `text` and bind its lists.
    fn enter(&self, text: &str, bind: &[Bound]) -> String;
    /// The same to unbind and delete.
    fn remove(&self, lists: &[NcList], unbind: &[Bound]) -> String;
    /// The request for a list's counters; `None` where there is none.
    fn count(&self, list: &NcList) -> Option<String>;
    /// Counters in its reply.
    fn counted(&self, reply: &str) -> Option<Counters>;
}

/// A router with NETCONF.
#[derive(Clone, Debug)]
pub struct Netconf<P> {
    target: SshTarget,
    platform: P,
    bindings: Vec<Binding>,
    confirm_s: u32,
}

impl<P: Platform> Netconf<P> {
    /// Lists are bound at every one of `bindings`.
    ///
    /// # Errors
    /// When the target's files or names are not safe.
    pub fn new(target: SshTarget, platform: P, bindings: Vec<Binding>, confirm_s: u32) -> Result<Self, DeviceError> {
        target.check()?;
        let bindings = bindings.iter().map(|b| platform.binding(b)).collect();
        Ok(Netconf { target, platform, bindings, confirm_s })
    }

    fn open(&self) -> Result<Client, DeviceError> {
        Client::open(&self.target)
    }

    fn config(&self, client: &mut Client) -> Result<(Vec<NcList>, Vec<Bound>), DeviceError> {
        let step = "reading the running configuration";
        let reply = client.must(step, &self.platform.read())?;
        let (mut lists, bound) = self.platform.understand(&reply).map_err(|e| unreadable(step, e))?;
        lists.retain(|l| is_ours(&l.name));
        if lists.len() > MAX_LISTS {
            return Err(unreadable(step, format!("{} lists of ours; at most {MAX_LISTS} are read", lists.len())));
        }
        Ok((lists, bound))
    }

    fn read_in(&self, client: &mut Client) -> Result<Observed, DeviceError> {
        let (mut lists, at) = self.config(client)?;
        let mut out = Observed { lists: Vec::new(), foreign: bound::foreign(&at, &self.bindings) };
        for (name, v6) in bound::dangling(&at, |b| lists.iter().any(|l| b.is_of(&l.name, l.v6))) {
            lists.push(NcList { name, v6, text: String::new(), lines: 0 });
        }
        for l in lists {
            let (bound, mut faults) = bound::places(&l.name, l.v6, &at, &self.bindings);
            if l.lines == 0 {
                faults.push(format!("{} has no entries", l.name));
            }
            let counters = match self.platform.count(&l).filter(|_| owner(&l.name).is_some()) {
                Some(body) => match client.ask("reading counters", &body)? {
                    Reply::Good(reply) => self.platform.counted(&reply),
                    Reply::Bad { .. } => None,
                },
                None => None,
            };
            out.lists.push(Seen { name: l.name, text: l.text, lines: l.lines, counters, bound, faults });
        }
        out.lists.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// Locks the candidate and edits it; on any refusal the candidate is as it was.
    fn edit(&self, client: &mut Client, edits: &[String], commit: &str) -> Result<(), DeviceError> {
        let lock = "<lock><target><candidate/></target></lock>";
        if let Reply::Bad { tag, words } = client.ask("locking the candidate", lock)? {
            return Err(DeviceError::InTheWay(format!(
                "the candidate configuration of {} is in use ({tag}: {words}); nothing was changed",
                self.place()
            )));
        }
        let made = (|| {
            for e in edits {
                let body = format!("<edit-config><target><candidate/></target>{e}</edit-config>");
                client.must("editing the candidate", &body)?;
            }
            if client.can("validate") {
                client.must("validating", "<validate><source><candidate/></source></validate>")?;
            }
            client.must("committing", commit).map(drop)
        })();
        if let Err(e @ DeviceError::Said { .. }) = made {
            // What was refused must not wait in the candidate for the next person's commit.
            let discarded = client.must("discarding", "<discard-changes/>");
            let unlocked = client.must("unlocking", UNLOCK);
            let undone = match discarded.and(unlocked) {
                Ok(_) => "the candidate was discarded; the running configuration was not touched".into(),
                Err(e) => format!("discarding failed ({e}); the router drops the candidate with this session"),
            };
            return Err(DeviceError::NotAsWanted { why: e.to_string(), undone });
        }
        made
    }

    fn undo_in(&self, client: &mut Client, id: MeasureId) -> Result<String, DeviceError> {
        let before = self.read_in(client)?;
        let (lists, bound) = self.config(client)?;
        let lists: Vec<_> = lists.into_iter().filter(|l| owner(&l.name) == Some(id)).collect();
        let bound: Vec<_> = bound.into_iter().filter(|b| owner(&b.name) == Some(id)).collect();
        if lists.is_empty() && bound.is_empty() {
            return Ok("nothing of it was there".into());
        }
        self.edit(client, &[self.platform.remove(&lists, &bound)], "<commit/>")?;
        client.must("unlocking", UNLOCK)?;
        let (left, still) = self.config(client)?;
        let names = left.iter().map(|l| &l.name).chain(still.iter().map(|b| &b.name));
        if let Some(name) = names.into_iter().find(|n| owner(n) == Some(id)) {
            let why = format!("{name} is still there after it was deleted");
            return Err(DeviceError::NotAsWanted { why, undone: "look at the router".into() });
        }
        let counted = before.counters(id).map_or(String::new(), |c| {
            format!(" after it had dropped {} packets, {} octets", c.packets, c.octets.unwrap_or(0))
        });
        let names: Vec<_> = lists.iter().map(|l| l.name.as_str()).collect();
        Ok(format!("unbound and deleted {}{counted}; read back: gone", names.join(", ")))
    }

    /// Reads back in a session of its own.
    fn seen_by_a_second_session(&self, wanted: &Wanted) -> Result<State, DeviceError> {
        Ok(self.read_in(&mut self.open()?)?.state(wanted, self.platform.dialect()))
    }
}

const UNLOCK: &str = "<unlock><target><candidate/></target></unlock>";

impl<P: Platform> Device for Netconf<P> {
    fn dialect(&self) -> Dialect {
        self.platform.dialect()
    }
    fn place(&self) -> String {
        self.target.place()
    }
    fn read(&self) -> Result<Observed, DeviceError> {
        self.read_in(&mut self.open()?)
    }

    fn apply(&self, wanted: &Wanted) -> Result<Applied, DeviceError> {
        let mut first = self.open()?;
        for name in ["candidate", "confirmed-commit"] {
            if !first.can(name) {
                return Err(DeviceError::Config(format!(
                    "{} does not offer :{name}; without it a change cannot undo itself, and nothing is changed",
                    self.place()
                )));
            }
        }
        let (lists, bound) = self.config(&mut first)?;
        let v6 = |name: &str| name.ends_with("-V6");
        let families: Vec<bool> = wanted.names().iter().map(|n| v6(n)).collect();
        let mine = |name: &str| owner(name) == Some(wanted.id());
        let blocks = |b: &&Bound| self.bindings.contains(&b.at) && families.contains(&b.v6) && !mine(&b.name);
        if let Some(b) = bound.iter().find(blocks) {
            return Err(DeviceError::InTheWay(format!(
                "{} is bound at {} of {}: binding another list would replace it and open what it filters. Nothing was changed",
                b.name,
                b.at,
                self.place()
            )));
        }
        let old: Vec<_> = lists.into_iter().filter(|l| mine(&l.name)).collect();
        let old_bound: Vec<_> = bound.into_iter().filter(|b| mine(&b.name)).collect();
        let mut edits = Vec::new();
        if !old.is_empty() || !old_bound.is_empty() {
            edits.push(self.platform.remove(&old, &old_bound));
        }
        let names = wanted.names().iter();
        let bind: Vec<_> = names
            .flat_map(|n| self.bindings.iter().map(move |at| Bound { at: at.clone(), v6: v6(n), name: n.clone() }))
            .collect();
        edits.push(self.platform.enter(wanted.text(), &bind));
        let commit = format!("<commit><confirmed/><confirm-timeout>{}</confirm-timeout></commit>", self.confirm_s);
        self.edit(&mut first, &edits, &commit)?;

        // From here on the router goes back by itself unless this session confirms.
        let state = match self.seen_by_a_second_session(wanted) {
            Ok(state) => state,
            Err(e) => State::Differs { why: format!("it could not be read back: {e}") },
        };
        if state != State::Present {
            let why = match state {
                State::Differs { why } => why,
                _ => "it is not there".into(),
            };
            // RFC 6241 section 8.4.4.1; in 1.0 ending the session does the same.
            let cancelled =
                first.can_exactly("confirmed-commit:1.1") && first.must("cancelling", "<cancel-commit/>").is_ok();
            drop(first);
            let undone = match cancelled {
                true => Ok("the commit was cancelled".to_owned()),
                false => Err(format!(
                    "the session was ended unconfirmed; the router goes back, within {} s at the latest",
                    self.confirm_s
                )),
            };
            return Err(DeviceError::after_undo(why, undone));
        }
        first.must("confirming", "<commit/>")?;
        first.must("unlocking", UNLOCK)?;
        Ok(Applied {
            place: format!("{} {} at {}", self.place(), wanted.names().join(", "), bound::listed(&self.bindings)),
            receipt: "committed, read back in a second session: drops exactly what was approved; confirmed".into(),
            undo_by: UndoBy::Router { after_s: self.confirm_s },
        })
    }

    fn undo(&self, id: MeasureId) -> Result<String, DeviceError> {
        self.undo_in(&mut self.open()?, id)
    }
}
