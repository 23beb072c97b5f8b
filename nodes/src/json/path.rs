//! The way to one value: `a.b[0]["c d"]`, or a JSON Pointer (RFC 6901), `/a/b/0`. Not JSONPath: there are no wildcards.

use std::fmt::Write;

use millwork_worker::prelude::*;

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A key of a dict; of a list, if it is a number.
    Key(String),
    /// A place in a list, from the end if negative.
    Place(i64),
}

pub(super) fn parse(path: &str) -> Result<Vec<Step>> {
    if let Some(pointer) = path.strip_prefix('/') {
        return pointer.split('/').map(pointer_key).collect();
    }
    let refuse = |rest: &str, why: &str| {
        let at = path.len() - rest.len();
        Err(Error::invalid(format!("field `path`: {why} at byte {at} of {path:?}")))
    };
    let mut steps = Vec::new();
    // JSONPath writes the whole as `$`.
    let mut rest = match path.strip_prefix('$') {
        Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => rest.strip_prefix('.').unwrap_or(rest),
        _ => path,
    };
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, tail) = match inside.chars().next() {
                Some(quote @ ('"' | '\'')) => match inside[1..].split_once(quote) {
                    Some((key, tail)) => (Step::Key(key.to_owned()), tail),
                    None => return refuse(inside, "a quote is not closed"),
                },
                _ => {
                    let end = inside.find(']').unwrap_or(inside.len());
                    let (number, tail) = inside.split_at(end);
                    match number.trim().parse() {
                        Ok(place) => (Step::Place(place), tail),
                        Err(_) => return refuse(inside, "expected a number or a quoted key"),
                    }
                }
            };
            let Some(tail) = tail.strip_prefix(']') else { return refuse(tail, "expected `]`") };
            steps.push(step);
            rest = tail;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, tail) = rest.split_at(end);
            if key.is_empty() {
                return refuse(rest, "expected a key");
            }
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        }
        // Behind each step: the end, a dot and another key, or a bracket.
        match rest.strip_prefix('.') {
            Some("") => return refuse("", "expected a key"),
            Some(tail) => rest = tail,
            None if rest.is_empty() || rest.starts_with('[') => {}
            None => return refuse(rest, "expected `.` or `[`"),
        }
    }
    Ok(steps)
}

/// `~1` is a slash and `~0` a tilde.
fn pointer_key(key: &str) -> Result<Step> {
    let mut escapes = key.split('~').skip(1);
    if escapes.any(|rest| !rest.starts_with(['0', '1'])) {
        return Err(Error::invalid(format!("field `path`: in a JSON Pointer `~` is written `~0`, in {key:?}")));
    }
    Ok(Step::Key(key.replace("~1", "/").replace("~0", "~")))
}

/// Follows the steps; says where and why there is no way on.
pub(super) fn walk(mut value: Value, steps: &[Step]) -> Result<Value, String> {
    for (done, step) in steps.iter().enumerate() {
        value = take(value, step).map_err(|why| match written(steps.get(..done).unwrap_or_default()) {
            path if path.is_empty() => why,
            path => format!("at {path}: {why}"),
        })?;
    }
    Ok(value)
}

fn take(value: Value, step: &Step) -> Result<Value, String> {
    let number = match step {
        Step::Place(place) => Some(*place),
        Step::Key(key) => key.parse().ok(),
    };
    match (value, step, number) {
        (Value::Map(mut map), Step::Key(key), _) => map.swap_remove(key).ok_or_else(|| {
            let known: Vec<&str> = map.keys().take(12).map(String::as_str).collect();
            format!("no key {key:?} among {}", known.join(", "))
        }),
        (Value::List(mut items), _, Some(place)) => {
            let len = items.len();
            let index = if place < 0 { place.saturating_add_unsigned(len as u64) } else { place };
            match usize::try_from(index).ok().filter(|index| *index < len) {
                Some(index) => Ok(items.swap_remove(index)),
                None => Err(format!("no element {place} in a list of {len}")),
            }
        }
        (other, Step::Key(key), _) => Err(format!("{key:?} of a {}", other.type_name())),
        (other, Step::Place(place), _) => Err(format!("element {place} of a {}", other.type_name())),
    }
}

fn written(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        // Writing to a string does not fail.
        let _ = match step {
            Step::Place(place) => write!(path, "[{place}]"),
            Step::Key(key) if path.is_empty() => write!(path, "{key}"),
            Step::Key(key) => write!(path, ".{key}"),
        };
    }
    path
}
