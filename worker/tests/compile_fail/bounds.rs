//! Bounds on what is no number.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.Say")]
struct Say {
    #[node(min = 1, max = 80)]
    text: String,
}

impl Run for Say {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        Ok(self.text)
    }
}

fn main() {}
