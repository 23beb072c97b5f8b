//! A part of a tensor, named as in NumPy: `"1:3, ::2, -1"`.

use millwork_worker::prelude::*;
use ndarray::{Axis, Slice as Span};

use super::layout::{bits, from_bits};
use super::number::with_bits;

/// Takes a part of a tensor, axis by axis, as NumPy's `tensor[1:3, ::2, -1]`. Give it as text, or as lists of numbers.
#[derive(Node)]
#[node("tensor.Slice")]
pub(super) struct Slice {
    /// The tensor.
    tensor: Tensor,
    /// For each axis, with commas between: `start:stop:step`, each of the three optional, or one place, which removes the
    /// axis. `...` skips to the last axes. Negative numbers count from the end.
    #[node(default)]
    slices: String,
    /// Instead of text: the first place on each axis.
    start: Option<Vec<i64>>,
    /// Instead of text: the place on each axis before which it ends.
    stop: Option<Vec<i64>>,
    /// Instead of text: the step on each axis.
    step: Option<Vec<i64>>,
}

/// What is taken of one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Place(i64),
    Range { start: Option<i64>, stop: Option<i64>, step: i64 },
    Ellipsis,
}

impl Part {
    const ALL: Self = Self::Range { start: None, stop: None, step: 1 };
}

impl Run for Slice {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let tensor = &self.tensor;
        let rank = tensor.shape.len();
        let parts = spread(self.parts()?, rank)?;
        with_bits!(tensor.dtype, B => {
            let array = bits::<B>(tensor)?;
            let mut view = array.view();
            // From the last axis, so that the places of those before stay.
            for (axis, part) in parts.iter().enumerate().rev() {
                let len = view.len_of(Axis(axis));
                match *part {
                    Part::Place(place) => view.index_axis_inplace(Axis(axis), within(place, len, axis)?),
                    Part::Range { start, stop, step } => view.slice_axis_inplace(Axis(axis), span(start, stop, step, len)?),
                    Part::Ellipsis => {}
                }
            }
            Ok(from_bits(view.to_owned(), tensor.dtype))
        })
    }
}

impl Slice {
    fn parts(&self) -> Result<Vec<Part>> {
        let lists = [&self.start, &self.stop, &self.step];
        let longest = lists.iter().filter_map(|list| list.as_ref().map(Vec::len)).max();
        match (self.slices.trim(), longest) {
            ("", None) => Ok(Vec::new()),
            (text, None) => text.split(',').map(parse).collect(),
            ("", Some(count)) => {
                let at = |list: &Option<Vec<i64>>, i: usize| list.as_ref().and_then(|list| list.get(i)).copied();
                let part = |i| Part::Range {
                    start: at(&self.start, i),
                    stop: at(&self.stop, i),
                    step: at(&self.step, i).unwrap_or(1),
                };
                Ok((0..count).map(part).collect())
            }
            _ => Err(Error::invalid("give either `slices` or the lists `start`, `stop` and `step`, not both")),
        }
    }
}

fn parse(text: &str) -> Result<Part> {
    let text = text.trim();
    let refuse = || {
        Error::invalid(format!(
            "field `slices`: {text:?} is neither a place, as -1, nor a range, as 1:3 or ::2, nor ..."
        ))
    };
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| refuse());
    let optional = |text: Option<&str>| match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => number(text).map(Some),
    };
    if text == "..." {
        return Ok(Part::Ellipsis);
    }
    if !text.contains(':') {
        return number(text).map(Part::Place);
    }
    let mut fields = text.split(':');
    let part = Part::Range {
        start: optional(fields.next())?,
        stop: optional(fields.next())?,
        step: optional(fields.next())?.unwrap_or(1),
    };
    if fields.next().is_some() { Err(refuse()) } else { Ok(part) }
}

/// A part for each axis: what is not named is taken whole.
fn spread(mut parts: Vec<Part>, rank: usize) -> Result<Vec<Part>> {
    let dots: Vec<usize> = (0..parts.len()).filter(|i| parts.get(*i) == Some(&Part::Ellipsis)).collect();
    let named = parts.len() - dots.len();
    if dots.len() > 1 || named > rank {
        let what =
            if named > rank { format!("{named} axes are sliced") } else { "`...` stands more than once".to_owned() };
        return Err(Error::invalid(format!("{what}, but the tensor has {rank}")));
    }
    let place = dots.first().copied();
    let whole = std::iter::repeat_n(Part::ALL, rank - named);
    match place {
        Some(place) => drop(parts.splice(place..=place, whole)),
        None => parts.extend(whole),
    }
    Ok(parts)
}

