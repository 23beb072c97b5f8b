//! From the text of a package.toml to a [`Manifest`]: part by part, so that one that is wrong hides no other.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::check;
use crate::manifest::{Buffer, Fallback, Field, HeadTable, Input, Manifest, Node, NodeHead, Output, Program, Step};
use crate::nearest::nearest;
use crate::problem::{Kind, Problem};
use crate::source::Source;

/// The file's name.
pub const MANIFEST: &str = "package.toml";

/// Longer ones are no manifests.
const LONGEST: u64 = 4 << 20;

/// After so many problems the others are only counted.
const MOST_PROBLEMS: usize = 200;

/// What may stand at the top.
const TABLES: [&str; 3] = ["package", "program", "node"];

/// A package that is none, and what is known of it all the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Broken {
    /// Its name; where the file does not say, its folder's.
    pub name: String,
    /// Its version, as it is written.
    pub version: Option<String>,
    /// First segments of its node types, were it one.
    pub namespaces: Vec<String>,
    /// Why it is none.
    pub problems: Vec<Problem>,
}

impl Broken {
    /// One of which nothing is known but what it is called.
    pub fn new(called: impl Into<String>, problems: Vec<Problem>) -> Self {
        let name = called.into();
        let namespaces = vec![namespace_of(&name)];
        let problems = problems.into_iter().map(|problem| problem.of(&name)).collect();
        Self { name, version: None, namespaces, problems }
    }

    /// With what can be read of `[package]`.
    fn from_table(root: &DeTable<'_>, called: &str, problems: Vec<Problem>) -> Self {
        let head = root.get("package").map(Spanned::as_ref);
        let value = |key: &str| head?.get(key).map(Spanned::as_ref);
        let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
        let plain = Self::new(
            value("name").and_then(text).filter(|name| !name.is_empty()).unwrap_or_else(|| called.to_owned()),
            problems,
        );
        let listed = value("namespaces").and_then(DeValue::as_array);
        let listed = listed.map(|all| all.iter().filter_map(|one| text(one.as_ref())).collect());
        Self { version: value("version").and_then(text), namespaces: listed.unwrap_or(plain.namespaces), ..plain }
    }
}

/// What a package's nodes begin with where it does not say.
pub(crate) fn namespace_of(package: &str) -> String {
    package.replace('-', "_")
}

