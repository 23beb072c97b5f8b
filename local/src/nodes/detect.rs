//! `image.DetectObjects`: what is where in a picture, by networks of YOLO's kind (versions 5 to 12) and DETR's (Carion et al.
//! 2020). How their outputs are laid out is told by their shapes and names.

use indexmap::IndexMap;
use millwork_nodes::pixels::boxes::{Found, best, corners};
use millwork_nodes::pixels::{Fit, Format, Placement, Wish};
use millwork_worker::prelude::*;
use ndarray::{ArrayView1, Axis, Ix2, Ix3};

use super::weights::{IMAGENET, Weights};

/// The side of a network's pictures where neither it nor the files beside it say.
const SIDE: usize = 640;
/// Numbers of a box that the network has chosen itself.
const CHOSEN: usize = 6;

/// Finds things in a picture: each with its box and how sure the network is.
#[derive(Node)]
#[node("image.DetectObjects", idempotent)]
pub(super) struct DetectObjects {
    /// The picture.
    image: Image,
    /// A detector of YOLO's or DETR's kind as ONNX.
    #[node(model = "hf.object_detection")]
    model: ModelRef,
    /// A name for each class; without them those of the model's files, else numbers.
    #[node(default)]
    labels: Vec<String>,
    /// How sure the network must be.
    #[node(default = 0.25, min = 0, max = 1)]
    score: f64,
    /// How far boxes of one class may overlap: the common part as a part of both together. DETR's need no such rule.
    #[node(default = 0.45, min = 0, max = 1)]
    iou: f64,
    /// Things to tell of at most.
    #[node(default = 100, min = 1, max = 1000)]
    max: usize,
}

#[derive(Outputs)]
pub(super) struct Objects {
    /// Each {x, y, width, height, label, score}, in pixels of the picture, the surest first.
    objects: Vec<Map>,
    /// How many there are.
    count: i64,
}

impl Run for DetectObjects {
    type Output = Objects;

    fn run(self, cx: &Context) -> Result<Objects> {
        let weights = Weights::load(&self.model, cx)?;
        let info = weights.info();
        let is_detr = info.outputs.iter().any(|output| output.name == "pred_boxes");
        let picture = info.inputs.first().ok_or_else(|| Error::invalid("field `model`: it has no inputs"))?;
        let wish = Wish { channels: Some(3), size: super::open_size(picture, &weights), ..Wish::default() };
        let format = Format::of(picture, &wish, Some(SIDE))?;
        // YOLO is trained on pictures with a border, from 0 to 1.
        let (fit, usual) = if is_detr { (Fit::Stretch, IMAGENET) } else { (Fit::Pad, ([0.0; 3], [1.0; 3])) };
        let (tensor, placement) = format.prepare(&self.image, &weights.preparation(fit, usual))?;
        let mut inputs = IndexMap::from([(picture.name.clone(), tensor)]);
        for other in info.inputs.iter().skip(1) {
            if other.name != "pixel_mask" {
                return Err(Error::invalid(format!("field `model`: its input {:?} is not known", other.name)));
            }
            let mask = vec![1i64; (format.width * format.height) as usize];
            let mask = Tensor::from_slice(&[1, format.height as usize, format.width as usize], &mask)?;
            inputs.insert(other.name.clone(), mask.cast(other.dtype.unwrap_or(DType::I64))?);
        }
        cx.check()?;
        let outputs = weights.run(inputs)?;
        let size = [f64::from(format.width), f64::from(format.height)];
        let found = if is_detr { detr(&outputs, size)? } else { yolo(outputs)? };
        let kept = best(found, self.score, if is_detr { 1.0 } else { self.iou }, self.max);
        let objects: Vec<Map> = kept.iter().map(|one| self.described(one, &weights, placement)).collect();
        Ok(Objects { count: i64::try_from(objects.len())?, objects })
    }
}

impl DetectObjects {
    fn described(&self, one: &Found, weights: &Weights, placement: Placement) -> Map {
        let (width, height) = (f64::from(self.image.width()), f64::from(self.image.height()));
        let corner = |x: f64, y: f64| {
            let (x, y) = placement.to_picture(x, y);
            (x.clamp(0.0, width), y.clamp(0.0, height))
        };
        let ((left, top), (right, bottom)) =
            (corner(one.corners[0], one.corners[1]), corner(one.corners[2], one.corners[3]));
        let label = self.labels.get(one.class).cloned().unwrap_or_else(|| weights.label(one.class));
        map! {
            "x" => left, "y" => top, "width" => right - left, "height" => bottom - top,
            "label" => label, "score" => one.score,
        }
    }
}

/// The class with the greatest score.
fn greatest(scores: impl Iterator<Item = f64>) -> (usize, f64) {
    let better = |best: (usize, f64), one: (usize, f64)| if one.1 > best.1 { one } else { best };
    scores.enumerate().fold((0, f64::NEG_INFINITY), better)
}

