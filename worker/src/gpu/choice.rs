//! Which adapter to use: the meaning of `MILLWORK_GPU`.

use std::fmt;

/// Which adapter to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The best there is, and a software one when there is no other.
    #[default]
    Auto,
    /// None.
    Off,
    /// Only one that runs on the processor.
    Software,
    /// One with this in its name, in any case.
    Named(String),
}

impl Choice {
    /// Reads `MILLWORK_GPU`; unset or empty is [`Choice::Auto`].
    pub fn from_env() -> Self {
        Self::parse(&std::env::var("MILLWORK_GPU").unwrap_or_default())
    }

    /// `off`, `software`, `auto` or empty, or a part of a name.
    pub fn parse(text: &str) -> Self {
        match text.trim().to_lowercase().as_str() {
            "" | "auto" => Self::Auto,
            "off" | "none" => Self::Off,
            "software" => Self::Software,
            name => Self::Named(name.to_owned()),
        }
    }

    pub(super) fn takes(&self, adapter: &wgpu::AdapterInfo) -> bool {
        match self {
            Self::Auto => true,
            Self::Off => false,
            Self::Software => adapter.device_type == wgpu::DeviceType::Cpu,
            Self::Named(name) => adapter.name.to_lowercase().contains(name),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::Software => "software",
            Self::Named(name) => name,
        })
    }
}
