//! Calls a provider in a unit test, without a worker around it.

use std::sync::Arc;

use indexmap::IndexMap;
use millwork_protocol::Map;

use super::Recorded;
use crate::context::{Finalizers, Services};
use crate::{Answer, Call, CancelToken, Context, Identity, Provider, Result, Workspace};

/// A provider with services of its own, so that what one call loads the next one finds.
#[derive(Debug)]
pub struct ProviderTest<P> {
    provider: P,
    services: Arc<Services>,
    secrets: IndexMap<String, String>,
    cancel: CancelToken,
}

/// What a call did.
#[derive(Debug)]
pub struct Called {
    /// The data of its result.
    pub result: Result<Map>,
    /// The data of its chunks.
    pub chunks: Vec<Map>,
    /// The data of its progress frames.
    pub progress: Vec<Map>,
}

impl<P: Provider> ProviderTest<P> {
    /// Calls of `provider`.
    pub fn new(provider: P) -> Self {
        let services = Arc::new(Services::new(Workspace::new(&std::env::temp_dir(), &[])));
        Self { provider, services, secrets: IndexMap::new(), cancel: CancelToken::default() }
    }

    /// With a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a token that the test may cancel.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Surroundings of a request of its own.
    #[must_use]
    pub fn context(&self) -> Context {
        self.recorded(Recorded::default())
    }

    fn recorded(&self, recorded: Recorded) -> Context {
        Context {
            request_id: "test".to_owned(),
            identity: Identity::default(),
            secrets: self.secrets.clone(),
            cancel: self.cancel.clone(),
            interim: Box::new(recorded),
            services: Arc::clone(&self.services),
            finalizers: Finalizers::default(),
        }
    }

    /// Makes a call; `chunk` sees each chunk as it comes.
    pub fn call_with(&self, kind: &str, data: Map, mut chunk: impl FnMut(&Map)) -> Called {
        let recorded = Recorded::default();
        let context = self.recorded(recorded.clone());
        let mut chunks = Vec::new();
        let mut emit = |data: Map| {
            context.check()?;
            chunk(&data);
            chunks.push(data);
            Ok(())
        };
        let call = Call { kind, data, context: &context };
        let result = context.settle(|| self.provider.call(call, &mut emit)).map(|Answer(data)| data);
        let (progress, _) = std::mem::take(&mut *recorded.0.lock());
        Called { result, chunks, progress }
    }

    /// Makes a call.
    pub fn call(&self, kind: &str, data: Map) -> Called {
        self.call_with(kind, data, |_| {})
    }
}
