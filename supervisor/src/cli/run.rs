//! `millwork run`: one node, from its fields on the command line to its outputs in files or on stdout.

use std::time::Duration;

use millwork::{Client, ErrorKind, Event, Pending, RequestError};
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, Value};
use tokio::signal::ctrl_c;

use super::destinations::Destinations;
use super::failure::{Failure, Outcome};
use super::fields::{self, Inputs};
use super::inventory::Inventory;
use super::outputs::Outputs;
use super::progress::Progress;
use super::transfer::{CHUNKED, Transfer};
use super::{fleet, out, stream};

/// Runs one node.
///
/// Values are read as the node's fields want them: plain text, numbers, JSON for lists and maps, a path where the field is a
/// picture, a sound or another file (- is stdin), a .npy file for a tensor. @FILE reads a value from a file, @- from stdin.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork run image.Blur image=photo.png sigma=4 -o blurred.png
  millwork run image.Resize image=photo.png width=320 height=240 -o small.webp
  millwork run onnx.Classify image=docs/images/seven.png
  millwork run text.Format template='Hello {{ name }}' name=world
  cat photo.jpg | millwork run image.Grayscale image=- -o - > gray.png

`millwork nodes NODE` shows the fields of a node.

Exit codes: 0 done, 1 the node failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The node's type, such as image.Blur.
    node: String,
    /// The node's fields. Repeat one for a list: sounds=a.wav sounds=b.wav.
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Write an output to a file; its extension says in which format, - is stdout. With SLOT= the output of that name,
    /// without it the first.
    #[arg(short, long, value_name = "[SLOT=]FILE")]
    output: Vec<String>,
    /// Give the node a secret; its value is taken from the environment variable of that name.
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Take the outputs bit by bit as the node sends them. Nodes that only stream need no flag.
    #[arg(long)]
    stream: bool,
    /// Cancel it after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Write the outputs to stdout as JSON; bytes are left out.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let mut progress = Progress::start("starting a worker");
    let (supervisor, client) = args.fleet.start()?;
    let outcome = run_on(args, &client, &mut progress).await;
    progress.clear();
    supervisor.shutdown().await;
    outcome
}

async fn run_on(args: &Args, client: &Client, progress: &mut Progress) -> Outcome {
    let inventory = tokio::select! {
        inventory = Inventory::of(client) => inventory?,
        _ = ctrl_c() => return Err(Failure::interrupted("interrupted while the workers were starting")),
    };
    let node = inventory.find(&args.node)?;
    let destinations = Destinations::parse(node, &args.output)?;
    destinations.check_stdout(node, args.json)?;
    let inputs = fields::collect(node, &args.fields)?;
    let is_stream = args.stream || node.is_streaming_output;
    progress.phase(&node.node_type);
    let mut pending =
        client.request(if is_stream { "execute.stream" } else { "execute" }, request(args, node, inputs)?);
    let mut sink = stream::Sink::new(node, &destinations, args.json);
    let mut transfer = Transfer::default();
    let result = match watch(&mut pending, progress, &mut sink, &mut transfer).await? {
        Watched::Ended => transfer.into_result(pending.finish().await.map_err(|error| explain(error, node))?),
        Watched::Interrupted => {
            progress.phase("cancelling");
            pending.cancel();
            let ended = tokio::select! {
                ended = pending.finish() => ended,
                _ = ctrl_c() => return Err(Failure::interrupted("interrupted twice: not waited for the end of the node")),
            };
            let how = ended.map_or_else(|error| error.message, |_| "the node had ended".to_owned());
            return Err(Failure::interrupted(format!("interrupted: {how}")));
        }
    };
    sink.end()?;
    progress.clear();
    let outputs = Outputs::from_result(node, result);
    if is_stream && outputs.is_empty() {
        return Ok(());
    }
    let files = outputs.save(&destinations, client, &inventory).await?;
    if args.json { out::json(&outputs.to_json(&files)) } else { outputs.print(&files) }
}

/// The data of the request.
fn request(args: &Args, node: &NodeMetadata, inputs: Inputs) -> Outcome<Map> {
    let mut secrets = Map::new();
    for name in &args.secret {
        let value = std::env::var(name).map_err(|_| {
            let failure = Failure::usage(format!("the secret {name} is not in the environment"));
            failure.hint("set it there: on the command line it would be seen by every user of this machine")
        })?;
        secrets.insert(name.clone(), Value::Str(value));
    }
    let mut data = millwork_protocol::map! {
        "node_type" => node.node_type.as_str(),
        "fields" => inputs.fields,
        "secrets" => secrets,
        "blobs" => inputs.blobs,
        "blob_transfer" => CHUNKED,
    };
    if let Some(seconds) = args.timeout {
        let limit = Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::usage(format!("--timeout {seconds} is no time in seconds")))?;
        data.insert("timeout_ms".to_owned(), u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1).into());
    }
    Ok(data)
}

enum Watched {
    Ended,
    Interrupted,
}

/// Shows what the request sends until it has ended, or Ctrl-C.
async fn watch(
    pending: &mut Pending,
    progress: &mut Progress,
    sink: &mut stream::Sink<'_>,
    transfer: &mut Transfer,
) -> Outcome<Watched> {
    // One listener for the whole time: a signal between two of them would be lost.
    let mut interrupt = std::pin::pin!(ctrl_c());
    loop {
        let event = tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(Watched::Interrupted),
            event = pending.next() => event,
        };
        // A stream that always has a next chunk would keep the runtime from ever looking at signals.
        tokio::task::yield_now().await;
        match event {
            None => return Ok(Watched::Ended),
            Some(Event::Progress(data)) => progress.update(&data),
            Some(Event::Chunk(data)) => progress.aside(|| sink.chunk(data))?,
            Some(Event::Other { kind, data }) => transfer.take(&kind, data)?,
            Some(_) => {}
        }
    }
}

/// The failure of a node, with the secrets by name where some are missing.
fn explain(error: RequestError, node: &NodeMetadata) -> Failure {
    let is_setting = error.kind == ErrorKind::MissingSetting && !node.required_settings.is_empty();
    let failure = Failure::from(error);
    if !is_setting {
        return failure;
    }
    let flags: Vec<String> = node.required_settings.iter().map(|name| format!("--secret {name}")).collect();
    failure.hint(format!("give it with {}; the value is taken from the environment", flags.join(" ")))
}
