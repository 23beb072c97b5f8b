//! Payloads that are almost right, and payloads that are made of nothing.

use super::valid_requests;
use crate::random::Random;
use crate::session::Session;

/// First bytes of MessagePack values that readers get wrong: every kind of length, and the byte that is none.
const TOKENS: &[u8] = &[
    0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcf,
    0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff,
];
/// Values that claim to be far larger than anything.
const CLAIMS: &[&[u8]] = &[
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xdc\xff\xff",
    b"\xde\xff\xff",
    b"\xda\xff\xff",
];
/// Keys and ids that a request has, and values that may stand where they should not.
const VALUES: &[&[u8]] = &[
    b"\xa4type",
    b"\xaarequest_id",
    b"\xa4data",
    b"\xa7execute",
    b"\xa6fields",
    b"\xa9node_type",
    b"\xa5blobs",
    b"\xa6cancel",
    b"\xc0",
    b"\x07",
    b"\x90",
    b"\x80",
    b"\xc3",
    b"\xa0",
    b"\xd4\x00\x00",
    b"\xd6\xff\x00\x00\x00\x01",
    b"\xc4\x02ab",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
];

/// Makes payloads out of valid ones.
#[derive(Debug)]
pub(super) struct Mutator {
    valid: Vec<Vec<u8>>,
}

impl Mutator {
    pub(super) fn new(session: &Session) -> Self {
        Self { valid: valid_requests(session) }
    }

    /// One payload: mostly a valid one that was changed a few times.
    pub(super) fn payload(&self, random: &mut Random) -> Vec<u8> {
        if random.below(8) == 0 {
            let mut made = Vec::new();
            generate(random, &mut made, 0);
            return made;
        }
        let mut payload = random.pick(&self.valid).cloned().unwrap_or_default();
        for _ in 0..=random.below(4) {
            mutate(random, &mut payload);
        }
        payload
    }

    /// Bytes that end inside a frame: cut off, or with a length that lies, or text.
    pub(super) fn broken_frame(&self, random: &mut Random) -> Vec<u8> {
        let mut frame = super::framed(&self.payload(random));
        match random.below(4) {
            0 => frame.truncate(random.below(frame.len())),
            1 => {
                if let Some(header) = frame.first_chunk_mut::<4>() {
                    *header = (random.next() as u32).to_be_bytes();
                }
            }
            2 => frame.splice(..0, u32::MAX.to_be_bytes()).for_each(drop),
            _ => frame.splice(..0, *b"Traceback (most recent call last):\n").for_each(drop),
        }
        frame
    }
}

fn mutate(random: &mut Random, payload: &mut Vec<u8>) {
    let at = random.below(payload.len());
    let upto = (at + 1 + random.below(16)).min(payload.len());
    let here = at.min(upto)..upto;
    match random.below(10) {
        0 => payload.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (random.next() % 8)),
        1 => payload.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.byte()),
        2 => {
            let token = random.pick(TOKENS).copied().unwrap_or_default();
            payload.iter_mut().skip(at).take(1).for_each(|byte| *byte = token);
        }
        3 => payload.truncate(at),
        4 => payload.drain(here).for_each(drop),
        5 => {
            let copy = payload.get(here).unwrap_or_default().to_vec();
            payload.splice(at..at, copy).for_each(drop);
        }
        6 => {
            let claim = random.pick(CLAIMS).copied().unwrap_or_default();
            payload.splice(here, claim.iter().copied()).for_each(drop);
        }
        7 => {
            let value = random.pick(VALUES).copied().unwrap_or_default();
            payload.splice(at..at, value.iter().copied()).for_each(drop);
        }
        8 => {
            let depth = 1 << random.below(14);
            payload.splice(at..at, std::iter::repeat_n(0x91, depth)).for_each(drop);
        }
        _ => {
            let more = (0..random.below(20)).map(|_| random.byte()).collect::<Vec<u8>>();
            payload.extend(more);
        }
    }
}

/// A value that is well formed, mostly.
fn generate(random: &mut Random, out: &mut Vec<u8>, depth: usize) {
    let kinds = if depth > 6 { 3 } else { 5 };
    match random.below(kinds) {
        0 => out.push(random.byte() & 0x7f),
        1 | 2 => out.extend_from_slice(random.pick(VALUES).copied().unwrap_or_default()),
        3 => {
            let n = random.below(5);
            out.push(0x90 | n as u8);
            (0..n).for_each(|_| generate(random, out, depth + 1));
        }
        _ => {
            let n = random.below(6);
            out.push(0x80 | n as u8);
            for _ in 0..n {
                out.extend_from_slice(random.pick(VALUES).copied().unwrap_or_default());
                generate(random, out, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_payloads_and_no_two_alike() {
        let mutator =
            Mutator { valid: vec![b"\x83\xa4type\xa7execute\xaarequest_id\xa1a\xa4data\x80".to_vec(), Vec::new()] };
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..500)
                .map(|_| [mutator.payload(&mut random), mutator.broken_frame(&mut random)].concat())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let different: std::collections::HashSet<_> = run(3).into_iter().collect();
        assert!(different.len() > 400, "{}", different.len());
    }
}
