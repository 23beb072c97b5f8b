//! A conversation inside the network: the tokens that it has read, and their keys and values. Choosing tokens is `sample`'s.

use millwork_worker::onnx::Carry;
use millwork_worker::{Context, Result};

use super::network::Networks;
use crate::pace::Pace;

/// Tokens that are read at a time: a cancelled request ends between two such pieces, and the logits of a piece, which are as wide as
/// the vocabulary, stay small.
const PIECE: usize = 256;

/// What has been read.
#[derive(Debug)]
pub(super) struct Session<'a> {
    networks: &'a Networks,
    tokens: Vec<u32>,
    carry: Carry,
    keeps: bool,
}

/// What a session leaves for the next one.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) tokens: Vec<u32>,
    carry: Carry,
}

impl<'a> Session<'a> {
    /// One that has read nothing. Without `keeps` each further token reads everything again.
    pub(super) fn new(networks: &'a Networks, keeps: bool) -> Self {
        let keeps = keeps && networks.has_cache();
        Self { networks, tokens: Vec::new(), carry: Carry::default(), keeps }
    }

    /// One that has read the first `length` tokens of what another one has; `length` is not 0.
    ///
    /// # Errors
    /// Where the model's cache is not laid out as it says.
    pub(super) fn continued(networks: &'a Networks, read: &Read, length: usize) -> Result<Self> {
        let mut carry = read.carry.clone();
        Networks::truncate(&mut carry, length)?;
        Ok(Self { networks, tokens: read.tokens[..length.min(read.tokens.len())].to_vec(), carry, keeps: true })
    }

    /// How many tokens it has read.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Reads further tokens, at least one; gives the logits of what comes next.
    pub(super) fn read(&mut self, tokens: &[u32], cx: &Context) -> Result<Vec<f32>> {
        if !self.keeps {
            self.tokens.extend(tokens);
            return self.networks.run(&self.tokens, 0, &mut Carry::default());
        }
        let (pace, mut done, mut logits) = (Pace::start(), 0, Vec::new());
        while done < tokens.len() {
            cx.check()?;
            let piece = match (self.networks.takes_several(), self.len()) {
                (true, _) => PIECE,
                // Only from nothing does such a graph take more than one.
                (false, 0) => tokens.len(),
                (false, _) => 1,
            };
            let piece = &tokens[done..tokens.len().min(done + piece)];
            logits = self.networks.run(piece, self.len(), &mut self.carry)?;
            self.tokens.extend(piece);
            done += piece.len();
            if tokens.len() > 1 {
                pace.report(cx, done, tokens.len(), "reading the prompt");
            }
        }
        Ok(logits)
    }

    /// What it has read, if it keeps that.
    pub(super) fn finish(self) -> Option<Read> {
        (self.keeps && !self.tokens.is_empty()).then_some(Read { tokens: self.tokens, carry: self.carry })
    }
}

impl Read {
    pub(super) fn bytes(&self) -> u64 {
        self.carry.bytes() + 4 * self.tokens.len() as u64
    }
}
