//! What the file beside a Piper voice says: `voice.onnx.json`. It is somebody else's word, and checked here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millwork_worker::{Error, Result};
use serde::Deserialize;

use crate::{Problem, onnx_file, read};

/// How the name of the file ends, behind the voice's.
pub(super) const SUFFIX: &str = ".onnx.json";

/// Sample rates of speech, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 8000..=192_000;
/// Names of speakers that an error lists.
const LISTED: usize = 20;

/// Ids of a phoneme, and phonemes in the place of one: published voices have one or two.
const MOST_A_SYMBOL: usize = 16;

/// Symbols that every voice has: the beginning, the end, and what stands between two phonemes.
const BEGIN: &str = "^";
const END: &str = "$";
const PAD: &str = "_";

/// Everything that is said.
#[derive(Debug)]
pub(super) struct Config {
    /// Where it is said, for errors.
    pub(super) path: PathBuf,
    /// Frames a second.
    pub(super) sample_rate: u32,
    /// The voice of espeak-ng whose phonemes it was trained on; nothing where it was trained on letters.
    pub(super) espeak: Option<String>,
    /// Spread of the sound, spread of the durations, and how long everything takes; all of them 0 and above.
    pub(super) noise_scale: f32,
    pub(super) noise_w: f32,
    pub(super) length_scale: f32,
    language: Option<Language>,
    speakers: i64,
    default_speaker: i64,
    names: BTreeMap<String, i64>,
    symbols: Symbols,
}

/// What phonemes are for the model.
#[derive(Debug)]
struct Symbols {
    ids: BTreeMap<String, Vec<i64>>,
    /// What a phoneme is replaced by before it is looked up.
    replaced: BTreeMap<String, Vec<String>>,
    /// Neighbours that count as one, longest first.
    clusters: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    audio: Audio,
    #[serde(default)]
    espeak: Option<Espeak>,
    #[serde(default)]
    inference: Inference,
    #[serde(default)]
    phoneme_type: Option<String>,
    phoneme_id_map: BTreeMap<String, Vec<i64>>,
    #[serde(default)]
    phoneme_map: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    vowel_clusters: Option<Vec<Vec<String>>>,
    #[serde(default)]
    num_speakers: Option<i64>,
    #[serde(default)]
    default_speaker_id: Option<i64>,
    #[serde(default)]
    speaker_id_map: Option<BTreeMap<String, i64>>,
    #[serde(default)]
    language: Option<Language>,
}

#[derive(Debug, Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Debug, Deserialize)]
struct Espeak {
    voice: String,
}

