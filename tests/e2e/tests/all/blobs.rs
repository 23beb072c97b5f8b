//! Blobs of every size, whole and in chunks.

use millwork_e2e::{Bytes, Program, Request, Value, map};
use sha2::{Digest, Sha256};

fn bytes(len: usize) -> Bytes {
    // Full of line feeds: a line-buffered stdout would tear such frames.
    (0..len).map(|i| if i % 3 == 0 { b'\n' } else { i as u8 }).collect()
}

/// Promise 4: from one byte to 64 MiB, back as it was sent.
#[test]
fn p04_blobs_of_every_size_come_back_whole() {
    for program in Program::BOTH {
        let mut peer = program.start();
        for len in [1, 2, 255, 256, 65_535, 65_536, 1 << 20, (16 << 20) + 1, 64 << 20] {
            let blob = bytes(len);
            let answer = peer.execute(Request::node("test.Echo").blob("value", blob.clone()));
            assert!(answer.blob("output") == blob, "{len} bytes changed on the way");
            let uri = answer.output("output").get("uri").and_then(Value::as_str).map(str::to_owned);
            assert_eq!(uri.as_deref(), Some("blob://output"));
        }
    }
}

/// Version 5, `chunked-v1`: start, chunks in order, end with the digest, then the result without them.
#[test]
fn p01_chunked_blobs_arrive_in_order_with_their_digest() {
    for program in Program::BOTH {
        let mut peer = program.launch().env("NODETOOL_BRIDGE_BLOB_CHUNK_SIZE", "300000").start().ready();
        for size in [0usize, 1, 300_000, 300_001, 5_000_000] {
            let request = Request::node("test.BigBlob").field("bytes", size).field("seed", 3);
            let whole = peer.execute(request.clone()).blob("output");
            let mut frames = peer.call("execute", request.with("blob_transfer", "chunked-v1"));
            let result = frames.pop().unwrap();
            assert_eq!(result.data["blobs"], Value::Map(Default::default()));
            assert!(result.output("output").get("uri").is_some());

            let start = frames.remove(0);
            assert_eq!((start.kind.as_str(), start.data["size"].as_i64()), ("blob.start", Some(size as i64)));
            let end = frames.pop().unwrap();
            assert_eq!((end.kind.as_str(), end.data["size"].as_i64()), ("blob.end", Some(size as i64)));
            let mut together = Vec::new();
            for chunk in frames {
                assert_eq!(chunk.kind, "blob.chunk");
                assert_eq!(chunk.data["name"], start.data["name"]);
                assert_eq!(chunk.data["offset"].as_i64(), Some(together.len() as i64));
                let bytes = chunk.data["bytes"].as_bytes().unwrap();
                assert!(bytes.len() <= 300_000);
                together.extend_from_slice(bytes);
            }
            assert!(together == whole, "{size} bytes changed on the way");
            let digest: String = Sha256::digest(&together).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(end.data["sha256"].as_str(), Some(digest.as_str()));
        }
        peer.is_well();
    }
}

/// A reference names any blob of its request, from anywhere in the fields; one to nothing is an error that says so.
#[test]
fn p04_references_find_the_blobs_that_they_name() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let pic = || map! { "type" => "image", "uri" => "blob://pic" };
        let value = map! { "deep" => Value::List(vec![pic().into()]) };
        let constant = Request::node("control.Constant").field("value", value);
        let answer = peer.execute(constant.clone().blob("pic", bytes(300)));
        let item = &answer.output("output").get("deep").unwrap().as_list().unwrap()[0];
        assert_eq!(item.get("uri").and_then(Value::as_str), Some(""));
        assert_eq!(item.get("data").and_then(Value::as_bytes), Some(bytes(300).as_ref()));

        let missing = peer.execute(constant.blob("other", bytes(3)));
        assert_eq!(missing.error_kind(), "invalid_input");
        assert!(missing.error().contains("no blob `pic` in this request (there are: other)"), "{missing:?}");
    }
}
