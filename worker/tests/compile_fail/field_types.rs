//! Fields of types that no host can send.

use millwork_worker::prelude::*;

struct Colour;

/// A field of a type that is nobody's.
#[derive(Node)]
#[node("acme.Paint")]
struct Paint {
    image: Image,
    colour: Colour,
}

impl Run for Paint {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        Ok(self.image)
    }
}

/// The same within a list.
#[derive(Node)]
#[node("acme.Mix")]
struct Mix {
    colours: Vec<Colour>,
}

impl Run for Mix {
    type Output = ();

    fn run(self, _: &Context) -> Result<()> {
        Ok(())
    }
}

fn main() {}
