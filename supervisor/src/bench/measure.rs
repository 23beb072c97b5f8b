//! One function a measurement, on one child. Which child, how often and in what order is decided in the parent module.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use millwork_protocol::{Bytes, Envelope, Frame, Limits, Map, Value, map};

use super::peer::{Peer, check};

/// How many requests are under way at once in [`pipelined`].
pub(crate) const WINDOW: usize = 64;
/// The id of every request that is alone on its way.
const ID: &str = "r";

/// The frame of one request.
pub(crate) fn frame(kind: &str, data: &Map) -> Bytes {
    Frame::message(kind, Some(ID), data).to_bytes()
}

/// What to send to an Echo node.
pub(crate) fn echo(node_type: &str, blob: Option<Bytes>) -> Map {
    let (fields, blobs) = match blob {
        Some(blob) => (Map::new(), map! { "value" => blob }),
        None => (map! { "value" => "hello" }, Map::new()),
    };
    map! { "node_type" => node_type, "fields" => fields, "secrets" => Map::new(), "blobs" => blobs }
}

/// Sends `frame` and waits for its answer, again and again for as long as `budget`, at least `least` times: seconds each.
pub(crate) fn round_trips(peer: &mut Peer, frame: &[u8], budget: Duration, least: usize) -> Result<Vec<f64>> {
    peer.begin_step();
    let begun = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < least || begun.elapsed() < budget {
        let sent = Instant::now();
        peer.send(frame)?;
        let payload = peer.receive()?;
        seconds.push(sent.elapsed().as_secs_f64());
        check(payload, ID)?;
    }
    Ok(seconds)
}

/// Keeps [`WINDOW`] requests under way, refilled as answers come: requests a second.
pub(crate) fn pipelined(peer: &mut Peer, kind: &str, data: &Map, budget: Duration) -> Result<f64> {
    peer.begin_step();
    let frames: Vec<Bytes> =
        (0..WINDOW).map(|slot| Frame::message(kind, Some(&slot.to_string()), data).to_bytes()).collect();
    let begun = Instant::now();
    let (mut done, mut under_way) = (0_u64, WINDOW);
    let mut refill = frames.concat();
    while under_way > 0 {
        peer.send(&refill)?;
        refill.clear();
        let ending = begun.elapsed() >= budget;
        loop {
            let payload = peer.receive()?;
            let slot = Envelope::peek(payload)?.request_id.unwrap_or_default().to_owned();
            check(payload, &slot)?;
            done += 1;
            match slot.parse::<usize>().ok().and_then(|slot| frames.get(slot)) {
                Some(frame) if !ending => refill.extend_from_slice(frame),
                _ => under_way -= 1,
            }
            if under_way == 0 || !peer.has_frame() {
                break;
            }
        }
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// Whether the node gives back the very bytes that it was sent.
pub(crate) fn verify_echo(peer: &mut Peer, node_type: &str, blob: &Bytes) -> Result<()> {
    peer.begin_step();
    let result = peer.ask("execute", &echo(node_type, Some(blob.clone())))?;
    let back = result.get("blobs").and_then(Value::as_map).and_then(|blobs| blobs.values().next());
    ensure!(
        back.and_then(Value::as_bytes) == Some(blob.as_ref()),
        "{node_type} did not give back the bytes it was sent"
    );
    Ok(())
}

/// Runs a node that sends many frames of type `wanted`: how many of them came a second.
pub(crate) fn flood(peer: &mut Peer, kind: &str, data: &Map, wanted: &str) -> Result<f64> {
    peer.begin_step();
    let begun = Instant::now();
    peer.send(&frame(kind, data))?;
    let mut count = 0_u64;
    loop {
        let payload = peer.receive()?;
        check(payload, ID)?;
        match Envelope::peek(payload)?.kind {
            Some("result") => return Ok(count as f64 / begun.elapsed().as_secs_f64()),
            Some(kind) if kind == wanted => count += 1,
            _ => {}
        }
    }
}

/// Cancels a node that waits, and gives the seconds from the cancel to its terminal frame.
pub(crate) fn cancel(peer: &mut Peer, waiting: &Map) -> Result<f64> {
    // Some workers take a while from the request to its node, and a cancel that comes earlier just ends it.
    for pause in [0, 10, 100, 1000] {
        if let Some(seconds) = cancel_after(peer, waiting, Duration::from_millis(pause))? {
            return Ok(seconds);
        }
    }
    bail!("the node ended before it could be cancelled")
}

fn cancel_after(peer: &mut Peer, waiting: &Map, pause: Duration) -> Result<Option<f64>> {
    peer.begin_step();
    peer.send(&frame("execute", waiting))?;
    // An answer to a later message means that the earlier one has been taken up.
    check(&peer.call("worker.status", &Map::new())?, "call")?;
    std::thread::sleep(pause);
    let begun = Instant::now();
    peer.send(&frame("cancel", &Map::new()))?;
    loop {
        let payload = Bytes::copy_from_slice(peer.receive()?);
        let envelope = Envelope::peek(&payload)?;
        match envelope.kind {
            Some("error") => return Ok(Some(begun.elapsed().as_secs_f64())),
            Some("result") => {
                let data = envelope.decode_data(&payload, &Limits::default())?;
                if data.get("outputs").is_some() {
                    return Ok(None);
                }
            }
            _ => {}
        }
    }
}
