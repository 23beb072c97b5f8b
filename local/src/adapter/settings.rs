//! Which adapters there are, by the environment: `NODETOOL_PROVIDER_ADAPTER_<WHAT>_<ID>`, of which COMMAND and CAPABILITIES must
//! be given. One that could not answer is a load error and no provider.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millwork_worker::prelude::*;
use millwork_worker::protocol::message::LoadError;
use serde_json::{Value as Json, json};

use super::{CALLS, Turn, media};
use crate::programs;
use crate::provider::ID;

const PREFIX: &str = "NODETOOL_PROVIDER_ADAPTER_";
/// What a media run may take where TIMEOUT says nothing else.
const LIMIT: Duration = Duration::from_secs(3600);
/// The longest id.
const LONGEST_ID: usize = 32;

/// A program that answers media calls.
#[derive(Debug)]
pub struct Adapter {
    pub(super) id: String,
    pub(super) display_name: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// As the variable names them.
    pub(super) capabilities: Vec<String>,
    /// Secrets that it is given.
    pub(super) secrets: Vec<String>,
    /// A folder of its own, from which results are taken too.
    pub(super) output: Option<PathBuf>,
    pub(super) limit: Duration,
    pub(super) turn: Turn,
}

impl Adapter {
    /// The adapters that this process's environment names, and what is wrong with the others.
    #[must_use]
    pub fn from_env() -> (Vec<Self>, Vec<LoadError>) {
        let given =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_variables(given)
    }

    /// The adapters that these variables name, by id, and what is wrong with the others.
    #[must_use]
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> (Vec<Self>, Vec<LoadError>) {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let value = value.trim().to_owned();
            Some((name.strip_prefix(PREFIX)?.to_owned(), value)).filter(|(_, value)| !value.is_empty())
        });
        let ours: BTreeMap<String, String> = ours.collect();
        let (mut adapters, mut errors) = (Vec::new(), Vec::new());
        for (suffix, command) in ours.iter().filter_map(|(name, value)| Some((name.strip_prefix("COMMAND_")?, value))) {
            match Self::read(suffix, command, |what| ours.get(&format!("{what}_{suffix}")).map(String::as_str)) {
                Ok(adapter) => adapters.push(adapter),
                Err(reason) => {
                    let text = format!("the adapter {suffix} is no provider: {reason}");
                    errors.push(LoadError::new("local", "adapter", "BrokenAdapter", text));
                }
            }
        }
        (adapters, errors)
    }

    fn read<'a>(suffix: &str, command: &str, given: impl Fn(&str) -> Option<&'a str>) -> Result<Self, String> {
        let id = suffix.to_lowercase();
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if id.len() > LONGEST_ID || !id.chars().all(is_allowed) || !id.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(format!(
                "an id has at most {LONGEST_ID} letters, digits, `_` and `-`, and begins with no dash"
            ));
        }
        if id == ID {
            let text = "is the provider of the models on disk: give the adapter another one";
            return Err(format!("the id {id:?} of {PREFIX}COMMAND_{suffix} {text}"));
        }
        // A path with blanks in it stands alone.
        let words = if Path::new(command).is_file() { vec![command] } else { command.split_whitespace().collect() };
        let [program, args @ ..] = words.as_slice() else { return Err("its command is empty".to_owned()) };
        let Some(found) = programs::find(program) else {
            return Err(format!("{program:?} of {PREFIX}COMMAND_{suffix} is no program that can be executed"));
        };
        let capabilities = words_of(given("CAPABILITIES").unwrap_or_default());
        if capabilities.is_empty() {
            return Err(format!("{PREFIX}CAPABILITIES_{suffix} must name what it makes, such as text_to_video"));
        }
        if let Some(unknown) = capabilities.iter().find(|name| media(name).is_none()) {
            let known: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(format!("{PREFIX}CAPABILITIES_{suffix} names {unknown:?}; programs can offer {known}"));
        }
        let limit = match given("TIMEOUT") {
            None => LIMIT,
            Some(text) => {
                let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                seconds
                    .filter(|limit| !limit.is_zero())
                    .ok_or_else(|| format!("{PREFIX}TIMEOUT_{suffix} must be a number of seconds, and is {text:?}"))?
            }
        };
        Ok(Self {
            display_name: given("DISPLAY_NAME").unwrap_or(&id).to_owned(),
            id,
            program: found,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            capabilities,
            secrets: words_of(given("SECRETS").unwrap_or_default()),
            output: given("OUTPUT").map(PathBuf::from),
            limit,
            turn: Turn::default(),
        })
    }

    /// What every request has. Secrets travel in it and nowhere else.
    pub(super) fn request(&self, operation: &str, cx: &Context) -> Result<Json> {
        let mut request = json!({ "operation": operation, "provider": self.id });
        for name in &self.secrets {
            request["secrets"][name] = cx.secret(name)?.into();
        }
        Ok(request)
    }

    /// The error for what the program does wrong.
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::failed(format!("the adapter {:?} ({}) {what}", self.id, self.program.display()))
    }
}

