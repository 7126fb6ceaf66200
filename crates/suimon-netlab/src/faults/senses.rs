//! Exporters that fall silent or talk rubbish.

use super::Steps;
use super::trial::Trial;
use anyhow::Result;

pub const STEPS: &[(&str, Steps)] = &[
    ("exporters-silent", exporters_silent),
    ("exporter-restarts", exporter_restarts),
    ("exporter-rubbish", exporter_rubbish),
];

/// Silence ends nothing.
fn exporters_silent(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.kill("softflowd");
    t.lab.scenery.kill("pmacctd");
    crate::clock::sleep_ms(5_000);
    t.agreed(&[])
}

/// Templates and sequence numbers begin anew in the middle of an attack; it is detected all the same.
fn exporter_restarts(t: &mut Trial<'_>) -> Result<()> {
    use crate::attack::Stream::Web;
    for name in ["softflowd", "pmacctd"] {
        t.lab.scenery.kill(name);
        t.lab.scenery.start(name)?;
    }
    t.lab.attack(Web, 800)?;
    let begun = crate::clock::ms();
    let seen = crate::clock::until(t.bound_ms, || {
        // It joins the customer's open case.
        let case = t.lab.operator(&["case", "show", &t.case]).ok()?.to_string();
        case.contains("\"A-").then_some(())
    });
    t.lab.attack(Web, super::trial::PPS)?;
    anyhow::ensure!(seen.is_some(), "no attack seen {} ms after an exporter's restart", crate::clock::ms() - begun);
    t.agreed(&[])
}

/// Ten thousand datagrams of noise at the collector's port.
fn exporter_rubbish(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    let code = "import os, socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                for n in range(10000): s.sendto(os.urandom(n % 1400), ('192.0.2.10', 2055))\n";
    crate::proc::run(t.net().command("edge1", "python3").args(["-c", code]))?;
    t.agreed(&[])?;
    anyhow::ensure!(t.lab.suimon.runs(), "Suimon ended");
    Ok(())
}
