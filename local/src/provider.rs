//! The provider itself: which model a call is for, and whose work it is.

use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call, Provider, ProviderInfo, unsupported};

use crate::{Kind, LocalModel, Roots, adapter, embed, generate, picture, speech, voice};

/// The provider's id.
pub(crate) const ID: &str = "local";

/// Models from the user's disk.
#[derive(Debug)]
pub struct Local {
    roots: Roots,
}

impl Local {
    /// The provider over these places. They are looked at again with each call, so that a model can be added meanwhile.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self { roots }
    }

    /// The model that a call names, of a kind that can answer it.
    fn model(&self, call: &Call<'_>, kind: Kind) -> Result<LocalModel> {
        // Older hosts send the whole description of a model.
        let model = call.param("model");
        let id = model.and_then(|model| model.as_str().or_else(|| model.get("id")?.as_str())).unwrap_or_default();
        if id.is_empty() {
            return Err(Error::invalid(format!("`model` must name a {}: see provider.models", kind.noun())));
        }
        self.roots.locate(id, kind)
    }
}

impl Provider for Local {
    fn id(&self) -> String {
        ID.to_owned()
    }

    /// A capability is listed where there is a model for it.
    fn info(&self) -> ProviderInfo {
        let models = self.roots.scan().models;
        let is_ready = |model: &LocalModel| model.kind != Kind::Voice || voice::is_ready(model);
        let has = |kind: Kind, call: &str| {
            models.iter().any(|model| model.kind == kind && is_ready(model) && model.answers(call))
        };
        let calls = |kind: Kind| kind.capabilities().iter().filter(move |call| has(kind, call));
        ProviderInfo {
            id: ID.to_owned(),
            display_name: "Local models".to_owned(),
            capabilities: Kind::ALL.into_iter().flat_map(calls).map(|call| (*call).to_owned()).collect(),
            required_secrets: Vec::new(),
        }
    }

    fn models(&self, model_type: &str, _: &Context) -> Result<Vec<Map>> {
        let models = self.roots.scan().models;
        let is_wanted = |model: &&LocalModel| model_type.is_empty() || model.kind.model_type() == model_type;
        Ok(models.iter().filter(is_wanted).map(LocalModel::to_map).collect())
    }

    fn call(&self, call: Call<'_>, chunk: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer> {
        let (cx, what) = (call.context, call.kind);
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.capabilities().contains(&what)) else {
            return Err(match adapter::advice(what) {
                Some(advice) => {
                    Error::unavailable(format!("the provider {ID:?} has no models for {what}: {advice}")).permanent()
                }
                None => unsupported(ID, what),
            });
        };
        let model = self.model(&call, kind)?;
        let answer = match what {
            "embedding" => embed::call(&model, &call.data, cx).map(Answer),
            "generate" => generate::generate(&model, &call),
            "stream" => generate::stream(&model, &call, chunk),
            "asr" => speech::call(&model, call.data, cx).map(Answer),
            "tts" => voice::stream(&model, &call, chunk),
            "tts_encoded" => voice::encoded(&model, &call),
            "text_to_image" => picture::call(&model, &call, false),
            "image_to_image" => picture::call(&model, &call, true),
            other => Err(unsupported(ID, other)),
        };
        // The files of models are called alike.
        answer.map_err(|error| match error.kind() {
            ErrorKind::Failed | ErrorKind::Unavailable => error.context(&model.id),
            _ => error,
        })
    }
}
