use image::{GrayImage, Rgb, RgbImage};

use millwork_worker::onnx::{Dim, ValueInfo};

use super::*;

fn format(dims: &[Dim], dtype: DType) -> Result<Format> {
    let input = ValueInfo::new("x", dtype, dims.to_vec());
    Format::of(&input, &Wish::default(), Some(224))
}

fn how(fit: Fit, scaling: &Scaling) -> Preparation {
    Preparation { fit, filter: Filter::Area, pad: 0.0, bgr: false, scaling: scaling.clone() }
}

fn fixed(lengths: &[usize]) -> Vec<Dim> {
    lengths.iter().map(|n| Dim::Fixed(*n)).collect()
}

#[test]
fn layouts_are_read_off_the_shape() {
    let open = Dim::Symbol("N".into());
    for (dims, shape, planar, channels) in [
        (fixed(&[1, 3, 20, 30]), vec![1, 3, 20, 30], true, 3),
        (fixed(&[1, 20, 30, 3]), vec![1, 20, 30, 3], false, 3),
        (fixed(&[1, 1, 28, 28]), vec![1, 1, 28, 28], true, 1),
        (fixed(&[3, 20, 30]), vec![3, 20, 30], true, 3),
        (fixed(&[20, 30, 3]), vec![20, 30, 3], false, 3),
        (vec![open.clone(), Dim::Fixed(28), Dim::Fixed(28)], vec![1, 28, 28], true, 1),
        (vec![open.clone(), Dim::Fixed(784)], vec![1, 784], true, 1),
        (vec![open.clone(), Dim::Fixed(3), Dim::Unknown, Dim::Unknown], vec![1, 3, 224, 224], true, 3),
        (vec![open.clone(); 4], vec![1, 3, 224, 224], true, 3),
    ] {
        let found = format(&dims, DType::F32).unwrap();
        assert_eq!((&found.shape, found.planar, found.channels), (&shape, planar, channels));
    }
    for (dims, dtype) in [
        (fixed(&[1, 4, 20, 30]), DType::F32),
        (fixed(&[8, 3, 20, 30]), DType::F32),
        (fixed(&[1, 783]), DType::F32),
        (fixed(&[5]), DType::F32),
        (fixed(&[1, 3, 0, 30]), DType::F32),
        (fixed(&[1, 3, 20, 30]), DType::I64),
    ] {
        assert!(format(&dims, dtype).unwrap_err().message().contains("does not look like a picture's"));
    }
}

#[test]
fn channels_lie_where_the_layout_says_and_are_scaled_one_by_one() {
    let picture = DynamicImage::from(RgbImage::from_fn(2, 1, |x, _| Rgb([10 * x as u8, 100, 200])));
    let scaling = Scaling { scale: 1.0, mean: vec![0.0, 100.0, 0.0], std: vec![1.0, 1.0, 2.0], invert: false };
    let planar = format(&fixed(&[1, 3, 1, 2]), DType::F32).unwrap();
    let tensor = planar.prepare(&picture, &how(Fit::Crop, &scaling)).unwrap().0;
    assert_eq!(tensor, Tensor::from_slice(&[1, 3, 1, 2], &[0.0f32, 10.0, 0.0, 0.0, 100.0, 100.0]).unwrap());
    let mixed = format(&fixed(&[1, 1, 2, 3]), DType::F32).unwrap();
    assert!(mixed.planar, "an axis of 1 in the second place is taken for the channels");
    let interleaved = format(&fixed(&[1, 2, 3]), DType::F32).unwrap();
    assert_eq!(interleaved.channels, 1);
    let bytes = format(&fixed(&[2, 2, 3]), DType::U8).unwrap();
    assert_eq!(bytes.prepare(&picture, &how(Fit::Stretch, &scaling)).unwrap().0.data.len(), 12);

    let wrong = Scaling { mean: vec![0.0, 0.0], ..scaling.clone() };
    let error = planar.prepare(&picture, &how(Fit::Crop, &wrong)).unwrap_err();
    assert_eq!(error.message(), "field `mean`: needs 1 or 3 numbers, got 2");
    let zero = Scaling { std: vec![0.0], ..scaling };
    assert_eq!(planar.prepare(&picture, &how(Fit::Crop, &zero)).unwrap_err().message(), "field `std`: must not be 0");
}

#[test]
fn areas_are_averaged() {
    let picture =
        DynamicImage::from(GrayImage::from_fn(4, 4, |x, y| image::Luma([if (x + y) % 2 == 0 { 0 } else { 200 }])));
    let scaling = Scaling { scale: 0.01, mean: vec![0.0], std: vec![1.0], invert: false };
    let format = format(&fixed(&[1, 1, 2, 2]), DType::F32).unwrap();
    let tensor = format.prepare(&picture, &how(Fit::Crop, &scaling)).unwrap().0;
    assert_eq!(tensor, Tensor::from_slice(&[1, 1, 2, 2], &[1.0f32; 4]).unwrap());
}

#[test]
fn wishes_are_held_to_the_shape() {
    let input = |dims: &[usize]| ValueInfo::new("x", DType::F32, fixed(dims));
    let of = |dims: &[usize], wish: Wish| Format::of(&input(dims), &wish, None);
    let bgr = Wish { axes: Some(Axes::HWC), size: Some([4, 2]), channels: Some(3) };
    assert_eq!(of(&[2, 4, 3], bgr.clone()).unwrap().shape, [2, 4, 3]);
    let text = |dims: &[usize]| of(dims, bgr.clone()).unwrap_err().message().to_owned();
    assert!(text(&[2, 5, 3]).contains("4 are given where 5 pixels belong"), "{}", text(&[2, 5, 3]));
    assert!(text(&[1, 2, 4, 3]).contains("the layout hwc has 3 axes"));
    assert!(text(&[2, 4, 1]).contains("3 channels are given"));
    let open = ValueInfo::new("x", DType::F32, vec![Dim::Unknown; 4]);
    assert!(Format::of(&open, &Wish::default(), None).unwrap_err().message().contains("give the size"));
    assert_eq!(of(&[1, 24], Wish { size: Some([4, 2]), channels: Some(3), axes: None }).unwrap().channels, 3);
}

#[test]
fn a_place_leads_back_to_the_picture() {
    let picture = DynamicImage::from(RgbImage::from_pixel(200, 100, Rgb([90, 60, 30])));
    let scaling = Scaling { scale: 1.0, mean: vec![0.0], std: vec![1.0], invert: false };
    let format = format(&fixed(&[1, 3, 50, 50]), DType::F32).unwrap();
    let placed =
        |fit: Fit| format.prepare(&picture, &Preparation { bgr: true, pad: 7.0, ..how(fit, &scaling) }).unwrap();
    let (tensor, placement) = placed(Fit::Pad);
    let array = tensor.to_array_f32().unwrap();
    assert_eq!((array[[0, 0, 0, 0]], array[[0, 2, 24, 49]], array[[0, 1, 25, 0]]), (30.0, 90.0, 7.0));
    assert_eq!(placement.to_picture(50.0, 25.0), (200.0, 100.0));
    assert_eq!(placed(Fit::Stretch).1.to_picture(50.0, 25.0), (200.0, 50.0));
    assert_eq!(placed(Fit::Crop).1.to_picture(0.0, 50.0), (50.0, 100.0));
}
