//! People who do what they may not, at the wrong moment, or twice.

use super::Steps;
use super::trial::{ACL, Trial};
use crate::suimon::Person;
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[("own-approval", own_approval)];

fn own_approval(t: &mut Trial<'_>) -> Result<()> {
    let id = t.lab.propose(&t.case, &ACL)?;
    let (code, said, err) = t.lab.suimon.ask(Person::Operator, &["measure", "approve", &id])?;
    ensure!(code == Some(1), "{code:?} {said}{err}");
    let (status, _) = t.status(&id)?;
    ensure!(status == "proposed", "{id} is {status}");
    t.agreed(&[])
}