/// Without a word of the file, what Piper takes.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for Inference {
    fn default() -> Self {
        Self { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Language {
    code: String,
    family: String,
}

impl Config {
    /// Reads the file of a voice and looks whether its model is there.
    pub(super) fn read(onnx: &Path) -> Result<Self, Problem> {
        let mut path = onnx.as_os_str().to_owned();
        path.push(".json");
        let path = PathBuf::from(path);
        let file: File = read::json(&path)?;
        let config = file.checked(path)?;
        if !onnx.is_file() {
            return Err(
                Problem::new(onnx, "is missing, and only the file beside it is there").hint("fetch the whole voice")
            );
        }
        onnx_file::check(onnx)?;
        Ok(config)
    }

    /// The speaker of a name or number; without one the voice's own choice, and nothing where there is only one.
    pub(super) fn speaker(&self, wish: &str) -> Result<Option<i64>> {
        if self.speakers <= 1 {
            return match wish {
                "" | "0" | "default" => Ok(None),
                _ => Err(Error::invalid(format!("`voice` is {wish:?}, and this voice has one speaker: leave it out"))),
            };
        }
        if matches!(wish, "" | "default") {
            return Ok(Some(self.default_speaker));
        }
        let number = || wish.parse().ok().filter(|number| (0..self.speakers).contains(number));
        // Names may be numbers, and other ones than the speaker's own.
        self.names.get(wish).copied().or_else(number).map(Some).ok_or_else(|| {
            let mut names: Vec<&str> = self.names.keys().map(String::as_str).take(LISTED).collect();
            if self.names.len() > LISTED {
                names.push("…");
            }
            let named = if names.is_empty() { String::new() } else { format!(", or one of {}", names.join(", ")) };
            let last = self.speakers - 1;
            Error::invalid(format!("`voice` is {wish:?}, and must be a speaker's number from 0 to {last}{named}"))
        })
    }

    /// Names of its speakers, by their numbers.
    pub(super) fn speakers(&self) -> Vec<&str> {
        let mut names: Vec<(&str, i64)> = self.names.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        names.sort_by_key(|(_, id)| *id);
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// The language it was trained on: `en_US`, else the name of espeak-ng's voice.
    pub(super) fn language(&self) -> &str {
        let code = self.language.as_ref().map(|language| language.code.as_str()).filter(|code| !code.is_empty());
        code.or(self.espeak.as_deref()).unwrap_or_default()
    }

    /// A voice has one language; whether it is this one, `en`, `en-us` or `en_US`.
    pub(super) fn speaks(&self, language: &str) -> bool {
        let plain = |code: &str| code.to_lowercase().replace('_', "-");
        let wish = plain(language);
        let own = [Some(self.language()), self.espeak.as_deref(), self.language.as_ref().map(|l| l.family.as_str())];
        own.into_iter().flatten().map(plain).any(|own| own == wish || own.split('-').next() == Some(&wish))
    }

    /// The model's ids of phonemes: a beginning, each followed by padding, an end. What the voice has no id for is left
    /// out, and named to `missing`.
    pub(super) fn ids(&self, phonemes: &[char], missing: &mut Vec<String>) -> Vec<i64> {
        let Symbols { ids: known, .. } = &self.symbols;
        let id = |symbol: &str| known.get(symbol).map_or(&[][..], Vec::as_slice);
        let mut ids = [id(BEGIN), id(PAD)].concat();
        for symbol in self.symbols.of(phonemes) {
            match id(&symbol) {
                [] if !missing.contains(&symbol) => missing.push(symbol),
                [] => {}
                found => ids.extend(found.iter().chain(id(PAD))),
            }
        }
        ids.extend(id(END));
        ids
    }
}

impl Symbols {
    fn of(&self, phonemes: &[char]) -> Vec<String> {
        let mut symbols = Vec::new();
        let mut rest: &[char] = phonemes;
        while let [first, others @ ..] = rest {
            let cluster = self.clusters.iter().find(|cluster| rest.starts_with(&cluster.chars().collect::<Vec<_>>()));
            let symbol = cluster.cloned().unwrap_or_else(|| first.to_string());
            rest = cluster.map_or(others, |cluster| &rest[cluster.chars().count()..]);
            match self.replaced.get(&symbol) {
                Some(others) => symbols.extend(others.iter().cloned()),
                // Voices of letters are trained on small ones.
                None if !self.ids.contains_key(&symbol) && self.ids.contains_key(&symbol.to_lowercase()) => {
                    symbols.push(symbol.to_lowercase());
                }
                None => symbols.push(symbol),
            }
        }
        symbols
    }
}

impl File {
    fn checked(self, path: PathBuf) -> Result<Config, Problem> {
        let wrong = |reason: String| Err(Problem::new(&path, reason));
        let rate = self.audio.sample_rate;
        if !RATES.contains(&rate) {
            return wrong(format!("`audio.sample_rate` is {rate}, and must be {} to {}", RATES.start(), RATES.end()));
        }
        for symbol in [BEGIN, END, PAD] {
            if self.phoneme_id_map.get(symbol).is_none_or(Vec::is_empty) {
                return wrong(format!("`phoneme_id_map` has no {symbol:?}"));
            }
        }
        let replaced = self.phoneme_map.unwrap_or_default();
        let lengths = self.phoneme_id_map.values().map(Vec::len).chain(replaced.values().map(Vec::len));
        if let Some(length) = lengths.max().filter(|length| *length > MOST_A_SYMBOL) {
            return wrong(format!(
                "`phoneme_id_map` or `phoneme_map` makes {length} of a phoneme: {MOST_A_SYMBOL} at most"
            ));
        }
        let Inference { noise_scale, length_scale, noise_w } = self.inference;
        let scales = [("noise_scale", noise_scale), ("length_scale", length_scale), ("noise_w", noise_w)];
        if let Some((name, scale)) = scales.into_iter().find(|(_, scale)| !(0.0..=100.0).contains(scale)) {
            return wrong(format!("`inference.{name}` is {scale}, and must be 0 to 100"));
        }
        let espeak = match self.phoneme_type.as_deref() {
            None | Some("espeak") => {
                let voice = self.espeak.map(|espeak| espeak.voice).unwrap_or_default();
                let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+');
                if voice.is_empty() || voice.len() > 64 || voice.starts_with('-') || !voice.chars().all(is_name) {
                    return wrong(format!("`espeak.voice` is {voice:?}, which is no name of a voice"));
                }
                Some(voice)
            }
            Some("text") => None,
            Some(other) => {
                let reason = format!("its `phoneme_type` is {other:?}, and only espeak and text are known here");
                return Err(Problem::unsupported(&path, reason));
            }
        };
        let speakers = self.num_speakers.unwrap_or(1).max(1);
        let names = self.speaker_id_map.unwrap_or_default();
        let default_speaker = self.default_speaker_id.unwrap_or(0);
        if let Some(number) = names.values().chain([&default_speaker]).find(|number| !(0..speakers).contains(number)) {
            return wrong(format!("names a speaker {number}, and `num_speakers` is {speakers}"));
        }
        let mut clusters: Vec<String> =
            self.vowel_clusters.unwrap_or_default().into_iter().map(|cluster| cluster.concat()).collect();
        clusters.retain(|cluster| !cluster.is_empty());
        clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.chars().count()));
        let symbols = Symbols { ids: self.phoneme_id_map, replaced, clusters };
        let language = self.language;
        let sample_rate = rate;
        Ok(Config {
            path,
            sample_rate,
            espeak,
            noise_scale,
            noise_w,
            length_scale,
            language,
            speakers,
            default_speaker,
            names,
            symbols,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Result<Config, Problem> {
        let mut file = json!({
            "audio": { "sample_rate": 22_050 },
            "espeak": { "voice": "en-us" },
            "language": { "code": "en_US", "family": "en" },
            "phoneme_id_map": { "_": [0], "^": [1], "$": [2], "a": [3], "b": [4, 5], "ab": [6] },
        });
        change(&mut file);
        serde_json::from_value::<File>(file).unwrap().checked("v.onnx.json".into())
    }

    fn ids(config: &Config, text: &str) -> (Vec<i64>, Vec<String>) {
        let mut missing = Vec::new();
        let ids = config.ids(&text.chars().collect::<Vec<_>>(), &mut missing);
        (ids, missing)
    }

    #[test]
    fn phonemes_become_ids() {
        let plain = config(|_| {}).unwrap();
        assert_eq!(ids(&plain, "abA").0, [1, 0, 3, 0, 4, 5, 0, 3, 0, 2]);
        assert_eq!(ids(&plain, ""), (vec![1, 0, 2], vec![]));
        assert_eq!(ids(&plain, "xayx"), (vec![1, 0, 3, 0, 2], vec!["x".to_owned(), "y".to_owned()]));
        let clustered = config(|file| file["vowel_clusters"] = json!([["a", "b"]])).unwrap();
        assert_eq!(ids(&clustered, "aabb").0, [1, 0, 3, 0, 6, 0, 4, 5, 0, 2]);
        let replaced = config(|file| file["phoneme_map"] = json!({ "x": ["a", "b"] })).unwrap();
        assert_eq!(ids(&replaced, "x").0, [1, 0, 3, 0, 4, 5, 0, 2]);
    }

    #[test]
    fn speakers_have_names_and_numbers() {
        let one = config(|_| {}).unwrap();
        assert_eq!(one.speaker("").unwrap(), None);
        assert!(one.speaker("bob").unwrap_err().message().contains("one speaker"));
        let many = config(|file| {
            file["num_speakers"] = 3.into();
            file["speaker_id_map"] = json!({ "bob": 2, "1": 0 });
        })
        .unwrap();
        let found = |wish| many.speaker(wish).unwrap();
        // A name wins over a number.
        assert_eq!((found(""), found("bob"), found("1"), found("2")), (Some(0), Some(2), Some(0), Some(2)));
        assert_eq!(many.speakers(), ["1", "bob"]);
        let error = many.speaker("eve").unwrap_err();
        assert!(error.message().contains("from 0 to 2, or one of 1, bob"), "{error}");
    }

    #[test]
    fn a_voice_speaks_one_language() {
        let voice = config(|_| {}).unwrap();
        assert!(["en", "EN-us", "en_US"].into_iter().all(|language| voice.speaks(language)));
        assert!(["de", "en_GB", "e", "us"].into_iter().all(|language| !voice.speaks(language)));
    }

    #[test]
    fn bad_files_are_told() {
        let wrong = |change: fn(&mut Value)| config(change).unwrap_err().to_string();
        assert!(wrong(|file| file["audio"]["sample_rate"] = 7.into()).contains("`audio.sample_rate` is 7"));
        assert!(wrong(|file| file["phoneme_id_map"]["^"] = json!([])).contains("has no \"^\""));
        assert!(wrong(|file| file["phoneme_id_map"]["a"] = json!(vec![3; 17])).contains("makes 17 of a phoneme"));
        assert!(wrong(|file| file["inference"] = json!({ "noise_w": -1.0 })).contains("`inference.noise_w` is -1"));
        assert!(wrong(|file| file["espeak"]["voice"] = "../etc".into()).contains("no name of a voice"));
        assert!(wrong(|file| file["espeak"]["voice"] = "-q".into()).contains("no name of a voice"));
        assert!(wrong(|file| file["phoneme_type"] = "pinyin".into()).contains("only espeak and text"));
        assert!(wrong(|file| file["speaker_id_map"] = json!({ "a": 1 })).contains("names a speaker 1"));
    }
}
