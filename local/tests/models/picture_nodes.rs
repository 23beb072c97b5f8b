//! The nodes `image.*` on networks whose answers are in plain sight: see `tests/models/recipes/picture_nodes.py`.

use std::path::{Path, PathBuf};

use millwork_worker::Options;
use millwork_worker::image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use millwork_worker::node::Emitted;
use millwork_worker::prelude::*;
use millwork_worker::testing::NodeTest;

fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/zoo")
}

fn node(name: &str, model: &str, picture: impl Into<DynamicImage>) -> NodeTest {
    let package = millwork_local::package(&Options { test_nodes: false, models: vec![zoo()] });
    let call = NodeTest::of_package(package, name).unwrap_or_else(|| panic!("there is no {name}"));
    let call = call.field("image", Image::from(picture));
    if model.is_empty() { call } else { call.field("model", format!("picture-nodes/{model}")) }
}

fn image(made: &Emitted, slot: &str) -> DynamicImage {
    made.get::<Image>(slot).unwrap().0
}

/// The left half red, the right half of another colour.
fn halves(width: u32, height: u32, right: Rgb<u8>) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([200, 0, 0]) } else { right })
}

#[test]
fn what_stands_in_front_is_cut_out_at_the_pictures_own_size() {
    let front = RgbImage::from_fn(100, 60, |x, _| if x < 50 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 90]) });
    let made = node("image.RemoveBackground", "u2net.onnx", front).run().unwrap();
    let (image, mask) = (image(&made, "image").to_rgba8(), image(&made, "mask").to_luma8());
    assert_eq!((image.dimensions(), mask.dimensions()), ((100, 60), (100, 60)));
    // Its least value is 0 and its greatest 255, whatever the network's were.
    assert_eq!((mask.get_pixel(10, 30).0, mask.get_pixel(90, 30).0), ([255], [0]));
    assert_eq!((image.get_pixel(10, 30).0, image.get_pixel(90, 30).0), ([255, 0, 0, 255], [0, 0, 90, 0]));

    let half = RgbaImage::from_fn(100, 60, |x, _| Rgba([if x < 50 { 255 } else { 0 }, 0, 0, 128]));
    let made = node("image.RemoveBackground", "u2net.onnx", half).run().unwrap();
    // What was transparent stays so, as far as it stands in front.
    let front = u32::from(made.get::<Image>("mask").unwrap().to_luma8().get_pixel(10, 30).0[0]);
    assert!(front > 200);
    assert_eq!(u32::from(image_alpha(&made, 10)), (128 * front + 127) / 255);
}

fn image_alpha(made: &Emitted, x: u32) -> u8 {
    image(made, "image").to_rgba8().get_pixel(x, 30).0[3]
}

/// Waves and edges.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: f32, b: f32| (127.0 + 100.0 * (x as f32 / a).sin() * (y as f32 / b).cos()) as u8;
        Rgb([wave(9.0, 7.0), if (x / 11 + y / 13) % 2 == 0 { 40 } else { 210 }, wave(4.0, 15.0)])
    })
}

