//! Where the hub is and how it is spoken to, as the environment says it: the variables are those of the hub's own tools.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::find;

/// How long it is tried where the way to the hub is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row that bring nothing, 1 or more.
    pub attempts: u32,
    /// The wait after the first of them; it doubles with each.
    pub pause: Duration,
    /// The longest wait; a server that asks for a longer one is believed, and the attempts end.
    pub longest_pause: Duration,
    /// How long a connection may bring nothing.
    pub stall: Duration,
}

/// Which hub, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its address: `HF_ENDPOINT`, or the public one.
    pub endpoint: String,
    /// The token where a request brings none: `HF_TOKEN`, or the file that `HF_TOKEN_PATH` names, or `token` in `HF_HOME`.
    pub token: Option<String>,
    /// Whether nothing may be fetched: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// How long it is tried.
    pub patience: Patience,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            patience: Patience::default(),
        }
    }
}

impl fmt::Debug for Settings {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, offline, patience, .. } = self;
        let mut all = f.debug_struct("Settings");
        all.field("endpoint", endpoint).field("offline", offline).field("patience", patience).finish_non_exhaustive()
    }
}

impl Settings {
    /// As the environment has them.
    #[must_use]
    pub fn from_env() -> Self {
        let given = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let default = Self::default();
        let file = given("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(find::hub_home()?.join("token")));
        let stored = || fs::read_to_string(file?).ok().map(|text| text.trim().to_owned());
        let is_yes = |value: String| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
        Self {
            endpoint: given("HF_ENDPOINT").unwrap_or(default.endpoint),
            token: given("HF_TOKEN").or_else(stored),
            offline: given("HF_HUB_OFFLINE").is_some_and(is_yes),
            ..default
        }
    }
}
