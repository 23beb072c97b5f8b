//! Arithmetic over a node's values: how many invocations, how large a buffer, what a uniform is. minijinja does the reading.

use std::sync::OnceLock;

use millwork_package::manifest;
use millwork_worker::{Error, Result};
use minijinja::value::Rest;
use minijinja::{Environment, Value};

use crate::value::Values;

/// So many steps an expression may take.
const FUEL: u64 = 10_000;

type Function = fn(&[f64]) -> Option<f64>;

/// What may be called.
const FUNCTIONS: [(&str, Function); 7] = [
    ("min", |all| all.iter().copied().reduce(f64::min)),
    ("max", |all| all.iter().copied().reduce(f64::max)),
    ("ceil", |all| one(all, f64::ceil)),
    ("floor", |all| one(all, f64::floor)),
    ("round", |all| one(all, f64::round)),
    ("sqrt", |all| one(all, f64::sqrt)),
    ("abs", |all| one(all, f64::abs)),
];

fn one(all: &[f64], function: fn(f64) -> f64) -> Option<f64> {
    match all {
        [number] => Some(function(*number)),
        _ => None,
    }
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        for (name, function) in FUNCTIONS {
            environment.add_function(name, move |numbers: Rest<f64>| {
                function(&numbers).map(tidy).ok_or_else(|| {
                    let text = format!("{name}() is given {} numbers", numbers.len());
                    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, text)
                })
            });
        }
        environment
    })
}

/// Whole numbers stay whole, so that `//` and `%` do what they say.
fn tidy(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { Value::from(number) }
}

/// An expression that can be computed.
pub(crate) struct Expression {
    text: String,
    /// What it asks for, such as `photo.width`, in order.
    names: Vec<String>,
    compiled: minijinja::Expression<'static, 'static>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    /// Reads one.
    pub(crate) fn new(expression: &manifest::Expression) -> std::result::Result<Self, String> {
        let text = expression.as_str();
        if text.len() > 1000 {
            return Err("an expression has at most 1000 characters".to_owned());
        }
        let compiled = environment().compile_expression_owned(text.to_owned()).map_err(|error| {
            let detail = error.detail().unwrap_or("it cannot be read").to_owned();
            format!("{text:?} is no expression: {detail}")
        })?;
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.retain(|name| FUNCTIONS.iter().all(|(function, _)| function != name));
        names.sort();
        Ok(Self { text: text.to_owned(), names, compiled })
    }

    /// The values that it asks for.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    fn value(&self, values: &Values) -> Result<Value> {
        let roots = self.names.iter().map(|name| name.split('.').next().unwrap_or_default());
        let root = Value::from_pairs(roots.filter_map(|name| Some((name, values.get(name)?.in_expressions()))));
        let value = self.compiled.eval(root);
        value.map_err(|error| {
            Error::invalid(format!("{:?}: {}", self.text, error.detail().unwrap_or("cannot be computed")))
        })
    }

    /// Its value, a number; true is 1.
    pub(crate) fn number(&self, values: &Values) -> Result<f64> {
        let value = self.value(values)?;
        let number = if value.is_true() && value.kind() == minijinja::value::ValueKind::Bool {
            Some(1.0)
        } else if value.kind() == minijinja::value::ValueKind::Bool {
            Some(0.0)
        } else {
            f64::try_from(value.clone()).ok()
        };
        let number = number.filter(|number| number.is_finite());
        if value.is_undefined() || value.is_none() {
            return Err(Error::invalid(format!("{:?} has no value", self.text)));
        }
        number.ok_or_else(|| Error::invalid(format!("{:?} is {value}, which is no number", self.text)))
    }

    /// Its value as a whole number from 0 on, rounded up.
    pub(crate) fn count(&self, values: &Values) -> Result<u64> {
        let number = self.number(values)?.ceil();
        if (0.0..=1e15).contains(&number) {
            return Ok(number as u64);
        }
        Err(Error::invalid(format!("{:?} is {number}, and that many there cannot be", self.text)))
    }

    /// Its value as it travels: a text, a number, a boolean.
    pub(crate) fn wire(&self, values: &Values) -> Result<millwork_worker::protocol::Value> {
        use millwork_worker::protocol::Value as Wire;
        let value = self.value(values)?;
        Ok(match value.kind() {
            minijinja::value::ValueKind::Bool => Wire::Bool(value.is_true()),
            minijinja::value::ValueKind::String => Wire::from(value.as_str().unwrap_or_default()),
            _ => match i64::try_from(value.clone()) {
                Ok(number) if value.is_integer() => Wire::Int(number),
                _ => Wire::Float(self.number(values)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Datum;

    fn expression(text: &str) -> std::result::Result<Expression, String> {
        Expression::new(&manifest::Expression::Text(text.to_owned()))
    }

    #[test]
    fn arithmetic() {
        let values = Values::from_iter([("a".to_owned(), Datum::Int(7)), ("b".to_owned(), Datum::Float(0.5))]);
        for (text, result) in [
            ("a / 2", 3.5),
            ("a // 2", 3.0),
            ("ceil(a * b) // 2", 2.0),
            ("max(a, 3, 9) % 4", 1.0),
            ("2 ** 3 - 1", 7.0),
            ("1 if a > 3 else 0", 1.0),
            ("sqrt(16)", 4.0),
            ("a > 3", 1.0),
            ("(a + 1) * b", 4.0),
            ("-a", -7.0),
        ] {
            assert_eq!(expression(text).unwrap().number(&values).unwrap(), result, "{text}");
        }
        assert_eq!(expression("a / 2").unwrap().count(&values).unwrap(), 4);
        assert!(
            expression("-a").unwrap().count(&values).is_err() && expression("1 / 0").unwrap().number(&values).is_err()
        );
        assert_eq!(expression("photo.width + min(a, x.shape[0])").unwrap().names(), ["a", "photo.width", "x.shape"]);
        for bad in ["a +", "(", "a b", "{{ a }}"] {
            assert!(expression(bad).unwrap_err().contains("is no expression"), "{bad}");
        }
    }
}
