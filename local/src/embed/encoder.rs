//! A loaded sentence encoder: texts to tokens, tokens in batches of like lengths through the model, vectors out.

use std::cmp::Reverse;

use indexmap::IndexMap;
use millwork_worker::convert::Tensor;
use millwork_worker::models::Pinned;
use millwork_worker::onnx::Model;
use millwork_worker::{Context, Error, Result};
use ndarray::{Ix2, Ix3, s};
use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection};

use super::files::Files;
use crate::pace::Pace;
use crate::{LocalModel, onnx_file, tokens};

/// Texts that go through the model together.
const BATCH: usize = 32;
/// Tokens that go through the model together, padding among them: so much memory is enough for any batch.
const BATCH_TOKENS: usize = 8192;
/// Bytes of one text: of more than this no encoder reads a part worth the time that its tokens take.
const LONGEST: usize = 4 << 20;

/// What the vector of a whole text is called where the export pools in the graph.
const POOLED: [&str; 2] = ["sentence_embedding", "pooled_embeddings"];

/// What the vectors of tokens are called, where they are not the only output.
const HIDDEN: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// A sentence encoder, ready to run.
#[derive(Debug)]
pub(crate) struct Encoder {
    files: Files,
    tokenizer: Pinned<Tokenizer>,
    model: Model,
}

impl Encoder {
    /// Loads it, or finds it in the worker's cache.
    ///
    /// # Errors
    /// Where its files are broken, with the file.
    pub(crate) fn load(model: &LocalModel, cx: &Context) -> Result<Self> {
        let files = Files::read(&model.path)?;
        let tokenizer = tokens::load(&model.path, cx)?;
        let model = onnx_file::load(&files.onnx, cx)?;
        Ok(Self { files, tokenizer, model })
    }

    /// A vector for each text, cut to the first `dimensions` numbers where that is given.
    pub(crate) fn embed(&self, texts: &[String], dimensions: Option<usize>, cx: &Context) -> Result<Vec<Vec<f32>>> {
        let ids = texts.iter().map(|text| {
            cx.check()?;
            self.tokens(text)
        });
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|i| Reverse(ids[*i].len()));
        let mut vectors = vec![Vec::new(); ids.len()];
        let (pace, mut done) = (Pace::start(), 0);
        while done < order.len() {
            cx.check()?;
            let longest = ids[order[done]].len().max(1);
            let size = (BATCH_TOKENS / longest).clamp(1, BATCH).min(order.len() - done);
            let batch = &order[done..done + size];
            let rows: Vec<&[i64]> = batch.iter().map(|i| ids[*i].as_slice()).collect();
            for (i, vector) in batch.iter().zip(self.run(&rows, longest)?) {
                vectors[*i] = self.finish(vector, dimensions)?;
            }
            done += size;
            pace.report(cx, done, texts.len(), "embedding");
        }
        Ok(vectors)
    }

    /// The ids of a text, special tokens among them, cut where the model's limit is.
    fn tokens(&self, text: &str) -> Result<Vec<i64>> {
        if text.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a text of {} bytes is too long: at most {LONGEST} are read",
                text.len()
            )));
        }
        let mut text = format!("{}{}", self.files.prompt, text.trim());
        if self.files.lowercases {
            text = text.to_lowercase();
        }
        let wrong = |error: tokenizers::Error| Error::invalid(format!("`text` cannot be made tokens: {error}"));
        let mut encoding = self.tokenizer.encode_fast(text, false).map_err(wrong)?;
        let special = self.tokenizer.get_post_processor().map_or(0, |post| post.added_tokens(false));
        encoding.truncate(self.files.max_tokens.saturating_sub(special).max(1), 0, TruncationDirection::Right);
        let encoding = self.tokenizer.post_process(encoding, None, true).map_err(wrong)?;
        Ok(encoding.get_ids().iter().copied().map(i64::from).collect())
    }

    /// One batch through the model: rows shorter than `longest` are padded.
    fn run(&self, rows: &[&[i64]], longest: usize) -> Result<Vec<Vec<f32>>> {
        let grid = |number: &dyn Fn(&[i64], usize) -> i64| {
            let numbers: Vec<i64> = rows.iter().flat_map(|row| (0..longest).map(|i| number(row, i))).collect();
            Tensor::from_slice(&[rows.len(), longest], &numbers).map_err(Error::failed)
        };
        let mut inputs = IndexMap::new();
        for input in &self.model.info().inputs {
            let tensor = match input.name.as_str() {
                "input_ids" => grid(&|row, i| row.get(i).copied().unwrap_or(self.files.pad_id))?,
                "attention_mask" => grid(&|row, i| i64::from(i < row.len()))?,
                "token_type_ids" => grid(&|_, _| 0)?,
                "position_ids" => grid(&|_, i| i as i64)?,
                other => {
                    let text = format!("the model wants an input {other:?}, which a sentence encoder does not have");
                    return Err(Error::unavailable(text).permanent());
                }
            };
            inputs.insert(input.name.clone(), tensor);
        }
        let mut outputs = self.model.run(&inputs)?;
        let unfit = |name: &str, shape: &[usize], wanted: &str| {
            Error::failed(format!("the model's output {name:?} is {shape:?} and not [{}, {wanted}]", rows.len()))
        };
        if let Some((name, pooled)) = POOLED.iter().find_map(|name| outputs.shift_remove_entry(*name)) {
            return match pooled.to_array_f32()?.into_dimensionality::<Ix2>() {
                Ok(vectors) if vectors.nrows() == rows.len() => {
                    Ok(vectors.outer_iter().map(|row| row.to_vec()).collect())
                }
                _ => Err(unfit(&name, &pooled.shape, "dimensions")),
            };
        }
        let hidden = HIDDEN.iter().find_map(|name| outputs.shift_remove_entry(*name));
        let hidden = hidden.or_else(|| outputs.into_iter().next());
        let (name, hidden) = hidden.ok_or_else(|| Error::failed("the model gives nothing"))?;
        if name == "logits" {
            let text = "the model gives `logits`: it was exported to guess words, not for embeddings; export it with `--task \
                        feature-extraction`";
            return Err(Error::unavailable(text).permanent());
        }
        let Some(hidden) = hidden.to_array_f32()?.into_dimensionality::<Ix3>().ok().filter(|vectors| {
            let (texts, tokens, _) = vectors.dim();
            texts == rows.len() && tokens >= longest
        }) else {
            return Err(unfit(&name, &hidden.shape, "tokens, dimensions"));
        };
        let counted = rows.iter().zip(hidden.outer_iter());
        Ok(counted.map(|(row, all)| self.files.pooling.pool(all.slice(s![..row.len().max(1), ..])).to_vec()).collect())
    }

    fn finish(&self, mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>> {
        if let Some(wanted) = dimensions {
            if wanted > vector.len() {
                let text = format!("`dimensions` is {wanted}, and the model's vectors have {}", vector.len());
                return Err(Error::invalid(text));
            }
            vector.truncate(wanted);
        }
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Error::failed("the model gave a vector that is no numbers (NaN or infinite)"));
        }
        if self.files.normalises {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Ok(vector)
    }
}
