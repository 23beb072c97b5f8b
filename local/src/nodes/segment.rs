//! `image.Segment`: which of a network's classes each pixel belongs to (DeepLab, SegFormer and their like).

use indexmap::IndexMap;
use millwork_nodes::pixels::{Fit, Format, Wish};
use millwork_worker::image::GrayImage;
use millwork_worker::image::imageops::{self, FilterType};
use millwork_worker::prelude::*;

use super::planes;
use super::weights::{IMAGENET, Weights};

/// The side of a network's pictures where neither it nor the files beside it say.
const SIDE: usize = 512;

/// Says of each pixel which class it belongs to.
#[derive(Node)]
#[node("image.Segment", idempotent)]
pub(super) struct Segment {
    /// The picture.
    image: Image,
    /// A network for segments as ONNX, with scores of each class for each pixel.
    #[node(model = "hf.image_segmentation")]
    model: ModelRef,
    /// A class, by its name or number: the mask then is white where it is. Left empty, the mask has the number of each
    /// pixel's class as its grey.
    #[node(default)]
    class: String,
}

#[derive(Outputs)]
pub(super) struct Segments {
    /// As large as the picture, 8 bits of grey.
    mask: Image,
    /// The classes that there are, each {label, class, share}, the one with the largest share of the pixels first.
    segments: Vec<Map>,
}

impl Run for Segment {
    type Output = Segments;

    fn run(self, cx: &Context) -> Result<Segments> {
        let weights = Weights::load(&self.model, cx)?;
        let input = super::only_input(weights.info())?;
        let wish = Wish { channels: Some(3), size: super::open_size(input, &weights), ..Wish::default() };
        let format = Format::of(input, &wish, Some(SIDE))?;
        let (tensor, _) = format.prepare(&self.image, &weights.preparation(Fit::Stretch, IMAGENET))?;
        cx.check()?;
        let scores = planes::first(weights.run(IndexMap::from([(input.name.clone(), tensor)]))?)?;
        let (classes, height, width) = scores.dim();
        if !(2..=256).contains(&classes) {
            let text = format!("field `model`: it tells {classes} classes apart; 2 to 256 are understood");
            return Err(Error::invalid(text));
        }
        let best = |x: usize, y: usize| {
            (1..classes).fold(0, |best, class| if scores[[class, y, x]] > scores[[best, y, x]] { class } else { best })
        };
        let map = GrayImage::from_fn(width as u32, height as u32, |x, y| [best(x as usize, y as usize) as u8].into());
        let mut counts = vec![0usize; classes];
        map.pixels().for_each(|pixel| counts[usize::from(pixel.0[0])] += 1);
        let mut there: Vec<usize> = (0..classes).filter(|class| counts[*class] > 0).collect();
        there.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
        let line = |class: &usize| {
            let share = counts[*class] as f64 / (width * height) as f64;
            map! { "label" => weights.label(*class), "class" => *class as i64, "share" => share }
        };
        let mut mask = imageops::resize(&map, self.image.width(), self.image.height(), FilterType::Nearest);
        if !self.class.is_empty() {
            let is_it = |class: &usize| weights.label(*class) == self.class || class.to_string() == self.class;
            let wanted = (0..classes).find(is_it).ok_or_else(|| {
                let known: Vec<String> = (0..classes).map(|class| weights.label(class)).collect();
                Error::invalid(format!("field `class`: {:?} is none of {}", self.class, known.join(", ")))
            })?;
            mask.pixels_mut().for_each(|pixel| pixel.0[0] = if usize::from(pixel.0[0]) == wanted { 255 } else { 0 });
        }
        Ok(Segments { mask: Image::from(mask), segments: there.iter().map(line).collect() })
    }
}
