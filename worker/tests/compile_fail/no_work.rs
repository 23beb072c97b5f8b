//! Nodes that do nothing, or not what they say.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.Idle")]
struct Idle {
    text: String,
}

#[derive(Node)]
#[node("acme.IdleStream", stream)]
struct IdleStream {
    text: String,
}

/// Marked `stream`, and no stream.
#[derive(Node)]
#[node("acme.Once", stream)]
struct Once;

impl Run for Once {
    type Output = ();

    fn run(self, _: &Context) -> Result<()> {
        Ok(())
    }
}

fn main() {}