impl Manifest {
    /// Reads the package.toml of a folder. What is wrong with single nodes is among the manifest's problems.
    ///
    /// # Errors
    /// Why there is no package at all: no such file, no TOML, no `[package]`, or one that cannot be used here.
    pub fn read(folder: &Path) -> Result<Self, Broken> {
        let called =
            folder.canonicalize().ok().and_then(|whole| Some(whole.file_name()?.to_string_lossy().into_owned()));
        let called = called.unwrap_or_else(|| folder.display().to_string());
        let refuse = |kind, text: String| Broken::new(&*called, vec![Problem::new(kind, text).at(MANIFEST, None)]);
        let path = folder.join(MANIFEST);
        let about = match std::fs::metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = if folder.is_dir() { "has no package.toml" } else { "is not there" };
                return Err(refuse(Kind::MissingFile, format!("{} {what}", folder.display())));
            }
            Err(error) => return Err(refuse(Kind::UnreadableFile, format!("{}: {error}", path.display()))),
        };
        if !about.is_file() {
            return Err(refuse(Kind::UnreadableFile, format!("{} is not a file", path.display())));
        }
        let leads_out = |folder: &Path| Some(!path.canonicalize().ok()?.starts_with(folder.canonicalize().ok()?));
        if leads_out(folder) == Some(true) {
            return Err(refuse(
                Kind::OutsideFolder,
                format!("{} is a link that leads out of the package", path.display()),
            ));
        }
        if about.len() > LONGEST {
            return Err(refuse(Kind::TooLarge, format!("{} is over {} MiB", path.display(), LONGEST >> 20)));
        }
        let bytes =
            std::fs::read(&path).map_err(|e| refuse(Kind::UnreadableFile, format!("{}: {e}", path.display())))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let end = good.len();
            let problem = Source::new(&good).problem(Kind::SyntaxError, "this is not UTF-8", &(end..end));
            Broken::new(&*called, vec![problem])
        })?;
        Self::parse(folder, &called, &text, &|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    /// Reads the text of a manifest. `called` names the package where the text does not; `has_variable` knows the environment.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(folder: &Path, called: &str, text: &str, has_variable: &dyn Fn(&str) -> bool) -> Result<Self, Broken> {
        let source = Source::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut root = root.into_inner();
        // The first is the cause; the others mostly follow from it.
        if let Some(error) = errors.first() {
            let span = error.span().unwrap_or(0..0);
            let problem = source.problem(Kind::SyntaxError, one_line(error.message()), &span);
            return Err(Broken::from_table(&root, called, vec![problem]));
        }
        let mut reading = Reading { source: &source, problems: Vec::new() };
        let head = match root.get("package").cloned() {
            Some(value) => reading.part::<HeadTable>(value),
            None => {
                let hint = "it begins with [package], name and version";
                reading.tell(source.problem(Kind::MissingKey, "there is no [package]", &(0..0)).hint(hint));
                None
            }
        };
        let head = head.and_then(|head| check::head(&mut reading, head, has_variable));
        let Some(head) = head.filter(|_| reading.problems.is_empty()) else {
            return Err(Broken::from_table(&root, called, reading.problems));
        };
        root.remove("package");
        let program = root.remove("program").and_then(|value| reading.program(value));
        let is_broken_program = program.is_none() && !reading.problems.is_empty();
        let nodes = root.remove("node").map(|value| reading.list(value, "node")).unwrap_or_default();
        for (key, _) in &root {
            let problem = source.problem(Kind::UnknownKey, format!("unknown table `{}`", key.as_ref()), &key.span());
            reading.tell(suggest(problem, key.as_ref(), &TABLES));
        }
        let mut problems: Vec<Problem> =
            std::mem::take(&mut reading.problems).into_iter().map(|problem| problem.of(&head.name)).collect();
        let mut manifest = Self {
            folder: folder.to_owned(),
            head,
            program,
            nodes: Vec::new(),
            problems: Vec::new(),
            source: source.clone(),
        };
        let mut whole = Vec::new();
        let mut untold = 0;
        for (index, value) in nodes.into_iter().enumerate() {
            let span = value.span();
            let node_type = value.as_ref().get("type").and_then(|ty| ty.as_ref().as_str()).map(str::to_owned);
            let node = reading.node(value);
            let module = node_type.unwrap_or_else(|| format!("{}.node[{}]", manifest.head.name, index + 1));
            if let Some(node) = &node {
                check::node(&mut reading, &manifest, node);
            }
            let found = std::mem::take(&mut reading.problems);
            if let Some(node) = node.filter(|_| found.is_empty()) {
                whole.push((node, span));
            }
            let room = MOST_PROBLEMS.saturating_sub(problems.len());
            untold += found.len().saturating_sub(room);
            problems.extend(found.into_iter().take(room).map(|problem| problem.of(&module)));
        }
        let has_other = !problems.is_empty();
        if manifest.program.is_none() && !is_broken_program && whole.is_empty() && !has_other {
            let text = "there is neither [program] nor a [[node]]";
            problems.push(source.problem(Kind::MissingKey, text, &(0..0)).of(&manifest.head.name));
        }
        if let (Some(program), Some((_, span))) = (&manifest.program, whole.first()) {
            let text = "a package is a [program] or has [[node]]s, not both";
            let hint = format!("[program] is in line {}; make two packages of it", program.place.line);
            problems.push(source.problem(Kind::InvalidValue, text, span).of(&manifest.head.name).hint(hint));
        }
        manifest.nodes = check::unlike(&source, whole, &mut problems);
        untold += problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        if untold > 0 {
            let text = format!("{untold} further problems are not told");
            problems.push(Problem::new(Kind::InvalidValue, text).of(&manifest.head.name).at(MANIFEST, None));
        }
        manifest.problems = problems;
        Ok(manifest)
    }
}

/// A manifest on its way in.
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a Source,
    pub(crate) problems: Vec<Problem>,
}

