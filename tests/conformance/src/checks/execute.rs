//! EXE: one request, one answer.

use millwork_protocol::{Frame, Map, Value, map};

use super::common::{echo, echoes, error_names, is_number, json, map_in, node, nothing_more, number_node, with};
use crate::check::{Check, Outcome, ensure, fail, not_applicable};
use crate::message::{Message, shorten};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("EXE-001", |w| {
        let answer = w.execute("nowhere.Nothing", map! {})?;
        error_names(&answer, "nowhere.Nothing")
    }),
    Check::new("EXE-002", |w| {
        w.node("test.Add")?;
        let answer = w.execute("test.Add", map! { "a" => 19, "b" => 23.5 })?;
        is_number(&answer, "output", 42.5)
    }),
    Check::new("EXE-027", |w| {
        let answer = echo(w, 7)?;
        answer.expect_kind("result")?;
        map_in(&answer, "outputs")?;
        map_in(&answer, "blobs").map(|_| ())
    }),
    Check::new("EXE-028", outputs_are_declared),
    Check::new("EXE-003", |w| {
        let answer = w.execute("no.such.Node", map! {})?;
        let text = answer.expect_error()?;
        ensure!(text.contains("Unknown node type: no.such.Node"), "the error is {text:?}");
        Ok(())
    }),
    Check::new("EXE-004", |w| default_is_used(w, |_| map! {})),
    Check::new("EXE-005", |w| default_is_used(w, |field| map! { field => Value::Nil })),
    Check::new("EXE-006", |w| {
        w.node("test.Echo")?;
        let answer = w.execute("test.Echo", map! { "value" => 7, "retired_field" => "old", "another" => map! {} })?;
        is_number(&answer, "output", 7.0)
    }),
    Check::new("EXE-007", |w| {
        w.node("test.Echo")?;
        w.execute("test.Echo", map! { "value" => 7, "field_of_an_old_graph" => 1 })?.expect_kind("result")?;
        let limit = w.session().seconds(2.0);
        ensure!(
            w.wait_stderr(limit, |text| text.contains("field_of_an_old_graph")),
            "stderr does not name the field `field_of_an_old_graph`, which the node does not have";
            "Unknown fields are dropped without a word, so a typing mistake in a graph is hard to find."
        );
        Ok(())
    }),
    Check::new("EXE-008", |w| {
        let (node_type, field, _) = number_node(w)?;
        let answer = w.execute(node_type, map! { field => "no number" })?;
        answer.expect_error().map(|_| ())
    }),
    Check::new("EXE-009", |w| {
        w.node("test.Echo")?;
        w.call("execute", map! { "node_type" => "test.Echo" })?.expect_kind("result").map(|_| ())
    }),
    Check::new("EXE-010", |w| {
        echoes(w, 1)?;
        w.execute("no.such.Node", map! {})?.expect_error()?;
        w.call("worker.status", map! {})?;
        nothing_more(w)
    }),
    Check::new("EXE-011", |w| {
        let ids = [
            "a b  c ",
            " ",
            "\u{0}\n\r\t\u{7f}",
            "é漢字🎉",
            "e\u{301}",
            "\u{202e}abc",
            "{\"id\":1}",
            "../x",
            "nil",
            "0",
        ];
        ids.into_iter().try_for_each(|id| id_returns(w, id))
    }),
    Check::new("EXE-012", |w| id_returns(w, &"é".repeat(32 << 10))),
    Check::fresh("EXE-013", |w| {
        w.expect_id("");
        w.send_payload(Frame::message("execute", Some(""), &node("no.such.Node", map! {})).to_payload());
        let patience = w.session().patience();
        let Some(answer) = w.try_next(patience) else { return Err(fail("the empty id is not answered")) };
        let id = answer.id.as_deref().unwrap_or_default();
        ensure!(id.is_empty(), "the answer to the empty id has the id {id:?}");
        nothing_more(w)
    }),
    Check::fresh("EXE-014", |w| {
        w.node("test.Sleep")?;
        w.send_as("execute", "twice", node("test.Sleep", map! { "ms" => 400 }));
        w.send_as("execute", "twice", node("no.such.Node", map! {}));
        let first = w.terminal("twice")?;
        w.expect_id("twice");
        let second = w.terminal("twice")?;
        let kept = [&first, &second].into_iter().find(|answer| answer.kind == "result");
        ensure!(kept.is_some(), "neither of the two answers is the result of the first request");
        kept.map_or(Ok(()), |answer| is_number(answer, "output", 400.0))?;
        w.is_well()
    }),
    Check::new("EXE-015", |w| {
        for _ in 0..3 {
            w.send_as("worker.status", "again", map! {});
            w.terminal("again")?.expect_kind("result")?;
        }
        Ok(())
    }),
    Check::new("EXE-016", |w| {
        let values: [Value; 10] = [
            7.into(),
            (-3).into(),
            ((1_i64 << 53) - 1).into(),
            1.5.into(),
            true.into(),
            Value::Nil,
            "é漢字🎉\u{0}".into(),
            "".into(),
            Value::List(vec![1.into(), "b".into(), Value::Nil, Value::List(Vec::new())]),
            map! { "a" => map! { "b" => vec![false, true], "c" => Value::Nil }, "" => map! {} }.into(),
        ];
        values.into_iter().try_for_each(|value| echoes(w, value))
    }),
    Check::new("EXE-017", |w| {
        w.node("test.Add")?;
        let answer = w.execute("test.Add", map! { "a" => 2, "b" => 0.5 })?;
        is_number(&answer, "output", 2.5)
    }),
    Check::new("EXE-018", |w| {
        w.node("test.Echo")?;
        let data = with(node("test.Echo", map! { "value" => 7 }), "acme_extension", map! { "deep" => vec![1] });
        let answer = w.call("execute", data)?;
        is_number(&answer, "output", 7.0)
    }),
    Check::new("EXE-019", |w| {
        w.node("test.Stream")?;
        let id = w.send("execute", node("test.Stream", map! { "n" => 5 }));
        let frames = w.frames(&id)?;
        let chunks = frames.iter().filter(|frame| frame.kind == "chunk").count();
        ensure!(chunks == 0, "{chunks} chunks came for an `execute`; only `execute.stream` has chunks");
        frames.last().map_or(Ok(()), |last| last.expect_kind("result").map(|_| ()))
    }),
    Check::new("EXE-020", |w| {
        let secret = "hunter2-in-an-answer";
        for answer in secretive(w, secret)? {
            let told = answer.payload.windows(secret.len()).any(|part| part == secret.as_bytes());
            ensure!(!told, "a `{}` frame holds the value of a secret", answer.kind);
        }
        Ok(())
    }),
    Check::new("EXE-021", |w| {
        let secret = "hunter2-in-the-log";
        secretive(w, secret)?;
        w.is_well()?;
        ensure!(!w.stderr().contains(secret), "stderr holds the value of a secret");
        Ok(())
    }),
    Check::new("EXE-022", |w| {
        w.node("test.NeedsSecret")?;
        let answer = w.execute("test.NeedsSecret", map! {})?;
        error_names(&answer, "TEST_SECRET")
    }),
    Check::new("EXE-023", |w| {
        w.node("test.NeedsSecret")?;
        let data = with(node("test.NeedsSecret", map! {}), "secrets", map! { "TEST_SECRET" => "abc" });
        let answer = w.call("execute", data)?;
        let digest = answer.output("output")?;
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        ensure!(digest.as_str() == Some(of_abc), "the SHA-256 of the secret `abc` came back as {}", json(digest));
        Ok(())
    }),
    Check::new("EXE-024", |w| {
        w.node("test.Echo")?;
        let id = w.send("execute", node("test.Echo", map! { "value" => 7 }));
        let odd = w.frames(&id)?.into_iter().find(|frame| {
            !frame.is_terminal()
                && !matches!(frame.kind.as_str(), "progress" | "update")
                && !frame.kind.starts_with("blob.")
        });
        ensure!(odd.is_none(), "a `{}` frame came before the result", odd.map_or_else(String::new, |odd| odd.kind));
        Ok(())
    }),
    Check::new("EXE-025", |w| {
        for data in
            [map! {}, map! { "fields" => map! {} }, map! { "node_type" => 5 }, map! { "node_type" => Value::Nil }]
        {
            w.call("execute", data)?.expect_error()?;
        }
        w.is_well()
    }),
    Check::new("EXE-026", |w| {
        w.node("test.Echo")?;
        let nil = || Value::Nil;
        let data = map! { "node_type" => "test.Echo", "fields" => nil(), "secrets" => nil(), "blobs" => nil() };
        w.call("execute", data)?.expect_kind("result").map(|_| ())
    }),
];

