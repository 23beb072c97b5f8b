//! `test.*`: nodes and a provider that behave well or badly on purpose, served only with `--test-nodes`. No user needs them.

mod bad;
mod good;
mod provider;

use millwork_worker::prelude::*;

/// The nodes of this namespace, the one that never loads among them.
pub(crate) fn package() -> Package {
    package!["test": good::Echo, good::Add, good::Sleep, good::Progress, good::Stream, good::BigBlob, good::NeedsSecret,
        bad::Spin, bad::Fail, bad::Panic, bad::Abort, bad::Alloc, bad::StdoutNoise, bad::Child]
    .provider(provider::TestProvider)
    .load("test.Broken", |_| {
        Err(Error::failed("this node is broken on purpose: it shows what a load error looks like"))
    })
}
