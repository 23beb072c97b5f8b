//! What the tests of this folder share: small pictures in, pictures out.

use bytes::Bytes;
use image::{DynamicImage, ImageBuffer};
use millwork_worker::convert::Image;
use millwork_worker::node::{Emitted, Node};
use millwork_worker::testing::NodeTest;

/// The photograph of the documentation, 512×512 RGB.
pub(crate) fn astronaut() -> Bytes {
    Bytes::from_static(include_bytes!("../../../docs/images/astronaut.png"))
}

/// A grey picture of 8 bits, as PNG.
pub(crate) fn grey(width: u32, samples: &[u8]) -> Bytes {
    let height = samples.len() as u32 / width;
    Image(DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, samples.to_vec()).unwrap())).to_png().unwrap()
}

/// An RGB picture of 8 bits, as PNG.
pub(crate) fn rgb(width: u32, pixels: &[[u8; 3]]) -> Bytes {
    let height = pixels.len() as u32 / width;
    let samples = pixels.as_flattened().to_vec();
    Image(DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, samples).unwrap())).to_png().unwrap()
}

/// An RGBA picture of 8 bits, as PNG.
pub(crate) fn rgba(width: u32, pixels: &[[u8; 4]]) -> Bytes {
    let height = pixels.len() as u32 / width;
    let samples = pixels.as_flattened().to_vec();
    Image(DynamicImage::ImageRgba8(ImageBuffer::from_raw(width, height, samples).unwrap())).to_png().unwrap()
}

/// A grey picture of 16 bits, as PNG.
pub(crate) fn grey16(width: u32, samples: &[u16]) -> Bytes {
    let height = samples.len() as u32 / width;
    Image(DynamicImage::ImageLuma16(ImageBuffer::from_raw(width, height, samples.to_vec()).unwrap())).to_png().unwrap()
}

/// A call with a picture in `image`.
pub(crate) fn on<N: Node>(picture: Bytes) -> NodeTest {
    NodeTest::new::<N>().blob("image", picture)
}

/// The picture in the slot `output`.
pub(crate) fn picture(emitted: &Emitted) -> DynamicImage {
    let Some(bytes) = emitted.blobs.get("output") else { panic!("no picture in {emitted:?}") };
    Image::decode(bytes).unwrap().0
}

/// Runs a call and gives the samples of its picture.
pub(crate) fn samples(call: NodeTest) -> Vec<u8> {
    picture(&call.run().unwrap()).into_bytes()
}

/// The message that a call fails with.
pub(crate) fn refusal(call: NodeTest) -> String {
    call.run().unwrap_err().message().to_owned()
}

/// Whether two lists of samples differ by at most `by` levels each.
pub(crate) fn close(a: &[u8], b: &[u8], by: u8) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= by)
}

/// A black JPEG whose EXIF asks for an orientation.
pub(crate) fn turned_jpeg(width: u32, height: u32, orientation: u8) -> Bytes {
    use image::ImageEncoder;
    let exif = [
        b"MM\0*\0\0\0\x08".as_slice(),
        b"\0\x01",                        // one entry:
        b"\x01\x12\0\x03\0\0\0\x01\0",    // orientation, a short,
        &[orientation, 0, 0, 0, 0, 0, 0], // its value, and no next directory
    ];
    let mut file = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
    encoder.set_exif_metadata(exif.concat()).unwrap();
    let samples = vec![0; (width * height) as usize];
    encoder.write_image(&samples, width, height, image::ExtendedColorType::L8).unwrap();
    file.into()
}