fn words_of(list: &str) -> Vec<String> {
    let mut words: Vec<String> =
        list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words
}

/// What to do about a call that no model on disk can answer; nothing where no adapter could either.
pub(crate) fn advice(call: &str) -> Option<String> {
    media(call)?;
    let (adapters, _) = Adapter::from_env();
    let ids: Vec<String> =
        adapters.iter().filter(|adapter| adapter.offers(call)).map(|adapter| format!("{:?}", adapter.id)).collect();
    Some(if ids.is_empty() {
        format!(
            "set {PREFIX}COMMAND_<ID> to a program that makes it and {PREFIX}CAPABILITIES_<ID>={call}, and call the provider \
             <id>; docs/adapters.md says how"
        )
    } else {
        format!("call the provider {}, which offers it", ids.join(" or "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Vec<Adapter>, Vec<String>) {
        let given = variables.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned()));
        let (adapters, errors) = Adapter::from_variables(given);
        (adapters, errors.into_iter().map(|error| error.error).collect())
    }

    #[test]
    fn variables_become_adapters() {
        let (adapters, errors) = read(&[
            ("COMMAND_WAN_2", " sh -e /opt/wan.sh "),
            ("CAPABILITIES_WAN_2", "text_to_video, image_to_video,,text_to_video"),
            ("DISPLAY_NAME_WAN_2", "Wan 2"),
            ("TIMEOUT_WAN_2", "1.5"),
            ("SECRETS_WAN_2", "B, A"),
            ("COMMAND_B", "/bin/sh"),
            ("CAPABILITIES_B", "text_to_speech_encoded"),
            ("COMMAND_EMPTY", "  "),
        ]);
        assert_eq!(errors, Vec::<String>::new());
        let [b, wan] = adapters.as_slice() else { panic!("{adapters:?}") };
        assert!(b.offers("tts_encoded") && !b.offers("tts") && b.display_name == "b" && b.limit == LIMIT);
        assert_eq!((wan.id.as_str(), wan.display_name.as_str()), ("wan_2", "Wan 2"));
        assert_eq!(wan.args, ["-e", "/opt/wan.sh"]);
        assert_eq!(wan.capabilities, ["image_to_video", "text_to_video"]);
        assert_eq!((wan.secrets.join(" ").as_str(), wan.limit), ("A B", Duration::from_millis(1500)));
    }

    #[test]
    fn mistakes_name_their_variable() {
        let wrong = |variables: &[(&str, &str)]| read(variables).1.concat();
        let capable = ("CAPABILITIES_X", "text_to_video");
        assert!(
            wrong(&[("COMMAND_X", "/etc/passwd"), capable])
                .contains("\"/etc/passwd\" of NODETOOL_PROVIDER_ADAPTER_COMMAND_X")
        );
        assert!(wrong(&[("COMMAND_X", "sh")]).contains("CAPABILITIES_X must name"));
        let unknown = wrong(&[("COMMAND_X", "sh"), ("CAPABILITIES_X", "text_to_vdeo")]);
        assert!(unknown.contains("\"text_to_vdeo\"; programs can offer text_to_image, "), "{unknown}");
        for seconds in ["0", "-1", "soon", "NaN", "1e300"] {
            assert!(wrong(&[("COMMAND_X", "sh"), capable, ("TIMEOUT_X", seconds)]).contains("TIMEOUT_X"), "{seconds}");
        }
        assert!(wrong(&[("COMMAND_-X", "sh")]).contains("an id has"));
        assert!(wrong(&[("COMMAND_É", "sh")]).contains("an id has"));
    }
}
