//! One file through the node: read, asked, asked again where that may help, written, recorded.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millwork::{Event, RequestError};
use millwork_protocol::Map;
use serde_json::Value as Json;

use super::super::destinations::Destinations;
use super::super::failure::{Failure, Outcome};
use super::super::fields::{self, Inputs};
use super::super::outputs::Outputs;
use super::super::transfer::Transfer;
use super::super::{call, files};
use super::Batch;
use super::scan::File;

/// The pause before the first further attempt; it doubles with each one.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of one file.
pub(super) struct Done {
    pub(super) file: File,
    pub(super) took: Duration,
    pub(super) attempts: u32,
    pub(super) result: Outcome<Made>,
}

/// What was made of it.
pub(super) struct Made {
    pub(super) files: Vec<PathBuf>,
    /// Every output, as `millwork run --json` tells it.
    pub(super) outputs: Json,
}

pub(super) async fn run(batch: &Batch, file: File) -> Done {
    let start = Instant::now();
    let mut attempts = 0;
    let result = make(batch, &file, &mut attempts).await;
    Done { file, took: start.elapsed(), attempts, result }
}

async fn make(batch: &Batch, file: &File, attempts: &mut u32) -> Outcome<Made> {
    // Taken before the file is read: where it changes meanwhile, the record does not fit it, and it is done again.
    let digest = batch.manifest.lock().digest(file);
    let data = batch.args.call.request(&batch.node, batch.fixed.clone().with(read(batch, file)?))?;
    let result = ask(batch, &data, attempts).await?;
    // The file's bytes are not needed while its outputs are written.
    drop(data);
    let mut outputs = Outputs::from_result(&batch.node, result);
    let is_wanted = |slot: &String| batch.args.slot.is_empty() || batch.args.slot.contains(slot);
    outputs.0.retain(|output| is_wanted(&output.slot) && (output.bytes.is_some() || !output.value.is_nil()));
    let destinations = name(batch, file, &outputs)?;
    let mut sizes = Vec::new();
    let wrote = |path: &Path, bytes: &[u8]| {
        let name = path.strip_prefix(&batch.args.output).unwrap_or(path);
        sizes.push((name.to_string_lossy().into_owned(), bytes.len() as u64));
    };
    let written = outputs.save(&destinations, &batch.client, &batch.inventory, wrote).await?;
    if let Some(digest) = digest {
        batch.manifest.lock().record(file, digest, sizes)?;
    }
    let outputs = outputs.to_json(&written);
    Ok(Made { files: written.into_iter().map(|(_, path)| path).collect(), outputs })
}

/// The file as its field wants it.
fn read(batch: &Batch, file: &File) -> Outcome<Inputs> {
    // A second @ would stand for one in a text.
    let prefix = if file.path.as_os_str().as_encoded_bytes().starts_with(b"@") { "@./" } else { "@" };
    let pair = format!("{}={prefix}{}", batch.field, file.path.display());
    // What is wrong with one file is no mistake on the command line.
    fields::read(&batch.node, &[pair]).map_err(Failure::into_failed)
}

/// Asks until there is an answer, or an error that would come again.
async fn ask(batch: &Batch, data: &Map, attempts: &mut u32) -> Outcome<Map> {
    loop {
        *attempts += 1;
        match attempt(batch, data.clone()).await? {
            Err(error) if error.retryable && *attempts <= batch.args.retries => {
                tracing::debug!(%error, attempt = *attempts, "asked again");
                tokio::time::sleep(PAUSE * 2_u32.saturating_pow((*attempts - 1).min(6))).await;
            }
            result => return result.map_err(|error| call::explain(error, &batch.node)),
        }
    }
}

/// A stream that is asked for its result answers with the last value of each output.
async fn attempt(batch: &Batch, data: Map) -> Outcome<Result<Map, RequestError>> {
    let mut pending = batch.client.request("execute", data);
    let mut transfer = Transfer::default();
    while let Some(event) = pending.next().await {
        if let Event::Other { kind, data } = event {
            transfer.take(&kind, data)?;
        }
    }
    Ok(pending.finish().await.map(|result| transfer.into_result(result)))
}

/// Gives each output a file: the name of the input, the slot where there are several, and the extension that suits it.
fn name(batch: &Batch, file: &File, outputs: &Outputs) -> Outcome<Destinations> {
    let own = files::extension(&file.path);
    let mut destinations = Vec::new();
    for output in &outputs.0 {
        let extension = batch.args.format.as_deref().or_else(|| output.extension()).unwrap_or(&own);
        let dot = if extension.is_empty() { "" } else { "." };
        let path = batch.args.output.join(format!("{}{dot}{extension}", file.stem));
        let path = if outputs.0.len() > 1 { files::with(&path, &output.slot) } else { path };
        for (path, _) in output.pieces(&path)? {
            let name = path.strip_prefix(&batch.args.output).unwrap_or(&path).to_string_lossy().into_owned();
            batch.manifest.lock().claim(&name, file)?;
        }
        destinations.push((output.slot.clone(), path));
    }
    if let Some(folder) = batch.args.output.join(&file.stem).parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::failed(format!("cannot make the folder {}: {error}", folder.display())))?;
    }
    Ok(Destinations::new(destinations))
}
