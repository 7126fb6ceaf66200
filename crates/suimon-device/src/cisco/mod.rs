//! Command lines in the manner of Cisco's, over SSH.
//!
//! A list is entered whole and read back before it is bound, so an incomplete list never filters anything. An interface
//! takes one list a direction; binding another replaces it without a question, so where something else is bound already
//! this driver refuses and says what. It changes the running configuration only: a router that restarts comes back without
//! any measure.

mod flavour;
mod prompt;

pub(crate) use flavour::blocks;
pub use flavour::{CliList, Flavour, Ios};

use crate::bound::{self, Bound, MAX_LISTS};
use crate::config::Binding;
use crate::device::{Applied, Device, UndoBy};
use crate::error::DeviceError;
use crate::names::{is_ours, owner};
use crate::observed::{Counters, Observed, Seen, State};
use crate::ssh::SshTarget;
use crate::wanted::Wanted;
use prompt::Cli;
use suimon_base::MeasureId;
use suimon_filter::dialect::Dialect;

/// A router with a command line.
#[derive(Clone, Debug)]
pub struct CiscoCli<F> {
    target: SshTarget,
    flavour: F,
    bindings: Vec<Binding>,
    confirm_s: u32,
}

impl<F: Flavour> CiscoCli<F> {
    /// Lists are bound at every one of `bindings`; `confirm_s` is rounded up to the minutes that these platforms know.
    ///
    /// # Errors
    /// When the target's files or names are not safe.
    pub fn new(target: SshTarget, flavour: F, bindings: Vec<Binding>, confirm_s: u32) -> Result<Self, DeviceError> {
        target.check()?;
        Ok(CiscoCli { target, flavour, bindings, confirm_s })
    }

    fn open(&self) -> Result<Cli, DeviceError> {
        let mut cli = Cli::open(&self.target)?;
        for line in self.flavour.prepare() {
            cli.ask(line)?;
        }
        Ok(cli)
    }

    fn config(&self, cli: &mut Cli) -> Result<(Vec<CliList>, Vec<Bound>), DeviceError> {
        let config = cli.enter(self.flavour.show())?;
        let lists: Vec<_> = self.flavour.lists(&config).into_iter().filter(|l| is_ours(&l.name)).collect();
        if lists.len() > MAX_LISTS {
            let reason = format!("{} lists of ours; at most {MAX_LISTS} are read", lists.len());
            return Err(DeviceError::Unreadable { step: "reading lists".into(), reason });
        }
        Ok((lists, self.flavour.bound(&config)))
    }