/// `[1, 4 + C, N]` of version 8 and later, `[1, N, 5 + C]` of version 5 with the score of there being anything, or `[1, N, 6]` of
/// version 10 with corners, score and class of what is already chosen.
fn yolo(outputs: IndexMap<String, Tensor>) -> Result<Vec<Found>> {
    let (name, tensor) = outputs.into_iter().next().ok_or_else(|| Error::failed("the model gives nothing"))?;
    let shape = tensor.shape.clone();
    let unfit = || Error::invalid(format!("the model's output {name:?} has the shape {shape:?}, which is no YOLO's"));
    let rows = tensor.to_array_f32()?.into_dimensionality::<Ix3>().map_err(|_| unfit())?;
    if rows.shape()[0] != 1 {
        return Err(unfit());
    }
    let rows = rows.index_axis_move(Axis(0), 0);
    // The last number of version 5 with one class is a score, and none of those is whole.
    if rows.ncols() == CHOSEN && rows.column(CHOSEN - 1).iter().all(|class| *class >= 0.0 && class.fract() == 0.0) {
        let one = |row: ArrayView1<'_, f32>| Found {
            corners: [0, 1, 2, 3].map(|i| f64::from(row[i])),
            class: row[5].max(0.0) as usize,
            score: f64::from(row[4]),
        };
        return Ok(rows.outer_iter().map(one).collect());
    }
    // There are many more boxes than values of one.
    let is_later = rows.nrows() < rows.ncols();
    let rows = if is_later { rows.reversed_axes() } else { rows };
    let first = if is_later { 4 } else { 5 };
    if rows.ncols() <= first {
        return Err(unfit());
    }
    let one = |row: ArrayView1<'_, f32>| {
        let (class, score) = greatest(row.iter().skip(first).copied().map(f64::from));
        let anything = if is_later { 1.0 } else { f64::from(row[4]) };
        Found { corners: corners([0, 1, 2, 3].map(|i| f64::from(row[i]))), class, score: score * anything }
    };
    Ok(rows.outer_iter().map(one).collect())
}

/// `logits [1, Q, C + 1]`, the last class being nothing, and `pred_boxes [1, Q, 4]` as parts of the picture.
fn detr(outputs: &IndexMap<String, Tensor>, size: [f64; 2]) -> Result<Vec<Found>> {
    let rows = |name: &str| {
        let tensor = outputs.get(name).ok_or_else(|| Error::invalid(format!("the model gives no {name:?}")))?;
        let shape = tensor.shape.clone();
        let unfit = |_| Error::invalid(format!("the model's output {name:?} has the shape {shape:?}"));
        let array = tensor.to_array_f32()?;
        let array = if shape.first() == Some(&1) { array.index_axis_move(Axis(0), 0) } else { array };
        array.into_dimensionality::<Ix2>().map_err(unfit)
    };
    let (logits, boxes) = (rows("logits")?, rows("pred_boxes")?);
    if logits.nrows() != boxes.nrows() || boxes.ncols() != 4 || logits.ncols() < 2 {
        return Err(Error::invalid(format!(
            "{:?} logits and {:?} boxes do not go together",
            logits.dim(),
            boxes.dim()
        )));
    }
    let one = |(logits, row): (ArrayView1<'_, f32>, ArrayView1<'_, f32>)| {
        let most = logits.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        let powers = logits.mapv(|x| f64::from(x - most).exp());
        let sum = powers.sum();
        let (class, score) = greatest(powers.iter().take(powers.len() - 1).map(|power| power / sum));
        Found { corners: corners([0, 1, 2, 3].map(|i| f64::from(row[i]) * size[i % 2])), class, score }
    };
    Ok(logits.outer_iter().zip(boxes.outer_iter()).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(shape: [usize; 3], numbers: &[f32]) -> Vec<Found> {
        yolo(IndexMap::from([("output0".to_owned(), Tensor::from_slice(&shape, numbers).unwrap())])).unwrap()
    }

    #[test]
    fn the_layout_is_told_by_its_shape() {
        let centred = [0.0, 0.0, 4.0, 6.0];
        let version_8 = found([1, 6, 7], &[[2.0; 7], [3.0; 7], [4.0; 7], [6.0; 7], [0.25; 7], [0.5; 7]].concat());
        assert_eq!(version_8, vec![Found { corners: centred, class: 1, score: 0.5 }; 7]);
        let version_5 = found([1, 7, 6], &[2.0, 3.0, 4.0, 6.0, 0.5, 0.5].repeat(7));
        assert_eq!(version_5, vec![Found { corners: centred, class: 0, score: 0.25 }; 7]);
        let version_10 = found([1, 7, 6], &[0.0, 0.0, 4.0, 6.0, 0.75, 17.0].repeat(7));
        assert_eq!(version_10, vec![Found { corners: centred, class: 17, score: 0.75 }; 7]);
    }
}
