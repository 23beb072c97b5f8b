use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::problem::Place;

const HEAD: &str = "[package]\nname = \"acme\"\nversion = \"1.0.0\"\n";
const NODE: &str = "[[node]]\ntype = \"acme.A\"\n[[node.field]]\nname = \"x\"\ntype = \"float\"\n[[node.step]]\nonnx = \"a.onnx\"\n[[node.output]]\nname = \"y\"\n";

fn parse(text: &str) -> Result<Manifest, Broken> {
    Manifest::parse(Path::new("/nowhere"), "folder", text, &|name| name == "THERE")
}

/// The problems as `kind line:column module: text (hint)`.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).map_or_else(|broken| broken.problems, |manifest| manifest.problems);
    let shown = |p: &Problem| {
        let Place { line, column } = p.place.unwrap_or(Place { line: 0, column: 0 });
        let hint = p.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{} {line}:{column} {}: {}{hint}", p.kind.as_str(), p.module, p.text)
    };
    problems.iter().map(shown).collect()
}

fn only(text: &str) -> String {
    match problems(text).as_slice() {
        [only] => only.clone(),
        all => panic!("{} problems: {all:#?}", all.len()),
    }
}

#[test]
fn a_whole_manifest_has_no_problems() {
    let manifest = parse(&format!("{HEAD}settings = [\"THERE\"]\n{NODE}")).unwrap();
    assert_eq!(manifest.problems, []);
    assert_eq!((manifest.head.name.as_str(), manifest.head.namespaces.as_slice()), ("acme", &["acme".to_owned()][..]));
    assert_eq!(manifest.nodes[0].steps[0].onnx.as_ref().unwrap().as_ref(), "a.onnx");
    assert_eq!(manifest.place(&manifest.nodes[0].fields[0].name), Place { line: 8, column: 8 });
}

#[test]
fn a_program_keeps_its_settings() {
    let text = format!(
        "{HEAD}[program]\ncommand = [\"./run\", \"--stdio\"]\nbuild = \"make\"\nlimits = {{ memory_mb = 5 }}\n"
    );
    let program = parse(&text).unwrap().program.unwrap();
    assert_eq!(
        (program.command, program.place),
        (vec!["./run".into(), "--stdio".into()], Place { line: 5, column: 11 })
    );
    assert_eq!((program.build.as_deref(), program.settings.keys().next().unwrap().as_str()), (Some("make"), "limits"));
}

#[test]
fn what_has_no_head_is_no_package() {
    assert!(only("[package").starts_with("SyntaxError 1:9 folder: "));
    assert_eq!(
        only("x = 1\n"),
        "MissingKey 1:1 folder: there is no [package] (it begins with [package], name and version)"
    );
    assert!(
        only("[package]\nname = \"A b\"\nversion = \"1.0.0\"").starts_with("InvalidValue 2:8 A b: \"A b\" is no name")
    );
    assert!(
        only("[package]\nname = \"a\"\nversion = \"one\"").starts_with("InvalidValue 3:11 a: \"one\" is no version")
    );
    assert_eq!(
        only("[package]\nname = \"a\"\nversoin = \"1.0.0\"\n"),
        "UnknownKey 3:1 a: unknown key `versoin` (did you mean `version`?)"
    );
    assert!(only(&format!("{HEAD}millwork = \">=99\"")).starts_with("VersionNotMet 4:12 acme: it needs Millwork >=99"));
    assert_eq!(
        only(&format!("{HEAD}settings = [\"NOT_THERE\"]")),
        "MissingSetting 4:13 acme: the setting NOT_THERE is missing (set the environment variable NOT_THERE)"
    );
}

#[test]
fn one_broken_node_hides_no_other() {
    let broken = NODE.replace("acme.A", "acme.B").replace("float", "flaot");
    let manifest = parse(&format!("{HEAD}{broken}{NODE}")).unwrap();
    assert_eq!(manifest.nodes.len(), 1);
    assert_eq!(manifest.nodes[0].head.node_type.as_ref(), "acme.A");
    assert_eq!(
        problems(&format!("{HEAD}{broken}{NODE}")),
        [
            "InvalidValue 8:8 acme.B: `flaot` is none of str, int, float, bool, enum, list, image, audio, tensor (did you mean `float`?)"
        ]
    );
}

