//! Linux routers with nftables, over SSH: the reference among the drivers.
//!
//! A measure is one table, loaded all or nothing, and deleting the table is its exact undo. Before the table is loaded, an
//! undo is armed on the router: a process of its own that deletes the table after some seconds unless a second session,
//! which proves that the way to the router is still open, has taken its token away. Tables and tokens live in memory only
//! (the kernel, `/run`), so a router that restarts comes back without any measure and without any armed undo.

use crate::bound::MAX_LISTS;
use crate::device::{Applied, Device, UndoBy};
use crate::error::{DeviceError, words};
use crate::names::{is_ours, is_plain_path, owner};
use crate::nft_list;
use crate::observed::{Observed, Seen, State};
use crate::session::Session;
use crate::ssh::{SshMode, SshTarget};
use crate::wanted::Wanted;
use suimon_base::MeasureId;
use suimon_filter::dialect::Dialect;

/// Ends the text in the script; a text with this line is refused.
const END: &str = "SUIMON-TEXT-ENDS";

/// A Linux router.
#[derive(Clone, Debug)]
pub struct Nftables {
    target: SshTarget,
    confirm_s: u32,
    run_folder: String,
    sudo: bool,
}

impl Nftables {
    /// `confirm_s` seconds after which an unconfirmed change undoes itself; `run_folder` on the router holds tokens and
    /// must be gone after a restart; `sudo` where the user needs it to run a shell as root.
    ///
    /// # Errors
    /// When the target's files or the folder's name are not safe.
    pub fn new(target: SshTarget, confirm_s: u32, run_folder: &str, sudo: bool) -> Result<Self, DeviceError> {
        target.check()?;
        if !is_plain_path(run_folder) {
            return Err(DeviceError::Config(format!(
                "run-folder {run_folder:?}: an absolute path of plain characters"
            )));
        }
        Ok(Nftables { target, confirm_s, run_folder: run_folder.into(), sudo })
    }

    fn shell(&self) -> Result<Shell, DeviceError> {
        let command = if self.sudo { "sudo -n sh -s" } else { "sh -s" };
        Ok(Shell {
            session: Session::open(&self.target, SshMode::Command(command))?,
            number: 0,
            read_s: self.target.read_s(),
            change_s: self.target.change_s(),
        })
    }

