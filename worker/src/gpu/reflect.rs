//! What the buffers of a shader hold, as far as a caller can fill them: arrays of numbers, and structs of scalars and vectors.

use wgpu::naga::{ArraySize, Handle, Module, Scalar as NagaScalar, ScalarKind, Type, TypeInner};

use super::shader::{Holds, Member, Scalar};

/// What a variable of this type holds.
pub(super) fn holds(module: &Module, ty: Handle<Type>) -> Holds {
    match &module.types[ty].inner {
        TypeInner::Array { base, stride, size: ArraySize::Dynamic | ArraySize::Constant(_) } => {
            Holds::Elements { element: name(module, *base), stride: *stride }
        }
        TypeInner::Struct { members, span } => {
            let member = |member: &wgpu::naga::StructMember| {
                let (scalar, components) = numbers(&module.types[member.ty].inner)?;
                Some(Member { name: member.name.clone()?, offset: member.offset, scalar, components })
            };
            let members: Option<Vec<Member>> = members.iter().map(member).collect();
            members.map_or(Holds::Other, |members| Holds::Struct { size: *span, members })
        }
        _ => Holds::Other,
    }
}

fn numbers(inner: &TypeInner) -> Option<(Scalar, u8)> {
    let kind = |scalar: &NagaScalar| match (scalar.kind, scalar.width) {
        (ScalarKind::Float, 4) => Some(Scalar::F32),
        (ScalarKind::Sint, 4) => Some(Scalar::I32),
        (ScalarKind::Uint, 4) => Some(Scalar::U32),
        _ => None,
    };
    match inner {
        TypeInner::Scalar(scalar) => Some((kind(scalar)?, 1)),
        TypeInner::Vector { size, scalar } => Some((kind(scalar)?, *size as u8)),
        _ => None,
    }
}

/// A type as it is written in WGSL.
fn name(module: &Module, ty: Handle<Type>) -> String {
    let scalar = |scalar: Scalar| match scalar {
        Scalar::F32 => "f32",
        Scalar::I32 => "i32",
        Scalar::U32 => "u32",
    };
    match &module.types[ty].inner {
        TypeInner::Atomic(inner) => {
            numbers(&TypeInner::Scalar(*inner)).map_or("atomic".to_owned(), |(s, _)| format!("atomic<{}>", scalar(s)))
        }
        inner => match numbers(inner) {
            Some((s, 1)) => scalar(s).to_owned(),
            Some((s, n)) => format!("vec{n}<{}>", scalar(s)),
            None => module.types[ty].name.clone().unwrap_or_else(|| "another type".to_owned()),
        },
    }
}
