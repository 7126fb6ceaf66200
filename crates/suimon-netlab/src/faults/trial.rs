//! One fault's stage: a fresh Suimon in a standing lab, streams that never stop, and the expectations.

use crate::attack::Stream;
use crate::clock;
use crate::invariants::{self, Expected, Should};
use crate::lab::{Ask, Lab};
use crate::net::Net;
use crate::peers::{self, Peer};
use crate::proc;
use crate::scenery::ALL;
use crate::suimon::Suimon;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Packets a second of each stream: low enough that nothing is detected unless a fault wants it.
pub const PPS: u32 = 150;
/// From `release --all` to the last trace, milliseconds; a router's retry is 5 s.
const CLEAN_MS: u64 = 12_000;

/// Rules that drop the stream to the web server.
pub const WEB: &str = "[[rules]]\ndst = [\"203.0.113.80\"]\nproto = \"udp\"\nsrc-ports = [53]\n";
/// Rules that drop the stream to the DNS server.
pub const DNS: &str = "[[rules]]\ndst = [\"203.0.113.53\"]\nproto = \"udp\"\nsrc-ports = [53]\n";
/// The hosts that may be given up, one behind each edge router.
pub const HOLES: &str = "[[rules]]\ndst = [\"203.0.113.66\", \"203.0.113.69\"]\n";
/// An end that no trial lives to see.
pub const LONG: &str = "12h";

/// A filter on edge 1.
pub const ACL: Ask<'static> = Ask { hand: "edge1", dialect: "nftables", rules: WEB, end: LONG };
/// A filter on edge 2.
pub const ACL2: Ask<'static> = Ask { hand: "edge2", dialect: "nftables", rules: DNS, end: LONG };
/// Black holes over BGP, in the kernels of both edge routers.
pub const HOLE: Ask<'static> = Ask { hand: "bgp", dialect: "rtbh", rules: HOLES, end: LONG };
/// A Flowspec rule over BGP.
pub const FLOW: Ask<'static> = Ask { hand: "bgp", dialect: "flowspec", rules: WEB, end: LONG };

/// The lab in which faults are tried one after the other.
pub fn standing_lab(binary: &Path) -> Result<Lab> {
    let mut lab = Lab::up(binary)?;
    for stream in Stream::ALL {
        lab.attack(stream, PPS)?;
    }
    Ok(lab)
}

/// A fault under way.
pub struct Trial<'a> {
    /// The lab.
    pub lab: &'a mut Lab,
    /// The case that its measures belong to.
    pub case: String,
    /// The bound, milliseconds.
    pub bound_ms: u64,
    /// What was measured on the way.
    pub notes: Vec<String>,
    expected: Expected,
    measures: BTreeMap<&'static str, String>,
}

impl<'a> Trial<'a> {
    /// Clears up after the one before, starts a fresh Suimon, and opens a case.
    pub fn begin(lab: &'a mut Lab, bound_s: f64) -> Result<Trial<'a>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let binary = lab.suimon.binary.clone();
        lab.suimon.stop();
        lab.suimon = Suimon::new(&binary, &lab.scenery.net, &format!("trial-{number}"));
        clean_scenery(lab)?;
        lab.start_suimon()?;
        let case = lab.open_case()?;
        let mut trial = Trial {
            lab,
            case,
            bound_ms: (bound_s * 1_000.0) as u64,
            notes: Vec::new(),
            expected: Expected::default(),
            measures: BTreeMap::new(),
        };
        for stream in Stream::ALL {
            trial.expect(stream, Should::Pass);
        }
        Ok(trial)
    }

    /// The namespaces.
    pub fn net(&self) -> &Net {
        &self.lab.scenery.net
    }

    /// From now on a stream should be treated so.
    pub fn expect(&mut self, stream: Stream, should: Should) {
        self.expected.from_now(stream, should);
    }

