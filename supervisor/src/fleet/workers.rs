//! The workers' side of the shell: their processes and their pipes.

use std::sync::Arc;
use std::task::{Context, Poll};

use millwork_protocol::{Frame, FrameEvent};

use super::Fleet;
use super::blot;
use crate::core::{Event, WorkerId};
use crate::link::Link;
use crate::process::{self, Child, Notice, Order, ProcessGroup};

/// While the host is behind by so much, workers are not read.
const HOST_BACKLOG: usize = 8 << 20;
/// So many reads of one worker, then the others get their turn.
const READS: usize = 8;
/// Enough to empty the pipe of a worker that is gone; something else may still write to it.
const LAST_READS: usize = 256;

/// One worker's place: its process and pipes, if there are any.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) run: u32,
    link: Option<Link>,
    pub(super) group: Option<Arc<ProcessGroup>>,
    /// A client that reads too slowly has an answer of this worker before it.
    is_paused: bool,
}

impl Fleet {
    pub(super) fn spawn(&mut self, worker: WorkerId, run: u32) {
        let Some(Some(spec)) = self.specs.get(self.core.group(worker)) else { return };
        if self.slots.len() <= worker {
            self.slots.resize_with(worker + 1, Slot::default);
        }
        let name = self.core.name(worker).to_owned();
        self.spawner.order(Order { worker, run, name, spec: spec.clone() });
    }

    pub(super) fn send(&mut self, worker: WorkerId, frame: Frame) {
        if let Some(link) = self.link(worker) {
            link.push(frame);
        }
    }

    pub(super) fn close_stdin(&mut self, worker: WorkerId) {
        if let Some(link) = self.link(worker) {
            link.close_output();
        }
    }

    pub(super) fn terminate(&self, worker: WorkerId) {
        if let Some(group) = self.slots.get(worker).and_then(|slot| slot.group.as_deref()) {
            process::terminate(group);
        }
    }

    pub(super) fn kill(&self, worker: WorkerId) {
        if let Some(group) = self.slots.get(worker).and_then(|slot| slot.group.as_deref()) {
            process::kill(group);
        }
    }

    fn link(&mut self, worker: WorkerId) -> Option<&mut Link> {
        self.slots.get_mut(worker)?.link.as_mut()
    }

    /// Stops reading the workers until a client has made room.
    pub(super) fn pause_reading(&mut self) {
        if let Some(slot) = self.reading.and_then(|worker| self.slots.get_mut(worker)) {
            slot.is_paused = true;
        }
    }

