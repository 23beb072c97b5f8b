//! Jinja templates, bounded in work and in size.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use millwork_worker::prelude::*;
use minijinja::{Environment, UndefinedBehavior, Value as JinjaValue};

use super::MAX_TEXT;

/// The most instructions that one template runs.
const FUEL: u64 = 2_000_000;

/// Fills in a Jinja template: `Dear {{ name }}, {% for item in items %}…{% endfor %}`. A variable that was not given is an
/// error, unless the template says `name | default("…")`.
#[derive(Node)]
#[node("text.Format")]
pub(super) struct Format {
    /// The template, in Jinja's language.
    template: String,
    /// Variables by name.
    #[node(default)]
    variables: Map,
    /// More variables: each field that the node does not declare. They come before those of the same name in `variables`.
    #[node(dynamic)]
    fields: Map,
}

impl Run for Format {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(100);
        let variables: Map = self.variables.into_iter().chain(self.fields).collect();
        let given: BTreeSet<String> = variables.keys().cloned().collect();
        let mut out = Limited(Vec::new());
        let done = environment
            .template_from_str(&self.template)
            .and_then(|template| template.render_captured_to(jinja_map(variables), &mut out).map(drop));
        done.map_err(|error| explain(&error, &missing(&environment, &self.template, &given)))?;
        String::from_utf8(out.0).context("the template's result")
    }
}

/// Names that the template uses and nobody gave; whether it needs them only running it tells.
fn missing(environment: &Environment<'_>, template: &str, given: &BTreeSet<String>) -> Vec<String> {
    let names = environment.template_from_str(template).map(|template| template.undeclared_variables(false));
    let is_known = |name: &String| given.contains(name) || environment.globals().any(|(global, _)| global == name);
    let mut names: Vec<String> = names.unwrap_or_default().into_iter().filter(|name| !is_known(name)).collect();
    names.sort();
    names
}

fn explain(error: &minijinja::Error, missing: &[String]) -> Error {
    let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
    let why = match (error.kind(), error.detail()) {
        (minijinja::ErrorKind::OutOfFuel, _) => format!("it takes more than {FUEL} steps"),
        (minijinja::ErrorKind::WriteFailure, _) => format!("its result grows over {MAX_TEXT} bytes"),
        (minijinja::ErrorKind::UndefinedError, _) if !missing.is_empty() => {
            format!("{}; not given: {}", error.kind(), missing.join(", "))
        }
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Error::invalid(format!("field `template`{line}: {why}"))
}

/// Collects what a template writes, up to the limit.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn jinja(value: Value) -> JinjaValue {
    match value {
        Value::Nil => JinjaValue::from(()),
        Value::Bool(yes) => yes.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Str(text) => text.into(),
        Value::Bytes(bytes) => JinjaValue::from_bytes(bytes.into()),
        Value::List(items) => items.into_iter().map(jinja).collect(),
        Value::Map(map) => jinja_map(map),
    }
}

fn jinja_map(entries: impl IntoIterator<Item = (String, Value)>) -> JinjaValue {
    let entries: BTreeMap<String, JinjaValue> = entries.into_iter().map(|(key, value)| (key, jinja(value))).collect();
    entries.into()
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn call(template: &str) -> NodeTest {
        NodeTest::new::<Format>().field("template", template)
    }

    fn text(call: NodeTest) -> String {
        call.run().unwrap().outputs["output"].as_str().unwrap().to_owned()
    }

    #[test]
    fn variables_from_the_map_and_from_fields() {
        let people = Value::List(vec![map! { "name" => "Ada" }.into(), map! { "name" => "Bo & Co" }.into()]);
        let call = call("{{ greeting }} {% for p in people %}{{ loop.index }}:{{ p.name }}{% if not loop.last %}, {% endif %}{% endfor %}!")
            .field("variables", map! { "greeting" => "Bye", "people" => people })
            .field("greeting", "Hello");
        assert_eq!(text(call), "Hello 1:Ada, 2:Bo & Co!");
    }

    #[test]
    fn values_of_every_type() {
        let values = call("{{ a }} {{ b }} {{ c }} {{ d is none }} {{ e[1] }} {{ f | tojson }} {{ g | default('-') }}");
        let values =
            values.field("a", 1).field("b", 2.5).field("c", true).field("variables", map! { "d" => Value::Nil });
        let values = values.field("e", vec![1, 2]).field("f", map! { "x" => "y" });
        assert_eq!(text(values), "1 2.5 True True 2 {\"x\": \"y\"} -");
    }

    #[test]
    fn mistakes_name_the_line() {
        let error = |template: &str| call(template).run().unwrap_err().message().to_owned();
        assert!(error("one\ntwo {{ missing }}").starts_with("field `template`, line 2: undefined value"));
        assert!(
            error("{% for i in range(2) %}{{ nme }}{{ i }}{% endfor %}").ends_with("undefined value; not given: nme")
        );
        assert!(error("one\n\n{% for %}").starts_with("field `template`, line 3: syntax error"));
        assert!(error("{{ 1 / 0 }}").contains("line 1"));
        assert!(error("{% include 'secret' %}").contains("template not found"));
    }

    #[test]
    fn hostile_templates_end() {
        let error = |template: &str| call(template).run().unwrap_err().message().to_owned();
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(error(endless).ends_with("it takes more than 2000000 steps"), "{}", error(endless));
        assert!(error("{{ 'x' * 70000000 }}").ends_with("its result grows over 67108864 bytes"));
        assert!(error("{{ 'x' * 70000000000 }}").contains("too large"));
        assert!(error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").contains("recursion"));
        assert!(error(&"{{".repeat(10_000)).contains("line 1"));
    }
}
