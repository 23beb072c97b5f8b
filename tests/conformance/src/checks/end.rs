//! END: how a worker goes, and what it leaves behind.

use std::time::{Duration, Instant};

use millwork_protocol::{Value, map};
use nix::sys::signal::Signal;

use super::common::{echo, is_number, node, nothing_followed};
use super::stream::endless;
use crate::check::{Because, Check, Outcome, ensure, fail};
use crate::message::Message;
use crate::validate::rule;
use crate::worker::Worker;

/// Longer than any check waits, in milliseconds.
const LONG: u32 = 600_000;

pub(super) const CHECKS: &[Check] = &[
    Check::fresh("END-001", |w| {
        w.close_stdin();
        ends(w, 5.0)
    }),
    Check::fresh("END-002", |w| {
        let id = sleep(w, 200)?;
        w.is_well()?;
        w.close_stdin();
        let frames = w.rest()?;
        is_number(terminal(&frames, &id)?, "output", 200.0).because("Requests under way are cut off when stdin ends.")
    }),
    Check::fresh("END-003", |w| {
        let id = sleep(w, LONG)?;
        w.is_well()?;
        w.close_stdin();
        let frames = w.rest().because("The worker waits for its requests without limit, and so outlives its host.")?;
        terminal(&frames, &id)?;
        ends(w, 5.0)
    }),
    Check::fresh("END-004", |w| {
        let ids = (0..16).map(|i| sleep(w, if i % 2 == 0 { 100 } else { LONG })).collect::<Outcome<Vec<_>>>()?;
        w.is_well()?;
        w.close_stdin();
        let frames = w.rest().because("The worker waits for its requests without limit, and so outlives its host.")?;
        ids.iter().try_for_each(|id| terminal(&frames, id).map(|_| ()))?;
        nothing_followed(w)
    }),
    Check::fresh("END-005", |w| {
        w.is_well()?;
        w.close_stdin();
        exits_with_0(w)
    }),
    Check::fresh("END-006", |w| {
        w.is_well()?;
        // The header promises 256 bytes, and two of them come.
        w.raw(&b"\0\0\x01\0\x82\xa4"[..]);
        w.close_stdin();
        exits_with_0(w)
    }),
    Check::fresh("END-007", |w| {
        w.signal(Signal::SIGTERM);
        ends(w, 5.0)
    }),
    Check::fresh("END-008", |w| {
        sleep(w, LONG)?;
        w.is_well()?;
        w.signal(Signal::SIGTERM);
        ends(w, 10.0)
    }),
    Check::fresh("END-009", |w| {
        w.is_well()?;
        w.close_stdin();
        w.signal(Signal::SIGTERM);
        ends(w, 5.0)
    }),
    Check::fresh("END-010", |w| {
        w.is_well()?;
        w.close_stdin();
        ends(w, 10.0)?;
        nothing_left(w)
    }),
    Check::fresh("END-011", |w| {
        w.node("test.Child")?;
        w.execute("test.Child", map! { "seconds" => 120 })?.expect_kind("result")?;
        w.close_stdin();
        ends(w, 10.0)?;
        nothing_left(w)
    }),
    Check::fresh("END-012", |w| {
        w.node("test.Spin")?;
        let id = w.send("execute", node("test.Spin", map! { "ms" => 0 }));
        w.is_well()?;
        w.close_stdin();
        let frames = w.rest().because("A node that cannot be asked to stop keeps the process alive.")?;
        terminal(&frames, &id)?;
        ends(w, 5.0)
    }),
    Check::fresh("END-013", |w| {
        if w.node("test.Echo").is_ok() {
            echo(w, "x".repeat(100_000))?;
        }
        w.send("discover", map! {});
        w.close_stdin();
        w.rest()?;
        let during = w.session().current();
        let cut = w.session().violations(rule::WHOLE).into_iter().find(|cut| cut.during == during);
        cut.map_or(Ok(()), |cut| Err(fail(cut.what)))
    }),
    Check::fresh("END-014", |w| {
        let id = endless(w)?;
        w.next_of(&id)?.expect_kind("chunk")?;
        w.close_stdin();
        let frames = w.rest().because("A stream goes on when stdin has ended.")?;
        terminal(&frames, &id)?;
        ends(w, 5.0)
    }),
    Check::launch("END-015", |session| {
        let mut w = session.spawn_with(|launch| launch)?;
        w.close_stdin();
        let limit = session.start_limit();
        w.exit(limit).map(|_| ())
    }),
    Check::fresh("END-016", |w| {
        let id = endless(w)?;
        w.next_of(&id)?.expect_kind("chunk")?;
        w.pause_reading(true);
        w.close_stdin();
        // Nobody reads the rest: what is in the pipe may end inside a frame, for there was no room for its end.
        ends(w, 10.0).because("It waits for a host that no longer reads.")
    }),
];

fn sleep(w: &mut Worker, ms: u32) -> Outcome<String> {
    w.node("test.Sleep")?;
    Ok(w.send("execute", node("test.Sleep", map! { "ms" => ms })))
}

fn ends(w: &mut Worker, seconds: f64) -> Outcome {
    let limit = w.session().seconds(seconds);
    w.exit(limit).map(|_| ())
}

fn exits_with_0(w: &mut Worker) -> Outcome {
    let limit = w.session().seconds(10.0);
    let status = w.exit(limit)?;
    ensure!(status.success(), "it ended with {}", crate::peer::exit_text(status));
    Ok(())
}

/// The one frame that ended this request.
fn terminal<'a>(frames: &'a [Message], id: &str) -> Outcome<&'a Message> {
    let mut ends = frames.iter().filter(|frame| frame.id.as_deref() == Some(id) && frame.is_terminal());
    ends.next().ok_or_else(|| {
        fail(format!("the request {id:?} was under way when stdin ended, and has no terminal frame"))
            .cause("Its host waits for an answer until it gives up.")
    })
}

/// Everything that it has started is gone, soon.
fn nothing_left(w: &Worker) -> Outcome {
    let end = Instant::now() + w.session().seconds(5.0);
    let mut left = w.leftovers();
    while !left.is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        left = w.leftovers();
    }
    let names: Vec<Value> =
        left.iter().map(|process| Value::from(format!("{} ({})", process.command, process.pid))).collect();
    ensure!(left.is_empty(), "5 s after its end these are still there: {}", super::common::json(&Value::List(names)));
    Ok(())
}
