//! execute.

use millwork_protocol::{Map, map};

use crate::check::{Check, ensure};

pub(super) const CHECKS: &[Check] = &[
    Check::new("EXE-001", |w| {
        let answer = w.execute("nowhere.Nothing", Map::new())?;
        let text = answer.expect_error()?;
        ensure!(text.contains("nowhere.Nothing"), "the error does not name the type: {:?}", text);
        Ok(())
    }),
    Check::new("EXE-002", |w| {
        w.node("test.Add")?;
        let answer = w.execute("test.Add", map! { "a" => 19, "b" => 23.5 })?;
        let sum = answer.output("output")?;
        ensure!(sum.as_f64() == Some(42.5), "19 + 23.5 is {:?}", sum; "The fields are not read, or the output is not written.");
        Ok(())
    }),
];