    /// From now on the streams of a measure should be treated so.
    pub fn expect_of(&mut self, ask: &Ask<'_>, should: Should) {
        for stream in streams(ask) {
            self.expect(*stream, should);
        }
    }

    /// Proposes, approves, waits until applied; from then on its streams must be dropped.
    pub fn put(&mut self, ask: &Ask<'static>) -> Result<String> {
        // While it is on its way either is right.
        self.expect_of(ask, Should::Either);
        let id = self.lab.put(&self.case, ask)?;
        self.expect_of(ask, Should::Drop);
        for stream in streams(ask) {
            invariants::wait_for(self.lab, *stream, Should::Drop, 3_000)?;
        }
        self.measures.insert(ask.hand, id.clone());
        Ok(id)
    }

    /// A filter on edge 1 and black holes on both, in force everywhere.
    pub fn both(&mut self) -> Result<()> {
        self.put(&ACL)?;
        self.put(&HOLE)?;
        invariants::wait_agreed(self.lab, &[], 5_000).map(drop)
    }

    /// Releases a measure by hand; from then on its streams must pass.
    pub fn release(&mut self, id: &str, ask: &Ask<'_>) -> Result<()> {
        self.lab.operator(&["measure", "release", id])?;
        self.expect_of(ask, Should::Pass);
        Ok(())
    }

    /// Waits within the bound.
    pub fn wait(&mut self, stream: Stream, should: Should) -> Result<()> {
        let took = invariants::wait_for(self.lab, stream, should, self.bound_ms)?;
        self.notes.push(format!(
            "{} {} after {:.1} s",
            stream.name(),
            if should == Should::Drop { "dropped" } else { "passes" },
            took as f64 / 1_000.0
        ));
        Ok(())
    }

    /// Waits within the bound until ledger and network agree.
    pub fn agreed(&mut self, except: &[&str]) -> Result<()> {
        let took = invariants::wait_agreed(self.lab, except, self.bound_ms)?;
        self.notes.push(format!("ledger and network agree after {:.1} s", took as f64 / 1_000.0));
        Ok(())
    }

    /// A file that tells edge 1's `nft` what to do wrong; none where empty.
    pub fn nft_fault(&self, name: &str) -> Result<()> {
        self.lab.scenery.write("edge1/fault", name, 0o644)
    }

    /// Cuts or joins an edge's or transit's cable to the management network.
    pub fn cable(&self, to: &str, plugged: bool) -> Result<()> {
        self.net().ip("management", &format!("link set {to} {}", if plugged { "up" } else { "down" }))
    }

    /// The status of a measure, with its error.
    pub fn status(&self, id: &str) -> Result<(String, String)> {
        let m = self.lab.measure(id)?;
        let text = |k: &str| m[k].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("error")))
    }

    /// Proposes and approves what must fail; the words of the failure.
    pub fn put_fails(&mut self, ask: &Ask<'_>, patience_ms: u64) -> Result<String> {
        self.expect_of(ask, Should::Either);
        let id = self.lab.propose(&self.case, ask)?;
        self.lab.approve(&id)?;
        self.lab.reaches(&id, &["failed"], patience_ms)?;
        self.expect_of(ask, Should::Pass);
        let (_, error) = self.status(&id)?;
        self.notes.push(format!("{id}: {error}"));
        Ok(error)
    }

    /// `kill -9` of Suimon. What it announced goes with its sessions: from now on black holes must not drop.
    pub fn kill9(&mut self) {
        self.lab.suimon.kill9();
    }

    /// Starts Suimon again and waits for its sessions.
    pub fn start(&mut self) -> Result<()> {
        self.lab.start_suimon()
    }

    /// What must hold after every fault: agreement, and then everything released without a trace.
    pub fn end(&mut self) -> Result<()> {
        invariants::wait_agreed(self.lab, &[], self.bound_ms)?;
        self.everything_goes()
    }

    /// `measure release --all`; nothing may be left.
    pub fn everything_goes(&mut self) -> Result<()> {
        self.lab.operator(&["measure", "release", "--all"])?;
        for stream in Stream::ALL {
            self.expect(stream, Should::Pass);
        }
        let clean = clock::until(CLEAN_MS, || self.lab.left_overs().ok()?.is_empty().then_some(()));
        if clean.is_none() {
            let left = self.lab.left_overs()?;
            anyhow::bail!("after `release --all` there is still: {}", left.join("; "));
        }
        for stream in Stream::ALL {
            invariants::wait_for(self.lab, stream, Should::Pass, 3_000)?;
        }
        invariants::wait_agreed(self.lab, &[], 6_000)?;
        self.lab.verify_ledger()
    }

    /// The longest wrong times, seconds: forwarded, dropped.
    pub fn worst_s(&self) -> (f64, f64) {
        let (forwarded, dropped) = self.expected.worst(self.lab);
        (forwarded as f64 / 1_000.0, dropped as f64 / 1_000.0)
    }
}