    fn read_in(shell: &mut Shell) -> Result<Observed, DeviceError> {
        let step = "listing tables";
        let json = shell.must(step, shell.read_s, "nft -j list tables")?;
        let unreadable = |step: &str, reason: String| DeviceError::Unreadable { step: step.into(), reason };
        let tables = nft_list::tables(&json).map_err(|e| unreadable(step, e))?;
        let ours: Vec<_> = tables.into_iter().filter(|t| is_ours(&t.1)).collect();
        if ours.len() > MAX_LISTS {
            return Err(unreadable(step, format!("{} tables of ours; at most {MAX_LISTS} are read", ours.len())));
        }
        let mut out = Observed::default();
        for (family, name) in ours {
            if family != "inet" || !is_table(&name) {
                let faults = vec![format!("{name} is of family {family}; ours are inet")];
                let name = words(&name, 64);
                out.lists.push(Seen { name, text: String::new(), lines: 0, counters: None, bound: vec![], faults });
                continue;
            }
            let step = format!("listing table {name}");
            let script = format!("nft -j list table inet {name} && echo && nft list table inet {name}");
            let (status, said) = shell.run(&step, shell.read_s, &script)?;
            // It may go while we look: our own timer on the router deletes tables too.
            if status != 0 && said.contains("No such file") {
                continue;
            }
            if status != 0 {
                return Err(DeviceError::Said { step, said: words(&said, 200) });
            }
            let (json, text) = said.trim_start().split_once('\n').unwrap_or((&said, ""));
            out.lists.push(nft_list::table(&name, json, text).map_err(|e| unreadable(&step, e))?);
        }
        out.lists.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// Arms the undo, then loads; prints the token.
    fn load_script(&self, name: &str, text: &str, replace: bool) -> String {
        let (n, d) = (self.confirm_s, &self.run_folder);
        let delete = if replace { format!("delete table inet {name}\n") } else { String::new() };
        format!(
            r#"umask 077; d='{d}'; t='{name}'
mkdir -p "$d" || exit 90
token=$(cat /proc/sys/kernel/random/uuid) || exit 91
printf '%s\n' "$token" > "$d/$t.armed" || exit 92
undo='sleep "$1"; exec 9>>"$2/lock"; flock 9
if [ "$(cat "$2/$4.armed" 2>/dev/null)" = "$3" ]; then nft delete table inet "$4"; rm -f "$2/$4.armed"; fi'
# A transient unit outlives the login everywhere, but it lives in the network namespace of the init process.
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
   [ "$(readlink /proc/self/ns/net)" = "$(readlink /proc/1/ns/net)" ]; then
  systemd-run --quiet --collect --unit="suimon-undo-$token" sh -c "$undo" sh {n} "$d" "$token" "$t" || exit 93
else
  setsid sh -c "$undo" sh {n} "$d" "$token" "$t" </dev/null >/dev/null 2>&1 &
fi
nft -f - <<'{END}'
{delete}{text}{END}
s=$?
[ $s = 0 ] || rm -f "$d/$t.armed"
echo "token $token"
exit $s"#
        )
    }

    fn confirm_script(&self, name: &str, token: &str) -> String {
        format!(
            r#"d='{d}'; t='{name}'
exec 9>>"$d/lock"; flock 9
[ "$(cat "$d/$t.armed" 2>/dev/null)" = '{token}' ] || exit 94
nft list table inet "$t" >/dev/null || exit 95
rm -f "$d/$t.armed""#,
            d = self.run_folder
        )
    }

    fn undo_in(&self, shell: &mut Shell, id: MeasureId) -> Result<String, DeviceError> {
        let before = Self::read_in(shell)?;
        let mut gone = Vec::new();
        for l in before.of(id) {
            let script = format!(
                "rm -f '{d}/{t}.armed'; nft delete table inet {t} || ! nft list table inet {t} >/dev/null 2>&1",
                d = self.run_folder,
                t = l.name
            );
            shell.must(&format!("deleting table {}", l.name), shell.change_s, &script)?;
            gone.push(l.name.clone());
        }
        if let Some(left) = Self::read_in(shell)?.of(id).next() {
            return Err(DeviceError::NotAsWanted {
                why: format!("{} is still there after it was deleted", left.name),
                undone: "look at the router".into(),
            });
        }
        let counted = before.counters(id).map_or(String::new(), |c| {
            let octets = c.octets.unwrap_or(0);
            format!(" after it had dropped {} packets, {octets} octets", c.packets)
        });
        Ok(match gone.is_empty() {
            true => "nothing of it was there".into(),
            false => format!("deleted {}{counted}; read back: gone", gone.join(", ")),
        })
    }
}

impl Nftables {
    fn taken_back(&self, shell: &mut Shell, id: MeasureId) -> Result<String, String> {
        let late = |e| format!("taking it back failed ({e}); the router does it within {} s", self.confirm_s);
        self.undo_in(shell, id).map_err(late)
    }
}

impl Device for Nftables {
    fn dialect(&self) -> Dialect {
        Dialect::Nftables
    }
    fn place(&self) -> String {
        self.target.place()
    }
    fn read(&self) -> Result<Observed, DeviceError> {
        Self::read_in(&mut self.shell()?)
    }

