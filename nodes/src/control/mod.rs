//! `control.*`: constants, choices and collections that a graph is wired with.

use millwork_worker::prelude::*;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["control": Constant, If]
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

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

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
}
