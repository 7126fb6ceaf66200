//! Where and with what to act, ranked, as a proposal carries it (catalogue rows 97–101, 129–134).

use serde::{Deserialize, Serialize};

/// Ways and places, the best first, and a plan in stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Placement {
    /// The best first; those that are not possible last, with the reason.
    pub choices: Vec<PlaceChoice>,
    /// What to do one after the other.
    pub stages: Vec<PlaceStage>,
}

/// One way on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlaceChoice {
    /// `police`, `flowspec`, `acl-customer-edge`, `acl-upstream`, `null-route`, `rtbh-edge`, `rtbh-upstream`.
    pub way: String,
    /// The device's name in its profile.
    pub device: String,
    /// The hand that acts there; `None` is a person or another network.
    pub hand: Option<String>,
    /// `customer-edge`, `edge`, `upstream`.
    pub place: String,
    /// Dialect of the text there.
    pub dialect: String,
    /// Whether the device can say it and has room.
    pub possible: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Lines to enter.
    pub lines: u64,
    /// Hardware entries that it takes; `None` where it takes none.
    pub entries: Option<u64>,
    /// Hardware entries that are free there.
    pub free: Option<u64>,
    /// Share of the entries in use afterwards, percent.
    pub load_percent: Option<u64>,
    /// Whether everything to the destination is lost.
    pub cuts_everything: bool,
    /// Customers whose traffic passes the device.
    pub customers_passing: u64,
    /// Share of the addresses cut off that the request does not name, 0 to 1.
    pub bystander_share: f64,
    /// How hard it is to carry out and take back, in points.
    pub complexity: u64,
    /// What it does and cuts, English.
    pub words_en: String,
    /// The same, Japanese.
    pub words_ja: String,
}

/// One stage: cut broadly now, reopen in steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlaceStage {
    /// `broad`, `exact`, `police`, `open`.
    pub id: String,
    /// The device, where one can.
    pub device: Option<String>,
    /// Lines there.
    pub lines: u64,
    /// What is done, English.
    pub words_en: String,
    /// What is done, Japanese.
    pub words_ja: String,
    /// When to go on, English.
    pub until_en: String,
    /// When to go on, Japanese.
    pub until_ja: String,
}
