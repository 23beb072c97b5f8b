//! `millwork say`: a text as speech.

use std::path::PathBuf;

use millwork_protocol::map;

use super::{Sort, Target, blob, give, text};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{files, out};

const SORT: Sort = Sort { model_type: "tts", noun: "voice" };

/// Speaks a text, into a WAV file.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork say 'Good morning.' -o morning.wav
  millwork say --speed 1.2 - -o - < chapter.txt | aplay

Exit codes: 0 done, 1 the model failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The text; - reads it from stdin.
    text: Vec<String>,
    /// The WAV file; - is stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Which speaker of the model, by name or number, where it has several.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// 2 is twice as fast.
    #[arg(long, value_name = "X")]
    speed: Option<f64>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let text = text(&args.text, "the text")?;
    let is_stdout = args.output.as_os_str() == "-";
    if !is_stdout && files::extension(&args.output) != "wav" {
        return Err(Failure::usage(format!("-o {}: speech is written as .wav", args.output.display())));
    }
    files::writable(&args.output)?;
    args.target
        .with(async |client, progress| {
            let model = args.target.model(client, SORT).await?;
            progress.phase(&model);
            let mut params = map! { "model" => model, "text" => text.as_str() };
            give(&mut params, "voice", args.voice.as_deref());
            give(&mut params, "speed", args.speed);
            let data = map! { "params" => params };
            let answer = args.target.call(client, "tts_encoded", data, progress, |_| Ok(())).await?;
            progress.clear();
            let sound = blob(&answer, "audio")?;
            if is_stdout {
                return out::write(&sound);
            }
            files::write(&args.output, &sound)?;
            eprintln!("wrote {} ({})", args.output.display(), files::summary(&sound));
            Ok(())
        })
        .await
}
