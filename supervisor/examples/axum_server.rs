//! A web server: POST a picture and get it blurred. One fleet serves all requests; a client that hangs up cancels its
//! work; SIGTERM and Ctrl-C let the requests under way end first.
//!
//! ```text
//! cargo run --example axum_server -- 127.0.0.1:8080
//! curl --data-binary @photo.png 'http://127.0.0.1:8080/blur?sigma=4' > blurred.png
//! curl http://127.0.0.1:8080/health
//! ```
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use millwork::{Client, ErrorKind, Fleet, RequestError, WorkerState};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

/// The largest picture that is taken.
const MAX_BODY: usize = 64 << 20;

/// The fields of `image.Blur`.
#[derive(Serialize)]
struct Blur {
    image: Bytes,
    sigma: f32,
}

/// Its outputs.
#[derive(Deserialize)]
struct Blurred {
    output: Bytes,
}

#[derive(Deserialize)]
struct Options {
    sigma: Option<f32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    // The workers are what millwork.toml says, and else the stock worker.
    let fleet = Fleet::builder().configured().start()?;
    let app = Router::new()
        .route("/blur", post(blur))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route("/health", get(health))
        .with_state(fleet.client());
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    let asked_to_stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    // First the requests, then the workers that answer them.
    axum::serve(listener, app).with_graceful_shutdown(asked_to_stop).await?;
    fleet.shutdown().await;
    println!("stopped");
    Ok(())
}

/// Where the client hangs up, this future is dropped, and with it the call.
async fn blur(
    State(client): State<Client>,
    Query(options): Query<Options>,
    image: Bytes,
) -> Result<impl IntoResponse, Failed> {
    let input = Blur { image, sigma: options.sigma.unwrap_or(2.0) };
    let call = client.execute("image.Blur").input(&input).deadline(Duration::from_secs(30));
    let blurred: Blurred = call.call().await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], blurred.output))
}

/// 200 where a worker is ready, and a line for each.
async fn health(State(client): State<Client>) -> Result<Response, Failed> {
    let workers = client.workers().await?;
    let lines: String = workers.iter().map(|worker| format!("{} {}\n", worker.name, worker.state)).collect();
    let is_ready = workers.iter().any(|worker| worker.state == WorkerState::Ready);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, lines).into_response())
}

/// A failed call as HTTP knows it.
struct Failed(RequestError);

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            ErrorKind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Overloaded | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{}\n", self.0.message)).into_response()
    }
}