    fn read_in(&self, cli: &mut Cli) -> Result<Observed, DeviceError> {
        let (mut lists, at) = self.config(cli)?;
        let mut out = Observed { lists: Vec::new(), foreign: bound::foreign(&at, &self.bindings) };
        for (name, v6) in bound::dangling(&at, |b| lists.iter().any(|l| b.is_of(&l.name, l.v6))) {
            lists.push(CliList { name, v6, entries: Vec::new() });
        }
        for l in lists {
            let (bound, mut faults) = bound::places(&l.name, l.v6, &at, &self.bindings);
            if l.entries.is_empty() {
                faults.push(format!("{} has no entries", l.name));
            }
            let counters = match self.flavour.counters(&l) {
                Some(line) if owner(&l.name).is_some() && !l.entries.is_empty() => {
                    Some(Counters { packets: flavour::matches(&cli.ask(&line)?), octets: None })
                }
                _ => None,
            };
            let (text, lines) = (l.text(), l.entries.len());
            out.lists.push(Seen { name: l.name, text, lines, counters, bound, faults });
        }
        out.lists.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// Enters lines in the configuration mode and leaves it.
    fn configure(&self, cli: &mut Cli, with: &str, lines: &[String]) -> Result<(), DeviceError> {
        cli.enter(with)?;
        for line in lines {
            cli.enter(line)?;
        }
        cli.enter("end").map(drop)
    }

    /// Enters, reads back, binds. `armed` is set as soon as the router would roll back by itself.
    fn change(&self, cli: &mut Cli, lists: &[CliList], armed: &mut bool) -> Result<(), DeviceError> {
        let (there, bound) = self.config(cli)?;
        let mut lines = Vec::new();
        for l in lists {
            for b in bound.iter().filter(|b| b.is_of(&l.name, l.v6)) {
                lines.extend(self.flavour.bind(b, false));
            }
            if let Some(old) = there.iter().find(|t| t.name == l.name && t.v6 == l.v6) {
                lines.extend(self.flavour.remove(old));
            }
            lines.extend(self.flavour.enter(l));
        }
        let minutes = self.confirm_s.div_ceil(60).max(1);
        let revert = self.flavour.revert(minutes);
        // A platform without the archive that a roll-back needs says so; then our own timer has to do.
        *armed = match &revert {
            Some(line) => cli.enter(line).is_ok(),
            None => false,
        };
        if *armed {
            for line in &lines {
                cli.enter(line)?;
            }
            cli.enter("end")?;
        } else {
            self.configure(cli, "configure terminal", &lines)?;
        }
        let (now, _) = self.config(cli)?;
        for l in lists {
            let read = now.iter().find(|n| n.name == l.name && n.v6 == l.v6);
            if read.map_or(0, |r| r.entries.len()) != l.entries.len() {
                let why = format!(
                    "{}: {} of {} entries were taken",
                    l.name,
                    read.map_or(0, |r| r.entries.len()),
                    l.entries.len()
                );
                return Err(DeviceError::NotAsWanted { why, undone: "it was not bound".into() });
            }
        }
        let bind: Vec<String> = lists
            .iter()
            .flat_map(|l| self.bindings.iter().map(move |at| Bound { at: at.clone(), v6: l.v6, name: l.name.clone() }))
            .flat_map(|b| self.flavour.bind(&b, true))
            .collect();
        self.configure(cli, "configure terminal", &bind)
    }

    fn undo_in(&self, cli: &mut Cli, id: MeasureId) -> Result<String, DeviceError> {
        let before = self.read_in(cli)?;
        let (lists, bound) = self.config(cli)?;
        let mine = |name: &str| owner(name) == Some(id);
        let mut lines = Vec::new();
        for b in bound.iter().filter(|b| mine(&b.name)) {
            lines.extend(self.flavour.bind(b, false));
        }
        for l in lists.iter().filter(|l| mine(&l.name)) {
            lines.extend(self.flavour.remove(l));
        }
        if lines.is_empty() {
            return Ok("nothing of it was there".into());
        }
        self.configure(cli, "configure terminal", &lines)?;
        if let Some(left) = self.read_in(cli)?.of(id).next() {
            let why = format!("{} is still there after it was removed", left.name);
            return Err(DeviceError::NotAsWanted { why, undone: "look at the router".into() });
        }
        let counted =
            before.counters(id).map_or(String::new(), |c| format!(" after it had dropped {} packets", c.packets));
        let names: Vec<_> = before.of(id).map(|l| l.name.as_str()).collect();
        Ok(format!("unbound and removed {}{counted}; read back: gone", names.join(", ")))
    }

    /// Takes back in a fresh session, since the old one may stand in any mode.
    fn take_back(&self, id: MeasureId, armed: bool) -> Result<String, String> {
        let tried = self.open().and_then(|mut cli| {
            let done = self.undo_in(&mut cli, id)?;
            if armed {
                // Back where it was: the roll-back that still waits would undo other people's changes only.
                cli.ask("configure confirm")?;
            }
            Ok(done)
        });
        tried.map_err(|e| match armed {
            true => format!("taking it back failed ({e}); the router rolls back by itself"),
            false => format!("taking it back failed ({e})"),
        })
    }
}

impl<F: Flavour> Device for CiscoCli<F> {
    fn dialect(&self) -> Dialect {
        Dialect::CiscoIos
    }
    fn place(&self) -> String {
        self.target.place()
    }
    fn read(&self) -> Result<Observed, DeviceError> {
        self.read_in(&mut self.open()?)
    }

    fn apply(&self, wanted: &Wanted) -> Result<Applied, DeviceError> {
        let lists = Ios.lists(wanted.text());
        let names: Vec<_> = lists.iter().map(|l| l.name.clone()).collect();
        if names != wanted.names() || blocks(wanted.text()).len() != lists.len() {
            return Err(DeviceError::Config(format!(
                "{}: this driver enters access lists; rates need a policy, which a person enters",
                wanted.id()
            )));
        }
        let mut first = self.open()?;
        let (_, bound) = self.config(&mut first)?;
        let blocks = |b: &&Bound| {
            self.bindings.contains(&b.at) && lists.iter().any(|l| l.v6 == b.v6) && owner(&b.name) != Some(wanted.id())
        };
        if let Some(b) = bound.iter().find(blocks) {
            return Err(DeviceError::InTheWay(format!(
                "{} is bound at {} of {}: binding another list would replace it and open what it filters. Nothing was \
                 changed; join the lists by hand, or place the filter elsewhere",
                b.name,
                b.at,
                self.place()
            )));
        }
        let mut armed = false;
        let changed = self.change(&mut first, &lists, &mut armed);
        drop(first);
        match changed {
            Ok(()) => {}
            Err(e) if e.is_worth_a_retry() => return Err(e),
            Err(e) => {
                return Err(DeviceError::after_undo(e.to_string(), self.take_back(wanted.id(), armed)));
            }
        }
        let mut second = self.open()?;
        let after = self.read_in(&mut second)?;
        let state = after.state(wanted, Dialect::CiscoIos);
        if state != State::Present {
            let why = match state {
                State::Differs { why } => why,
                _ => "it is not there".into(),
            };
            return Err(DeviceError::after_undo(why, self.take_back(wanted.id(), armed)));
        }
        if armed {
            second.enter("configure confirm")?;
        }
        Ok(Applied {
            place: format!("{} {} at {}", self.place(), wanted.names().join(", "), bound::listed(&self.bindings)),
            receipt: format!(
                "entered {} lines, read back, then bound where nothing was bound before; read back in a second session: \
                 drops exactly what was approved; running configuration only, not saved",
                wanted.lines()
            ),
            undo_by: if armed {
                UndoBy::Router { after_s: self.confirm_s.div_ceil(60).max(1) * 60 }
            } else {
                UndoBy::Us
            },
        })
    }

    fn undo(&self, id: MeasureId) -> Result<String, DeviceError> {
        self.undo_in(&mut self.open()?, id)
    }
}
