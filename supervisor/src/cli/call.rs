//! What `run` and `batch` ask of a node in the same way: the secrets, the time limit, the request, and what its failure means.

use std::time::Duration;

use millwork::{ErrorKind, RequestError};
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, Value};

use super::failure::{Failure, Outcome};
use super::fields::Inputs;
use super::transfer::CHUNKED;

/// What every request carries beside its fields.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Give the node a secret; its value is taken from the environment variable of that name.
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Cancel it after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
}

impl Args {
    /// The data of a request.
    pub(crate) fn request(&self, node: &NodeMetadata, inputs: Inputs) -> Outcome<Map> {
        let mut secrets = Map::new();
        for name in &self.secret {
            let value = std::env::var(name).map_err(|_| {
                let failure = Failure::usage(format!("the secret {name} is not in the environment"));
                failure.hint("set it there: on the command line it would be seen by every user of this machine")
            })?;
            secrets.insert(name.clone(), Value::Str(value));
        }
        let mut data = millwork_protocol::map! {
            "node_type" => node.node_type.as_str(),
            "fields" => inputs.fields,
            "secrets" => secrets,
            "blobs" => inputs.blobs,
            "blob_transfer" => CHUNKED,
        };
        if let Some(seconds) = self.timeout {
            let limit = Duration::try_from_secs_f64(seconds)
                .map_err(|_| Failure::usage(format!("--timeout {seconds} is no time in seconds")))?;
            data.insert("timeout_ms".to_owned(), u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1).into());
        }
        Ok(data)
    }
}

/// The failure of a node, with the secrets by name where some are missing.
pub(crate) fn explain(error: RequestError, node: &NodeMetadata) -> Failure {
    let is_setting = error.kind == ErrorKind::MissingSetting && !node.required_settings.is_empty();
    let failure = Failure::from(error);
    if !is_setting {
        return failure;
    }
    let flags: Vec<String> = node.required_settings.iter().map(|name| format!("--secret {name}")).collect();
    failure.hint(format!("give it with {}; the value is taken from the environment", flags.join(" ")))
}
