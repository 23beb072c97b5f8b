//! Which ONNX files of a model are loaded, as each family chooses them. Repositories hold others beside those, for other runtimes
//! and in other precisions, and what is wrong with them hinders nobody.

use std::path::PathBuf;

use crate::{Kind, LocalModel, onnx_file};

/// The parts of a pipeline for pictures that have a network.
const PARTS: [&str; 4] = ["text_encoder", "unet", "vae_decoder", "vae_encoder"];

impl LocalModel {
    /// The ONNX files that are loaded for it, as far as they are there.
    pub(crate) fn networks(&self) -> Vec<PathBuf> {
        let first = |name: &str| onnx_file::find_if_there(&self.path, &[name]);
        let found = match self.kind {
            Kind::Voice => vec![Some(self.path.clone())],
            Kind::Embedding => vec![first("model")],
            Kind::Language => match first("model").or_else(|| first("decoder_model_merged")) {
                Some(one) => vec![Some(one)],
                None => vec![first("decoder_model"), first("decoder_with_past_model")],
            },
            Kind::Speech => match first("decoder_model_merged") {
                Some(both) => vec![first("encoder_model"), Some(both)],
                None => {
                    vec![first("encoder_model"), first("decoder_model"), first("decoder_with_past_model")]
                }
            },
            Kind::Picture => {
                PARTS.iter().map(|part| onnx_file::find_if_there(&self.path.join(part), &["model"])).collect()
            }
        };
        found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::models_in;

    #[test]
    fn each_family_has_its_files() {
        let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/zoo");
        for (name, files) in [
            ("tiny-bge", &["model.onnx"][..]),
            ("tiny-minilm", &["onnx/model.onnx"]),
            ("tiny-gpt2", &["model.onnx"]),
            ("tiny-gpt2-split", &["decoder_model.onnx", "decoder_with_past_model.onnx"]),
            ("tiny-llama-merged", &["onnx/decoder_model_merged.onnx"]),
            // The pair that it has as well is left alone.
            ("tiny-whisper", &["onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx"]),
            ("tiny-piper/en_US-tiny-low.onnx", &[""]),
            (
                "tiny-sd",
                &["text_encoder/model.onnx", "unet/model.onnx", "vae_decoder/model.onnx", "vae_encoder/model.onnx"],
            ),
        ] {
            let place = zoo.join(name);
            let found = models_in(&place, name);
            assert_eq!(found.models.len(), 1, "{name}: {found:?}");
            let inside = |path: &Path| path.strip_prefix(&place).unwrap().to_str().unwrap().to_owned();
            let networks: Vec<String> = found.models[0].networks().iter().map(|path| inside(path)).collect();
            assert_eq!(networks, files, "{name}");
        }
    }
}
