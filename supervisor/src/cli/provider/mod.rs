//! Model calls from the command line: which provider and model, and the request until its end. A file a command.

pub(crate) mod ask;
pub(crate) mod embed;
pub(crate) mod imagine;
pub(crate) mod say;
pub(crate) mod transcribe;

use millwork::{Client, Event, Pending};
use millwork_protocol::message::ErrorKind;
use millwork_protocol::{Map, Value, map};
use tokio::signal::ctrl_c;

use super::failure::{Failure, Outcome};
use super::progress::Progress;
use super::transfer::{CHUNKED, Transfer};
use super::{files, fleet};

/// Which model is asked.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Target {
    /// The model's id; without it the first one of its kind. `millwork models list` shows them.
    #[arg(short, long, value_name = "ID")]
    model: Option<String>,
    /// The provider that has the model.
    #[arg(long, value_name = "ID", default_value = "local")]
    provider: String,
    #[command(flatten)]
    fleet: fleet::Args,
}

/// What a kind of models is called: on the wire, and by people.
#[derive(Debug, Clone, Copy)]
struct Sort {
    model_type: &'static str,
    noun: &'static str,
}

impl Target {
    /// Starts the workers, has `command` speak with them, and lets them go again.
    async fn with<T>(&self, command: impl AsyncFnOnce(&Client, &mut Progress) -> Outcome<T>) -> Outcome<T> {
        let mut progress = Progress::start("starting a worker");
        let (supervisor, client) = self.fleet.start()?;
        let outcome = tokio::select! {
            ready = client.ready() => match ready {
                Ok(()) => command(&client, &mut progress).await,
                Err(error) => Err(error.into()),
            },
            _ = ctrl_c() => Err(Failure::interrupted("interrupted")),
        };
        progress.clear();
        supervisor.shutdown().await;
        outcome
    }

    /// The model to ask: the one that is named, else the first of its kind.
    async fn model(&self, client: &Client, sort: Sort) -> Outcome<String> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let wanted = map! { "provider" => self.provider.as_str(), "model_type" => sort.model_type };
        let answer = client.request("provider.models", wanted).finish().await?;
        let models = answer.get("models").and_then(Value::as_list).unwrap_or_default();
        let ids: Vec<&str> = models.iter().filter_map(|model| model.get("id")?.as_str()).collect();
        match ids.as_slice() {
            [] => {
                let failure = Failure::failed(format!("the provider {} has no {}", self.provider, sort.noun));
                Err(failure.hint("`millwork models list` says what there is, `millwork models pull` fetches one; --models names a folder"))
            }
            [only] => Ok((*only).to_owned()),
            [first, ..] => {
                eprintln!("using {first}; --model chooses another of the {}", ids.len());
                Ok((*first).to_owned())
            }
        }
    }

    /// Makes a call and gives the data of its result; `chunk` takes what comes before.
    async fn call(
        &self,
        client: &Client,
        kind: &str,
        mut data: Map,
        progress: &mut Progress,
        mut chunk: impl FnMut(Map) -> Outcome,
    ) -> Outcome<Map> {
        data.insert("provider".to_owned(), self.provider.as_str().into());
        data.insert("blob_transfer".to_owned(), CHUNKED.into());
        let mut pending = client.request(&format!("provider.{kind}"), data);
        let mut transfer = Transfer::default();
        if watch(&mut pending, progress, &mut transfer, &mut chunk).await? {
            return match pending.finish().await {
                Ok(result) => Ok(transfer.into_result(result)),
                Err(error) if error.kind == ErrorKind::Unavailable => Err(Failure::from(error)
                    .hint("`millwork models list` shows the models that there are, and what is wrong with others")),
                Err(error) => Err(error.into()),
            };
        }
        progress.phase("cancelling");
        pending.cancel();
        tokio::select! {
            _ = pending.finish() => Err(Failure::interrupted("interrupted")),
            _ = ctrl_c() => Err(Failure::interrupted("interrupted twice: not waited for the end of the call")),
        }
    }
}

/// Shows what a call sends until it has ended; false after Ctrl-C.
async fn watch(
    pending: &mut Pending,
    progress: &mut Progress,
    transfer: &mut Transfer,
    chunk: &mut impl FnMut(Map) -> Outcome,
) -> Outcome<bool> {
    let mut interrupt = std::pin::pin!(ctrl_c());
    loop {
        let event = tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(false),
            event = pending.next() => event,
        };
        match event {
            None => return Ok(true),
            Some(Event::Progress(data)) => progress.update(&data),
            Some(Event::Chunk(data)) => progress.aside(|| chunk(data))?,
            Some(Event::Other { kind, data }) => transfer.take(&kind, data)?,
            Some(_) => {}
        }
    }
}

/// The bytes of a blob in a result.
fn blob(result: &Map, name: &str) -> Outcome<millwork_protocol::Bytes> {
    let bytes = result.get("blobs").and_then(|blobs| blobs.get(name)).cloned().and_then(Value::into_bytes);
    bytes.ok_or_else(|| Failure::failed(format!("the provider's answer has no {name}")))
}

/// Words of the command line as one text; `-`, or nothing where something is piped in, is stdin.
fn text(words: &[String], what: &str) -> Outcome<String> {
    use std::io::{IsTerminal as _, Read as _};
    let is_stdin = match words {
        [] => !std::io::stdin().is_terminal(),
        [only] => only == "-",
        _ => false,
    };
    if !is_stdin {
        let text = words.join(" ");
        return if text.is_empty() { Err(Failure::usage(format!("{what} is missing"))) } else { Ok(text) };
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("{what} cannot be read from stdin: {error}")))?;
    if text.trim().is_empty() { Err(Failure::usage(format!("{what} is missing: stdin is empty"))) } else { Ok(text) }
}

/// A file's bytes; `-` is stdin.
fn file(path: &str) -> Outcome<Value> {
    files::read(path).map(Value::Bytes).map_err(Failure::usage)
}

/// Puts a value in where there is one.
fn give<T: Into<Value>>(data: &mut Map, key: &str, value: Option<T>) {
    if let Some(value) = value {
        data.insert(key.to_owned(), value.into());
    }
}
