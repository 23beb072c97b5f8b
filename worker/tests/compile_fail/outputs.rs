//! Outputs that no host can be sent.

use millwork_worker::prelude::*;

struct Report {
    text: String,
}

/// Forgot `#[derive(Outputs)]`.
#[derive(Node)]
#[node("acme.Tell")]
struct Tell {
    text: String,
}

impl Run for Tell {
    type Output = Report;

    fn run(self, _: &Context) -> Result<Report> {
        Ok(Report { text: self.text })
    }
}

#[derive(Outputs)]
struct Told {
    text: String,
    report: Report,
}

fn main() {}
