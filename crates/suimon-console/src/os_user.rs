//! Names of the operating system's users.

use std::fs;
use suimon_base::Actor;

/// Where the names are. Users of a directory service are not in there and keep their number.
const PASSWD: &str = "/etc/passwd";

/// The actor behind a user's number.
pub(crate) fn actor(uid: u32) -> Actor {
    let text = fs::read_to_string(PASSWD).unwrap_or_default();
    Actor::os_user(&name(&text, uid).unwrap_or_else(|| format!("uid-{uid}")))
}

/// passwd(5): `name:password:UID:…`.
fn name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_number() {
        let text = "root:x:0:0::/:/bin/sh\nbroken\n:x:7:7::/:/bin/sh\nnoc:x:1000:1000::/home/noc:/bin/sh\n";
        assert_eq!(name(text, 0).as_deref(), Some("root"));
        assert_eq!(name(text, 1000).as_deref(), Some("noc"));
        assert_eq!(name(text, 7), None);
        assert_eq!(actor(4_000_000_000).to_string(), "os-user:uid-4000000000");
    }
}
