//! Stop strings: an answer ends before the first of them, and nothing that may become one is shown.

/// The strings, and the text that is held back.
#[derive(Debug)]
pub(super) struct Stops {
    strings: Vec<String>,
    held: String,
}

impl Stops {
    pub(super) fn new(strings: Vec<String>) -> Self {
        Self { strings, held: String::new() }
    }

    /// Takes further text; gives what can be shown, and whether a stop string has come.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        if self.strings.is_empty() {
            return (text.to_owned(), false);
        }
        self.held.push_str(text);
        if let Some(at) = self.strings.iter().filter_map(|string| self.held.find(string)).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let held = may_become(&self.held, self.strings.iter().map(String::as_str));
        let rest = self.held.split_off(self.held.len() - held);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// The end has come without a stop string: what was held back.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that may be the beginning of one of `strings`.
pub(super) fn may_become<'a>(text: &str, strings: impl Iterator<Item = &'a str>) -> usize {
    let longest = |string: &str| {
        let ends = string.char_indices().map(|(at, _)| at).skip(1);
        ends.filter(|at| text.ends_with(&string[..*at])).last().unwrap_or(0)
    };
    strings.map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_become_a_stop_string_waits() {
        let mut stops = Stops::new(vec!["###".into(), "\nUser:".into()]);
        assert_eq!(stops.push("Hi #"), ("Hi ".into(), false));
        assert_eq!(stops.push("1\nUs"), ("#1".into(), false));
        assert_eq!(stops.push("e\n"), ("\nUse".into(), false));
        assert_eq!(stops.push("User"), (String::new(), false));
        assert_eq!(stops.push(": what"), (String::new(), true));
        assert_eq!(stops.push("é##"), ("é".into(), false));
        assert_eq!(stops.finish(), "##");
    }

    #[test]
    fn the_first_of_several_ends() {
        let mut stops = Stops::new(vec!["c".into(), "b".into()]);
        assert_eq!(stops.push("abc"), ("a".into(), true));
        assert_eq!(Stops::new(Vec::new()).push("abc"), ("abc".into(), false));
    }
}
