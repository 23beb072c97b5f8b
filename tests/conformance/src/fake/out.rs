//! The worker's side of stdout and stderr: right frames, wrong frames, and bytes that are none. It buffers nothing.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use millwork_protocol::codec::Encoder;
use millwork_protocol::{Bytes, Frame, Map, Value, map};

/// Stdout, shared by the threads of all requests.
#[derive(Debug)]
pub(super) struct Out(Mutex<Option<File>>);

impl Out {
    pub(super) fn new(stdout: File) -> Self {
        Self(Mutex::new(Some(stdout)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes as they are.
    pub(super) fn raw(&self, bytes: &[u8]) {
        if let Some(stdout) = &mut *self.lock() {
            // A host that has gone is noticed by the end of its input.
            let _ = stdout.write_all(bytes);
        }
    }

    /// One right frame.
    pub(super) fn send(&self, kind: &str, id: Option<&str>, data: &Map) {
        self.raw(&Frame::message(kind, id, data).to_bytes());
    }

    /// A frame whose payload is any value.
    pub(super) fn value(&self, payload: impl Into<Value>) {
        let mut encoder = Encoder::default();
        encoder.value(&payload.into());
        self.payload(&encoder.into_bytes());
    }

    /// A frame whose payload is any bytes.
    pub(super) fn payload(&self, payload: &Bytes) {
        self.raw(&Frame::forward(payload.clone()).to_bytes());
    }

    pub(super) fn error(&self, id: Option<&str>, text: &str) {
        self.send("error", id, &map! { "error" => text });
    }

    /// Ends the stream, as far as this process goes.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    /// The same pipe once more, for another process.
    pub(super) fn share(&self) -> Option<File> {
        self.lock().as_ref()?.try_clone().ok()
    }
}

/// Writes to stderr. Nobody may be there to read it.
pub(super) fn stderr(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}