    fn apply(&self, wanted: &Wanted) -> Result<Applied, DeviceError> {
        let [name] = wanted.names() else {
            return Err(DeviceError::Config(format!("{}: one table a measure", wanted.id())));
        };
        let text = nft_list::with_counters(wanted.text());
        if !is_table(name) || text.lines().any(|l| l.trim() == END) {
            return Err(DeviceError::Config(format!("{}: not a table of ours", wanted.id())));
        }
        let mut first = self.shell()?;
        let before = Self::read_in(&mut first)?;
        let replace = before.lists.iter().any(|l| l.name == *name);
        let step = format!("arming the undo and loading table {name}");
        let (status, said) = first.run(&step, first.change_s, &self.load_script(name, &text, replace))?;
        if status != 0 {
            // nft takes a file whole or not at all, and the script has disarmed the undo.
            let undone = if replace { "what was there before is still there" } else { "nothing was loaded" };
            let why = DeviceError::Said { step, said: words(&said, 300) }.to_string();
            return Err(DeviceError::NotAsWanted { why, undone: undone.into() });
        }
        let token = said.lines().filter_map(|l| l.strip_prefix("token ")).next_back().map(str::trim);
        let Some(token) = token.filter(|t| t.len() == 36 && t.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
        else {
            return Err(DeviceError::Unreadable { step, reason: "no token".into() });
        };
        drop(first);

        // From here on the router undoes it by itself unless this second session gets through.
        let mut second = self.shell()?;
        let after = Self::read_in(&mut second)?;
        let state = after.state(wanted, Dialect::Nftables);
        if state != State::Present {
            let why = match state {
                State::Differs { why } => why,
                _ => "it is not there".into(),
            };
            return Err(DeviceError::after_undo(why, self.taken_back(&mut second, wanted.id())));
        }
        let (status, _) = second.run("confirming", second.change_s, &self.confirm_script(name, token))?;
        if status != 0 {
            let why = "the automatic undo came before the confirmation".into();
            return Err(DeviceError::after_undo(why, self.taken_back(&mut second, wanted.id())));
        }
        let verb = if replace { "replaced" } else { "loaded" };
        let lines: usize = after.of(wanted.id()).map(|l| l.lines).sum();
        Ok(Applied {
            place: format!("{} table inet {name}", self.place()),
            receipt: format!(
                "{verb} {lines} rules; read back in a second session: drops exactly what was approved; confirmed"
            ),
            undo_by: UndoBy::Router { after_s: self.confirm_s },
        })
    }

    fn undo(&self, id: MeasureId) -> Result<String, DeviceError> {
        self.undo_in(&mut self.shell()?, id)
    }
}

/// A table's name that the compiler writes and nothing else; it stands in commands.
fn is_table(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    owner(name).is_some() && name.len() <= 64 && name.chars().all(plain)
}

/// A POSIX shell at the other end that takes one script after another.
struct Shell {
    session: Session,
    number: u64,
    read_s: u64,
    change_s: u64,
}

impl Shell {
    /// Runs a script in a shell of its own; its exit status and everything it said.
    fn run(&mut self, step: &str, limit_s: u64, script: &str) -> Result<(i32, String), DeviceError> {
        self.number += 1;
        let mark = format!("\nSUIMON-STEP-{}-ENDED ", self.number);
        let text = format!("(\n{script}\n) 2>&1\nprintf '\\nSUIMON-STEP-{}-ENDED %s\\n' \"$?\"\n", self.number);
        self.session.send(text.as_bytes());
        let mut looked = 0;
        self.session.until(step, limit_s, |out| {
            let from = looked.min(out.len());
            let at = find(out.get(from..)?, mark.as_bytes()).map(|at| at + from);
            looked = out.len().saturating_sub(mark.len());
            let at = at?;
            looked = at;
            let rest = out.get(at + mark.len()..)?;
            let end = rest.iter().position(|b| *b == b'\n')?;
            let status = std::str::from_utf8(rest.get(..end)?).ok()?.trim().parse().unwrap_or(-1);
            let said = String::from_utf8_lossy(out.get(..at)?).into_owned();
            Some(((status, said), at + mark.len() + end + 1))
        })
    }

    fn must(&mut self, step: &str, limit_s: u64, script: &str) -> Result<String, DeviceError> {
        match self.run(step, limit_s, script)? {
            (0, said) => Ok(said),
            (status, said) => {
                let said = if said.trim().is_empty() { format!("exit status {status}") } else { words(&said, 300) };
                Err(DeviceError::Said { step: step.into(), said })
            }
        }
    }
}

/// Where `needle` begins in `hay`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_of_ours_stand_in_commands() {
        assert!(is_table("suimon_m_12"));
        for bad in ["suimon_m_12; reboot", "SUIMON_M_12", "filter", "suimon_x", ""] {
            assert!(!is_table(bad), "{bad}");
        }
    }
}
