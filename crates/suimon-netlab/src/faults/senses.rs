//! Exporters that fall silent or talk rubbish.

use super::Steps;
use super::trial::Trial;
use anyhow::Result;

pub const STEPS: &[(&str, Steps)] = &[("exporters-silent", exporters_silent)];

/// Silence ends nothing.
fn exporters_silent(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.kill("softflowd");
    t.lab.scenery.kill("pmacctd");
    crate::clock::sleep_ms(5_000);
    t.agreed(&[])
}