#[test]
fn every_problem_is_told_with_its_place() {
    let node = |change: &dyn Fn(&str) -> String| only(&format!("{HEAD}{}", change(NODE)));
    let replace = |from: &'static str, to: &'static str| node(&|node| node.replace(from, to));
    assert_eq!(
        replace("acme.A", "other.A"),
        "WrongNamespace 5:8 other.A: other.A is outside of the package's namespaces (acme) (begin it with acme, or add \"other\" to `namespaces`)"
    );
    assert!(replace("type = \"acme.A\"\n", "").starts_with("MissingKey 4:1 acme.node[1]: `type` is missing"));
    assert_eq!(
        replace("onnx = \"a.onnx\"", "onyx = \"a.onnx\""),
        "UnknownKey 10:1 acme.A: unknown key `onyx` (did you mean `onnx`?)"
    );
    assert!(replace("onnx = \"a.onnx\"", "").starts_with("MissingKey 9:1 acme.A: a step needs `onnx` or `wgsl`"));
    assert_eq!(
        replace("onnx = \"a.onnx\"", "wgsl = \"a.wgsl\""),
        "MissingKey 10:8 acme.A: a shader needs `dispatch`: how many invocations"
    );
    assert_eq!(
        replace("type = \"float\"", "type = \"float\"\nmin = 2\nmax = 1"),
        "InvalidValue 9:7 acme.A: `min` 2 is above `max` 1"
    );
    assert_eq!(
        replace("type = \"float\"", "type = \"int\"\ndefault = 2.5"),
        "InvalidValue 9:11 acme.A: `default`: expected a whole number, got float"
    );
    assert_eq!(replace("type = \"float\"", "type = \"enum\""), "MissingKey 7:8 acme.A: an enum needs `values`");
    assert_eq!(
        replace("name = \"y\"", "name = \"y\"\ntop = 3"),
        "InvalidValue 13:7 acme.A: `top` is for as = \"labels\""
    );
    assert_eq!(
        replace("name = \"y\"", "name = \"y\"\nas = \"boxes\""),
        "MissingKey 13:6 acme.A: as = \"boxes\" needs `format`"
    );
    assert_eq!(
        replace("name = \"y\"", "name = \"y\"\nas = \"labels\"\ntop = [1]"),
        "WrongType 14:7 acme.A: expected a number or the name of a field, got array"
    );
    let twice = "[[node.field]]\nname = \"x\"\ntype = \"str\"\n[[node.step]]";
    assert_eq!(
        node(&|node| node.replace("[[node.step]]", twice)),
        "DuplicateName 10:8 acme.A: there is a value x already, in line 7"
    );
    assert_eq!(
        only(&format!("{HEAD}{NODE}{NODE}")),
        "DuplicateNode 14:8 acme.A: there is a node acme.A already, in line 5; it is used"
    );
    assert!(only(HEAD).starts_with("MissingKey 1:1 acme: there is neither"));
    assert!(
        only(&format!("{HEAD}[program]\ncommand = \"x\"\n")).starts_with("WrongType 5:11 acme: `command` is a list")
    );
    assert!(
        only(&format!("{HEAD}[program]\ncommand = [\"x\"]\n{NODE}"))
            .starts_with("InvalidValue 6:1 acme: a package is a [program] or has")
    );
    assert_eq!(
        only(&format!("{HEAD}{NODE}[nodes]\n")),
        "UnknownKey 13:2 acme: unknown table `nodes` (did you mean `node`?)"
    );
}

#[test]
fn what_is_known_of_a_broken_one_is_kept() {
    let broken = parse("[package]\nname = \"a-b\"\nversion = \"2.0.0\"\n[program\n").unwrap_err();
    assert_eq!((broken.name.as_str(), broken.version.as_deref()), ("a-b", Some("2.0.0")));
    assert_eq!((broken.namespaces, broken.problems[0].module.as_str()), (vec!["a_b".to_owned()], "a-b"));
    assert_eq!(parse("x").unwrap_err().name, "folder");
}

#[test]
fn thousands_of_problems_take_no_time_and_are_counted() {
    let text = format!("node = [{}]\n{HEAD}", "{}, ".repeat(100_000));
    let manifest = parse(&text).unwrap();
    assert_eq!(manifest.problems.len(), 201);
    assert_eq!(manifest.problems[200].text, "99800 further problems are not told");
}

#[test]
fn the_schema_is_one() {
    let schema = crate::schema();
    let step = &schema["properties"]["node"]["items"]["properties"]["step"]["items"]["properties"];
    assert!(step["onnx"].is_object() && step["input"]["items"].is_object(), "{step}");
    assert!(schema["$defs"]["Input"]["properties"]["mel"].is_object());
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(\\[\\[?(node|package|program|node\\.(field|step|step\\.input|output|buffer|fallback))\\]\\]?\n|[a-z]{2,6} = (1|\"x\"|\\[1\\]|\\{ a = 1 \\}|true)\n){0,12}") {
        let _ = parse(&text);
        let _ = parse(&format!("{HEAD}{text}"));
    }
}
