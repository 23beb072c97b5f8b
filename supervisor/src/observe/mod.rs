//! What a running fleet tells of itself: events as lines, and figures to whoever asks. What is in them, the state machine says.
//!
//! `serve` answers on a socket in the user's runtime folder, and on the address of the setting `metrics`. Both speak so much of
//! HTTP that a browser, curl and Prometheus understand: `GET /metrics` and `GET /status`.

mod events;
mod http;
mod otlp;
mod outlet;
mod prometheus;
mod sockets;

use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, MetricsAddress};
use crate::core::Snapshot;
use crate::error::Error;

pub(crate) use events::{Events, RequestEnd};
pub(crate) use otlp::{Collector, Spans};
pub use sockets::{Running, ask, running};

/// A question to the fleet, and where its answer goes.
pub(crate) type Question = oneshot::Sender<Snapshot>;

/// The way to the fleet for those who ask.
#[derive(Debug, Clone)]
pub(crate) struct Asker(mpsc::UnboundedSender<Question>);

impl Asker {
    /// What the fleet is doing; nothing once it has stopped. Waits for the fleet's next turn.
    fn ask(&self) -> Option<Snapshot> {
        let (question, answer) = oneshot::channel();
        self.0.send(question).ok()?;
        answer.blocking_recv().ok()
    }
}

/// The listeners of a server. Dropping it takes its sockets away.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<sockets::Socket>);

/// Begins to listen where the configuration says so, and in the runtime folder. Gives what those who ask come in by.
pub(crate) fn listen(config: &Config) -> Result<(Listeners, mpsc::UnboundedReceiver<Question>), Error> {
    let (asker, questions) = mpsc::unbounded_channel();
    let asker = Asker(asker);
    let mut listeners = Listeners::default();
    let address = config.metrics_address();
    match address.map_err(|text| crate::config::ConfigError::invalid("metrics".to_owned(), text))? {
        None => {}
        Some(MetricsAddress::Tcp(address)) => {
            let listener =
                std::net::TcpListener::bind(address).map_err(Error::io("answer on the `metrics` address"))?;
            http::serve_tcp(listener, asker.clone()).map_err(Error::io("start a thread for figures"))?;
        }
        Some(MetricsAddress::Unix(path)) => {
            let socket = sockets::Socket::bind(path).map_err(Error::io("answer on the `metrics` socket"))?;
            listeners.0.push(socket.serve(asker.clone()).map_err(Error::io("start a thread for figures"))?);
        }
    }
    // Where there is no such folder, nobody looks.
    match sockets::own().and_then(|socket| socket.map(|socket| socket.serve(asker)).transpose()) {
        Ok(socket) => listeners.0.extend(socket),
        Err(error) => tracing::warn!("`millwork status --fleet` will not find this one: {error}"),
    }
    Ok((listeners, questions))
}
