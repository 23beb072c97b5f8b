//! Bytes shown so that a person sees what is wrong with them: offset, bytes, and what each is in MessagePack.

/// So many lines are shown at most.
const LINES: usize = 24;
/// So many bytes stand in one line.
const WIDTH: usize = 12;

/// A frame, or what should be one: the length first, then the tokens of the payload, as far as `bytes` go. `total` is how
/// many bytes there were in all.
#[must_use]
pub fn annotate(bytes: &[u8], total: usize) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let Some((header, payload)) = bytes.split_first_chunk::<4>() else {
        return vec![line(0, bytes, "not even a whole length")];
    };
    let claimed = u32::from_be_bytes(*header) as usize;
    let there = total.saturating_sub(4);
    let mut lines = vec![line(0, header, &length_text(claimed, there, header))];
    let mut walk = Walk { payload, at: 0, open: Vec::new() };
    while walk.at < payload.len() {
        if lines.len() == LINES {
            lines.push(format!("        … {} more bytes", total.saturating_sub(4 + walk.at)));
            return lines;
        }
        let start = walk.at;
        let depth = walk.open.len().min(8);
        let text = walk.token();
        let here = payload.get(start..walk.at).unwrap_or_default();
        lines.push(line(4 + start, here, &format!("{}{text}", "  ".repeat(depth))));
    }
    if total > bytes.len() {
        lines.push(format!("        … {} more bytes", total - bytes.len()));
    }
    lines
}

fn length_text(claimed: usize, there: usize, header: &[u8]) -> String {
    let printable = header.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let as_text =
        if printable { format!(", which is the text {:?}", String::from_utf8_lossy(header)) } else { String::new() };
    if claimed == there {
        format!("length {claimed}")
    } else {
        format!("length {claimed}{as_text}, but {there} bytes follow")
    }
}

fn line(offset: usize, bytes: &[u8], text: &str) -> String {
    let mut hex: String = bytes.iter().take(WIDTH).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    if bytes.len() > WIDTH {
        hex += " …";
    }
    format!("{offset:06x}  {hex:<width$}  {text}", width = WIDTH * 3 + 1).trim_end().to_owned()
}

/// Walks over tokens and never fails: what cannot be read is said.
struct Walk<'a> {
    payload: &'a [u8],
    at: usize,
    /// How many values each open list or map still takes.
    open: Vec<u64>,
}

impl Walk<'_> {
    fn take(&mut self, n: usize) -> &[u8] {
        let end = self.at.saturating_add(n).min(self.payload.len());
        let taken = self.payload.get(self.at..end).unwrap_or_default();
        self.at = end;
        taken
    }

    fn number(&mut self, n: usize) -> u64 {
        self.take(n).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn token(&mut self) -> String {
        // Whoever is complete with this value is closed before the next one.
        if let Some(left) = self.open.last_mut() {
            *left = left.saturating_sub(1);
        }
        let first = self.take(1).first().copied().unwrap_or_default();
        let text = match first {
            0x00..=0x7f => format!("{first}"),
            0xe0..=0xff => format!("{}", i16::from(first) - 256),
            0x80..=0x8f => self.map("fixmap", u64::from(first & 0x0f)),
            0x90..=0x9f => self.list("fixarray", u64::from(first & 0x0f)),
            0xa0..=0xbf => self.text("fixstr", usize::from(first & 0x1f)),
            0xc0 => "nil".to_owned(),
            0xc1 => "c1: no MessagePack begins so".to_owned(),
            0xc2 => "false".to_owned(),
            0xc3 => "true".to_owned(),
            0xc4..=0xc6 => {
                let (name, width) = sized("bin", first - 0xc4);
                let len = self.number(width) as usize;
                let there = self.take(len).len();
                format!("{name}, {len} bytes{}", cut(len, there))
            }
            0xc7..=0xc9 => {
                let (name, width) = sized("ext", first - 0xc7);
                let len = self.number(width) as usize;
                self.ext(&name, len)
            }
            0xca => format!("float32 {}", f32::from_bits(self.number(4) as u32)),
            0xcb => format!("float64 {}", f64::from_bits(self.number(8))),
            0xcc..=0xcf => {
                let (name, width) = sized("uint", first - 0xcc);
                format!("{name} {}", self.number(width))
            }
            0xd0..=0xd3 => {
                let (name, width) = sized("int", first - 0xd0);
                let raw = self.number(width);
                let shift = 64 - 8 * width as u32;
                format!("{name} {}", (raw << shift) as i64 >> shift)
            }
            0xd4..=0xd8 => self.ext("fixext", 1 << (first - 0xd4)),
            0xd9..=0xdb => {
                let (name, width) = sized("str", first - 0xd9);
                let len = self.number(width) as usize;
                self.text(&name, len)
            }
            0xdc | 0xdd => {
                let (name, width) = sized("array", first - 0xdc + 1);
                let n = self.number(width);
                self.list(&name, n)
            }
            0xde | 0xdf => {
                let (name, width) = sized("map", first - 0xde + 1);
                let n = self.number(width);
                self.map(&name, n)
            }
        };
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        text
    }

    fn map(&mut self, name: &str, n: u64) -> String {
        self.open.push(n * 2);
        format!("{name} of {n}")
    }

    fn list(&mut self, name: &str, n: u64) -> String {
        self.open.push(n);
        format!("{name} of {n}")
    }

    fn text(&mut self, name: &str, len: usize) -> String {
        let bytes = self.take(len);
        let there = bytes.len();
        let shown = String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned();
        let more = if there > 60 { "…" } else { "" };
        format!("{name} {shown:?}{more}{}", cut(len, there))
    }

    fn ext(&mut self, name: &str, len: usize) -> String {
        let kind = self.number(1) as u8 as i8;
        let there = self.take(len).len();
        format!("{name}, type {kind}, {len} bytes{}", cut(len, there))
    }
}

fn sized(name: &str, step: u8) -> (String, usize) {
    let width = 1usize << step;
    (format!("{name}{}", width * 8), width)
}

fn cut(claimed: usize, there: usize) -> String {
    if claimed == there { String::new() } else { format!(", of which {there} are there") }
}

#[cfg(test)]
mod tests {
    use millwork_protocol::{Frame, map};

    use super::*;

    #[test]
    fn every_token_says_what_it_is() {
        let frame = Frame::message("execute", Some("r1"), &map! { "n" => 300, "f" => 1.5 }).to_bytes();
        let text = annotate(&frame, frame.len()).join("\n");
        for part in ["fixmap of 3", "fixstr \"execute\"", "uint16 300", "float64 1.5"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn lies_about_lengths_are_said_and_nothing_is_read_beyond_the_end() {
        let text = annotate(b"Traceback", 9).join("\n");
        assert!(text.contains("which is the text \"Trac\""), "{text}");
        let text = annotate(&[0, 0, 0, 9, 0xdb, 0xff, 0xff, 0xff, 0xff, b'x'], 10).join("\n");
        assert!(text.contains("length 9, but 6 bytes follow") && text.contains("of which 1 are there"), "{text}");
        for first in 0..=255 {
            assert!(!annotate(&[0, 0, 0, 1, first], 5).is_empty());
        }
    }

    #[test]
    fn much_is_cut() {
        let bytes = vec![0; 1000];
        assert!(annotate(&bytes, 5000).len() <= LINES + 1);
    }
}
