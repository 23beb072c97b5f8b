//! Where a run's random numbers come from. Seeds are ours: the same one gives the same picture here, on every machine, and
//! another one than in programs with other generators.

use std::f64::consts::TAU;

use millwork_worker::{Error, Result};
use ndarray::Array4;
use rand::rngs::ChaCha12Rng;
use rand::{Rng as _, SeedableRng as _};

/// A source of normal numbers of mean 0 and variance 1. A run asks, in this order, for: the numbers that blur what the encoder
/// made of a picture, where it has one; those that it begins with; and at each step those that its sampler adds.
pub trait Noise {
    /// The next numbers, `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// Where there are none.
    fn normal(&mut self, shape: [usize; 4]) -> Result<Array4<f32>>;
}

/// Numbers by a seed: ChaCha with 12 rounds, made normal by Box and Muller's method.
#[derive(Debug)]
pub struct Seeded(ChaCha12Rng);

impl Seeded {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// From 0, not itself included, to 1.
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

impl Noise for Seeded {
    fn normal(&mut self, shape: [usize; 4]) -> Result<Array4<f32>> {
        let mut second = None;
        Ok(Array4::from_shape_simple_fn(shape, || {
            if let Some(number) = second.take() {
                return number;
            }
            let (radius, angle) = ((-2.0 * self.uniform().ln()).sqrt(), TAU * self.uniform());
            second = Some((radius * angle.sin()) as f32);
            (radius * angle.cos()) as f32
        }))
    }
}

/// Numbers that somebody gives: the same ones make the same picture as in any other program.
#[derive(Debug)]
pub struct Given(std::vec::IntoIter<f32>);

impl Given {
    /// These numbers, in the order in which they are asked for.
    #[must_use]
    pub fn new(numbers: Vec<f32>) -> Self {
        Self(numbers.into_iter())
    }

    /// Numbers of 32 bits, little-endian.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::new(bytes.chunks_exact(4).filter_map(|four| four.try_into().ok().map(f32::from_le_bytes)).collect())
    }
}

impl Noise for Given {
    fn normal(&mut self, shape: [usize; 4]) -> Result<Array4<f32>> {
        let (wanted, there) = (shape.iter().product(), self.0.len());
        if there < wanted {
            return Err(Error::invalid(format!("`noise` has {there} numbers left where {shape:?} are needed")));
        }
        let numbers: Vec<f32> = self.0.by_ref().take(wanted).collect();
        if let Some(wrong) = numbers.iter().find(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("`noise` has the number {wrong}")));
        }
        Ok(Array4::from_shape_vec(shape, numbers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_numbers_are_taken_in_their_order() {
        let bytes: Vec<u8> = (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let mut noise = Given::of_bytes(&bytes);
        assert_eq!(noise.normal([1, 2, 1, 2]).unwrap().into_raw_vec_and_offset().0, [0.0, 1.0, 2.0, 3.0]);
        let error = noise.normal([1, 3, 1, 1]).unwrap_err();
        assert_eq!(error.message(), "`noise` has 2 numbers left where [1, 3, 1, 1] are needed");
    }

    #[test]
    fn numbers_are_normal_and_a_seed_repeats_them() {
        let draw = |seed| Seeded::new(seed).normal([1, 4, 100, 100]).unwrap();
        let numbers = draw(7);
        assert_eq!(numbers, draw(7));
        assert_ne!(numbers, draw(8));
        let count = numbers.len() as f32;
        let mean = numbers.sum() / count;
        let moment = |power| numbers.mapv(|x: f32| (x - mean).powi(power)).sum() / count;
        assert!(mean.abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03, "{mean} {}", moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.15, "{} {}", moment(3), moment(4));
    }
}
