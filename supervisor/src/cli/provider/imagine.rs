//! `millwork imagine`: a picture after a description, or another picture made over after one.

use std::path::PathBuf;

use millwork_protocol::{Map, Value, map};

use super::{Sort, Target, blob, file, give, text};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{files, out};

const SORT: Sort = Sort { model_type: "image", noun: "picture model" };

/// Makes a picture after a description.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork imagine 'a lighthouse at dusk, oil on canvas' -o lighthouse.png
  millwork imagine 'the same in winter' --image lighthouse.png --strength 0.5 -o winter.png

Exit codes: 0 done, 1 the model failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// What is to be seen; - reads it from stdin.
    prompt: Vec<String>,
    /// The PNG file; - is stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What is not to be seen.
    #[arg(long, value_name = "TEXT")]
    negative: Option<String>,
    /// Pixels across.
    #[arg(long, value_name = "PIXELS")]
    width: Option<u32>,
    /// Pixels down.
    #[arg(long, value_name = "PIXELS")]
    height: Option<u32>,
    /// Steps from noise to picture.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// How closely the description is followed.
    #[arg(long, value_name = "X")]
    guidance: Option<f64>,
    /// The same number gives the same picture.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How the noise is taken away: euler, euler_a, ddim, lcm; without it as the model's files say.
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,
    /// Start from this picture and not from noise alone.
    #[arg(long, value_name = "FILE")]
    image: Option<String>,
    /// How far it may go from --image: 0 not at all, 1 anywhere.
    #[arg(long, value_name = "X", requires = "image")]
    strength: Option<f64>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let prompt = text(&args.prompt, "the description")?;
    let is_stdout = args.output.as_os_str() == "-";
    if !is_stdout && files::extension(&args.output) != "png" {
        return Err(Failure::usage(format!("-o {}: pictures are written as .png", args.output.display())));
    }
    files::writable(&args.output)?;
    let image = args.image.as_deref().map(file).transpose()?;
    args.target
        .with(async |client, progress| {
            let model = args.target.model(client, SORT).await?;
            progress.phase(&model);
            let mut data = map! { "params" => args.params(&prompt, model) };
            let kind = if image.is_some() { "image_to_image" } else { "text_to_image" };
            give(&mut data, "image", image.clone());
            let answer = args.target.call(client, kind, data, progress, |_| Ok(())).await?;
            progress.clear();
            for warning in answer.get("warnings").and_then(Value::as_list).unwrap_or_default() {
                eprintln!("note: {}", warning.as_str().unwrap_or_default());
            }
            let picture = blob(&answer, "image")?;
            if is_stdout {
                return out::write(&picture);
            }
            files::write(&args.output, &picture)?;
            let seed =
                answer.get("seed").and_then(Value::as_i64).map_or(String::new(), |seed| format!(", seed {seed}"));
            eprintln!("wrote {} ({}{seed})", args.output.display(), files::summary(&picture));
            Ok(())
        })
        .await
}

impl Args {
    fn params(&self, prompt: &str, model: String) -> Map {
        let mut params = map! { "model" => model, "prompt" => prompt };
        give(&mut params, "negativePrompt", self.negative.as_deref());
        let (width, height) = if self.image.is_some() { ("targetWidth", "targetHeight") } else { ("width", "height") };
        give(&mut params, width, self.width);
        give(&mut params, height, self.height);
        give(&mut params, "numInferenceSteps", self.steps);
        give(&mut params, "guidanceScale", self.guidance);
        give(&mut params, "seed", self.seed);
        give(&mut params, "scheduler", self.scheduler.as_deref());
        give(&mut params, "strength", self.strength);
        params
    }
}
