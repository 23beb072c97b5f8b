//! How a picture was made, written into its PNG file: one text chunk, as other programs read it.

use bytes::Bytes;
use millwork_worker::{Error, Result};

/// The first chunk, which every PNG file begins with: signature, length, `IHDR`, 13 bytes, checksum.
const HEADER: usize = 8 + 4 + 4 + 13 + 4;

/// The file with the text under a keyword (PNG specification, `iTXt`: UTF-8, not compressed).
///
/// # Errors
/// Where it is no PNG file.
pub(super) fn with_text(png: &[u8], keyword: &str, text: &str) -> Result<Bytes> {
    let (header, rest) = png.split_at_checked(HEADER).ok_or_else(|| Error::failed("the PNG file is too short"))?;
    let mut chunk = b"iTXt".to_vec();
    chunk.extend_from_slice(keyword.as_bytes());
    // The end of the keyword, two for "not compressed", and an empty language and translation of the keyword.
    chunk.extend_from_slice(&[0; 5]);
    chunk.extend_from_slice(text.replace('\0', " ").as_bytes());
    let length = u32::try_from(chunk.len() - 4).map_err(|_| Error::failed("the text is too long for a PNG file"))?;
    let mut out = Vec::with_capacity(png.len() + chunk.len() + 8);
    out.extend_from_slice(header);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&chunk);
    out.extend_from_slice(&checksum(&chunk).to_be_bytes());
    out.extend_from_slice(rest);
    Ok(out.into())
}

/// CRC-32 as PNG has it.
fn checksum(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[cfg(test)]
mod tests {
    use millwork_worker::convert::Image;
    use millwork_worker::image::RgbImage;

    use super::*;

    #[test]
    fn a_file_with_text_is_still_the_picture() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        let picture = Image::from(RgbImage::from_fn(5, 3, |x, y| [x as u8, y as u8, 9].into()));
        let png = picture.to_png().unwrap();
        let told = with_text(&png, "parameters", "ein Bär\nSteps: 4").unwrap();
        assert_eq!(Image::decode(&told).unwrap(), picture);
        assert!(told.windows(8).any(|part| part == "ein Bär".as_bytes()));
        assert!(with_text(&png[..20], "a", "b").is_err());
    }
}
