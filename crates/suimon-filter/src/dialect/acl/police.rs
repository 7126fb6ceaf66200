//! Writing classes and the policy that holds their rates.

use super::facts::{Facts, Spelling};
use super::names_of::Names;
use super::plan::Limit;
use crate::range::Family;
use std::fmt::Write as _;
use suimon_base::Action;

/// Time for which traffic at the full rate may arrive at once, in milliseconds: the default of NX-OS, written out where the
/// platform wants a burst.
pub const BURST_MS: u64 = 200;
/// Smallest burst that is written, in octets: two full frames.
pub const MIN_BURST: u64 = 3_000;
/// Largest burst that is written, in octets.
pub const MAX_BURST: u64 = 128_000_000;

pub fn write(facts: &Facts, text: &mut String, names: &Names, limits: &[Limit]) {
    let Some(policy) = &names.policy else { return };
    let (p, indent) = (&facts.police, facts.indent);
    for (class, lists) in &names.classes {
        let _ = writeln!(text, "{} {class}", p.class);
        for family in Family::BOTH {
            if let Some(list) = &lists[family as usize] {
                let _ = writeln!(text, "{indent}{} {list}", p.matches[family as usize]);
            }
        }
        if p.spelling == (Spelling::Rate { ends: true }) {
            let _ = writeln!(text, "{indent}end-class-map\n!");
        }
    }
    let _ = writeln!(text, "{} {policy}", p.policy);
    for (limit, (class, _)) in limits.iter().zip(&names.classes) {
        let _ = writeln!(text, "{indent}class {class}");
        let (rate, unit) = match limit.action {
            Action::LimitPps(n) => (n, "pps"),
            Action::LimitBps(n) => (n, "bps"),
            Action::Permit | Action::Discard => continue,
        };
        let deep = format!("{indent}{indent}");
        let _ = match p.spelling {
            Spelling::Rate { .. } => writeln!(
                text,
                "{deep}police rate {rate} {unit}\n{deep}{indent}conform-action transmit\n{deep}{indent}exceed-action drop"
            ),
            Spelling::Cir => {
                writeln!(text, "{deep}police cir {rate} {unit} bc {BURST_MS} ms conform transmit violate drop")
            }
            Spelling::Burst => {
                let burst = (rate / 8 * BURST_MS / 1_000).clamp(MIN_BURST, MAX_BURST);
                writeln!(text, "{deep}police rate {rate} {unit} burst-size {burst} bytes")
            }
        };
        if p.spelling == (Spelling::Rate { ends: true }) {
            let _ = writeln!(text, "{deep}!\n{indent}!");
        }
    }
    if p.spelling == (Spelling::Rate { ends: true }) {
        let _ = writeln!(text, "{indent}end-policy-map\n!");
    }
}
