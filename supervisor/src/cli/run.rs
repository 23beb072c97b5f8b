//! `millwork run`: one node, from its fields on the command line to its outputs in files or on stdout.

use std::path::Path;

use millwork::{Client, Event, Pending};
use tokio::signal::ctrl_c;

use super::destinations::{Destinations, is_stdout};
use super::failure::{Failure, Outcome};
use super::inventory::Inventory;
use super::outputs::Outputs;
use super::progress::Progress;
use super::transfer::Transfer;
use super::{call, fields, files, fleet, out, stream};

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
    #[command(flatten)]
    call: call::Args,
    /// Take the outputs bit by bit as the node sends them. Nodes that only stream need no flag.
    #[arg(long)]
    stream: bool,
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
        client.request(if is_stream { "execute.stream" } else { "execute" }, args.call.request(node, inputs)?);
    let mut sink = stream::Sink::new(node, &destinations, args.json);
    let mut transfer = Transfer::default();
    let result = match watch(&mut pending, progress, &mut sink, &mut transfer).await? {
        Watched::Ended => transfer.into_result(pending.finish().await.map_err(|error| call::explain(error, node))?),
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
    let told = |path: &Path, bytes: &[u8]| {
        if !is_stdout(path) {
            eprintln!("wrote {} ({})", path.display(), files::summary(bytes));
        }
    };
    let files = outputs.save(&destinations, client, &inventory, told).await?;
    if args.json { out::json(&outputs.to_json(&files)) } else { outputs.print(&files) }
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
