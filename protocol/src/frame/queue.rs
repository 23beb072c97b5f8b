//! Frames waiting to be written, and how far the first has got. Who writes, and when, is not decided here.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use super::Frame;

/// Pieces of fewer bytes are not worth keeping.
const REUSE_FROM: usize = 1 << 20;

/// A queue of frames as the pieces of one vectored write.
///
/// A frame pushed with a key replaces the one with the same key that waits and has not begun: that is how `progress`
/// is coalesced for a slow reader.
#[derive(Debug, Default)]
pub struct FrameQueue {
    frames: VecDeque<Waiting>,
    bytes: usize,
    /// How much of the first piece has gone.
    gone: usize,
    spent: Option<Bytes>,
}

#[derive(Debug)]
struct Waiting {
    pieces: VecDeque<Bytes>,
    len: usize,
    begun: bool,
    key: Option<String>,
}

impl FrameQueue {
    /// Bytes still to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether everything has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Puts a frame behind the others.
    pub fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(Waiting {
            len: frame.len(),
            pieces: frame.into_pieces().into(),
            begun: false,
            key: None,
        });
    }

    /// Puts a frame behind the others, to be replaced by a later [`FrameQueue::push_latest`] with the same key.
    pub fn push_keyed(&mut self, key: &str, frame: Frame) {
        self.push(frame);
        if let Some(last) = self.frames.back_mut() {
            last.key = Some(key.to_owned());
        }
    }

    /// Puts a frame in the place of the last waiting one with the same key, else behind the others.
    pub fn push_latest(&mut self, key: &str, frame: Frame) {
        let same = |w: &&mut Waiting| !w.begun && w.key.as_deref() == Some(key);
        match self.frames.iter_mut().rev().find(same) {
            Some(waiting) => {
                self.bytes = self.bytes - waiting.len + frame.len();
                waiting.len = frame.len();
                waiting.pieces = frame.into_pieces().into();
            }
            None => self.push_keyed(key, frame),
        }
    }

    /// Fills `slices` with what comes next and says how many are filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut gone = self.gone;
        let pieces = self.frames.iter().flat_map(|waiting| &waiting.pieces);
        let rest = pieces.map(|piece| piece.get(std::mem::take(&mut gone)..).unwrap_or_default());
        slices.iter_mut().zip(rest).map(|(slot, rest)| *slot = IoSlice::new(rest)).count()
    }

    /// The buffer behind the last large piece that has gone, where nothing else holds it: fresh memory for many
    /// megabytes costs more than moving them, so the next large frame is read into it ([`super::FrameReader::next_event_reusing`]).
    pub fn take_spent(&mut self) -> Option<Vec<u8>> {
        let mut buffer = self.spent.take()?.try_into_mut().ok()?;
        buffer.clear();
        Some(buffer.into()).filter(|buffer: &Vec<u8>| buffer.capacity() >= REUSE_FROM)
    }

    /// Takes note that `written` bytes have gone.
    pub fn advance(&mut self, written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        self.gone += written;
        while let Some(front) = self.frames.front_mut() {
            front.begun |= self.gone > 0;
            while let Some(piece) = front.pieces.pop_front() {
                if self.gone < piece.len() {
                    return front.pieces.push_front(piece);
                }
                self.gone -= piece.len();
                if piece.len() >= REUSE_FROM {
                    self.spent = Some(piece);
                }
            }
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    fn drain(queue: &mut FrameQueue, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = queue.slices(&mut slices);
            let chunk: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).take(step).collect();
            out.extend_from_slice(&chunk);
            queue.advance(chunk.len());
        }
        assert_eq!(queue.len(), 0);
        out
    }

    #[test]
    fn partial_writes_lose_nothing() {
        let frames: Vec<Frame> = [1, 9000, 3, 100_000]
            .iter()
            .map(|n| Frame::message("x", Some("i"), &map! { "a" => Bytes::from(vec![1; *n]), "b" => 2 }))
            .collect();
        let expected: Vec<u8> = frames.iter().flat_map(|f| f.to_bytes().to_vec()).collect();
        for step in [1, 5, 4096, usize::MAX] {
            let mut queue = FrameQueue::default();
            frames.iter().for_each(|f| queue.push(f.clone()));
            assert_eq!(queue.len(), expected.len());
            assert!(drain(&mut queue, step) == expected);
        }
    }

    #[test]
    fn a_large_buffer_comes_back_once_nobody_holds_it() {
        let payload = Bytes::from(vec![7; REUSE_FROM + 100]);
        let mut queue = FrameQueue::default();
        queue.push(Frame::message("x", None, &map! { "a" => payload.slice(50..) }));
        drain(&mut queue, usize::MAX);
        assert_eq!(queue.take_spent(), None, "the test holds it");
        queue.push(Frame::message("x", None, &map! { "a" => payload.slice(50..) }));
        let address = payload.as_ptr();
        drop(payload);
        // However small the steps, and the pieces around it.
        drain(&mut queue, 100_000);
        let buffer = queue.take_spent().unwrap();
        assert_eq!((buffer.as_ptr(), buffer.len()), (address, 0));
    }

    #[test]
    fn a_frame_never_overtakes_one_with_the_same_key() {
        let progress = |n: i64| Frame::message("progress", Some("r"), &map! { "progress" => n });
        let mut queue = FrameQueue::default();
        queue.push_latest("r", progress(1));
        queue.push_keyed("r", progress(2));
        queue.push_latest("r", progress(3));
        let expected: Vec<u8> = [progress(1).to_bytes(), progress(3).to_bytes()].concat();
        assert_eq!(drain(&mut queue, 1000), expected);
    }

    #[test]
    fn only_frames_that_have_not_begun_are_replaced() {
        let progress = |n: i64| Frame::message("progress", Some("r"), &map! { "progress" => n });
        let mut queue = FrameQueue::default();
        queue.push_latest("r", progress(1));
        queue.advance(1);
        queue.push_latest("r", progress(2));
        queue.push_latest("s", progress(9));
        queue.push_latest("r", progress(3));
        let expected: Vec<u8> =
            [progress(1).to_bytes().slice(1..), progress(3).to_bytes(), progress(9).to_bytes()].concat();
        assert_eq!(drain(&mut queue, 1000), expected);
    }
}