#[test]
fn tiles_leave_no_seam() {
    let small = picture(150, 130);
    let call = |model: &str| node("image.Upscale", model, small.clone());
    let whole = image(&call("esrgan.onnx").field("tile", 1024).run().unwrap(), "output").to_rgb8();
    assert_eq!(whole.dimensions(), (300, 260));
    for (model, tile) in [("esrgan.onnx", 48), ("esrgan.onnx", 64), ("esrgan-48.onnx", 192)] {
        let outcome = call(model).field("tile", tile).field("overlap", 24).outcome();
        let tiled = image(&outcome.result.unwrap(), "output").to_rgb8();
        let worst = whole.as_raw().iter().zip(tiled.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        // The network sees 4 pixels far: what it says inside a tile is what it says of the whole picture, but for rounding.
        assert!(worst.unwrap() <= 1, "{model} {tile}: {worst:?}");
    }
}

#[test]
fn a_picture_is_enlarged_with_its_transparency_to_the_size_that_is_asked_for() {
    let small = RgbaImage::from_fn(20, 10, |x, _| Rgba([9, 90, 200, if x < 10 { 0 } else { 255 }]));
    let call = |model: &str| node("image.Upscale", model, small.clone());
    let large = image(&call("esrgan-48.onnx").run().unwrap(), "output").to_rgba8();
    assert_eq!((large.dimensions(), large.get_pixel(2, 9).0[3], large.get_pixel(37, 9).0[3]), ((40, 20), 0, 255));
    let large = image(&call("esrgan.onnx").field("factor", 3.0).run().unwrap(), "output");
    assert_eq!((large.width(), large.height()), (60, 30));
    let large = image(&call("").run().unwrap(), "output");
    assert_eq!((large.width(), large.height()), (40, 20), "without a model, twice");
    let error = call("u2net.onnx").run().unwrap_err();
    assert!(error.message().contains("no whole multiple in three colours"), "{error}");
}

#[test]
fn holes_are_filled_and_the_rest_stays_as_it_is() {
    let mut small = RgbImage::from_pixel(90, 60, Rgb([10, 200, 60]));
    small.put_pixel(0, 0, Rgb([11, 22, 33]));
    let mut mask = GrayImage::new(90, 60);
    for (x, y) in (30..40).flat_map(|x| (20..30).map(move |y| (x, y))) {
        small.put_pixel(x, y, Rgb([255, 255, 255]));
        mask.put_pixel(x, y, Luma([255]));
    }
    for (model, filled) in
        [("lama.onnx", [10, 200, 60]), ("migan-bytes.onnx", [255, 0, 0]), ("migan.onnx", [255, 0, 0])]
    {
        let call = node("image.Inpaint", model, small.clone()).field("mask", Image::from(mask.clone()));
        let made = image(&call.run().unwrap(), "output").to_rgb8();
        assert_eq!(made.dimensions(), (90, 60));
        for (a, b) in made.get_pixel(35, 25).0.into_iter().zip(filled) {
            assert!(a.abs_diff(b) <= 2, "{model}: {:?}", made.get_pixel(35, 25));
        }
        let outside = made.enumerate_pixels().filter(|(x, y, _)| mask.get_pixel(*x, *y).0 == [0]);
        outside.for_each(|(x, y, pixel)| assert_eq!(pixel, small.get_pixel(x, y), "{model} {x} {y}"));
    }
    let call = node("image.Inpaint", "lama.onnx", small.clone()).field("mask", Image::from(GrayImage::new(9, 6)));
    assert_eq!(image(&call.run().unwrap(), "output").to_rgb8(), small, "nothing to fill");
    let call = node("image.Inpaint", "u2net.onnx", small).field("mask", Image::from(mask));
    assert!(call.run().unwrap_err().message().contains("neither LaMa's layout nor MI-GAN's"));
}

#[test]
fn depth_is_stretched_and_given_as_it_is() {
    let green = RgbImage::from_fn(80, 40, |x, _| Rgb([0, 3 * x as u8, 0]));
    let made = node("image.Depth", "depth.onnx", green.clone()).run().unwrap();
    let shown = image(&made, "image");
    let DynamicImage::ImageLuma16(shown) = &shown else { panic!("{:?}", shown.color()) };
    assert_eq!(shown.dimensions(), (80, 40));
    assert!(shown.get_pixel(0, 20).0[0] < 900 && shown.get_pixel(79, 20).0[0] > 64_600, "{shown:?}");
    let depth = made.get::<Tensor>("depth").unwrap();
    assert_eq!((depth.dtype, depth.shape), (DType::F32, vec![518, 518]));
    let made = node("image.Depth", "depth.onnx", green).field("invert", true).run().unwrap();
    assert!(image(&made, "image").to_luma16().get_pixel(0, 20).0[0] > 64_600);
}

#[test]
fn each_pixel_has_a_class_with_the_name_that_the_models_files_give() {
    let call = || node("image.Segment", "segments", halves(90, 30, Rgb([0, 0, 220])));
    let made = call().run().unwrap();
    let mask = image(&made, "mask").to_luma8();
    assert_eq!((mask.dimensions(), mask.get_pixel(5, 5).0, mask.get_pixel(85, 5).0), ((90, 30), [0], [2]));
    let segments = made.outputs["segments"].as_list().unwrap();
    let labels: Vec<&str> = segments.iter().map(|one| one.as_map().unwrap()["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["red", "blue"]);
    assert_eq!(segments[0].as_map().unwrap()["share"].as_f64(), Some(0.5));
    for class in ["blue", "2"] {
        let mask = image(&call().field("class", class).run().unwrap(), "mask").to_luma8();
        assert_eq!((mask.get_pixel(5, 5).0, mask.get_pixel(85, 5).0), ([0], [255]));
    }
    let error = call().field("class", "purple").run().unwrap_err();
    assert_eq!(error.message(), "field `class`: \"purple\" is none of red, green, blue");
}

#[test]
fn classes_have_the_names_that_the_models_files_give() {
    let made = node("image.Classify", "classes", RgbImage::from_pixel(50, 40, Rgb([0, 250, 30]))).run().unwrap();
    assert_eq!(made.outputs["label"].as_str(), Some("green"));
    let score = made.outputs["score"].as_f64().unwrap();
    let expected = (250.0f64 / 255.0).exp() / (1.0 + (250.0f64 / 255.0).exp() + (30.0f64 / 255.0).exp());
    assert!((score - expected).abs() < 1e-5, "{score} {expected}");
}

#[test]
fn objects_lie_where_they_are_in_the_picture() {
    let found = |model: &str, labels: &[&str]| -> Vec<(String, [i64; 4], f64)> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        let call = node("image.DetectObjects", model, RgbImage::new(128, 64)).field("labels", labels);
        let made = call.run().unwrap();
        let objects = made.outputs["objects"].as_list().unwrap().iter().map(|one| one.as_map().unwrap().clone());
        let number = |map: &Map, key: &str| map[key].as_f64().unwrap();
        let one = |map: Map| {
            let corners = ["x", "y", "width", "height"].map(|key| number(&map, key).round() as i64);
            (map["label"].as_str().unwrap().to_owned(), corners, (number(&map, "score") * 100.0).round() / 100.0)
        };
        objects.map(one).collect()
    };
    // 64×64 pixels of the network are 128×64 of the picture and a border below.
    let box_of = [48, 56, 32, 8];
    assert_eq!(found("yolo8.onnx", &["cat"]), [("cat".into(), box_of, 0.9), ("1".into(), box_of, 0.7)]);
    assert_eq!(found("yolo5.onnx", &["cat"]), [("cat".into(), box_of, 0.9), ("1".into(), box_of, 0.35)]);
    let expected = [("b".into(), [0, 32, 64, 32], 0.99), ("a".into(), [48, 16, 32, 32], 0.96)];
    assert_eq!(found("detr.onnx", &["a", "b"]), expected);
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let call = node("image.Depth", "", RgbImage::new(4, 4)).field("model", "../secret.onnx");
    let error = call.run().unwrap_err();
    assert!(error.message().contains("\"../secret.onnx\" is neither in the folders of models nor"), "{error}");
    let call = node("image.Depth", "", RgbImage::new(4, 4)).field("model", "picture-nodes");
    let error = call.run().unwrap_err();
    assert!(error.message().contains("several .onnx files"), "{error}");
}
