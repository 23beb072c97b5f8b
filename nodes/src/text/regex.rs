//! Regular expressions, in time linear in the text: <https://docs.rs/regex/#syntax>.

use millwork_worker::prelude::*;
use regex::RegexBuilder;

use super::fits;

/// The most memory that a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 4 << 20;

fn compile(pattern: &str, ignore_case: bool, multi_line: bool, dot_all: bool) -> Result<regex::Regex> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .multi_line(multi_line)
        .dot_matches_new_line(dot_all)
        .size_limit(MAX_PATTERN)
        .build()
        .invalid("field `pattern`")
}

/// Finds what matches a regular expression, with its groups. There are no look-around and no backreferences, so no pattern
/// takes more than linear time to match.
#[derive(Node)]
#[node("text.Regex")]
pub(super) struct Regex {
    /// The text.
    text: String,
    /// The expression: `(?<year>\d{4})-(\d\d)`.
    pattern: String,
    /// Small and large letters are the same.
    #[node(default)]
    ignore_case: bool,
    /// `^` and `$` match at each line.
    #[node(default)]
    multi_line: bool,
    /// `.` matches line ends too.
    #[node(default)]
    dot_all: bool,
    /// The most matches that are given.
    #[node(default = 1000, min = 1, max = 1_000_000)]
    limit: usize,
}

/// What was found.
#[derive(Outputs)]
pub(super) struct Found {
    /// Whether anything matches.
    found: bool,
    /// What matches, in order.
    matches: Vec<String>,
    /// For each match its groups, by name or else by number, nil where a group took no part.
    groups: Vec<Map>,
}

impl Run for Regex {
    type Output = Found;

    fn run(self, cx: &Context) -> Result<Found> {
        let regex = compile(&self.pattern, self.ignore_case, self.multi_line, self.dot_all)?;
        let names: Vec<String> = regex
            .capture_names()
            .enumerate()
            .map(|(number, name)| name.map_or_else(|| number.to_string(), str::to_owned))
            .collect();
        let (mut matches, mut groups) = (Vec::new(), Vec::new());
        let mut bytes = 0usize;
        for captures in regex.captures_iter(&self.text).take(self.limit) {
            cx.check()?;
            let mut whole = String::new();
            let mut named = Map::new();
            for (number, (group, name)) in captures.iter().zip(&names).enumerate() {
                let text = group.map(|group| group.as_str());
                // Nested groups hold the same text again and again.
                bytes += text.map_or(0, str::len);
                fits(Some(bytes))?;
                match number {
                    0 => whole = text.unwrap_or_default().to_owned(),
                    _ => drop(named.insert(name.clone(), Value::from(text.map(str::to_owned)))),
                }
            }
            matches.push(whole);
            groups.push(named);
        }
        Ok(Found { found: !matches.is_empty(), matches, groups })
    }
}

/// Replaces what matches a regular expression.
#[derive(Node)]
#[node("text.RegexReplace")]
pub(super) struct RegexReplace {
    /// The text.
    text: String,
    /// The expression: `(\w+)@example\.com`.
    pattern: String,
    /// What stands in its place: `$1` or `${name}` is a group, `$$` a dollar sign.
    #[node(default)]
    replacement: String,
    /// Small and large letters are the same.
    #[node(default)]
    ignore_case: bool,
    /// `^` and `$` match at each line.
    #[node(default)]
    multi_line: bool,
    /// `.` matches line ends too.
    #[node(default)]
    dot_all: bool,
    /// How many are replaced, from the start; all without it.
    limit: Option<usize>,
}

impl Run for RegexReplace {
    type Output = String;

    fn run(self, cx: &Context) -> Result<String> {
        let regex = compile(&self.pattern, self.ignore_case, self.multi_line, self.dot_all)?;
        let groups = self.replacement.matches('$').count();
        let mut result = String::new();
        let mut from = 0;
        for captures in regex.captures_iter(&self.text).take(self.limit.unwrap_or(usize::MAX)) {
            cx.check()?;
            let Some(whole) = captures.get(0) else { continue };
            result.push_str(self.text.get(from..whole.start()).unwrap_or_default());
            // Each group that the replacement names is as long as the match at most.
            fits(groups.checked_mul(whole.len()).and_then(|most| most.checked_add(self.replacement.len())))?;
            captures.expand(&self.replacement, &mut result);
            fits(Some(result.len()))?;
            from = whole.end();
        }
        result.push_str(self.text.get(from..).unwrap_or_default());
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn find(text: &str, pattern: &str) -> NodeTest {
        NodeTest::new::<Regex>().field("text", text).field("pattern", pattern)
    }

    fn outputs(call: NodeTest) -> serde_json::Value {
        Value::Map(call.run().unwrap().outputs).to_json()
    }

    #[test]
    fn matches_with_their_groups() {
        let dates = find("2024-05 and 1999-12", r"(?<year>\d{4})-(\d\d)( and)?");
        assert_eq!(
            outputs(dates),
            serde_json::json!({
                "found": true,
                "matches": ["2024-05 and", "1999-12"],
                "groups": [{"year": "2024", "2": "05", "3": " and"}, {"year": "1999", "2": "12", "3": null}],
            })
        );
        assert_eq!(outputs(find("abc", "x")), serde_json::json!({"found": false, "matches": [], "groups": []}));
        assert_eq!(
            outputs(find("aAa", "a").field("limit", 2).field("ignore_case", true))["matches"],
            serde_json::json!(["a", "A"])
        );
        assert_eq!(outputs(find("a\nb", "^b$"))["found"], false);
        assert_eq!(outputs(find("a\nb", "^b$").field("multi_line", true))["found"], true);
        assert_eq!(outputs(find("a\nb", "a.b").field("dot_all", true))["found"], true);
    }

    #[test]
    fn replacements() {
        let replace = |replacement: &str| {
            let call = NodeTest::new::<RegexReplace>()
                .field("text", "ann@x.org, bob@y.org")
                .field("pattern", r"(?<user>\w+)@(\w+)");
            call.field("replacement", replacement)
        };
        let text = |call: NodeTest| call.run().unwrap().outputs["output"].clone();
        assert_eq!(text(replace("$2 of ${user} for $$1")), Value::from("x of ann for $1.org, y of bob for $1.org"));
        assert_eq!(text(replace("").field("limit", 1)), Value::from(".org, bob@y.org"));
        let empty = NodeTest::new::<RegexReplace>().field("text", "aé").field("pattern", "").field("replacement", "-");
        assert_eq!(text(empty), Value::from("-a-é-"));
    }

    #[test]
    fn hostile_patterns_end() {
        assert!(find("x", "(").run().unwrap_err().message().starts_with("field `pattern`: regex parse error"));
        assert!(find("x", r"(\w{1000}){1000}").run().unwrap_err().message().contains("size limit"));
        assert!(find("x", r"(a)\1").run().unwrap_err().message().contains("backreferences"));
        // What takes other engines for ever.
        assert_eq!(outputs(find(&"a".repeat(20_000), "(a*)*b"))["found"], false);
        let grow = NodeTest::new::<RegexReplace>().field("text", "a".repeat(100_000)).field("pattern", "(?s).*");
        assert!(grow.field("replacement", "$0".repeat(1000)).run().unwrap_err().message().contains("at most"));
    }
}
