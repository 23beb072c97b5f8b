//! What happens around the work of a node: its hooks, its streams, the slots that it does not list.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use millwork_worker::CancelToken;
use millwork_worker::image::RgbImage;
use millwork_worker::prelude::*;
use millwork_worker::testing::NodeTest;

/// How a call ends.
#[derive(Choice, Debug, Clone, Copy, PartialEq)]
enum End {
    Well,
    Invalid,
    Unloadable,
    Failing,
    Panicking,
    Cancelled,
}

/// Ends as it is told, and tells what it went through.
#[derive(Node)]
#[node("test.Ending")]
struct Ending {
    /// How it ends.
    end: End,
    /// Where what it went through is told: a number in the log.
    log: usize,
}

/// What calls went through, by number: tests run beside each other.
static LOGS: Mutex<Vec<Arc<Mutex<Vec<String>>>>> = Mutex::new(Vec::new());

fn note(log: usize, text: impl Into<String>) {
    LOGS.lock().unwrap()[log].lock().unwrap().push(text.into());
}

fn new_log() -> (usize, Arc<Mutex<Vec<String>>>) {
    let mut logs = LOGS.lock().unwrap();
    let log = Arc::<Mutex<Vec<String>>>::default();
    logs.push(Arc::clone(&log));
    (logs.len() - 1, log)
}

impl Ending {
    fn check(&self) -> Result<()> {
        note(self.log, "validate");
        if self.end == End::Invalid { Err(Error::invalid("field `end`: not this one")) } else { Ok(()) }
    }

    fn load(&self, cx: &Context) -> Result<()> {
        let log = self.log;
        note(log, "preload");
        cx.finalize(move |ended| note(log, format!("finalize {:?}", ended.map_err(Error::kind))));
        cx.finalize(move |_| note(log, "finalize first"));
        if self.end == End::Unloadable { Err(Error::unavailable("no model")) } else { Ok(()) }
    }

    fn work(self, cx: &Context) -> Result<()> {
        note(self.log, "run");
        match self.end {
            End::Failing => Err(Error::failed("it broke")),
            End::Panicking => panic!("so it goes"),
            End::Cancelled => cx.sleep(std::time::Duration::from_secs(600)),
            _ => Ok(()),
        }
    }
}

impl Run for Ending {
    type Output = ();

    fn validate(&self) -> Result<()> {
        self.check()
    }

    fn preload(&self, cx: &Context) -> Result<()> {
        self.load(cx)
    }

    fn run(self, cx: &Context) -> Result<()> {
        self.work(cx)
    }
}

/// The same as a stream.
#[derive(Node)]
#[node("test.EndingStream", stream)]
struct EndingStream {
    end: End,
    log: usize,
}

impl EndingStream {
    fn as_ending(&self) -> Ending {
        Ending { end: self.end, log: self.log }
    }
}

impl RunStream for EndingStream {
    type Item = i64;

    fn validate(&self) -> Result<()> {
        self.as_ending().check()
    }

    fn preload(&self, cx: &Context) -> Result<()> {
        self.as_ending().load(cx)
    }

    fn run(self, cx: &Context, sink: &mut Sink<'_, i64>) -> Result<()> {
        sink.send(1)?;
        self.as_ending().work(cx)
    }
}

/// One call: what it answers, and what it went through.
fn call<N: millwork_worker::node::Node>(end: End) -> (Result<()>, Vec<String>) {
    let (number, log) = new_log();
    let cancel = CancelToken::default();
    if end == End::Cancelled {
        cancel.cancel();
    }
    let result = NodeTest::new::<N>().field("end", end).field("log", number).cancel(&cancel).run().map(|_| ());
    let log = log.lock().unwrap().clone();
    (result, log)
}

#[test]
fn hooks_run_on_every_path() {
    let all = |ended: &str| {
        vec![
            "validate".to_owned(),
            "preload".to_owned(),
            "run".to_owned(),
            "finalize first".to_owned(),
            format!("finalize {ended}"),
        ]
    };
    for call in [call::<Ending>, call::<EndingStream>] {
        let (result, log) = call(End::Well);
        assert!(result.is_ok());
        assert_eq!(log, all("Ok(())"));

        let (result, log) = call(End::Failing);
        assert_eq!(result.unwrap_err().message(), "it broke");
        assert_eq!(log, all("Err(Failed)"));

        let (result, log) = call(End::Panicking);
        let error = result.unwrap_err();
        assert!(
            error.kind() == &ErrorKind::Panic && error.message().starts_with("panicked: so it goes at "),
            "{error:?}"
        );
        assert_eq!(log, all("Err(Panic)"));

        // What is wrong is found before anything is loaded, and what was not begun has no end.
        let (result, log) = call(End::Invalid);
        assert_eq!(result.unwrap_err().message(), "field `end`: not this one");
        assert_eq!(log, ["validate"]);

        let (result, log) = call(End::Unloadable);
        assert_eq!(result.unwrap_err().kind(), &ErrorKind::Unavailable);
        assert_eq!(log, ["validate", "preload", "finalize first", "finalize Err(Unavailable)"]);
    }
    let (result, log) = call::<Ending>(End::Cancelled);
    assert_eq!(result.unwrap_err().kind(), &ErrorKind::Cancelled);
    assert_eq!(log, all("Err(Cancelled)"));
}

/// Has a finalizer that panics, and one before it.
#[derive(Node)]
#[node("test.BadEnd")]
struct BadEnd {
    log: usize,
    fails: bool,
}

impl Run for BadEnd {
    type Output = i64;

