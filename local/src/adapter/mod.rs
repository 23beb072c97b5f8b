//! Providers that are programs: each answers media calls by JSON lines, and media by file. Which there are is said by
//! environment variables, read in `settings`; one run of one is in `run`, its files in `files`. docs/adapters.md is the
//! contract.

mod files;
mod run;
mod settings;

use std::time::Duration;

use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call, Provider, ProviderInfo, unsupported};
use parking_lot::{Mutex, MutexGuard};

pub use settings::Adapter;
pub(crate) use settings::advice;

/// How often a call that waits for its turn looks whether it has been cancelled.
const STEP: Duration = Duration::from_millis(25);

/// The calls that a program can answer, and what each makes.
const CALLS: [(&str, &str); 7] = [
    ("text_to_image", "image"),
    ("image_to_image", "image"),
    ("text_to_video", "video"),
    ("image_to_video", "video"),
    ("reference_to_video", "video"),
    ("text_to_audio", "audio"),
    ("tts_encoded", "audio"),
];

/// What hosts call the capability of `tts_encoded`.
const ENCODED_SPEECH: &str = "text_to_speech_encoded";

/// What a call makes: `image`, `video` or `audio`. A capability is named as its call is, or as hosts name it.
fn media(capability: &str) -> Option<&'static str> {
    let call = if capability == ENCODED_SPEECH { "tts_encoded" } else { capability };
    CALLS.iter().find(|(name, _)| *name == call).map(|(_, media)| *media)
}

/// Runs of one program, one at a time: each loads its own weights.
type Turn = Mutex<()>;

impl Adapter {
    fn offers(&self, call: &str) -> bool {
        self.capabilities.iter().any(|name| name == call || (name == ENCODED_SPEECH && call == "tts_encoded"))
    }

    /// Waits until no other call is in the program.
    fn turn(&self, cx: &Context) -> Result<MutexGuard<'_, ()>> {
        loop {
            cx.check()?;
            if let Some(turn) = self.turn.try_lock_for(STEP) {
                return Ok(turn);
            }
        }
    }
}

impl Provider for Adapter {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            id: self.id.clone(),
            display_name: self.display_name.clone(),
            capabilities: self.capabilities.clone(),
            required_secrets: self.secrets.clone(),
        }
    }

    /// Asks the program, which may not take long.
    fn models(&self, model_type: &str, cx: &Context) -> Result<Vec<Map>> {
        let mut request = self.request("models", cx)?;
        request["model_type"] = model_type.into();
        let folder = cx.temp_dir()?;
        let limit = self.limit.min(Duration::from_secs(30));
        let mut answer = run::run(self, request, folder.path(), limit, cx)?;
        let models = match answer.shift_remove("models") {
            Some(Value::List(models)) => models,
            _ => return Err(self.wrong("answers `models` without a list `models`")),
        };
        models
            .into_iter()
            .map(|model| match model {
                Value::Map(model) if model.get("id").is_some_and(|id| id.as_str().is_some()) => Ok(model),
                other => Err(self.wrong(&format!("lists a model that is no object with an `id`: {}", other.to_json()))),
            })
            .collect()
    }

    fn call(&self, call: Call<'_>, _: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer> {
        let cx = call.context;
        let Some(media) = media(call.kind).filter(|_| self.offers(call.kind)) else {
            return Err(unsupported(&self.id, call.kind));
        };
        let mut request = self.request(call.kind, cx)?;
        let folder = cx.temp_dir()?;
        files::give(call.data, folder.path(), &mut request)?;
        let _turn = self.turn(cx)?;
        let answer = run::run(self, request, folder.path(), self.limit, cx)?;
        let path = answer.get("path").and_then(Value::as_str).unwrap_or_default();
        let bytes = files::take(path, folder.path(), self.output.as_deref()).map_err(|reason| self.wrong(&reason))?;
        Ok(Answer::blob(media, bytes))
    }
}
