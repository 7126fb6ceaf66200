//! `[bgp]`: checked, filled up from the register, with the files it names read.

use crate::exit::bad_input;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suimon_base::Asn;
use suimon_bgp::config::{BgpConfig, CustomerConfig, Password};
use suimon_bgp::gobgp::api::Tls;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::Files;
use suimon_spine::Register;

/// What the BGP hand is started with.
#[derive(Debug)]
pub struct Bgp {
    /// The section.
    pub config: BgpConfig,
    /// What the files that it names hold.
    pub files: Files,
}

/// Checks the section. The networks and customers of the register are registered space as well.
///
/// # Errors
/// Exit code 2 with the key, or the file and its line.
pub fn read(mut config: BgpConfig, register: &Register, folder: &Path) -> anyhow::Result<Bgp> {
    config.guard.own.extend(&register.networks);
    for customer in &register.customers {
        match config.guard.customers.iter_mut().find(|c| c.name == customer.id) {
            Some(known) => known.prefixes.extend(&customer.prefixes),
            None => config.guard.customers.push(CustomerConfig::new(&customer.id, customer.prefixes.clone())),
        }
    }
    config.check().map_err(|e| bad_input(e.to_string()))?;
    for memo in &config.memoranda {
        let Some(customer) = register.customer(&memo.customer) else {
            return Err(bad_input(format!("bgp.memorandum `{}`: no customer is called `{}`", memo.id, memo.customer)));
        };
        if !customer.contacts.iter().any(|c| c.id == memo.contact) {
            return Err(bad_input(format!("bgp.memorandum `{}`: no contact is called `{}`", memo.id, memo.contact)));
        }
    }
    let mut cone = Cone::default();
    let guard = &config.guard;
    let open = |path: &PathBuf| {
        let path = folder.join(path);
        std::fs::read(&path).map_err(|e| bad_input(format!("bgp.guard: cannot read {}: {e}", path.display())))
    };
    let text = |path: &PathBuf| {
        String::from_utf8(open(path)?).map_err(|_| bad_input(format!("bgp.guard: {} is no text", path.display())))
    };
    let wrong = |path: &PathBuf, e: String| bad_input(format!("bgp.guard: {}: {e}", path.display()));
    if let Some(path) = &guard.as_relationships {
        cone.add_relationships(&text(path)?).map_err(|e| wrong(path, e.to_string()))?;
    }
    if let Some(path) = &guard.route_origins {
        cone.add_origins(&text(path)?).map_err(|e| wrong(path, e.to_string()))?;
    }
    if let Some(path) = &guard.rib_dump {
        let direct: Vec<Asn> = guard.direct_customers.iter().copied().map(Asn).collect();
        cone.add_rib(&open(path)?, Asn(config.local_as), &direct).map_err(|e| wrong(path, e.to_string()))?;
    }
    let tls = tls(&config, folder)?;
    let mut passwords = BTreeMap::new();
    for peer in &config.peers {
        let Some(file) = &peer.md5_password_file else { continue };
        let at = |e: String| bad_input(format!("bgp.peer `{}`: {}: {e}", peer.name, file.display()));
        let octets = std::fs::read(folder.join(file)).map_err(|e| at(e.to_string()))?;
        passwords.insert(peer.name.clone(), Password::new(&octets).map_err(|e| at(e.to_string()))?);
    }
    Ok(Bgp { config, files: Files { cone, tls, passwords } })
}

/// The certificates of `[bgp.gobgp]`.
fn tls(config: &BgpConfig, folder: &Path) -> anyhow::Result<Option<Tls>> {
    let Some(gobgp) = &config.gobgp else { return Ok(None) };
    let open = |path: &PathBuf| {
        let path = folder.join(path);
        std::fs::read(&path).map_err(|e| bad_input(format!("bgp.gobgp: cannot read {}: {e}", path.display())))
    };
    let Some(ca) = &gobgp.tls_ca_file else { return Ok(None) };
    let identity = match (&gobgp.tls_cert_file, &gobgp.tls_key_file) {
        (Some(certificate), Some(key)) => Some((open(certificate)?, open(key)?)),
        _ => None,
    };
    Ok(Some(Tls { ca: open(ca)?, identity }))
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const BASE: &str = r#"
version = 1
[node]
data = "data"
[[network]]
prefix = "198.51.100.0/24"
[bgp]
local-as = 64500
router-id = "192.0.2.10"
[[bgp.peer]]
name = "edge1"
address = "192.0.2.1"
remote-as = 64500
roles = ["flowspec"]
[bgp.guard]
"#;

    #[test]
    fn reads_the_section_and_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rel"), "64500|64501|-1\n").unwrap();
        let config = Config::parse(&format!("{BASE}as-relationships = \"rel\"\n"), folder.path()).unwrap();
        let bgp = config.bgp.unwrap();
        assert_eq!(bgp.config.guard.own.len(), 1, "the networks of the file are registered space");
        assert!(!bgp.files.cone.is_empty());
        for (line, word) in [
            ("as-relationships = \"nothing\"", "cannot read"),
            ("own = [\"0.0.0.0/0\"]", "nobody"),
            ("surprise = 1", "surprise"),
        ] {
            let error = Config::parse(&format!("{BASE}{line}\n"), folder.path()).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{line}: {error:#}");
        }
        std::fs::write(folder.path().join("rel"), "64500|64501\n").unwrap();
        let error = Config::parse(&format!("{BASE}as-relationships = \"rel\"\n"), folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("rel: line 1"), "{error:#}");
        let peer = BASE.split_once("[[bgp.peer]]").unwrap().0;
        let gobgp =
            "driver = \"gobgp\"\n[bgp.gobgp]\naddress = \"127.0.0.1:50051\"\nmark = 7\nroles = [\"flowspec\"]\n";
        assert!(Config::parse(&format!("{peer}{gobgp}"), folder.path()).unwrap().bgp.unwrap().files.tls.is_none());
        let error = Config::parse(&format!("{peer}{gobgp}tls-ca-file = \"none\"\n"), folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("bgp.gobgp: cannot read"), "{error:#}");
        let error =
            Config::parse(&format!("{BASE}{gobgp}").replace("driver = \"gobgp\"\n", ""), folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("driver"), "{error:#}");
        let memo = "[[bgp.memorandum]]\nid = \"M-1\"\ncustomer = \"nobody\"\ncontact = \"noc\"\nresponsible-party = \"x\"\n\
                    prefixes = [\"198.51.100.0/24\"]\nflowspec = true\nsigned = \"2026-01-01T00:00:00Z\"\n\
                    until = \"2027-01-01T00:00:00Z\"\n";
        let error = Config::parse(&format!("{BASE}{memo}"), folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("no customer is called `nobody`"), "{error:#}");
        let md5 = BASE.replace("roles", "md5-password-file = \"x\"\nroles");
        assert!(format!("{:#}", Config::parse(&md5, folder.path()).unwrap_err()).contains("bgp.peer `edge1`: x: "));
        std::fs::write(folder.path().join("x"), "secret\n").unwrap();
        std::fs::remove_file(folder.path().join("rel")).unwrap();
        let bgp = Config::parse(&md5, folder.path()).unwrap().bgp.unwrap();
        assert_eq!(bgp.files.passwords["edge1"].octets(), b"secret");
    }
}
