//! `provider.*`: which provider is asked for what. What a model answers is the provider's.

use std::sync::Arc;

use indexmap::IndexMap;
use millwork_protocol::message::BlobTransfer;
use millwork_protocol::{Map, Value, map};
use tracing::info_span;

use super::{Dispatcher, Shared};
use crate::context::Identity;
use crate::provider::Call;
use crate::responder::Responder;
use crate::{CancelToken, Error, ErrorKind, Result};

/// The calls that the protocol knows.
const CALLS: &[&str] = &[
    "list",
    "models",
    "generate",
    "stream",
    "text_to_image",
    "image_to_image",
    "text_to_video",
    "image_to_video",
    "reference_to_video",
    "text_to_audio",
    "tts",
    "tts_encoded",
    "asr",
    "embedding",
];

impl Dispatcher {
    pub(super) fn provider(&self, request_id: Option<&str>, call: &str, data: Map) {
        if !CALLS.contains(&call) {
            let text = format!("Unknown provider message type: provider.{call}");
            return self.refuse(request_id, &Error::new(ErrorKind::UnknownMessage, text));
        }
        let Some(request) = self.admit(request_id, data) else { return };
        let shared = Arc::clone(&self.0);
        let call = call.to_owned();
        self.0.pool.spawn(Box::new(move || {
            let span = info_span!("provider", request_id = request.responder.voice().id(), call);
            let _entered = span.enter();
            let cancel = request.cancel;
            shared.answer(request.responder, &cancel.clone(), |responder| {
                shared.call(&call, request.data, cancel, responder)
            });
        }));
    }
}

fn info(provider: &dyn crate::Provider) -> Map {
    let info = provider.info();
    map! {
        "id" => info.id,
        "capabilities" => info.capabilities,
        "required_secrets" => info.required_secrets,
        "access" => "in_process",
        "display_name" => info.display_name,
    }
}

impl Shared {
    fn call(&self, kind: &str, mut data: Map, cancel: CancelToken, responder: &Responder) -> Result<Map> {
        if kind == "list" {
            let providers = self.registry.providers().map(|provider| Value::Map(info(provider)));
            return Ok(map! { "providers" => Value::List(providers.collect()) });
        }
        let id = data.shift_remove("provider").and_then(|id| id.as_str().map(str::to_owned));
        let id = id.ok_or_else(|| {
            Error::invalid(format!("provider.{kind} needs `provider`: the id of one from provider.list"))
        })?;
        let provider = self.registry.provider(&id)?;
        let secrets: IndexMap<String, String> = data
            .shift_remove("secrets")
            .and_then(Value::into_map)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
        let context = self.context(responder, cancel, Identity::default(), secrets);
        if kind == "models" {
            let model_type = data.get("model_type").and_then(Value::as_str).unwrap_or_default();
            let models =
                context.settle(|| provider.models(model_type, &context))?.into_iter().map(Value::Map).collect();
            return Ok(map! { "models" => Value::List(models) });
        }
        let mut chunk = |data: Map| {
            context.check()?;
            responder.interim("chunk", &data)
        };
        let is_chunked = data
            .shift_remove("blob_transfer")
            .is_some_and(|how| how.as_str() == Some(BlobTransfer::ChunkedV1.as_str()));
        let call = Call { kind, data, context: &context };
        let mut answer = context.settle(|| provider.call(call, &mut chunk))?.0;
        if let (true, Some(Value::Map(blobs))) = (is_chunked, answer.get_mut("blobs")) {
            let blobs = std::mem::take(blobs).into_iter();
            let blobs = blobs.filter_map(|(name, blob)| Some((name, blob.into_bytes()?))).collect();
            self.send_chunked(blobs, responder)?;
        }
        Ok(answer)
    }
}
