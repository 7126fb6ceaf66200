//! Names of lists on routers: `SUIMON-M-12`, its IPv6 sister `SUIMON-M-12-V6`, and `suimon_m_12` where capitals and
//! hyphens are not the custom. The number is the measure's, so whose a list is can be told from the router alone.

use suimon_base::MeasureId;

/// What every name of ours starts with, in capitals.
const PREFIX: &str = "SUIMON-M-";
/// What a name of ours starts with even where its rest says nothing to us.
const OURS: &str = "SUIMON-";

/// The list's name of a measure, as the spine hands it to the compiler.
pub fn list_name(id: MeasureId) -> String {
    format!("SUIMON-{id}")
}

/// The measure to which an object of this name belongs.
pub fn owner(name: &str) -> Option<MeasureId> {
    let name = name.to_ascii_uppercase().replace('_', "-");
    let rest = name.strip_prefix(PREFIX)?;
    let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let canonical = !digits.is_empty() && (digits == "0" || !digits.starts_with('0'));
    (canonical && (tail.is_empty() || tail.starts_with('-'))).then(|| digits.parse().ok().map(MeasureId)).flatten()
}

/// Whether the name claims to be ours, whatever its rest.
pub(crate) fn is_ours(name: &str) -> bool {
    name.to_ascii_uppercase().replace('_', "-").starts_with(OURS)
}

/// Letters, digits and `-._/:` up to 64: names of devices, interfaces and users that may stand in a command.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && name.len() <= 64
        && chars.all(|c| c.is_ascii_alphanumeric() || "-._/:".contains(c))
}

/// An absolute path that neither a shell nor OpenSSH's option parser reads anything into.
pub(crate) fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 512
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "-._/+".contains(c))
        && !path.split('/').any(|p| p == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_read_from_the_name_and_nothing_else_is() {
        for name in ["SUIMON-M-12", "SUIMON-M-12-V6", "suimon_m_12", "suimon_m_12_v3", "SUIMON-M-12-v3-V6"] {
            assert_eq!(owner(name), Some(MeasureId(12)), "{name}");
        }
        for name in ["SUIMON-M-", "SUIMON-M-12X", "SUIMON-M-x", "SUIMON-M-012", "XSUIMON-M-12", "EDGE-IN", "SUIMON"] {
            assert_eq!(owner(name), None, "{name}");
        }
        assert_eq!(owner("SUIMON-M-99999999999999999999999"), None);
        assert!(is_ours("suimon_test") && !is_ours("edge"));
        assert_eq!(owner(&list_name(MeasureId(7))), Some(MeasureId(7)));
    }

    #[test]
    fn names_that_a_shell_or_a_router_would_read_as_more_are_refused() {
        for good in ["eth0", "GigabitEthernet0/0/0.100", "ge-0/0/0", "r1.example.com", "2001:db8::1"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "eth0;reboot", "a b", "a\nb", "$(x)", "`x`", "ä"] {
            assert!(!is_plain(bad), "{bad}");
        }
        assert!(is_plain_path("/etc/suimon/known_hosts"));
        for bad in ["relative", "/a b", "/a/../b", "/a%h", "/a\"b"] {
            assert!(!is_plain_path(bad), "{bad}");
        }
    }
}
