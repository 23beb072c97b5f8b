//! Colours as people write them: `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, or one of the basic names of CSS.

use millwork_worker::convert::{FromWire, Reading, mismatch};
use millwork_worker::prelude::*;
use millwork_worker::protocol::metadata::TypeMetadata;

use super::raster::luma;

/// Red, green, blue and alpha, not premultiplied, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colour(pub(crate) [f32; 4]);

/// The sixteen names of CSS level 1, orange, and `transparent`.
const NAMES: [(&str, u32); 20] = [
    ("black", 0x0000_00ff),
    ("silver", 0xc0c0_c0ff),
    ("gray", 0x8080_80ff),
    ("grey", 0x8080_80ff),
    ("white", 0xffff_ffff),
    ("maroon", 0x8000_00ff),
    ("red", 0xff00_00ff),
    ("purple", 0x8000_80ff),
    ("fuchsia", 0xff00_ffff),
    ("magenta", 0xff00_ffff),
    ("green", 0x0080_00ff),
    ("lime", 0x00ff_00ff),
    ("olive", 0x8080_00ff),
    ("yellow", 0xffff_00ff),
    ("navy", 0x0000_80ff),
    ("blue", 0x0000_ffff),
    ("teal", 0x0080_80ff),
    ("aqua", 0x00ff_ffff),
    ("orange", 0xffa5_00ff),
    ("transparent", 0),
];

impl Colour {
    pub(crate) const BLACK: Self = Self([0.0, 0.0, 0.0, 1.0]);
    pub(crate) const WHITE: Self = Self([1.0; 4]);

    /// Reads a colour.
    ///
    /// # Errors
    /// `invalid_input` for anything that is no colour.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = || {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Error::invalid(format!(
                "expected a colour as #rrggbb or #rrggbbaa, or one of {}; got {text:?}",
                names.join(", ")
            ))
        };
        let plain = text.trim().to_lowercase();
        let Some(digits) = plain.strip_prefix('#') else {
            return NAMES.iter().find(|(name, _)| *name == plain).map(|(_, rgba)| Self::packed(*rgba)).ok_or_else(bad);
        };
        let long: String = match digits.chars().count() {
            3 | 4 => digits.chars().flat_map(|c| [c, c]).collect(),
            _ => digits.to_owned(),
        };
        let opaque = match long.len() {
            6 => long + "ff",
            8 => long,
            _ => return Err(bad()),
        };
        // `from_str_radix` would also take a sign.
        if !opaque.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u32::from_str_radix(&opaque, 16).map(Self::packed).map_err(|_| bad())
    }

    fn packed(rgba: u32) -> Self {
        Self(rgba.to_be_bytes().map(|v| f32::from(v) / 255.0))
    }

    pub(crate) fn is_opaque(self) -> bool {
        self.0[3] >= 1.0
    }

    /// The colour as a pixel of 1 to 4 channels.
    pub(crate) fn pixel(self, channels: usize) -> Vec<f32> {
        let [r, g, b, alpha] = self.0;
        let mut pixel = if channels < 3 { vec![luma(&[r, g, b])] } else { vec![r, g, b] };
        if channels.is_multiple_of(2) {
            pixel.push(alpha);
        }
        pixel
    }
}

impl FromWire for Colour {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::str()
    }

    /// A text, or a host's colour ref `{type: "color", value: "#rrggbb"}`.
    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        let text = match &value {
            Value::Map(map) => map.get("value").and_then(Value::as_str),
            other => other.as_str(),
        };
        Self::parse(text.ok_or_else(|| mismatch("a colour such as \"#ff8800\" or \"white\"", &value))?)
    }

    fn to_default(&self) -> Value {
        let [r, g, b, alpha] = self.0.map(|v| (v * 255.0).round() as u8);
        let hex = format!("#{r:02x}{g:02x}{b:02x}");
        Value::from(if alpha == 255 { hex } else { format!("{hex}{alpha:02x}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_in_every_spelling() {
        let bytes = |text: &str| Colour::parse(text).unwrap().0.map(|v| (v * 255.0).round() as u8);
        assert_eq!(bytes("#ff8000"), [255, 128, 0, 255]);
        assert_eq!(bytes(" #FF800040 "), [255, 128, 0, 64]);
        assert_eq!(bytes("#f80"), [255, 136, 0, 255]);
        assert_eq!(bytes("#f804"), [255, 136, 0, 68]);
        assert_eq!((bytes("Orange"), bytes("transparent")), ([255, 165, 0, 255], [0; 4]));
        for bad in ["", "#", "#12345", "#+12345", "#gggggg", "blu", "#ééé", "rgb(1,2,3)"] {
            assert!(Colour::parse(bad).unwrap_err().message().contains("#rrggbb"), "{bad}");
        }
        assert_eq!(Colour::parse("#12345678").unwrap().to_default(), Value::from("#12345678"));
        assert_eq!(Colour::WHITE.to_default(), Value::from("#ffffff"));
    }

    #[test]
    fn a_grey_pixel_has_the_colours_luma() {
        assert_eq!(Colour::parse("red").unwrap().pixel(2), [0.299, 1.0]);
        assert_eq!(Colour::WHITE.pixel(4), [1.0; 4]);
    }
}
