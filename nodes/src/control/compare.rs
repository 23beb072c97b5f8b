//! Two values compared.

use std::cmp::Ordering;

use millwork_worker::prelude::*;

/// How values are compared.
#[derive(Choice, Debug, Clone, Copy)]
enum Comparison {
    /// The same.
    Eq,
    /// Not the same.
    Ne,
    /// a is less than b.
    Lt,
    /// a is less than b or the same.
    Le,
    /// a is more than b.
    Gt,
    /// a is more than b or the same.
    Ge,
    /// a is an element of the list b, a key of the dict b, or a part of the text b.
    In,
    /// b is an element of the list a, a key of the dict a, or a part of the text a.
    Contains,
    /// The text a begins with b.
    StartsWith,
    /// The text a ends with b.
    EndsWith,
}

/// Compares two values. A whole number equals the same number with a point; nothing else equals a value of another type.
#[derive(Node)]
#[node("control.Compare")]
pub(super) struct Compare {
    /// A value.
    a: Value,
    /// Another.
    b: Value,
    /// eq, ne: the same or not. lt, le, gt, ge: numbers by size, texts by alphabet. in, contains: an element of a list, a key
    /// of a dict, a part of a text. starts_with, ends_with: of texts.
    #[node(default = Comparison::Eq)]
    comparison: Comparison,
}

impl Run for Compare {
    type Output = bool;

    fn run(self, _: &Context) -> Result<bool> {
        let (a, b) = (&self.a, &self.b);
        Ok(match self.comparison {
            Comparison::Eq => same(a, b),
            Comparison::Ne => !same(a, b),
            Comparison::Lt => order(a, b)?.is_some_and(Ordering::is_lt),
            Comparison::Le => order(a, b)?.is_some_and(Ordering::is_le),
            Comparison::Gt => order(a, b)?.is_some_and(Ordering::is_gt),
            Comparison::Ge => order(a, b)?.is_some_and(Ordering::is_ge),
            Comparison::In => contains(b, a)?,
            Comparison::Contains => contains(a, b)?,
            Comparison::StartsWith => texts(a, b)?.is_some_and(|(a, b)| a.starts_with(b)),
            Comparison::EndsWith => texts(a, b)?.is_some_and(|(a, b)| a.ends_with(b)),
        })
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => numbers(a, b) == Some(Ordering::Equal),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The order of two numbers; none where one is NaN.
fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        // Beyond 2^53 floats would call neighbours the same.
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>> {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => Ok(numbers(a, b)),
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        _ => Err(unlike("ordered: two numbers or two texts are needed", a, b)),
    }
}

fn contains(whole: &Value, part: &Value) -> Result<bool> {
    match (whole, part) {
        (Value::List(items), _) => Ok(items.iter().any(|item| same(item, part))),
        (Value::Map(map), Value::Str(key)) => Ok(map.contains_key(key)),
        (Value::Str(text), Value::Str(part)) => Ok(text.contains(part.as_str())),
        _ => Err(unlike("searched: a list and anything, a dict and a key, or two texts are needed", whole, part)),
    }
}

fn texts<'a>(a: &'a Value, b: &'a Value) -> Result<Option<(&'a str, &'a str)>> {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Ok(Some((a, b))),
        _ => Err(unlike("compared as texts", a, b)),
    }
}

fn unlike(what: &str, a: &Value, b: &Value) -> Error {
    Error::invalid(format!("{} and {} cannot be {what}", a.type_name(), b.type_name()))
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn compare(
        a: impl millwork_worker::convert::IntoWire,
        comparison: &str,
        b: impl millwork_worker::convert::IntoWire,
    ) -> Result<bool> {
        let call = NodeTest::new::<Compare>().field("a", a).field("b", b).field("comparison", comparison);
        call.run().map(|emitted| emitted.outputs["output"].as_bool().unwrap())
    }

    #[test]
    fn what_holds_and_what_does_not() {
        let list = || Value::List(vec![1.into(), "x".into(), vec![2.0].into()]);
        for (a, comparison, b, expected) in [
            (Value::from(1), "eq", Value::from(1.0), true),
            (1.into(), "eq", true.into(), false),
            (1.into(), "eq", "1".into(), false),
            (Value::Nil, "eq", Value::Nil, true),
            (vec![1, 2].into(), "eq", vec![1.0, 2.0].into(), true),
            (vec![1, 2].into(), "eq", vec![1].into(), false),
            (map! { "a" => 1, "b" => 2 }.into(), "eq", map! { "b" => 2, "a" => 1.0 }.into(), true),
            ("a".into(), "ne", "b".into(), true),
            (2.into(), "lt", 2.5.into(), true),
            (i64::MAX.into(), "gt", (i64::MAX - 1).into(), true),
            ("b".into(), "gt", "abc".into(), true),
            (f64::NAN.into(), "le", 1.into(), false),
            (3.into(), "ge", 3.into(), true),
            (3.into(), "le", 2.into(), false),
            ("x".into(), "in", list(), true),
            (vec![2].into(), "in", list(), true),
            ("y".into(), "in", list(), false),
            ("team".into(), "contains", "tea".into(), true),
            (map! { "k" => 1 }.into(), "contains", "k".into(), true),
            ("team".into(), "starts_with", "te".into(), true),
            ("team".into(), "ends_with", "te".into(), false),
        ] {
            assert_eq!(compare(a.clone(), comparison, b.clone()).unwrap(), expected, "{a:?} {comparison} {b:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared() {
        let error = compare(1, "lt", "2").unwrap_err();
        assert_eq!(error.message(), "int and str cannot be ordered: two numbers or two texts are needed");
        assert!(compare(1, "contains", 1).unwrap_err().message().contains("cannot be searched"));
        assert!(compare("a", "starts_with", 1).unwrap_err().message().contains("as texts"));
        assert!(compare(1, "like", 1).unwrap_err().message().contains("expected one of eq, ne, lt"));
    }
}
