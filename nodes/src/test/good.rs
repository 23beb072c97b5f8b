//! Test nodes that do what they are asked.

use std::time::Duration;

use millwork_worker::prelude::*;
use sha2::{Digest, Sha256};

/// Gives back what it is given, a blob too.
#[derive(Node)]
#[node("test.Echo", quick, idempotent)]
pub(super) struct Echo {
    /// Any value.
    value: Value,
}

impl Run for Echo {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        Ok(self.value)
    }
}

/// Adds two numbers.
#[derive(Node)]
#[node("test.Add", quick, idempotent)]
pub(super) struct Add {
    /// One number.
    #[node(default = 0.0)]
    a: f64,
    /// The other.
    #[node(default = 0.0)]
    b: f64,
}

impl Run for Add {
    type Output = f64;

    fn run(self, _: &Context) -> Result<f64> {
        Ok(self.a + self.b)
    }
}

/// Sleeps, and wakes when it is cancelled.
#[derive(Node)]
#[node("test.Sleep")]
pub(super) struct Sleep {
    /// How long, in milliseconds.
    #[node(default = 100.0, min = 0.0)]
    ms: f64,
}

impl Run for Sleep {
    type Output = f64;

    fn run(self, cx: &Context) -> Result<f64> {
        cx.sleep(Duration::try_from_secs_f64(self.ms / 1000.0).unwrap_or(Duration::MAX))?;
        Ok(self.ms)
    }
}

/// Sends progress frames.
#[derive(Node)]
#[node("test.Progress")]
pub(super) struct Progress {
    /// How many.
    #[node(default = 10)]
    n: u64,
}

impl Run for Progress {
    type Output = u64;

    fn run(self, cx: &Context) -> Result<u64> {
        for i in 1..=self.n {
            cx.check()?;
            cx.progress(i as f64, self.n as f64);
        }
        Ok(self.n)
    }
}

/// Streams numbers, with a blob each where asked.
#[derive(Node)]
#[node("test.Stream", stream)]
pub(super) struct Stream {
    /// How many chunks.
    #[node(default = 10)]
    n: u64,
    /// Size of the blob in each, in bytes; 0 for none.
    #[node(default = 0, max = 134_217_728)]
    bytes: usize,
}

/// A chunk of [`Stream`].
#[derive(Outputs)]
pub(super) struct StreamItem {
    output: u64,
    blob: Option<Bytes>,
}

impl RunStream for Stream {
    type Item = StreamItem;

    fn run(self, cx: &Context, sink: &mut Sink<'_, StreamItem>) -> Result<()> {
        let blob = (self.bytes > 0).then(|| noise(self.bytes, 0));
        for output in 0..self.n {
            cx.check()?;
            sink.send(StreamItem { output, blob: blob.clone() })?;
        }
        Ok(())
    }
}

/// Gives a blob of pseudo-random bytes.
#[derive(Node)]
#[node("test.BigBlob")]
pub(super) struct BigBlob {
    /// Its size.
    #[node(default = 1_048_576, max = 1_073_741_824)]
    bytes: usize,
    /// Which bytes: the same seed gives the same ones.
    #[node(default = 0)]
    seed: u64,
}

impl Run for BigBlob {
    type Output = Bytes;

    fn run(self, _: &Context) -> Result<Bytes> {
        Ok(noise(self.bytes, self.seed))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014), its words written little-endian.
pub(super) fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// Gives the SHA-256 of a secret, in hex.
#[derive(Node)]
#[node("test.NeedsSecret", settings("TEST_SECRET"))]
pub(super) struct NeedsSecret {}

impl Run for NeedsSecret {
    type Output = String;

    fn run(self, cx: &Context) -> Result<String> {
        let digest = Sha256::digest(cx.secret("TEST_SECRET")?.as_bytes());
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    #[test]
    fn an_echoed_blob_is_not_copied() {
        let bytes = noise(100_000, 1);
        let echoed = NodeTest::new::<Echo>().blob("value", bytes.clone()).run().unwrap();
        assert_eq!(echoed.blobs["output"].as_ptr(), bytes.as_ptr());
        assert_eq!(echoed.outputs["output"], Value::Map(map! { "type" => "asset", "uri" => "blob://output" }));
    }

    #[test]
    fn noise_is_splitmix64() {
        // The first output for seed 0 is the reference implementation's 0xe220a8397b1dcdaf.
        assert_eq!(noise(8, 0), 0xe220_a839_7b1d_cdaf_u64.to_le_bytes().as_slice());
        assert_eq!(noise(3, 0).len(), 3);
    }

    #[test]
    fn a_secret_is_needed_and_only_its_digest_is_told() {
        let given = NodeTest::new::<NeedsSecret>().secret("TEST_SECRET", "abc").run().unwrap();
        let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(given.outputs["output"], Value::from(sha256_of_abc));
        let error = NodeTest::new::<NeedsSecret>().run().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::MissingSetting);
    }

    #[test]
    fn streams_and_progress_count() {
        let outcome = NodeTest::new::<Stream>().field("n", 3).field("bytes", 5).outcome();
        assert_eq!(outcome.chunks.len(), 3);
        assert_eq!(outcome.chunks[2].outputs["output"], Value::Int(2));
        assert_eq!(outcome.chunks[2].blobs["blob"].len(), 5);
        assert_eq!(NodeTest::new::<Progress>().field("n", 4).outcome().progress.len(), 4);
    }
}
