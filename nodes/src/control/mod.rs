//! `control.*`: constants, choices and collections that a graph is wired with.

mod compare;

use millwork_worker::prelude::*;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["control": Constant, If, Coalesce, Collect, Length, Logic, compare::Compare].idempotent()
}

/// Gives the value that it is given.
#[derive(Node)]
#[node("control.Constant", quick)]
struct Constant {
    /// Any value.
    value: Value,
}

impl Run for Constant {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        Ok(self.value)
    }
}

/// Gives one of two values by a condition.
#[derive(Node)]
#[node("control.If", quick)]
struct If {
    /// Which of the two.
    condition: bool,
    /// The value where it is true.
    if_true: Value,
    /// The value where it is false.
    if_false: Value,
}

impl Run for If {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        Ok(if self.condition { self.if_true } else { self.if_false })
    }
}

/// Gives the first of its inputs that is not nil; nil if all are.
#[derive(Node)]
#[node("control.Coalesce", quick)]
struct Coalesce {
    /// Any number of inputs of any name, in the order that they come in.
    #[node(dynamic)]
    inputs: Map,
}

impl Run for Coalesce {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        Ok(self.inputs.into_values().find(|value| !value.is_nil()).unwrap_or_default())
    }
}

/// Makes a list of its inputs.
#[derive(Node)]
#[node("control.Collect", quick)]
struct Collect {
    /// Any number of inputs of any name, in the order that they come in. Inputs that are nil are left out.
    #[node(dynamic)]
    inputs: Map,
}

impl Run for Collect {
    type Output = Vec<Value>;

    fn run(self, _: &Context) -> Result<Vec<Value>> {
        Ok(self.inputs.into_values().filter(|value| !value.is_nil()).collect())
    }
}

/// Counts the elements of a list, the entries of a dict, the code points of a text or the bytes of bytes.
#[derive(Node)]
#[node("control.Length")]
struct Length {
    /// A list, a dict, a text or bytes; nil has the length 0.
    value: Value,
}

impl Run for Length {
    type Output = usize;

    fn run(self, _: &Context) -> Result<usize> {
        match &self.value {
            Value::Nil => Ok(0),
            Value::List(items) => Ok(items.len()),
            Value::Map(map) => Ok(map.len()),
            Value::Str(text) => Ok(text.chars().count()),
            Value::Bytes(bytes) => Ok(bytes.len()),
            other => Err(Error::invalid(format!("field `value`: {} has no length", other.type_name()))),
        }
    }
}

/// How conditions are joined.
#[derive(Choice, Debug, Clone, Copy)]
enum Operator {
    /// All are true.
    And,
    /// At least one is true.
    Or,
    /// An odd number is true: of two, exactly one.
    Xor,
    /// None is true.
    Not,
}

/// Joins conditions into one.
#[derive(Node)]
#[node("control.Logic", quick)]
struct Logic {
    /// and: all are true. or: at least one. xor: an odd number. not: none, which turns a single one over.
    #[node(default = Operator::And)]
    operator: Operator,
    /// Any number of conditions of any name, at least one.
    #[node(dynamic)]
    conditions: Map,
}

impl Run for Logic {
    type Output = bool;

    fn run(self, _: &Context) -> Result<bool> {
        let read = |(name, value): (&String, &Value)| {
            let wrong = || Error::invalid(format!("field `{name}`: expected a bool, got {}", value.type_name()));
            value.as_bool().ok_or_else(wrong)
        };
        let conditions = self.conditions.iter().map(read).collect::<Result<Vec<_>>>()?;
        if conditions.is_empty() {
            return Err(Error::invalid("no condition is given: connect at least one, under any name"));
        }
        let count = conditions.iter().filter(|yes| **yes).count();
        Ok(match self.operator {
            Operator::And => count == conditions.len(),
            Operator::Or => count > 0,
            Operator::Xor => count % 2 == 1,
            Operator::Not => count == 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn output(call: NodeTest) -> Value {
        call.run().unwrap().outputs["output"].clone()
    }

    #[test]
    fn the_condition_chooses() {
        let call =
            |condition| NodeTest::new::<If>().field("condition", condition).field("if_true", 1).field("if_false", "x");
        assert_eq!(call(true).run().unwrap().outputs["output"], Value::Int(1));
        assert_eq!(call(false).run().unwrap().outputs["output"], Value::from("x"));
        let missing = NodeTest::new::<If>().run().unwrap_err();
        assert_eq!(missing.message(), "field `condition` is missing: it needs a bool");
        let wrong = NodeTest::new::<If>().field("condition", 3).run().unwrap_err();
        assert_eq!(wrong.message(), "field `condition`: expected a bool, got int 3");
    }

    #[test]
    fn inputs_of_any_name_keep_their_order() {
        let inputs = |call: NodeTest| call.field("z", Value::Nil).field("b", 2).field("a", "x").field("m", false);
        assert_eq!(output(inputs(NodeTest::new::<Collect>())).to_json(), serde_json::json!([2, "x", false]));
        assert_eq!(output(inputs(NodeTest::new::<Coalesce>())), Value::from(2));
        assert_eq!(output(NodeTest::new::<Coalesce>()), Value::Nil);
        assert!(Collect::description().dynamic);
    }

    #[test]
    fn lengths() {
        let length = |value: Value| NodeTest::new::<Length>().field("value", value).run();
        for (value, len) in [
            (Value::from(vec![1, 2, 3]), 3),
            (map! { "a" => 1 }.into(), 1),
            ("aé".into(), 2),
            (Bytes::from_static(b"abcd").into(), 4),
            (Value::Nil, 0),
        ] {
            assert_eq!(length(value).unwrap().outputs["output"], Value::Int(len));
        }
        assert_eq!(length(5.into()).unwrap_err().message(), "field `value`: int has no length");
    }

    #[test]
    fn conditions() {
        for (operator, values, expected) in [
            ("and", &[true, true][..], true),
            ("and", &[true, false], false),
            ("or", &[false, true], true),
            ("or", &[false, false], false),
            ("xor", &[true, true], false),
            ("xor", &[true, false], true),
            ("not", &[false], true),
            ("not", &[true], false),
        ] {
            let call = NodeTest::new::<Logic>().field("operator", operator);
            let call = values.iter().enumerate().fold(call, |call, (i, value)| call.field(&format!("in{i}"), *value));
            assert_eq!(output(call), Value::Bool(expected), "{operator} {values:?}");
        }
        assert!(NodeTest::new::<Logic>().run().unwrap_err().message().contains("no condition"));
        let wrong = NodeTest::new::<Logic>().field("a", "yes").run().unwrap_err();
        assert_eq!(wrong.message(), "field `a`: expected a bool, got str");
    }
}
