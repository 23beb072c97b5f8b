//! A pair of pipes and the frames on them, for a worker as for a host. Which frames, and whether to read, is the fleet's.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use millwork_protocol::{Frame, FrameEvent, FrameQueue, FrameReader};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::process::grow_pipe;
use crate::spare::Spare;

/// The most pieces that one write takes.
const PIECES: usize = 64;
/// Above so many waiting bytes, progress replaces progress instead of waiting behind it.
const COALESCE_FROM: usize = 64 << 10;

/// Both directions. Each can be closed by itself.
#[derive(Debug)]
pub(crate) struct Link {
    input: Option<Receiver>,
    output: Option<Sender>,
    reader: FrameReader,
    queue: FrameQueue,
    written: u64,
    spare: Spare,
}

impl Link {
    /// Takes two descriptors that can be polled: pipes or sockets.
    pub(crate) fn new(input: OwnedFd, output: OwnedFd, max_frame: usize, spare: Spare) -> io::Result<Self> {
        for fd in [&input, &output] {
            grow_pipe(fd);
            set_nonblocking(fd)?;
        }
        Ok(Self {
            input: Some(Receiver::from_owned_fd_unchecked(input)?),
            output: Some(Sender::from_owned_fd_unchecked(output)?),
            reader: FrameReader::new(max_frame),
            queue: FrameQueue::default(),
            written: 0,
            spare,
        })
    }

    /// Reads once. `Ok(0)` is the end of the stream, and comes again and again.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(input) = &mut self.input else { return Poll::Ready(Ok(0)) };
        pin!(input.read_buf(self.reader.space())).poll(cx)
    }

    /// The next event of what has been read.
    pub(crate) fn next_event(&mut self) -> Option<FrameEvent> {
        self.reader.next_event_reusing(|| self.spare.take())
    }

    /// Puts a frame behind those that wait; nothing where the direction is closed.
    pub(crate) fn push(&mut self, frame: Frame) {
        if self.output.is_some() {
            self.queue.push(frame);
        }
    }

    /// As [`Link::push`]; where much waits already, in the place of an earlier frame with the same key.
    pub(crate) fn push_progress(&mut self, key: &str, frame: Frame) {
        match self.output {
            None => {}
            Some(_) if self.queue.len() < COALESCE_FROM => self.queue.push_keyed(key, frame),
            Some(_) => self.queue.push_latest(key, frame),
        }
    }

    /// Writes as much as goes without waiting. True where bytes have gone.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while let (false, Some(output)) = (self.queue.is_empty(), &mut self.output) {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let filled = self.queue.slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            match Pin::new(output).poll_write_vectored(cx, slices) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => {
                    self.queue.advance(bytes);
                    self.written += bytes as u64;
                    wrote = true;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if let Some(buffer) = self.queue.take_spent() {
            self.spare.put(buffer);
        }
        Ok(wrote)
    }

    /// The buffer that this link shares with others.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// Bytes that wait to be written.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// All bytes ever written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn close_output(&mut self) {
        self.output = None;
        self.queue = FrameQueue::default();
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn is_input_open(&self) -> bool {
        self.input.is_some()
    }

    pub(crate) fn is_output_open(&self) -> bool {
        self.output.is_some()
    }
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