impl Reading<'_> {
    pub(crate) fn tell(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Tells of something at a span.
    pub(crate) fn at(&mut self, span: Range<usize>, kind: Kind, text: impl Into<String>) {
        self.tell(self.source.problem(kind, text, &span));
    }

    /// One table or value as a type.
    fn part<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<T> {
        self.part_beside(value, &[])
    }

    /// One table as a type; what else may stand in it was taken out before.
    fn part_beside<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>, beside: &[&str]) -> Option<T> {
        let whole = value.span();
        let keys: Vec<String> =
            value.as_ref().as_table().into_iter().flatten().map(|(key, _)| key.as_ref().to_string()).collect();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(part) => Some(part),
            Err(error) => {
                let span = error.span().unwrap_or(whole);
                self.tell(explain(self.source, error.message(), &span, &keys, beside));
                None
            }
        }
    }

    /// The elements of `[[name]]`, whatever they are.
    fn list<'i>(&mut self, value: Spanned<DeValue<'i>>, name: &str) -> Vec<Spanned<DeValue<'i>>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            other => {
                let text = format!("`{name}` is a {} where [[{name}]] belongs", other.type_str());
                self.at(span, Kind::WrongType, text);
                Vec::new()
            }
        }
    }

    /// Takes the elements of `[[name]]` out of a table, each as a type.
    fn parts<T: DeserializeOwned>(&mut self, table: &mut DeTable<'_>, name: &str) -> Vec<T> {
        let items = table.remove(name).map(|value| self.list(value, name)).unwrap_or_default();
        items.into_iter().filter_map(|item| self.part(item)).collect()
    }

    fn program(&mut self, value: Spanned<DeValue<'_>>) -> Option<Program> {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            self.at(span, Kind::WrongType, "`program` is no table: write [program]");
            return None;
        };
        let span_of = |name: &str| table.iter().find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.span());
        let (key, build_at) = (span_of("command"), span_of("build").unwrap_or(span.clone()));
        let places = table.iter().map(|(key, _)| (key.as_ref().to_string(), self.source.place(&key.span()))).collect();
        let mut rest: toml::Table = self.part(Spanned::new(span.clone(), DeValue::Table(table)))?;
        let Some(at) = key else {
            self.at(span, Kind::MissingKey, "[program] has no `command`");
            return None;
        };
        let words = |value: &toml::Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let command = rest.remove("command").as_ref().and_then(words).unwrap_or_default();
        if command.first().is_none_or(String::is_empty) {
            let text = "`command` is a list of texts: the program and its arguments";
            self.tell(self.source.problem(Kind::WrongType, text, &at).hint("command = [\"python3\", \"worker.py\"]"));
            return None;
        }
        let build = match rest.remove("build") {
            None => None,
            Some(toml::Value::String(build)) => Some(build),
            Some(_) => {
                self.at(build_at, Kind::WrongType, "`build` is a text: the command that makes the program");
                return None;
            }
        };
        Some(Program { command, place: self.source.place(&at), build, settings: rest, places })
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>) -> Option<Node> {
        let span = value.span();
        let DeValue::Table(mut table) = value.into_inner() else {
            self.at(span, Kind::WrongType, "a node is a table: write [[node]]");
            return None;
        };
        let before = self.problems.len();
        let fields: Vec<Field> = self.parts(&mut table, "field");
        let buffers: Vec<Buffer> = self.parts(&mut table, "buffer");
        let outputs: Vec<Output> = self.parts(&mut table, "output");
        let steps = table.remove("step").map(|value| self.list(value, "step")).unwrap_or_default();
        let steps: Vec<Step> = steps.into_iter().filter_map(|step| self.step(step)).collect();
        let fallback: Option<Fallback> = table.remove("fallback").and_then(|value| self.part(value));
        let tables = ["field", "step", "output", "buffer", "fallback"];
        let head: Option<NodeHead> = self.part_beside(Spanned::new(span, DeValue::Table(table)), &tables);
        let head = head.filter(|_| self.problems.len() == before)?;
        Some(Node { head, fields, buffers, steps, outputs, fallback })
    }

    fn step(&mut self, value: Spanned<DeValue<'_>>) -> Option<Step> {
        let span = value.span();
        let DeValue::Table(mut table) = value.into_inner() else {
            self.at(span, Kind::WrongType, "a step is a table: write [[node.step]]");
            return None;
        };
        let inputs: Vec<Input> = self.parts(&mut table, "input");
        let outputs: Vec<Output> = self.parts(&mut table, "output");
        let step: Step = self.part_beside(Spanned::new(span.clone(), DeValue::Table(table)), &["input", "output"])?;
        let step = Step { inputs, outputs, ..step };
        check::step(self, &step, span);
        Some(step)
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A reading error as a problem: its sort, its words, and what was probably meant.
fn explain(source: &Source, message: &str, span: &Range<usize>, keys: &[String], beside: &[&str]) -> Problem {
    let message = one_line(message);
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let known: Vec<&str> = rest.split('`').skip(3).step_by(2).collect();
        let key = quoted(rest);
        let free: Vec<&str> = known.into_iter().filter(|known| keys.iter().all(|key| key != known)).collect();
        let free = [&free, beside].concat();
        let problem = source.problem(Kind::UnknownKey, format!("unknown key `{key}`"), span);
        let listed = format!("known here are {}", free.join(", "));
        let problem = suggest(problem, &key, &free);
        return if problem.hint.is_some() || free.is_empty() { problem } else { problem.hint(listed) };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return source.problem(Kind::MissingKey, format!("`{}` is missing", quoted(rest)), span);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let known: Vec<&str> = rest.split('`').skip(3).step_by(2).collect();
        let word = quoted(rest);
        let problem = source.problem(Kind::InvalidValue, format!("`{word}` is none of {}", known.join(", ")), span);
        return suggest(problem, &word, &known);
    }
    let is_type = message.starts_with("invalid type") || message.starts_with("expected ");
    let kind = if is_type { Kind::WrongType } else { Kind::InvalidValue };
    source.problem(kind, message, span)
}

/// With the known name that is most like the unknown one.
pub(crate) fn suggest(problem: Problem, unknown: &str, known: &[&str]) -> Problem {
    match nearest(unknown, known.iter().copied()) {
        Some(name) => problem.hint(format!("did you mean `{name}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests;
