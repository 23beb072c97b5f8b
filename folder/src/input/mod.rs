//! From a value to the tensor that a model's input asks for.

mod picture;
mod plain;
mod sound;
mod text;

use millwork_nodes::pixels::Placement;
use millwork_package::Kind;
use millwork_package::manifest::Input;
use millwork_worker::convert::Tensor;
use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::{Context, Error, Result, ResultExt};

pub(crate) use picture::axes;

use crate::check::Check;
use crate::scope::Known;
use crate::value::{Datum, Values};

/// An axis of this length, or of any.
fn open(length: Option<usize>) -> Dim {
    length.map_or(Dim::Unknown, Dim::Fixed)
}

/// One input of a model that can be made.
#[derive(Debug)]
pub(crate) struct InputPlan {
    pub(crate) name: String,
    from: String,
    info: ValueInfo,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Picture(picture::Picture),
    Sound(sound::Sound),
    Text(Box<text::Text>),
    Plain,
}

impl InputPlan {
    pub(crate) fn new(check: &mut Check<'_>, input: &Input, info: &ValueInfo) -> Option<Self> {
        let known = check.value(&input.from)?;
        let is_for = |what: &str, fits: bool, check: &mut Check<'_>| {
            if !fits {
                let text = format!("{} is {}, and what is said of it is for {what}", input.from.as_ref(), known.what());
                check.tell(&input.from, Kind::InvalidValue, text);
            }
            fits.then_some(())
        };
        let is_sound = matches!(known, Known::Audio | Known::Anything);
        let way = if let Some(tokenizer) = &input.tokenizer {
            is_for("texts", matches!(known, Known::Text | Known::Anything), check)?;
            let shape = [Dim::Fixed(1), open(input.length.as_ref().map(|length| *length.as_ref()))];
            match &input.length {
                Some(at) => plain::held(check, at, "what the tokenizer gives", &shape, info)?,
                None => plain::held(check, tokenizer, "what the tokenizer gives", &shape, info)?,
            }
            Way::Text(Box::new(text::Text::new(check, input, tokenizer)?))
        } else if let Some(samples) = &input.samples {
            is_for("sounds", is_sound, check)?;
            plain::held(check, samples, "the sound", &[Dim::Fixed(1), open(samples.as_ref().length)], info)?;
            Way::Sound(sound::Sound::samples(samples.as_ref()))
        } else if let Some(mel) = &input.mel {
            is_for("sounds", is_sound, check)?;
            plain::held(check, mel, "the spectrogram", &sound::mel_shape(mel.as_ref()), info)?;
            Way::Sound(sound::Sound::mel(mel.as_ref()))
        } else if picture::has_options(input) || known.is_picture() && known != Known::Anything {
            is_for("pictures", known.is_picture(), check)?;
            Way::Picture(picture::Picture::new(check, input, info)?)
        } else {
            plain::check(check, input, &known, info)?;
            Way::Plain
        };
        Some(Self { name: input.name.as_ref().clone(), from: input.from.as_ref().clone(), info: info.clone(), way })
    }

    /// The tensor of one request; of a picture also where it lies in the tensor.
    pub(crate) fn make(&self, values: &Values, cx: &Context) -> Result<(Tensor, Option<Placement>)> {
        let value = values.get(&self.from).ok_or_else(|| Error::failed(format!("there is no value {}", self.from)))?;
        if matches!(value, Datum::Nil) {
            return Err(Error::invalid(format!("field `{}` is missing: the model needs it", self.from)));
        }
        let made = match &self.way {
            Way::Picture(picture) => {
                picture.make(value, &self.info).map(|(tensor, placement)| (tensor, Some(placement)))
            }
            Way::Sound(sound) => sound.make(value, cx).and_then(|t| plain::shaped(t, &self.info)).map(|t| (t, None)),
            Way::Text(text) => text.make(value).and_then(|t| plain::shaped(t, &self.info)).map(|t| (t, None)),
            Way::Plain => plain::make(value, &self.info).map(|t| (t, None)),
        };
        made.context(format!("input `{}` from `{}`", self.name, self.from))
    }

    /// Whether it was a picture.
    pub(crate) fn is_picture(&self) -> bool {
        matches!(self.way, Way::Picture(_))
    }
}