fn within(place: i64, len: usize, axis: usize) -> Result<usize> {
    let from_end = if place < 0 { place.saturating_add_unsigned(len as u64) } else { place };
    usize::try_from(from_end)
        .ok()
        .filter(|n| *n < len)
        .ok_or_else(|| Error::invalid(format!("place {place} does not exist: axis {axis} has {len} elements")))
}

/// Python's rules for `start:stop:step` on an axis, as the rising span that ndarray takes.
fn span(start: Option<i64>, stop: Option<i64>, step: i64, len: usize) -> Result<Span> {
    if step == 0 {
        return Err(Error::invalid("a step of 0 never arrives: use 1, or -1 to go backwards"));
    }
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    // Where a bound may lie: backwards, -1 stands for "before the first".
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let bound = |given: Option<i64>, default: i64| match given {
        None => default,
        Some(n) if n < 0 => n.saturating_add(len).clamp(low, high),
        Some(n) => n.clamp(low, high),
    };
    let (start, stop) =
        if step > 0 { (bound(start, low), bound(stop, high)) } else { (bound(start, high), bound(stop, low)) };
    let distance = if step > 0 { stop - start } else { start - stop };
    if distance <= 0 {
        return Ok(Span::from(0..0));
    }
    let (from, to) = if step > 0 { (start, stop) } else { (stop + 1, start + 1) };
    // A step beyond the end takes one element, and so does a step to the end.
    let step = step.clamp(-len, len);
    Ok(Span::new(from as isize, Some(to as isize), step as isize))
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{floats, output, tensor};
    use super::*;

    fn slice(text: &str) -> Result<Tensor> {
        let counted = tensor(&[3, 4], &(0..12).collect::<Vec<i16>>());
        NodeTest::new::<Slice>().field("tensor", counted).field("slices", text).run().map(|emitted| output(&emitted))
    }

    /// Expected values from NumPy: `np.arange(12).reshape(3, 4)[…]`.
    #[test]
    fn as_in_numpy() {
        let cases: [(&str, &[usize], &[f64]); 12] = [
            ("1", &[4], &[4.0, 5.0, 6.0, 7.0]),
            ("1:3, ::2", &[2, 2], &[4.0, 6.0, 8.0, 10.0]),
            (":, -1", &[3], &[3.0, 7.0, 11.0]),
            ("..., 0", &[3], &[0.0, 4.0, 8.0]),
            ("::-1, 0", &[3], &[8.0, 4.0, 0.0]),
            ("0, ::-2", &[2], &[3.0, 1.0]),
            ("0, 2:0:-1", &[2], &[2.0, 1.0]),
            ("0, -100:100", &[4], &[0.0, 1.0, 2.0, 3.0]),
            ("0, 100:-100:-3", &[2], &[3.0, 0.0]),
            ("0, 1::9223372036854775807", &[1], &[1.0]),
            ("0, 3:1", &[0], &[]),
            ("2, 3", &[], &[11.0]),
        ];
        for (text, shape, elements) in cases {
            let part = slice(text).unwrap();
            assert_eq!(
                (part.dtype, part.shape.as_slice(), floats(&part)),
                (DType::I16, shape, elements.to_vec()),
                "{text}"
            );
        }
        assert_eq!(slice("").unwrap().shape, [3, 4]);
        assert_eq!(slice("...").unwrap().shape, [3, 4]);
        assert_eq!(floats(&slice("0, ::-9223372036854775808").unwrap()), [3.0]);
    }

    #[test]
    fn lists_and_mistakes() {
        let counted = tensor(&[3, 4], &(0..12).collect::<Vec<i16>>());
        let call = NodeTest::new::<Slice>().field("tensor", counted).field("start", vec![1]).field("stop", vec![3, 2]);
        assert_eq!(floats(&output(&call.field("step", vec![1, 1]).run().unwrap())), [4.0, 5.0, 8.0, 9.0]);
        for (text, message) in [
            ("3", "place 3 does not exist: axis 0 has 3 elements"),
            ("-9223372036854775808", "does not exist"),
            ("::0", "a step of 0"),
            ("0,0,0", "3 axes are sliced, but the tensor has 2"),
            ("...,...", "more than once"),
            ("a:b", "\"a:b\" is neither"),
            ("1:2:3:4", "is neither"),
            ("1,", "is neither"),
        ] {
            let error = slice(text).unwrap_err();
            assert!(error.message().contains(message), "{text}: {error}");
        }
    }
}
