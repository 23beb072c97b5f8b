//! Texts, several times over.

use millwork_worker::prelude::*;

/// Repeats a text.
#[derive(Node)]
#[node("my_nodes.Repeat")]
pub(crate) struct Repeat {
    /// The text.
    text: String,
    /// How often.
    #[node(default = 2, min = 1, max = 1000)]
    times: u32,
}

impl Run for Repeat {
    type Output = String;

    fn run(self, cx: &Context) -> Result<String> {
        let mut repeated = String::new();
        for done in 0..self.times {
            cx.check()?; // A request that has been cancelled ends here.
            cx.progress(done.into(), self.times.into());
            repeated += &self.text;
        }
        Ok(repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_worker::testing::NodeTest;

    #[test]
    fn repeats() {
        let answer = NodeTest::new::<Repeat>()
            .field("text", "ho")
            .field("times", 3)
            .run()
            .unwrap();
        assert_eq!(answer.get::<String>("output").unwrap(), "hohoho");
    }

    #[test]
    fn says_which_field_is_wrong() {
        let error = NodeTest::new::<Repeat>()
            .field("text", "ho")
            .field("times", 0)
            .run()
            .unwrap_err();
        assert!(error.to_string().contains("times"), "{error}");
    }
}