    fn run(self, cx: &Context) -> Result<i64> {
        let log = self.log;
        cx.finalize(move |_| note(log, "the other one"));
        cx.finalize(|_| panic!("never mind"));
        if self.fails { Err(Error::failed("it broke")) } else { Ok(7) }
    }
}

#[test]
fn a_finalizer_that_panics_changes_nothing() {
    let (number, log) = new_log();
    let call = |fails| NodeTest::new::<BadEnd>().field("log", number).field("fails", fails).run();
    assert_eq!(call(false).unwrap().get::<i64>("output").unwrap(), 7);
    assert_eq!(call(true).unwrap_err().message(), "it broke");
    assert_eq!(*log.lock().unwrap(), ["the other one", "the other one"]);
}

/// Adds up what comes in, and tells each sum.
#[derive(Node)]
#[node("test.Sums", stream)]
struct Sums {
    /// Numbers.
    #[node(default)]
    numbers: Inputs<i64>,
    /// More of them.
    more: Option<Inputs<i64>>,
}

impl RunStream for Sums {
    type Item = i64;

    fn run(self, cx: &Context, sink: &mut Sink<'_, i64>) -> Result<()> {
        let mut sum = 0;
        let more = self.more.unwrap_or_default();
        self.numbers.read(cx).chain(more.read(cx)).try_for_each(|number| {
            sum += number?;
            sink.send(sum)
        })
    }
}

#[test]
fn inputs_are_read_one_by_one() {
    let metadata = Sums::entry().metadata;
    assert!(metadata.is_streaming_input && metadata.is_streaming_output);
    assert!(!Ending::entry().metadata.is_streaming_input);
    let sums = |numbers: Value| {
        let outcome = NodeTest::new::<Sums>().field("numbers", numbers).outcome();
        let sums: Vec<i64> = outcome.chunks.iter().map(|chunk| chunk.get("output").unwrap()).collect();
        (sums, outcome.result.map(|_| ()))
    };
    assert_eq!(sums(vec![1, 2, 3].into()).0, [1, 3, 6]);
    assert_eq!(sums(5.into()).0, [5]);
    assert_eq!(NodeTest::new::<Sums>().field("more", vec![4]).run().unwrap().get::<i64>("output").unwrap(), 4);
    // What came before a wrong one was read and told.
    let (told, result) = sums(Value::List(vec![1.into(), "x".into(), 3.into()]));
    assert_eq!(told, [1]);
    assert_eq!(result.unwrap_err().message(), "field `numbers`: element 1: expected an int, got str \"x\"");

    let cancelled = CancelToken::default();
    cancelled.cancel();
    let outcome = NodeTest::new::<Sums>().field("numbers", vec![1, 2]).cancel(&cancelled).outcome();
    assert_eq!((outcome.result.unwrap_err().kind(), outcome.chunks.len()), (&ErrorKind::Cancelled, 0));
}

/// A slot for each input, twice as large.
#[derive(Outputs)]
struct Doubled {
    count: usize,
    #[output("sum")]
    total: f64,
    #[output(dynamic)]
    values: IndexMap<String, f64>,
}

/// Doubles whatever it is given.
#[derive(Node)]
#[node("test.Double")]
struct Double {
    /// A name that the macro must not trip over.
    fields: Option<bool>,
    #[node(dynamic)]
    inputs: IndexMap<String, f64>,
}

impl Run for Double {
    type Output = Doubled;

    fn run(self, _: &Context) -> Result<Doubled> {
        let factor = if self.fields == Some(false) { 1.0 } else { 2.0 };
        let values: IndexMap<_, _> = self.inputs.into_iter().map(|(name, value)| (name, value * factor)).collect();
        Ok(Doubled { count: values.len(), total: values.values().sum(), values })
    }
}

/// Cuts a picture into columns: a picture a slot.
#[derive(Node)]
#[node("test.Columns")]
struct Columns {
    image: Image,
}

#[derive(Outputs)]
struct ColumnsOut {
    #[output(dynamic)]
    columns: IndexMap<String, Image>,
}

impl Run for Columns {
    type Output = ColumnsOut;

    fn run(self, _: &Context) -> Result<ColumnsOut> {
        let column = |x| (format!("x{x}"), self.image.crop_imm(x, 0, 1, self.image.height()).into());
        Ok(ColumnsOut { columns: (0..self.image.width()).map(column).collect() })
    }
}

#[test]
fn slots_that_are_not_listed() {
    let metadata = Double::entry().metadata;
    let slots: Vec<&str> = metadata.outputs.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!((slots, metadata.is_dynamic), (vec!["count", "sum"], true));
    assert_eq!(metadata.extra, map! { "supports_dynamic_outputs" => true });
    assert!(Columns::entry().metadata.outputs.is_empty() && Ending::entry().metadata.extra.is_empty());

    let answer = NodeTest::new::<Double>().field("a", 1.5).field("b", 2).run().unwrap();
    assert_eq!(answer.outputs, map! { "count" => 2, "sum" => 7.0, "a" => 3.0, "b" => 4.0 });
    let error = NodeTest::new::<Double>().field("sum", 1).run().unwrap_err();
    assert_eq!(error.message(), "output `sum`: the node has a slot of this name; choose another key");
    let error = NodeTest::new::<Double>().field("a", "x").run().unwrap_err();
    assert_eq!(error.message(), "field `a`: expected a float, got str \"x\"");

    let answer = NodeTest::new::<Columns>().field("image", Image::from(RgbImage::new(2, 3))).run().unwrap();
    assert_eq!(answer.blobs.keys().collect::<Vec<_>>(), ["x0", "x1"]);
    assert_eq!(answer.get::<Image>("x1").unwrap().height(), 3);
}
