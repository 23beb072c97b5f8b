//! `millwork transcribe`: speech as text, or as subtitles.

use millwork_protocol::{Map, Value, map};

use super::{Sort, Target, file, give};
use crate::cli::failure::Outcome;
use crate::cli::out;

const SORT: Sort = Sort { model_type: "asr", noun: "speech recogniser" };

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The words alone.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// Everything that the provider answers.
    Json,
}

/// Writes what is said in a sound to stdout.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork transcribe talk.mp3
  millwork transcribe talk.flac --format srt > talk.srt
  millwork transcribe rede.wav --language de --translate

Exit codes: 0 done, 1 the model failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The sound: WAV, FLAC, Ogg Vorbis or MP3; - is stdin.
    file: String,
    /// The language that is spoken, such as en; without it the model listens for it.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Translate into English.
    #[arg(long)]
    translate: bool,
    /// Words that the model should know, such as names.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let audio = file(&args.file)?;
    args.target
        .with(async |client, progress| {
            let model = args.target.model(client, SORT).await?;
            progress.phase(&model);
            let mut data = map! { "model" => model, "audio" => audio.clone() };
            give(&mut data, "language", args.language.as_deref());
            give(&mut data, "prompt", args.prompt.as_deref());
            give(&mut data, "task", args.translate.then_some("translate"));
            let answer = args.target.call(client, "asr", data, progress, |_| Ok(())).await?;
            progress.clear();
            write(&answer, args.format)
        })
        .await
}

fn write(answer: &Map, format: Format) -> Outcome {
    let said = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    if format == Format::Text {
        return out::line(&said(answer.get("text")));
    }
    if format == Format::Json {
        return out::json(&Value::Map(answer.clone()).to_json());
    }
    let chunks = answer.get("chunks").and_then(Value::as_list).unwrap_or_default();
    if format == Format::Vtt {
        out::line("WEBVTT\n")?;
        out::line("")?;
    }
    for (number, chunk) in chunks.iter().enumerate() {
        let times = chunk.get("timestamp").and_then(Value::as_list).unwrap_or_default();
        let time = |at: usize| times.get(at).and_then(Value::as_f64);
        let start = time(0).unwrap_or(0.0);
        let (start, end) = (clock(start, format), clock(time(1).unwrap_or(start), format));
        let number = if format == Format::Srt { format!("{}\n", number + 1) } else { String::new() };
        out::write(format!("{number}{start} --> {end}\n{}\n\n", said(chunk.get("text"))).as_bytes())?;
    }
    Ok(())
}

/// `00:01:02,345`; WebVTT has a point for the comma.
fn clock(seconds: f64, format: Format) -> String {
    let millis = (seconds.max(0.0) * 1000.0).round() as u64;
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    let point = if format == Format::Srt { ',' } else { '.' };
    format!("{hours:02}:{minutes:02}:{:02}{point}{:03}", rest / 1000, rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_subtitles() {
        assert_eq!(clock(3723.0456, Format::Srt), "01:02:03,046");
        assert_eq!(clock(0.0, Format::Vtt), "00:00:00.000");
    }
}
