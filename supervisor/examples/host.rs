//! A host in Rust: starts a fleet, lists what it has, runs one node and shows its progress.
//!
//! ```text
//! cargo run --example host -- text.Concat a=mill b=work
//! ```
#![allow(clippy::print_stdout, reason = "it shows what it got")]

use millwork::{Event, Fleet};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    // The workers are what millwork.toml and the environment say. Without them it is the stock worker: the program
    // `millwork`, beside this one or in PATH.
    let fleet = Fleet::builder().configured().start()?;
    let client = fleet.client();
    client.ready().await?;

    let inventory = client.inventory().await?;
    println!("{} nodes", inventory.nodes.len());

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
    fleet.shutdown().await;
    Ok(())
}
