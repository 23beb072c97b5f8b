//! Memory follows the bytes that are there: what hostile ones cost at the most, counted by the allocator.

#![allow(clippy::unwrap_used, reason = "a test program: clippy spares only the functions that are tests")]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::examples;
use millwork_protocol::codec::decode;
use millwork_protocol::message::REQUESTS;
use millwork_protocol::{Bytes, Envelope, Frame, FrameReader, Limits};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    PEAK.fetch_max(NOW.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: everything is done by the system's allocator; this only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller keeps to the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old and the new block may be there at the same time.
        grown(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that is held at one time while `work` runs, beyond what was held before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    drop(work());
    PEAK.load(Relaxed).saturating_sub(before)
}

/// A byte that is a whole value costs the size of one in memory, three times where its list is being moved.
const PER_BYTE: usize = 3 * size_of::<millwork_protocol::Value>();
/// Room that is made before anything is there.
const BASE: usize = 2 << 20;

fn assert_modest(name: &str, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let allowed = BASE + PER_BYTE * bytes.len();
    let decoding = peak(|| decode(&bytes, &Limits::default()));
    assert!(decoding <= allowed, "{name}: decoding {} bytes took {decoding}", bytes.len());
    let peeking = peak(|| Envelope::peek(&bytes).map(|e| e.data_texts(["node_type"])).is_ok());
    assert!(peeking <= BASE, "{name}: peeking at {} bytes took {peeking}", bytes.len());
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_follows_the_bytes_that_are_there() {
    claims_cost_nothing();
    a_header_costs_no_memory();
    blobs_are_not_copied();
}

fn claims_cost_nothing() {
    const LEN: usize = 64 << 10;
    let claims = |marker: u8, claimed: u32| [&[marker][..], &claimed.to_be_bytes()].concat();
    let repeated = |unit: Vec<u8>| unit.into_iter().cycle().take(LEN).collect::<Vec<u8>>();
    assert_modest("a list of 2^32", claims(0xdd, u32::MAX));
    assert_modest("a map of 2^32", claims(0xdf, u32::MAX));
    assert_modest("bytes of 2^32", claims(0xc6, u32::MAX));
    assert_modest("text of 2^32", claims(0xdb, u32::MAX));
    // Each of these announces as much as follows, inside the one before.
    assert_modest("lists that each claim the rest", repeated(claims(0xdd, LEN as u32 / 2)));
    assert_modest("maps that each claim the rest", {
        let mut unit = claims(0xdf, LEN as u32 / 4);
        unit.extend(b"\xa1k");
        repeated(unit)
    });
    assert_modest("short lists that claim 16 bits", repeated(vec![0xdc, 0x40, 0x00]));
    assert_modest("nothing but empty lists", [claims(0xdd, LEN as u32 - 5), vec![0x90; LEN - 5]].concat());
    assert_modest("nothing but empty maps", [claims(0xdd, LEN as u32 - 5), vec![0x80; LEN - 5]].concat());
    assert_modest("a deep hole", vec![0x91; LEN]);
    assert_modest("a deep hole of maps", repeated(b"\x81\xa1k".to_vec()));
}

fn a_header_costs_no_memory() {
    for claimed in [1u32 << 16, 1 << 24, 256 << 20, u32::MAX] {
        let taken = peak(|| {
            let mut reader = FrameReader::new(u32::MAX as usize);
            reader.space().extend_from_slice(&claimed.to_be_bytes());
            let event = reader.next_event();
            reader.space();
            (reader, event)
        });
        assert!(taken <= BASE, "a header that claims {claimed} took {taken}");
    }
}

fn blobs_are_not_copied() {
    let blob = Bytes::from(vec![0x0a; 8 << 20]);
    for (json, mut data) in examples("requests.json").into_iter().filter(|(_, data)| data.contains_key("blobs")) {
        let kind = json["type"].as_str().unwrap();
        data.insert("blobs".to_owned(), millwork_protocol::map! { "image" => blob.clone() }.into());
        let payload = Frame::message(kind, Some("r1"), &data).to_payload();
        let request = REQUESTS.iter().find(|request| request.kind == kind).unwrap();
        let taken = peak(|| {
            let envelope = Envelope::peek(&payload).unwrap();
            (request.data.normalise)(envelope.decode_data(&payload, &Limits::default()).unwrap()).unwrap()
        });
        assert!(taken <= BASE, "{kind} took {taken} for a blob of {}", blob.len());
    }
}
