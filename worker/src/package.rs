//! Packages: nodes and providers under one name, with what failed to load. How they are found at run time is in `registry`.

use millwork_protocol::message::LoadError;

use crate::Result;
use crate::node::{Entry, Node};
use crate::provider::Provider;
use crate::store::ModelStore;

/// What a worker is made of.
#[derive(Debug)]
pub struct Package {
    pub(crate) name: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) providers: Vec<Box<dyn Provider>>,
    pub(crate) store: Option<Box<dyn ModelStore>>,
    pub(crate) load_errors: Vec<LoadError>,
}

impl Package {
    /// An empty package; its name stands in load errors.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: Vec::new(), providers: Vec::new(), store: None, load_errors: Vec::new() }
    }

    /// With a node.
    #[must_use]
    pub fn node<N: Node>(self) -> Self {
        self.entry(N::entry())
    }

    /// With a node whose type is only known at run time.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// With a provider.
    #[must_use]
    pub fn provider(mut self, provider: impl Provider) -> Self {
        self.providers.push(Box::new(provider));
        self
    }

    /// With the place on disk that `models.download` fetches into. The first package of a worker that has one gives it.
    #[must_use]
    pub fn store(mut self, store: impl ModelStore) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// With every node that is in it so far declared idempotent: a second run does no harm, so a supervisor that is told to
    /// may send a request again whose worker died. For single nodes there is the attribute `idempotent`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.idempotent = true);
        self
    }

    /// With whatever `load` adds; what it fails with, or panics with, becomes a load error and hides nothing else.
    #[must_use]
    pub fn load(mut self, module: &str, load: impl FnOnce(Self) -> Result<Self> + std::panic::UnwindSafe) -> Self {
        let fresh = Self::new(self.name.clone());
        match crate::panics::contain(move || load(fresh)) {
            Ok(Ok(loaded)) => {
                self.entries.extend(loaded.entries);
                self.providers.extend(loaded.providers);
                self.store = self.store.or(loaded.store);
                self.load_errors.extend(loaded.load_errors);
                self
            }
            Ok(Err(error)) => self.load_error(module, "import", &format!("{:?}", error.kind()), error.message()),
            Err(panic) => self.load_error(module, "import", "panic", &panic.message),
        }
    }

    /// With load errors that say more than four words.
    #[must_use]
    pub fn load_errors(mut self, errors: impl IntoIterator<Item = LoadError>) -> Self {
        self.load_errors.extend(errors);
        self
    }

    /// With a load error.
    #[must_use]
    pub fn load_error(mut self, module: &str, phase: &str, error_type: &str, error: &str) -> Self {
        self.load_errors.push(LoadError::new(module, phase, error_type, error));
        self
    }
}

/// A package of some nodes: `package!["acme.image": Blur, Sharpen]`.
#[macro_export]
macro_rules! package {
    [$name:literal $(: $($node:ty),* $(,)?)?] => {
        $crate::Package::new($name)$($(.node::<$node>())*)?
    };
}
