//! Promise 3: no byte but frames on the protocol's stdout.

use millwork_e2e::{PATIENCE, Program, Request, Value, within};

/// Promise 3: what a node prints, in whatever way, ends up on stderr; the frames stay whole.
#[test]
fn p03_what_nodes_print_goes_to_stderr() {
    for program in Program::BOTH {
        let mut peer = program.start();
        for via in ["rust", "libc", "child"] {
            let text = format!("printed via {via}");
            let answer = peer.execute(Request::node("test.StdoutNoise").field("via", via).field("text", text.as_str()));
            assert_eq!(answer.output("output"), &Value::from(text.as_str()));
            assert!(within(PATIENCE, || peer.stderr().contains(&text)), "{via} is nowhere:\n{}", peer.stderr());
        }
        peer.is_well();
    }
}

/// Promise 3: while frames of other requests flow.
#[test]
fn p03_printing_never_cuts_into_frames() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let stream = Request::node("test.Stream").field("n", 200).field("bytes", 70_000);
        let stream = peer.begin("execute.stream", stream);
        let noisy: Vec<String> = ["rust", "libc", "child"]
            .into_iter()
            .cycle()
            .take(30)
            .map(|via| peer.begin("execute", Request::node("test.StdoutNoise").field("via", via)))
            .collect();
        let (mut chunks, mut ended) = (0, 0);
        while ended < noisy.len() + 1 {
            let frame = peer.recv();
            match frame.kind.as_str() {
                "chunk" => {
                    assert_eq!(frame.output("output").as_i64(), Some(chunks));
                    assert_eq!(frame.blob("blob").len(), 70_000);
                    chunks += 1;
                }
                _ => {
                    assert_eq!(frame.kind, "result", "{frame:?}");
                    ended += 1;
                }
            }
        }
        assert_eq!(chunks, 200, "{stream}");
    }
}
