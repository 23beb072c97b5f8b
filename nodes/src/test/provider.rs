//! A provider without a model: every call has an answer that a test can compute for itself.

use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call, Provider, ProviderInfo, unsupported};

use super::good::noise;

/// The provider `test`.
pub(super) struct TestProvider;

/// Media calls answer with so many bytes of noise, from their seed.
const MEDIA_BYTES: usize = 1024;
/// Samples of one chunk of speech: a tenth of a second at 24 kHz.
const TTS_CHUNK: usize = 2400;

impl Provider for TestProvider {
    fn info(&self) -> ProviderInfo {
        let capabilities = [
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
        ProviderInfo {
            id: "test".to_owned(),
            display_name: "Test".to_owned(),
            capabilities: capabilities.map(str::to_owned).to_vec(),
            required_secrets: Vec::new(),
        }
    }

    fn models(&self, model_type: &str, _: &Context) -> Result<Vec<Map>> {
        const TYPES: &[&str] = &["language", "image", "tts", "music", "asr", "video", "embedding", "3d"];
        if !TYPES.contains(&model_type) {
            return Ok(Vec::new());
        }
        let id = format!("test-{model_type}");
        Ok(vec![map! { "name" => id.as_str(), "id" => id, "provider" => "test", "type" => model_type }])
    }

    fn call(&self, call: Call<'_>, chunk: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer> {
        match call.kind {
            "generate" => {
                let text = last_text(&call)?;
                Ok(Answer(map! { "message" => map! { "role" => "assistant", "content" => text } }))
            }
            "stream" => {
                let text = last_text(&call)?;
                let mut words = text.split_inclusive(' ').peekable();
                while let Some(word) = words.next() {
                    chunk(map! { "type" => "chunk", "content" => word, "done" => words.peek().is_none() })?;
                }
                Ok(Answer::done())
            }
            "text_to_image" => media(&call, "image"),
            // The picture that came, so that a test sees that it arrived whole.
            "image_to_image" => given(&call, "image").map(|bytes| Answer::blob("image", bytes)),
            "text_to_video" | "image_to_video" | "reference_to_video" => media(&call, "video"),
            "text_to_audio" | "tts_encoded" => media(&call, "audio"),
            "tts" => {
                let text = text(&call, "text")?;
                // A chunk a word: a ramp, as 16-bit little-endian samples.
                for _ in text.split_whitespace() {
                    let pcm: Vec<u8> = (0..TTS_CHUNK).flat_map(|i| (i as i16).to_le_bytes()).collect();
                    chunk(map! { "blobs" => map! { "audio" => Bytes::from(pcm) } })?;
                }
                Ok(Answer::done())
            }
            "asr" => {
                let audio = given(&call, "audio")?;
                Ok(Answer(map! { "text" => format!("{} bytes", audio.len()) }))
            }
            "embedding" => {
                let texts: Vec<&str> = match call.param("text") {
                    Some(Value::Str(one)) => vec![one],
                    Some(Value::List(many)) => many.iter().filter_map(Value::as_str).collect(),
                    _ => return Err(Error::invalid("`text` must be a text or a list of texts")),
                };
                // Length, spaces, and the sum of the bytes.
                let embed = |text: &&str| {
                    let sum: u64 = text.bytes().map(u64::from).sum();
                    Value::from(vec![text.len() as f64, text.matches(' ').count() as f64, sum as f64])
                };
                Ok(Answer(map! { "embeddings" => Value::List(texts.iter().map(embed).collect()) }))
            }
            other => Err(unsupported("test", other)),
        }
    }
}

fn text(call: &Call<'_>, name: &str) -> Result<String> {
    call.param(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid(format!("`{name}` must be a text")))
}

fn given(call: &Call<'_>, name: &str) -> Result<Bytes> {
    call.param(name)
        .cloned()
        .and_then(Value::into_bytes)
        .ok_or_else(|| Error::invalid(format!("`{name}` must be bytes")))
}

fn media(call: &Call<'_>, name: &str) -> Result<Answer> {
    let seed = call.param("seed").and_then(Value::as_i64).unwrap_or_default();
    Ok(Answer::blob(name, noise(MEDIA_BYTES, seed as u64)))
}

/// The text of the last message: its content, or the text parts of it.
fn last_text(call: &Call<'_>) -> Result<String> {
    let messages = call.data.get("messages").and_then(Value::as_list).unwrap_or_default();
    match messages.last().and_then(|message| message.get("content")) {
        Some(Value::Str(text)) => Ok(text.clone()),
        Some(Value::List(parts)) => Ok(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        _ => Err(Error::invalid("`messages` must be a list of {role, content}")),
    }
}
