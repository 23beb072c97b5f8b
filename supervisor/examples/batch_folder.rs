//! A batch over a folder: blurs every picture in it, so many at a time. `millwork batch` does the same and more; this is
//! the shape of it in an application.
//!
//! ```text
//! cargo run --example batch_folder -- photos blurred
//! ```
#![allow(clippy::print_stdout, reason = "it tells how far it is")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use millwork::{Bytes, Client, Fleet};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// The fields of `image.Blur`.
#[derive(Serialize)]
struct Blur {
    image: Bytes,
    sigma: f32,
}

/// Its outputs.
#[derive(Deserialize)]
struct Blurred {
    output: Bytes,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// So many pictures are in memory, and with the workers, at a time.
const AT_A_TIME: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to)) = (folders.next(), folders.next()) else {
        return Err("batch_folder FROM TO".into());
    };
    std::fs::create_dir_all(&to)?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(&from)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.is_file());
    files.sort();

    // The workers are what millwork.toml says, and else the stock worker.
    let fleet = Fleet::builder().configured().start()?;
    let client = fleet.client();
    client.ready().await?;

    let (mut files, mut failed) = (files.into_iter(), 0);
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_A_TIME
            && let Some(file) = files.next()
        {
            let (client, to) = (client.clone(), to.clone());
            running.spawn(async move {
                let outcome = blur(&client, &file, &to).await;
                (file, outcome)
            });
        }
        let Some(done) = running.join_next().await else { break };
        match done? {
            (file, Ok(made)) => println!("{} -> {}", file.display(), made.display()),
            (file, Err(error)) => {
                failed += 1;
                println!("{}: {error}", file.display());
            }
        }
    }
    fleet.shutdown().await;
    if failed > 0 { Err(format!("{failed} failed").into()) } else { Ok(()) }
}

async fn blur(client: &Client, file: &Path, to: &Path) -> Result<PathBuf> {
    let input = Blur { image: std::fs::read(file)?.into(), sigma: 4.0 };
    let call = client.execute("image.Blur").input(&input).deadline(Duration::from_secs(60));
    let blurred: Blurred = call.call().await?;
    let made = to.join(file.file_name().unwrap_or_default()).with_extension("png");
    std::fs::write(&made, &blurred.output)?;
    Ok(made)
}
