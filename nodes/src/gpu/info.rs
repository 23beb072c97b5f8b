//! `gpu.Info`.

use millwork_worker::prelude::*;

/// Tells what the GPU is: name, driver, limits, and whether it is one at all or the processor in its place.
#[derive(Node)]
#[node("gpu.Info", title = "GPU Info")]
pub(super) struct Info {}

impl Run for Info {
    type Output = Map;

    fn run(self, cx: &Context) -> Result<Map> {
        Ok(cx.gpu().info().to_map())
    }
}
