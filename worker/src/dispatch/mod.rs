//! One frame in: which message it is, and who answers it. Reading frames and writing answers is done elsewhere.

mod execute;
mod models;
mod providers;
mod status;
mod store;

use std::sync::Arc;

use bytes::Bytes;
use millwork_protocol::envelope::{EnvelopeError, NO_TYPE};
use millwork_protocol::message::TypeError;
use millwork_protocol::{Envelope, Frame, Limits, Map};

use crate::context::{Finalizers, Identity, Services};
use crate::in_flight::InFlight;
use crate::jobs::Jobs;
use crate::output::Output;
use crate::pool::Pool;
use crate::registry::Registry;
use crate::responder::{Responder, Voice, error_frame};
use crate::{CancelToken, Context, Error, ErrorKind, Result, panics};

/// Requests that may wait for a compute thread.
const MAX_QUEUED: usize = 16_384;

/// Everything that answering needs; one for the life of the worker.
#[derive(Clone)]
pub(crate) struct Dispatcher(Arc<Shared>);

struct Shared {
    registry: Registry,
    services: Arc<Services>,
    jobs: Arc<Jobs>,
    limits: Limits,
    output: Arc<Output>,
    in_flight: Arc<InFlight>,
    pool: Pool,
    /// For what waits for networks and disks.
    store_pool: Pool,
    transfers: Pool,
}

/// A request on its way: what it carries, and how it answers.
struct Request {
    data: Map,
    cancel: CancelToken,
    responder: Responder,
}

impl Dispatcher {
    pub(crate) fn new(
        registry: Registry,
        services: Arc<Services>,
        jobs: Arc<Jobs>,
        limits: Limits,
        output: Arc<Output>,
        in_flight: Arc<InFlight>,
        pool: Pool,
    ) -> Self {
        let (store_pool, transfers) = (Pool::new(store::THREADS), Pool::new(store::TRANSFERS));
        Self(Arc::new(Shared { registry, services, jobs, limits, output, in_flight, pool, store_pool, transfers }))
    }

    /// Sends an error that belongs to no request in flight.
    pub(crate) fn refuse(&self, request_id: Option<&str>, error: &Error) {
        self.0.output.send(error_frame(request_id, error));
    }

    /// While the guard lives, answers wait for each other and go out in one write.
    pub(crate) fn gather_answers(&self) -> impl Drop {
        struct Gathering(Arc<Output>);
        impl Drop for Gathering {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        self.0.output.gather();
        Gathering(Arc::clone(&self.0.output))
    }

    /// The buffer of a large frame whose bytes have all been sent back, to read the next one into.
    pub(crate) fn take_spare_buffer(&self) -> Option<Vec<u8>> {
        self.0.output.take_spare()
    }

    /// Answers one payload, or sees to it that it will be answered.
    pub(crate) fn frame(&self, payload: Bytes) {
        let envelope = match Envelope::peek(&payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                let id = match &error {
                    EnvelopeError::Malformed { request_id, .. } => request_id.clone(),
                    _ => None,
                };
                return self.refuse(id.as_deref(), &Error::invalid(error));
            }
        };
        let Some(kind) = envelope.kind else {
            return self.refuse(envelope.request_id, &Error::new(ErrorKind::UnknownMessage, NO_TYPE));
        };
        match kind {
            "cancel" => {
                if let Some(id) = envelope.request_id {
                    self.0.in_flight.cancel(id);
                }
            }
            "discover" => self.discover(envelope.request_id),
            "execute" | "execute.stream" => self.execute(&payload, &envelope, kind == "execute.stream"),
            _ => self.other(&payload, &envelope, kind),
        }
    }

    fn discover(&self, id: Option<&str>) {
        let frame = Frame::encoded("discover", id, self.0.registry.discover());
        if frame.payload_len() > self.0.limits.max_frame {
            let error = format!(
                "the inventory takes {} bytes, over the frame limit of {}; serve fewer --namespaces",
                frame.payload_len(),
                self.0.limits.max_frame
            );
            return self.refuse(id, &Error::new(ErrorKind::TooLarge, error));
        }
        self.0.output.send(frame);
    }