    pub(super) fn resume_reading(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.is_paused = false);
    }

    /// News of processes.
    pub(super) fn poll_notices(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        while let Poll::Ready(Some(notice)) = self.notices.poll_recv(cx) {
            busy = true;
            match notice {
                Notice::Spawned { worker, run, child } => self.adopt(worker, run, child),
                Notice::Ready { worker, run } => self.handle(Event::Ready { worker, run }),
                Notice::Exited { worker, run, exit, tail } => {
                    // What it answered before its end counts.
                    self.read(cx, worker, LAST_READS, true);
                    if let Some(slot) = self.slots.get_mut(worker) {
                        *slot = Slot::default();
                    }
                    self.handle(Event::Exited { worker, run, exit, tail });
                }
            }
        }
        busy
    }

    fn adopt(&mut self, worker: WorkerId, run: u32, child: Child) {
        let pid = child.pid();
        let bounds = child.bounds;
        self.weigh_soon();
        let Some(slot) = self.slots.get_mut(worker) else { return };
        let link = Link::new(child.stdout, child.stdin, self.limits.max_frame, self.spare.clone());
        *slot = Slot { run, group: Some(child.group), ..Slot::default() };
        match link {
            Ok(link) => {
                slot.link = Some(link);
                self.handle(Event::Bounded { worker, run, bounds });
                self.handle(Event::Spawned { worker, run, pid });
            }
            Err(error) => {
                self.handle(Event::Broken { worker, run, cause: format!("its pipes cannot be used: {error}") });
            }
        }
    }

    /// Reads every worker that has something, unless the host is too far behind.
    pub(super) fn poll_workers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        for worker in 0..self.slots.len() {
            busy |= self.read(cx, worker, READS, false);
        }
        busy
    }

    fn is_readable(&self, worker: WorkerId) -> bool {
        let is_behind = self.host.as_ref().is_some_and(|host| host.link.backlog() > HOST_BACKLOG);
        !is_behind && self.slots.get(worker).is_some_and(|slot| !slot.is_paused)
    }

    /// Reads one worker up to `reads` times; also where readers are behind, if its process is gone.
    fn read(&mut self, cx: &mut Context<'_>, worker: WorkerId, reads: usize, is_gone: bool) -> bool {
        let mut busy = false;
        for _ in 0..reads {
            if !is_gone && !self.is_readable(worker) {
                self.core.excuse(self.now(), worker);
                break;
            }
            let Some(link) = self.link(worker).filter(|link| link.is_input_open()) else { break };
            match link.poll_read(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => {
                    link.close_input();
                    let run = self.run_of(worker);
                    self.handle(Event::Closed { worker, run });
                }
                Poll::Ready(Ok(_)) => self.take_frames(worker),
            }
            busy = true;
        }
        busy
    }

    fn run_of(&self, worker: WorkerId) -> u32 {
        self.slots.get(worker).map_or(0, |slot| slot.run)
    }

    fn take_frames(&mut self, worker: WorkerId) {
        let run = self.run_of(worker);
        self.reading = Some(worker);
        while let Some(event) = self.link(worker).and_then(Link::next_event) {
            match event {
                FrameEvent::Frame(payload) => {
                    let payload = blot::blotted(payload, &self.secrets);
                    self.handle(Event::Frame { worker, run, payload });
                }
                FrameEvent::Oversized { claimed, max, head } => {
                    // Its stream cannot be understood from here on.
                    if let Some(link) = self.link(worker) {
                        link.close_input();
                    }
                    // It is the beginning of what came, and may end within a secret.
                    let head = head.get(..self.secrets.cut(&head)).unwrap_or_default();
                    let cause = stray(claimed, max, &self.secrets.redact(head));
                    self.handle(Event::Broken { worker, run, cause });
                    break;
                }
                FrameEvent::NoMemory { len, .. } => {
                    let cause = format!("there is no memory for a frame of {len} bytes from it");
                    self.handle(Event::Broken { worker, run, cause });
                }
            }
        }
        self.reading = None;
    }

    /// Writes what waits for workers. A pipe that breaks is left to the end of its process to explain, if that comes.
    pub(super) fn write_to_workers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        for worker in 0..self.slots.len() {
            let Some(link) = self.link(worker) else { continue };
            match link.poll_write(cx) {
                Ok(false) => {}
                Ok(true) => {
                    let total = link.written();
                    wrote = true;
                    let run = self.run_of(worker);
                    self.handle(Event::Wrote { worker, run, total });
                }
                Err(_) => {
                    link.close_output();
                    let run = self.run_of(worker);
                    self.handle(Event::Deaf { worker, run });
                }
            }
        }
        wrote
    }
}

/// What stands where a frame should begin.
fn stray(claimed: usize, max: usize, head: &[u8]) -> String {
    let hex: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = String::from_utf8_lossy(head);
    format!(
        "its stdout is no stream of frames: it begins with {} ({text:?}), which as a length is {claimed} bytes where {max} \
         is the maximum. Does something print to stdout?",
        hex.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_text_is_quoted() {
        let text = stray(1_751_477_356, 10, b"hello\n");
        assert!(text.contains("68 65 6c 6c 6f 0a (\"hello\\n\")") && text.contains("1751477356"), "{text}");
    }
}
