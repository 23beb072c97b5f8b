//! What each binding of a shader is, held to what the shader declares.

use std::collections::BTreeMap;

use millwork_package::manifest::{self, Step as StepTable, Uniform};
use millwork_package::{Kind, Problem};
use millwork_worker::gpu::{Access, Binding, EntryPoint, Holds};
use toml::Spanned;

use super::Bound;
use crate::buffer;
use crate::check::Check;
use crate::scope::Known;

/// What each binding of the shader is.
pub(super) fn binds(
    check: &mut Check<'_>,
    step: &StepTable,
    file: &Spanned<String>,
    entry: &EntryPoint,
) -> Option<Vec<Bound>> {
    let uses = || {
        let names: Vec<&str> = entry.bindings.iter().map(|binding| binding.name.as_str()).collect();
        if names.is_empty() { "it uses none".to_owned() } else { format!("it uses {}", names.join(", ")) }
    };
    let empty = BTreeMap::new();
    let bound = step.bind.as_ref().unwrap_or(&empty);
    let is_storage = |binding: &&Binding| binding.access != Access::Uniform;
    let mut is_misnamed = false;
    for variable in bound.keys() {
        if !entry.bindings.iter().filter(is_storage).any(|binding| binding.name == *variable.as_ref()) {
            let text = format!("{} uses no storage variable {}", entry.name, variable.as_ref());
            is_misnamed = true;
            check.told(variable, Problem::new(Kind::UnknownBinding, text).hint(uses()));
        }
    }
    for (index, (_, buffer)) in bound.iter().enumerate() {
        if !is_misnamed && bound.iter().take(index).any(|(_, other)| other.as_ref() == buffer.as_ref()) {
            check.tell(buffer, Kind::InvalidValue, format!("the buffer {} is bound twice", buffer.as_ref()));
            return None;
        }
    }
    let mut binds: Vec<Bound> = Vec::new();
    let mut is_fine = true;
    let mut uniforms = 0;
    for binding in &entry.bindings {
        let made = if binding.access == Access::Uniform {
            uniforms += 1;
            if uniforms > 1 {
                let text = format!("{} has more than one uniform variable: {} too", entry.name, binding.name);
                check.told(file, Problem::new(Kind::TypeMismatch, text).hint("put all into one struct"));
                None
            } else {
                uniform_of(check, step, file, binding)
            }
        } else {
            let given = bound.iter().find(|(variable, _)| *variable.as_ref() == binding.name);
            match given {
                Some((variable, name)) => buffer_of(check, variable, name, binding),
                // It is likely what the other name was meant for.
                None if is_misnamed => None,
                None => {
                    let text = format!("nothing is said of the variable {}", binding.name);
                    let hint = format!("bind = {{ {} = \"…\" }}", binding.name);
                    check.told(file, Problem::new(Kind::MissingBinding, text).hint(hint));
                    None
                }
            }
        };
        is_fine &= made.is_some();
        while binds.len() < binding.index as usize && binds.len() < 64 {
            binds.push(Bound::Nothing);
        }
        binds.extend(made);
    }
    if uniforms == 0
        && let Some((member, _)) = step.uniforms.iter().flatten().next()
    {
        let text = format!("{} uses no uniform variable", entry.name);
        check.told(member, Problem::new(Kind::UnknownBinding, text).hint(uses()));
    }
    is_fine.then_some(binds)
}

fn buffer_of(
    check: &mut Check<'_>,
    variable: &Spanned<String>,
    name: &Spanned<String>,
    binding: &Binding,
) -> Option<Bound> {
    let format = match check.value(name)? {
        Known::Buffer(format) => format,
        Known::Anything => return None,
        other => {
            let text = format!("{} is {}, and a buffer belongs here", name.as_ref(), other.what());
            let hint = format!("[[node.buffer]] with from = {:?}", name.as_ref());
            check.told(name, Problem::new(Kind::TypeMismatch, text).hint(hint));
            return None;
        }
    };
    let (wanted, found) = (
        buffer::element(format),
        match &binding.holds {
            Holds::Elements { element, .. } => element.clone(),
            Holds::Struct { .. } => "a struct".to_owned(),
            _ => "something else".to_owned(),
        },
    );
    if found != wanted && found != format!("atomic<{wanted}>") {
        let text = format!("{} holds {found}, and the buffer {} has {wanted}", variable.as_ref(), name.as_ref());
        check.told(
            name,
            Problem::new(Kind::TypeMismatch, text)
                .hint(format!("declare it as array<{wanted}>, or give the buffer another `format`")),
        );
        return None;
    }
    Some(Bound::Buffer { name: name.as_ref().clone(), is_written: binding.access == Access::ReadWrite })
}

fn uniform_of(check: &mut Check<'_>, step: &StepTable, file: &Spanned<String>, binding: &Binding) -> Option<Bound> {
    let Holds::Struct { size, members } = &binding.holds else {
        let text = format!("the uniform {} is no struct of numbers and vectors of 32 bits", binding.name);
        check.told(file, Problem::new(Kind::TypeMismatch, text).hint("struct Params { width: u32, strength: f32 }"));
        return None;
    };
    let empty = BTreeMap::new();
    let given = step.uniforms.as_ref().unwrap_or(&empty);
    for (name, _) in given.iter().filter(|(name, _)| members.iter().all(|member| member.name != *name.as_ref())) {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let text = format!("the uniform {} has no member {}", binding.name, name.as_ref());
        check.told(name, Problem::new(Kind::UnknownBinding, text).hint(format!("it has {}", names.join(", "))));
    }
    let mut filled = Vec::new();
    for member in members {
        let Some((_, value)) = given.iter().find(|(name, _)| *name.as_ref() == member.name) else {
            // Padding that WGSL's layout makes people write out.
            if member.name.starts_with('_') {
                continue;
            }
            let text = format!("nothing is said of {}.{}", binding.name, member.name);
            let hint = format!("uniforms = {{ {} = … }}", member.name);
            check.told(file, Problem::new(Kind::MissingBinding, text).hint(hint));
            return None;
        };
        let components = usize::from(member.components);
        let expressions = match value.as_ref() {
            // The name of a list stands for its elements.
            Uniform::One(list) if components > 1 && check.scope.get(list.as_str()) == Some(&Known::Numbers) => {
                (0..components).map(|i| manifest::Expression::Text(format!("{}[{i}]", list.as_str()))).collect()
            }
            Uniform::One(expression) => vec![expression.clone()],
            Uniform::Vector(expressions) => expressions.clone(),
        };
        if expressions.len() != components {
            let text =
                format!("{} has {} components, and {} are given", member.name, member.components, expressions.len());
            check.tell(value, Kind::TypeMismatch, text);
            return None;
        }
        let compiled =
            expressions.into_iter().map(|one| check.numeric(&Spanned::new(value.span(), one), Kind::TypeMismatch));
        filled.push((member.clone(), compiled.collect::<Option<Vec<_>>>()?));
    }
    Some(Bound::Uniform { size: *size as usize, members: filled })
}
