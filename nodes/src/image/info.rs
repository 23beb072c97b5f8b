//! What a picture file says of itself, its pixels not decoded.

use image::ImageDecoder;
use image::metadata::Orientation;
use millwork_worker::convert::ImageBytes;
use millwork_worker::prelude::*;

/// Reads a picture file's size, format and colours. Only the header is read, however large the picture is.
#[derive(Node)]
#[node("image.Info")]
pub(crate) struct Info {
    /// The picture.
    image: ImageBytes,
}

/// What the header says.
#[derive(Outputs)]
pub(crate) struct Header {
    /// Width in pixels, as shown: after the turn that EXIF asks for.
    width: u32,
    /// Height in pixels, as shown.
    height: u32,
    /// `png`, `jpeg`, `webp`, `gif`, `bmp`, `tiff` or `pnm`.
    format: String,
    /// `L`, `LA`, `RGB` or `RGBA`: what it is decoded to.
    mode: String,
    /// Bits of a sample: 8, 16 or 32.
    bits: u32,
    /// Whether it has an alpha channel.
    has_alpha: bool,
    /// The EXIF orientation, 1 (upright) to 8; 1 where the file says nothing.
    orientation: u32,
    /// Whether it carries a colour profile.
    has_profile: bool,
    /// Size of the file.
    bytes: usize,
}

impl Run for Info {
    type Output = Header;

    fn run(self, _: &Context) -> Result<Header> {
        let (format, mut decoder) = Image::open(&self.image.0)?;
        let (width, height) = decoder.dimensions();
        let colour = decoder.color_type();
        // Damaged metadata is as good as none.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let (width, height) = if is_turned(orientation) { (height, width) } else { (width, height) };
        let mode = match (colour.has_color(), colour.has_alpha()) {
            (false, false) => "L",
            (false, true) => "LA",
            (true, false) => "RGB",
            (true, true) => "RGBA",
        };
        Ok(Header {
            width,
            height,
            format: format!("{format:?}").to_lowercase(),
            mode: mode.to_owned(),
            bits: u32::from(colour.bits_per_pixel()) / u32::from(colour.channel_count()),
            has_alpha: colour.has_alpha(),
            orientation: u32::from(orientation.to_exif()),
            has_profile: matches!(decoder.icc_profile(), Ok(Some(_))),
            bytes: self.image.0.len(),
        })
    }
}

/// Whether width and height change places.
fn is_turned(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn the_photograph_is_described() {
        let info = on::<Info>(astronaut()).run().unwrap().outputs;
        assert_eq!((&info["width"], &info["height"]), (&Value::Int(512), &Value::Int(512)));
        assert_eq!((&info["format"], &info["mode"]), (&Value::from("png"), &Value::from("RGB")));
        assert_eq!((&info["bits"], &info["orientation"]), (&Value::Int(8), &Value::Int(1)));
        assert_eq!((&info["has_alpha"], &info["bytes"]), (&Value::Bool(false), &Value::Int(791_555)));
        let deep = on::<Info>(grey16(1, &[7])).run().unwrap().outputs;
        assert_eq!((&deep["mode"], &deep["bits"]), (&Value::from("L"), &Value::Int(16)));
        let clear = on::<Info>(rgba(1, &[[0; 4]])).run().unwrap().outputs;
        assert_eq!((&clear["mode"], &clear["has_alpha"]), (&Value::from("RGBA"), &Value::Bool(true)));
    }

    #[test]
    fn a_turned_jpeg_is_described_as_it_is_shown() {
        let info = on::<Info>(turned_jpeg(3, 2, 6)).run().unwrap().outputs;
        assert_eq!((&info["width"], &info["height"]), (&Value::Int(2), &Value::Int(3)));
        assert_eq!((&info["orientation"], &info["format"]), (&Value::Int(6), &Value::from("jpeg")));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(refusal(on::<Info>("hello".into())).contains("not an image: 5 bytes that begin 68656c6c6f"));
        assert!(refusal(on::<Info>(bytes::Bytes::new())).contains("no bytes"));
        assert!(refusal(on::<Info>(astronaut().slice(..20))).contains("not a readable image"));
    }
}
