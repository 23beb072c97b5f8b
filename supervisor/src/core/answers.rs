//! What comes from workers: frames that are passed on, and the terminal ones that end a request.

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Bytes, Envelope, Limits, Scalar, Value};

use super::state::WorkerId;
use super::{Answer, Cause, Core, Millis, Outcome, Owner};

/// So much of an error that is no text is shown, in characters.
const MAX_SAID: usize = 500;

/// What a frame is to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Progress,
    Event,
    End,
    EndWithError,
}

impl Core {
    pub(super) fn frame(&mut self, now: Millis, from: WorkerId, payload: Bytes) {
        let envelope = match Envelope::peek(&payload) {
            Ok(envelope) => envelope,
            Err(error) => return self.broken(now, from, format!("it sent a frame that cannot be read: {error}")),
        };
        let role = match envelope.kind {
            Some("result" | "discover") => Role::End,
            Some("error") => Role::EndWithError,
            Some("progress") if is_milestone(&envelope) => Role::Event,
            Some("progress") => Role::Progress,
            Some(_) => Role::Event,
            // Nothing that a host could make anything of.
            None => {
                self.dropped += 1;
                return;
            }
        };
        let Some(worker) = self.workers.get_mut(from) else { return };
        worker.heard_at = now;
        // Late, doubled or invented: an answer to nothing, or one that cannot name its request.
        let Some((id, key)) = envelope.request_id.and_then(|id| Some((id, *worker.in_flight.get(id)?))) else {
            self.dropped += 1;
            return;
        };
        if matches!(role, Role::Progress | Role::Event) {
            if envelope.data_type() != "map" {
                self.dropped += 1;
            } else if let Some(request) = self.requests.get(key) {
                request.emit(payload, role == Role::Progress, &mut self.out);
                if request.frame.is_some() {
                    // The host has seen something of it: it must not begin anew.
                    self.requests.begin(key, false);
                }
            }
            return;
        }
        // A worker that is being ended cancels what it still runs. The end itself says more: it names the cause.
        let ending = worker.condemned.is_some() && role == Role::EndWithError;
        if ending && self.requests.get(key).is_some_and(|request| !request.is_stopping()) && is_cancelled(&payload) {
            self.dropped += 1;
            return;
        }
        worker.in_flight.remove(id);
        let group = worker.group;
        let Some(request) = self.requests.take(key, &mut self.timers) else { return };
        let is_hosts = matches!(request.owner, Owner::Host(_));
        match request.owner {
            Owner::Host(_) => {
                self.poison.acquit(request.fingerprint);
                let answer = match (role, request.cancel) {
                    (Role::EndWithError, Some(Cause::Deadline)) => Answer::Error(timed_out(request.label())),
                    (Role::EndWithError, _) => error_answer(payload, request.label(), &worker.name),
                    _ if envelope.data_type() != "map" => {
                        let (label, name, found) = (request.label(), &worker.name, envelope.data_type());
                        let text =
                            format!("{label} failed: worker `{name}` sent a result whose data is {found}, not a map");
                        Answer::Error(ErrorData::new(ErrorKind::Failed, text))
                    }
                    _ => Answer::Forward(payload),
                };
                request.end_as(role == Role::EndWithError || matches!(answer, Answer::Error(_)), answer, &mut self.out);
            }
            Owner::Part(parent, worker) => self.part_done(now, parent, worker, decode(&payload)),
            Owner::Probe(worker) => self.listen(now, worker),
            Owner::Handshake(worker) => self.learn(now, worker, &request.kind, decode(&payload)),
        }
        if is_hosts {
            self.served(now, from);
        }
        self.dismiss(now, from);
        if let Some(pool) = self.groups.get(group).map(|group| group.home.pool) {
            self.pump(now, pool);
        }
    }
}

/// Whether progress is the beginning or the end of a transfer, which a host that reads slowly is told too.
fn is_milestone(envelope: &Envelope<'_>) -> bool {
    let [status] = envelope.data_scalars(["status"]);
    status.and_then(Scalar::text).is_some_and(|status| status != "progress")
}

fn is_cancelled(payload: &Bytes) -> bool {
    // Peers without kinds say it in the text.
    decode(payload).is_err_and(|error| match error.kind {
        Some(kind) => kind == ErrorKind::Cancelled,
        None => error.error.eq_ignore_ascii_case("cancelled"),
    })
}

/// A worker's error as it came, where it is one that hosts can show; else what can be made of it.
fn error_answer(payload: Bytes, label: &str, worker: &str) -> Answer {
    let data = Envelope::peek(&payload).ok().and_then(|e| e.decode_data(&payload, &Limits::default()).ok());
    let Some(mut data) = data else { return wordless(label, worker, None) };
    match data.get("error") {
        // A key without a value is left out, which not every worker knows.
        Some(Value::Str(_)) if data.values().any(Value::is_nil) => {
            data.retain(|_, value| !value.is_nil());
            Answer::Message("error", data)
        }
        Some(Value::Str(_)) => Answer::Forward(payload),
        other => wordless(label, worker, other),
    }
}

fn wordless(label: &str, worker: &str, said: Option<&Value>) -> Answer {
    let said = match said {
        None | Some(Value::Nil) => "an error without a text".to_owned(),
        Some(Value::Bytes(bytes)) => format!("an error that is no text: {:?}", String::from_utf8_lossy(bytes)),
        Some(value) => format!("an error that is no text: {}", value.to_json()),
    };
    let text: String = said.chars().take(MAX_SAID).collect();
    Answer::Error(ErrorData::new(ErrorKind::Failed, format!("{label} failed: worker `{worker}` sent {text}")))
}

fn timed_out(label: &str) -> ErrorData {
    ErrorData::new(ErrorKind::Timeout, format!("{label} took longer than its time limit and was cancelled"))
}

/// The data of a terminal frame; of an error frame, the error.
pub(crate) fn decode(payload: &Bytes) -> Outcome {
    let failed = |text: String| Box::new(ErrorData::new(ErrorKind::Failed, text));
    let envelope = Envelope::peek(payload).map_err(|error| failed(error.to_string()))?;
    let data = envelope.decode_data(payload, &Limits::default()).map_err(|error| failed(error.to_string()))?;
    match envelope.kind {
        Some("error") => Err(ErrorData::from_map(data).map_or_else(|error| failed(error.to_string()), Box::new)),
        _ => Ok(data),
    }
}
