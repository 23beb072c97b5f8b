//! Languages: what people call them, and which token of a model stands for one.

use std::collections::BTreeMap;

use millwork_worker::{Error, Result};

/// Codes and English names, as the published models order them; other names of a language stand behind its own.
const NAMES: &str = "en english; zh chinese mandarin; de german; es spanish castilian; ru russian; ko korean; fr french; \
    ja japanese; pt portuguese; tr turkish; pl polish; ca catalan valencian; nl dutch flemish; ar arabic; sv swedish; \
    it italian; id indonesian; hi hindi; fi finnish; vi vietnamese; he hebrew; uk ukrainian; el greek; ms malay; cs czech; \
    ro romanian moldavian moldovan; da danish; hu hungarian; ta tamil; no norwegian; th thai; ur urdu; hr croatian; \
    bg bulgarian; lt lithuanian; la latin; mi maori; ml malayalam; cy welsh; sk slovak; te telugu; fa persian; lv latvian; \
    bn bengali; sr serbian; az azerbaijani; sl slovenian; kn kannada; et estonian; mk macedonian; br breton; eu basque; \
    is icelandic; hy armenian; ne nepali; mn mongolian; bs bosnian; kk kazakh; sq albanian; sw swahili; gl galician; \
    mr marathi; pa punjabi panjabi; si sinhala sinhalese; km khmer; sn shona; yo yoruba; so somali; af afrikaans; \
    oc occitan; ka georgian; be belarusian; tg tajik; sd sindhi; gu gujarati; am amharic; yi yiddish; lo lao; uz uzbek; \
    fo faroese; ht haitian; ps pashto pushto; tk turkmen; nn nynorsk; mt maltese; sa sanskrit; \
    lb luxembourgish letzeburgesch; my myanmar burmese; bo tibetan; tl tagalog; mg malagasy; as assamese; tt tatar; \
    haw hawaiian; ln lingala; ha hausa; ba bashkir; jw javanese; su sundanese; yue cantonese";

/// Code and names of each.
fn all() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    NAMES.split(';').filter_map(|entry| {
        let mut words = entry.split_whitespace();
        words.next().map(|code| (code, words))
    })
}

/// The codes.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    all().map(|(code, _)| code)
}

/// The code of a language that is called by its code, with a region or without, by its English name, or by its token.
///
/// # Errors
/// `invalid_input` where the model does not have it, listing those that it has.
pub(super) fn find(wanted: &str, there: &BTreeMap<String, u32>) -> Result<String> {
    let wanted = wanted.trim().to_lowercase();
    let word = wanted.strip_prefix("<|").and_then(|word| word.strip_suffix("|>")).unwrap_or(&wanted);
    // `pt-BR`, and `haitian creole`.
    let first = word.split(['-', '_', ' ']).next().unwrap_or(word);
    let named = all().find_map(|(code, mut names)| names.any(|name| name == first).then_some(code));
    let candidates = [Some(word), named, Some(first)];
    candidates.into_iter().flatten().find(|code| there.contains_key(*code)).map(str::to_owned).ok_or_else(|| {
        let mut codes: Vec<&str> = there.keys().map(String::as_str).collect();
        codes.sort_unstable();
        Error::invalid(format!(
            "`language` is {wanted:?}, which the model does not know; it knows {} (or their English names)",
            codes.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_many_names() {
        let there: BTreeMap<String, u32> = codes().zip(100..).map(|(code, id)| (code.to_owned(), id)).collect();
        assert_eq!(there.len(), 100);
        for (wanted, code) in [
            ("en", "en"),
            ("German", "de"),
            (" <|fr|> ", "fr"),
            ("pt-BR", "pt"),
            ("zh_TW", "zh"),
            ("Haitian Creole", "ht"),
            ("Castilian", "es"),
            ("yue", "yue"),
        ] {
            assert_eq!(find(wanted, &there).unwrap(), code, "{wanted}");
        }
        let text = find("klingon", &there).unwrap_err().message().to_owned();
        assert!(text.contains("\"klingon\"") && text.contains("af, am, ar"), "{text}");
    }
}
