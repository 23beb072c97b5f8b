//! A desktop application in the manner of Tauri: the window's thread sends commands, a backend thread calls nodes, and
//! what happens there is pushed back as events.
//!
//! There is no window here. Standard input stands for its buttons and standard output for what it shows; between window
//! and backend are plain channels, in the place of a toolkit's own. The lines are:
//!
//! ```text
//! run image.Blur image=@photo.png sigma=4      starts a node; @ gives a file's bytes
//! cancel                                       the cancel button
//! close                                        the window is closed; the end of the input does the same
//! ```
#![allow(clippy::print_stdout, reason = "it stands for a window")]

use std::io::BufRead;
use std::sync::mpsc as std_mpsc;

use millwork::{Client, ErrorKind, Event, Execute, Fleet, Map, RequestError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the window asks for.
enum Command {
    Run(String),
    Cancel,
    Close,
}

/// What the window is told.
enum Shown {
    Worker(String),
    Progress(f64, f64),
    Done(String),
    Cancelled,
    Failed(String),
    Closed,
}

/// To the window. It may have gone, which then ends the backend too.
#[derive(Clone)]
struct Window(std_mpsc::Sender<Shown>);

impl Window {
    fn show(&self, shown: Shown) {
        let _ = self.0.send(shown);
    }
}

fn main() -> std::io::Result<()> {
    let (commands, inlet) = mpsc::unbounded_channel();
    let (outlet, shown) = std_mpsc::channel();
    let backend = std::thread::spawn(move || backend(inlet, &Window(outlet)));
    // The user, who presses buttons while the window is drawn.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let command = match line.split_once(' ') {
                Some(("run", call)) => Command::Run(call.to_owned()),
                _ if line == "cancel" => Command::Cancel,
                _ => break,
            };
            let _ = commands.send(command);
        }
        let _ = commands.send(Command::Close);
    });
    // The window's thread never waits for a node: it shows what it is told.
    for shown in shown {
        match shown {
            Shown::Worker(text) => println!("worker: {text}"),
            Shown::Progress(done, total) => println!("progress: {done} of {total}"),
            Shown::Done(text) => println!("done: {text}"),
            Shown::Cancelled => println!("cancelled"),
            Shown::Failed(text) => println!("failed: {text}"),
            Shown::Closed => break,
        }
    }
    // By now every worker is gone.
    backend.join().unwrap_or_else(|_| Err(std::io::Error::other("the backend panicked")))?;
    println!("closed");
    Ok(())
}

fn backend(commands: mpsc::UnboundedReceiver<Command>, window: &Window) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Err(error) = runtime.block_on(serve(commands, window)) {
        window.show(Shown::Failed(error.to_string()));
    }
    window.show(Shown::Closed);
    Ok(())
}

async fn serve(mut commands: mpsc::UnboundedReceiver<Command>, window: &Window) -> Result<(), millwork::Error> {
    let events = window.clone();
    // The workers are what millwork.toml says, and else the stock worker, which an application brings along beside itself.
    let fleet = Fleet::builder()
        .configured()
        .on_change(move |change| events.show(Shown::Worker(format!("{} is {}", change.worker, change.state))))
        .start()?;
    let client = fleet.client();
    // One call at a time, and its cancel button.
    let mut running = JoinSet::new();
    let mut cancel = None;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Run(text)) if running.is_empty() => match call(&client, &text) {
                    Ok(call) => {
                        let (button, pressed) = tokio::sync::oneshot::channel();
                        cancel = Some(button);
                        running.spawn(run(call, window.clone(), pressed));
                    }
                    Err(error) => window.show(Shown::Failed(error)),
                },
                Some(Command::Run(_)) => window.show(Shown::Failed("a node is running".to_owned())),
                Some(Command::Cancel) => drop(cancel.take()),
                Some(Command::Close) | None => break,
            },
            // Shown once the next call may start.
            Some(ended) = running.join_next() => {
                cancel = None;
                window.show(ended.unwrap_or_else(|error| Shown::Failed(error.to_string())));
            }
        }
    }
    // Dropping the call cancels it; then the workers end.
    running.shutdown().await;
    fleet.shutdown().await;
    Ok(())
}

/// One call, from its start to its end.
async fn run(call: Execute, window: Window, mut cancelled: tokio::sync::oneshot::Receiver<()>) -> Shown {
    let mut pending = call.send();
    let mut is_cancelled = false;
    loop {
        let event = tokio::select! {
            event = pending.next() => event,
            _ = &mut cancelled, if !is_cancelled => {
                // The answer still comes: it says that it was cancelled, or that it was done already.
                is_cancelled = true;
                pending.cancel();
                continue;
            }
        };
        match event {
            Some(Event::Progress(data)) => {
                let number = |key: &str| data.get(key).and_then(millwork::Value::as_f64).unwrap_or_default();
                window.show(Shown::Progress(number("progress"), number("total")));
            }
            Some(_) => {}
            None => break,
        }
    }
    match pending.finish().await {
        Ok(result) => Shown::Done(summary(&result)),
        Err(RequestError { kind: ErrorKind::Cancelled, .. }) => Shown::Cancelled,
        Err(error) => Shown::Failed(error.message),
    }
}

/// `NODE field=value …`, where `@` gives a file's bytes and numbers are numbers.
fn call(client: &Client, text: &str) -> Result<Execute, String> {
    let mut words = text.split_whitespace();
    let mut call = client.execute(words.next().unwrap_or_default());
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word} is no field=value"))?;
        call = match (value.strip_prefix('@'), value.parse::<f64>()) {
            (Some(path), _) => call.blob(name, std::fs::read(path).map_err(|error| format!("{path}: {error}"))?),
            (None, Ok(number)) => call.field(name, number),
            (None, Err(_)) => call.field(name, value),
        };
    }
    Ok(call)
}

/// What a window would draw.
fn summary(result: &Map) -> String {
    let part = |key: &str| result.get(key).and_then(|part| part.as_map()).cloned().unwrap_or_default();
    let mut shown = part("outputs");
    shown.extend(part("blobs"));
    millwork::Value::Map(shown).to_json().to_string()
}