fn outputs_are_declared(w: &mut Worker) -> Outcome {
    let nodes = ["test.Echo", "test.Add", "test.Progress", "test.Sleep"];
    let mut seen = false;
    for (node_type, metadata) in
        nodes.into_iter().filter_map(|name| Some((name, w.node(name).ok()?))).collect::<Vec<_>>()
    {
        seen = true;
        let declared = metadata.get("outputs").and_then(Value::as_list).unwrap_or_default();
        let declared: Vec<&str> = declared.iter().filter_map(|output| output.get("name")?.as_str()).collect();
        let answer = w.execute(node_type, map! {})?;
        answer.expect_kind("result")?;
        let odd = map_in(&answer, "outputs")?.keys().find(|slot| !declared.contains(&slot.as_str()));
        if let Some(odd) = odd {
            let declared = declared.join(", ");
            return Err(fail(format!("{node_type} has the output `{odd}`, and `discover` lists {declared}")));
        }
    }
    if seen { Ok(()) } else { Err(not_applicable(format!("the worker has none of {}", nodes.join(", ")))) }
}

fn default_is_used(w: &mut Worker, fields: fn(&str) -> Map) -> Outcome {
    let (node_type, field, default) = number_node(w)?;
    let default =
        default.ok_or_else(|| not_applicable(format!("`discover` lists no default for {node_type}.{field}")))?;
    let answer = w.execute(node_type, fields(field))?;
    answer.expect_kind("result")?;
    if matches!(node_type, "test.Progress" | "test.Sleep") {
        is_number(&answer, "output", default)?;
    }
    Ok(())
}