fn streams(ask: &Ask<'_>) -> &'static [Stream] {
    match ask.hand {
        "edge1" => &[Stream::Web],
        "edge2" => &[Stream::Dns],
        "bgp" if ask.dialect == "rtbh" => &[Stream::Spare1, Stream::Spare2],
        // Flowspec rules stand in the peers' tables; no data plane of the lab takes them.
        _ => &[],
    }
}

/// Routers without Suimon's traces, every program running, every cable plugged in, no fault armed.
fn clean_scenery(lab: &mut Lab) -> Result<()> {
    let folder = lab.scenery.folder();
    for edge in ["edge1", "edge2", "transit"] {
        lab.net().ip("management", &format!("link set {edge} up"))?;
    }
    for edge in ["edge1", "edge2"] {
        // Neither file has to be there.
        let _ = std::fs::remove_file(folder.join(edge).join("fault"));
        let _ = std::fs::remove_dir_all(folder.join(edge).join("run"));
        for table in peers::tables(lab.net(), edge)? {
            proc::run(lab.net().command(edge, "nft").args(["delete", "table", "inet", &table]))?;
        }
    }
    // What an earlier trial left in a router's kernel is that trial's fault, not the next one's.
    for (edge, names) in [("edge1", &["bird"][..]), ("edge2", &["bgpd", "staticd", "zebra"][..])] {
        for hole in peers::kernel_holes(lab.net(), edge)? {
            names.iter().for_each(|name| lab.scenery.kill(name));
            // The router's program may take it away as it dies.
            let _ = lab.net().ip(edge, &format!("route delete blackhole {hole}"));
        }
    }
    lab.scenery.pin("host")?;
    lab.scenery.set_prefix_limit(crate::configs::PREFIX_LIMIT)?;
    for name in ALL {
        let runs = lab.scenery.process(name).is_ok_and(|p| Path::new(&format!("/proc/{}/exe", p.pid())).exists());
        if !runs {
            lab.scenery.kill(name);
            lab.scenery.start(name)?;
        }
    }
    let quiet = clock::until(10_000, || Peer::ALL.iter().all(|p| p.routes(lab.net()).is_ok()).then_some(()));
    quiet.context("a peer does not answer")?;
    Ok(())
}

/// A small disk as data folder of the Suimon under test, which must not run.
pub fn small_disk(lab: &mut Lab, megabytes: u32) -> Result<()> {
    ensure!(!lab.suimon.runs(), "Suimon runs");
    let disk = lab.scenery.folder().join("disk");
    std::fs::create_dir_all(&disk)?;
    // Left by the trial before.
    let _ = proc::output(Command::new("umount").arg("-l").arg(&disk));
    let size = format!("size={megabytes}m");
    proc::run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "suimon-lab"]).arg(&disk))?;
    lab.suimon.variant.data = disk.join("data").display().to_string();
    Ok(())
}