    /// Messages that need no node: answered here where that is quick, on the pool where a provider works.
    fn other(&self, payload: &Bytes, envelope: &Envelope<'_>, kind: &str) {
        let data = match envelope.decode_data(payload, &self.0.limits) {
            Ok(data) => data,
            Err(error) => return self.refuse(envelope.request_id, &Error::invalid(error)),
        };
        if let Some(call) = kind.strip_prefix("provider.") {
            return self.provider(envelope.request_id, call, data);
        }
        const STORE: [&str; 4] = ["models.list_cached", "models.download", "models.delete", "models.prepare"];
        if let Some(kind) = STORE.into_iter().find(|known| *known == kind) {
            return self.store(envelope.request_id, kind, data);
        }
        let answer = match kind {
            "worker.status" => Ok(self.status()),
            "job.start" => self.job_start(data),
            "job.end" => self.job_end(data),
            "models.evict" => self.evict(data),
            _ => Err(unknown(kind)),
        };
        match answer {
            Ok(data) => self.0.output.send(Frame::message("result", envelope.request_id, &data)),
            Err(error) => self.refuse(envelope.request_id, &error),
        }
    }

    /// Takes a request in, or refuses it where its id is in flight or too many wait.
    fn admit(&self, request_id: Option<&str>, data: Map) -> Option<Request> {
        let voice = Voice::new(request_id.map(Arc::from), Arc::clone(&self.0.output));
        let cancel = CancelToken::default();
        if self.0.pool.queued() >= MAX_QUEUED {
            let error = format!("{MAX_QUEUED} requests wait already");
            self.refuse(request_id, &Error::new(ErrorKind::Overloaded, error));
            return None;
        }
        if !self.0.in_flight.insert(&voice, &cancel) {
            let error = format!("the request id {:?} is in flight already", request_id.unwrap_or_default());
            self.refuse(request_id, &Error::invalid(error));
            return None;
        }
        let responder = Responder::new(voice, Arc::clone(&self.0.in_flight), self.0.limits.max_frame);
        Some(Request { data, cancel, responder })
    }
}

impl Shared {
    /// Runs the work of one request, contains its panic, and answers with what it gives.
    fn answer(&self, responder: Responder, cancel: &CancelToken, work: impl FnOnce(&Responder) -> Result<Map>) {
        if cancel.is_cancelled() {
            return responder.fail(&Error::cancelled());
        }
        let outcome = panics::contain(|| work(&responder)).unwrap_or_else(|panic| Err(panic.into_error()));
        let is_wedged = self.services.is_wedged();
        if is_wedged {
            // What takes time comes first: what the host sends once it has heard of this finds nobody here.
            tracing::error!("the GPU does not answer; this worker ends so that a new one can take its place");
            crate::system::kill_descendants();
        }
        match outcome {
            Ok(data) => responder.finish(&data),
            Err(error) => {
                if error.kind() == &ErrorKind::Panic {
                    tracing::error!(panic = responder.voice().blot(error.message()), "a node panicked");
                }
                responder.fail(&error);
            }
        }
        if is_wedged {
            self.abandon();
        }
    }

    /// A dispatch that never ends holds the device and cannot be called off: only a new process has a working one.
    fn abandon(&self) -> ! {
        self.in_flight.fail_all(
            &Error::new(ErrorKind::Unavailable, "the worker's GPU does not answer; it is being replaced").retryable(),
        );
        self.output.flush(std::time::Instant::now() + std::time::Duration::from_secs(2));
        crate::system::exit_now(EXIT_GPU_WEDGED)
    }

    fn context(
        &self,
        responder: &Responder,
        cancel: CancelToken,
        identity: Identity,
        secrets: indexmap::IndexMap<String, String>,
    ) -> Context {
        responder.voice().keep_secret(secrets.values());
        Context {
            request_id: responder.voice().id().unwrap_or_default().to_owned(),
            identity,
            secrets,
            cancel,
            interim: Box::new(responder.interim_voice()),
            services: Arc::clone(&self.services),
            finalizers: Finalizers::default(),
        }
    }
}

/// The exit status of a worker whose GPU hangs.
const EXIT_GPU_WEDGED: i32 = 86;

fn unknown(kind: &str) -> Error {
    let program = kind.split('.').next().unwrap_or_default();
    match program {
        "comfy" => Error::unavailable(format!("{kind}: ComfyUI is not available in this worker")).permanent(),
        "blender" => Error::unavailable(format!("{kind}: Blender is not available in this worker")).permanent(),
        _ => Error::new(ErrorKind::UnknownMessage, format!("Unknown message type: {kind}")),
    }
}

/// Data of another shape than the message has.
fn wrong(error: TypeError) -> Error {
    Error::invalid(format!("Invalid data: {error}"))
}