fn id_returns(w: &mut Worker, id: &str) -> Outcome {
    w.answers("worker.status")?;
    w.send_as("worker.status", id, map! {});
    let patience = w.session().patience();
    let shown = |id: &str| shorten(&format!("{id:?}"), 60);
    let Some(answer) = w.try_next(patience) else { return Err(fail(format!("{} is not answered", shown(id)))) };
    let given = answer.id.as_deref();
    ensure!(
        given == Some(id),
        "the answer to the id {} has the id {}",
        shown(id),
        given.map_or("nil".to_owned(), shown)
    );
    Ok(())
}

/// Requests of several fates that carry a secret, answered.
fn secretive(w: &mut Worker, secret: &str) -> Outcome<Vec<Message>> {
    let secrets = || map! { "TEST_SECRET" => secret, "API_KEY" => secret };
    let mut requests = vec![node("no.such.Node", map! {}), map! { "node_type" => 5 }];
    let candidates = [
        ("test.Echo", map! { "value" => 1 }),
        ("test.NeedsSecret", map! {}),
        ("test.Fail", map! {}),
        ("test.Panic", map! {}),
        ("test.Sleep", map! { "ms" => "no number" }),
    ];
    requests.extend(
        candidates.into_iter().filter(|(name, _)| w.node(name).is_ok()).map(|(name, fields)| node(name, fields)),
    );
    requests.into_iter().map(|data| w.call("execute", with(data, "secrets", secrets()))).collect()
}
