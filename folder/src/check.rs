//! One node on its way from a manifest to a plan: what is known so far, and what was found to be wrong.

use millwork_package::manifest::{self, Lines, Param};
use millwork_package::{Kind, MANIFEST, Manifest, Problem, nearest};
use millwork_worker::onnx::{Dim, Onnx};
use millwork_worker::{Error, Result};
use toml::Spanned;

use crate::expression::Expression;
use crate::files::Files;
use crate::scope::{Known, Scope};
use crate::value::Values;

/// What planning a node needs and gathers.
pub(crate) struct Check<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) files: &'a Files,
    pub(crate) onnx: &'a Onnx,
    pub(crate) scope: Scope,
    module: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(manifest: &'a Manifest, module: &'a str, files: &'a Files, onnx: &'a Onnx) -> Self {
        Self { manifest, files, onnx, scope: Scope::default(), module, problems: Vec::new() }
    }

    /// Everything that was wrong.
    pub(crate) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(crate) fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }

    /// Tells of something about a part of package.toml.
    pub(crate) fn tell<T>(&mut self, at: &Spanned<T>, kind: Kind, text: impl Into<String>) {
        self.told(at, Problem::new(kind, text));
    }

    /// Tells of a problem whose place is a part of package.toml, where it has no file of its own.
    pub(crate) fn told<T>(&mut self, at: &Spanned<T>, problem: Problem) {
        let problem = match problem.file {
            Some(_) => problem,
            None => problem.at(MANIFEST, Some(self.manifest.place(at))),
        };
        self.problems.push(problem.of(self.module));
    }

    /// A problem that hinders the node, or nothing.
    pub(crate) fn ok<T, U>(&mut self, at: &Spanned<T>, result: std::result::Result<U, Problem>) -> Option<U> {
        result.map_err(|problem| self.told(at, problem)).ok()
    }

    /// What a name stands for.
    pub(crate) fn value(&mut self, name: &Spanned<String>) -> Option<Known> {
        if let Some(known) = self.scope.get(name.as_ref()) {
            return Some(known.clone());
        }
        if self.scope.is_partial {
            return Some(Known::Anything);
        }
        let problem = self.unknown(name.as_ref());
        self.told(name, problem);
        None
    }

    fn unknown(&self, name: &str) -> Problem {
        let names = self.scope.names();
        let problem = Problem::new(Kind::UnknownName, format!("there is no value {name} here"));
        match nearest(name, names.iter().copied()) {
            Some(close) => problem.hint(format!("did you mean {close}?")),
            None if names.is_empty() => problem,
            None => problem.hint(format!("there are {}", names.join(", "))),
        }
    }

    /// Tells that a value is not what belongs in its place.
    pub(crate) fn unfit(&mut self, name: &Spanned<String>, kind: Kind, known: &Known, wanted: &str) {
        self.tell(name, kind, format!("{} is {}, and {wanted} belongs here", name.as_ref(), known.what()));
    }

    /// A value that is a picture.
    pub(crate) fn picture(&mut self, name: &Spanned<String>) -> Option<()> {
        let known = self.value(name)?;
        if !known.is_picture() {
            self.unfit(name, Kind::InvalidValue, &known, "a picture");
        }
        known.is_picture().then_some(())
    }

    /// A value that is a tensor, or becomes one.
    pub(crate) fn tensor(&mut self, name: &Spanned<String>) -> Option<Option<Vec<Dim>>> {
        match self.value(name)? {
            Known::Tensor(shape) => Some(shape),
            Known::Buffer(_) | Known::Anything => Some(None),
            other => {
                self.unfit(name, Kind::InvalidValue, &other, "a tensor");
                None
            }
        }
    }

    /// An expression whose names are there.
    pub(crate) fn expression(&mut self, at: &Spanned<manifest::Expression>) -> Option<Expression> {
        let expression = match Expression::new(at.as_ref()) {
            Ok(expression) => expression,
            Err(text) => {
                self.tell(at, Kind::InvalidExpression, text);
                return None;
            }
        };
        let before = self.problems.len();
        for name in expression.names() {
            let (root, attribute) = name.split_once('.').map_or((name.as_str(), None), |(r, a)| (r, Some(a)));
            let Some(known) = self.scope.get(root).cloned() else {
                if !self.scope.is_partial {
                    let problem = self.unknown(root);
                    self.told(at, problem);
                }
                continue;
            };
            let all = known.attributes();
            let is_known = match attribute {
                None => known.is_plain(),
                Some(attribute) => {
                    known == Known::Anything || all.contains(&attribute.split('.').next().unwrap_or_default())
                }
            };
            if is_known {
                continue;
            }
            let text = match (all, attribute) {
                ([], Some(attribute)) => format!("{root} is {} and has no .{attribute}", known.what()),
                (all, _) => {
                    let all: Vec<String> = all.iter().map(|attribute| format!("{root}.{attribute}")).collect();
                    format!("{root} is {}: there are {}", known.what(), all.join(", "))
                }
            };
            self.tell(at, Kind::InvalidExpression, text);
        }
        (self.problems.len() == before).then_some(expression)
    }

    /// An expression that is a number. One that is nothing but a name of something else is told as `kind`.
    pub(crate) fn numeric(&mut self, at: &Spanned<manifest::Expression>, kind: Kind) -> Option<Expression> {
        let expression = self.expression(at)?;
        let name = Spanned::new(at.span(), at.as_ref().as_str().trim().to_owned());
        match self.scope.get(name.as_ref()).cloned() {
            Some(Known::Number | Known::Bool | Known::Anything) | None => Some(expression),
            Some(other) => {
                self.unfit(&name, kind, &other, "a number");
                None
            }
        }
    }

    /// A number, or a field that holds one; `default` where nothing is said.
    pub(crate) fn number(&mut self, param: Option<&Spanned<Param>>, default: f64) -> Number {
        let Some(at) = param else { return Number::Fixed(default) };
        match at.as_ref() {
            Param::Number(number) => Number::Fixed(*number),
            Param::Field(name) => {
                let name = Spanned::new(at.span(), name.clone());
                match self.value(&name) {
                    Some(Known::Number | Known::Anything) | None => {}
                    Some(other) => self.unfit(&name, Kind::InvalidValue, &other, "a number"),
                }
                Number::Field(name.into_inner())
            }
        }
    }

    /// Lines of a file or of a list.
    pub(crate) fn lines(&mut self, lines: Option<&Spanned<Lines>>) -> Option<Vec<String>> {
        let at = lines?;
        match at.as_ref() {
            Lines::List(lines) => Some(lines.clone()),
            Lines::File(name) => {
                let read = self.files.lines(name);
                self.ok(at, read)
            }
        }
    }
}

/// A number of a plan.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    Fixed(f64),
    Field(String),
}

impl Number {
    pub(crate) fn get(&self, values: &Values) -> Result<f64> {
        match self {
            Self::Fixed(number) => Ok(*number),
            Self::Field(name) => values
                .get(name)
                .and_then(crate::value::Datum::number)
                .ok_or_else(|| Error::invalid(format!("field `{name}`: a number is needed"))),
        }
    }

    /// As a whole number from 0 on.
    pub(crate) fn count(&self, values: &Values) -> Result<usize> {
        Ok(self.get(values)?.max(0.0) as usize)
    }
}
