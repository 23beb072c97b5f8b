//! A host in Rust: starts a fleet, lists what it has, runs one node and shows its progress.
//!
//! ```text
//! cargo run --example host -- text.Concat a=mill b=work
//! ```
#![allow(clippy::print_stdout, reason = "it shows what it got")]

use millwork::{Config, Event, Supervisor};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    // The fleet is what millwork.toml and the environment say. Without them the stock worker is this program itself, so
    // an application of your own names the program: `WorkerConfig::new("stock", ["millwork", "worker", "--stdio"])`.
    let mut config = Config::load(&Default::default())?.config;
    if config.workers.is_empty() {
        config.workers = vec![millwork::WorkerConfig::new("stock", ["millwork", "worker", "--stdio"])];
    }
    let supervisor = Supervisor::start(config)?;
    let client = supervisor.client();
    client.ready().await?;

    let inventory = client.discover().await?;
    println!("{} nodes", inventory.get("nodes").and_then(|nodes| nodes.as_list()).map_or(0, <[_]>::len));

    if let Some(node) = arguments.next() {
        let fields = arguments.filter_map(|argument| argument.split_once('=').map(|(k, v)| (k.to_owned(), v.into())));
        let mut pending = client.execute(node).fields(fields.collect()).send();
        while let Some(event) = pending.next().await {
            if let Event::Progress(progress) = event {
                println!("{:?} of {:?}", progress.get("progress"), progress.get("total"));
            }
        }
        println!("{:#?}", pending.finish().await?);
    }
    supervisor.shutdown().await;
    Ok(())
}
