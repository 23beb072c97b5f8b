//! `text.Generate` and `text.Embed`: language models and sentence encoders in a graph. How they run is `crate::generate`'s and
//! `crate::embed`'s.

use millwork_worker::Call;
use millwork_worker::prelude::*;

use crate::embed::Encoder;
use crate::{Kind, generate};

/// Writes text with a language model on this machine, piece by piece.
#[derive(Node)]
#[node("text.Generate", stream)]
pub(crate) struct Generate {
    /// The model.
    #[node(model = "language_model")]
    model: ModelRef,
    /// What it is asked.
    prompt: String,
    /// What it is told before: who it is, how it answers.
    #[node(default)]
    system: String,
    /// The conversation so far, {role, content}; the prompt comes behind it.
    #[node(default)]
    history: Vec<Map>,
    /// At most so many tokens.
    #[node(default = 512, min = 1)]
    max_tokens: usize,
    /// 0 takes the likeliest token each time, higher is more varied; left out, it is as the model's makers have it.
    #[node(min = 0, max = 5)]
    temperature: Option<f64>,
    /// Only the likeliest tokens that together have this probability.
    #[node(min = 0, max = 1)]
    top_p: Option<f64>,
    /// Only so many of the likeliest tokens; 0 for all.
    top_k: Option<usize>,
    /// Above 1 it repeats itself less.
    #[node(min = 0.01, max = 10)]
    repetition_penalty: Option<f64>,
    /// The same number gives the same text.
    seed: Option<i64>,
    /// The text ends before the first of these.
    #[node(default)]
    stop: Vec<String>,
    /// A JSON schema that the text follows; left out, it is free.
    schema: Option<Map>,
}

/// A piece, and with the last one all of it.
#[derive(Outputs)]
pub(crate) struct Written {
    /// The next piece.
    chunk: Option<String>,
    /// All of the text, in the end.
    text: Option<String>,
    /// Why it ended: stop, or length where `max_tokens` was too little.
    finish_reason: Option<String>,
}

impl RunStream for Generate {
    type Item = Written;

    fn run(self, cx: &Context, sink: &mut Sink<'_, Written>) -> Result<()> {
        let model = super::roots().locate(self.model.name(), Kind::Language)?;
        let message = |role: &str, content: &str| Value::Map(map! { "role" => role, "content" => content });
        let system = (!self.system.is_empty()).then(|| message("system", &self.system));
        let history = self.history.into_iter().map(Value::Map);
        let messages = system.into_iter().chain(history).chain([message("user", &self.prompt)]);
        let format = self.schema.map(|schema| map! { "type" => "json_schema", "schema" => schema });
        let data = map! {
            "messages" => Value::List(messages.collect()),
            "max_tokens" => self.max_tokens,
            "temperature" => self.temperature,
            "top_p" => self.top_p,
            "top_k" => self.top_k,
            "repetition_penalty" => self.repetition_penalty,
            "seed" => self.seed,
            "stop" => self.stop,
            "response_format" => format,
        };
        let mut text = String::new();
        let call = Call { kind: "stream", data, context: cx };
        let end = generate::stream(&model, &call, &mut |chunk| {
            let piece = chunk.get("content").and_then(Value::as_str).unwrap_or_default();
            if piece.is_empty() {
                return Ok(());
            }
            text.push_str(piece);
            sink.send(Written { chunk: Some(piece.to_owned()), text: None, finish_reason: None })
        })?;
        let reason = end.0.get("finish_reason").and_then(Value::as_str).map(str::to_owned);
        sink.send(Written { chunk: None, text: Some(text), finish_reason: reason })
    }
}

/// Turns texts into vectors with a sentence encoder on this machine: what means the same lies close together.
#[derive(Node)]
#[node("text.Embed", idempotent)]
pub(crate) struct Embed {
    /// The model.
    #[node(model = "embedding_model")]
    model: ModelRef,
    /// The texts.
    texts: Vec<String>,
    /// Cuts the vectors to their first numbers, for models that were trained for it.
    #[node(min = 1)]
    dimensions: Option<usize>,
}

impl Run for Embed {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let model = super::roots().locate(self.model.name(), Kind::Embedding)?;
        let vectors = Encoder::load(&model, cx)?.embed(&self.texts, self.dimensions, cx)?;
        let width = vectors.first().map_or(0, Vec::len);
        Ok(Tensor::from_slice(&[vectors.len(), width], &vectors.concat())?)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_named() {
        let generate = NodeTest::new::<Generate>().field("model", ModelRef::new("language_model", "org/none"));
        let error = generate.field("prompt", "Hi".to_owned()).run().unwrap_err();
        assert!(error.message().contains("no language model \"org/none\""), "{error}");
        let embed = NodeTest::new::<Embed>().field("model", ModelRef::new("embedding_model", "org/none"));
        let error = embed.field("texts", vec!["Hi".to_owned()]).run().unwrap_err();
        assert!(error.message().contains("no sentence encoder \"org/none\""), "{error}");
    }
}
