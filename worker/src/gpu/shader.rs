//! WGSL: parsed and validated without a device, with line and column of what is wrong, and its bindings listed.

use std::fmt;

use wgpu::naga;
use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};

use super::error::GpuError;
use super::reflect;

/// Longest WGSL source that is taken, in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;

/// Workgroup memory of one variable, in bytes. Drivers are not asked for more: some of them end the process.
const MOST_SHARED: u32 = 1 << 18;

/// Stack for the compiler. It descends once per operator of a long expression, and the source may come from anywhere.
pub(super) const COMPILER_STACK: usize = 64 << 20;

/// WGSL that does not compile, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShaderError {
    /// What is wrong.
    pub message: String,
    /// Where, when the compiler knows.
    pub location: Option<Location>,
}

/// A place in a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters that are meant, 1 or more, within the line.
    pub width: usize,
    /// The whole line.
    pub text: String,
}

impl fmt::Display for ShaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Location { line, column, width, text }) = &self.location else {
            return write!(f, "WGSL: {}", self.message);
        };
        writeln!(f, "WGSL line {line}, column {column}: {}", self.message)?;
        let number = line.to_string();
        // Tabs stay tabs so that the caret lands under its column whatever a tab's width.
        let indent: String = text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, " {number} | {text}")?;
        write!(f, " {:1$} | {indent}{2}", "", number.len(), "^".repeat(*width))
    }
}

impl std::error::Error for ShaderError {}

impl ShaderError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: None }
    }

    fn at(message: impl Into<String>, source: &str, offset: usize, length: usize) -> Self {
        Self { message: message.into(), location: Location::of(source, offset, length) }
    }
}

impl Location {
    fn of(source: &str, offset: usize, length: usize) -> Option<Self> {
        let before = source.get(..offset)?;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let text = source.get(start..)?.lines().next().unwrap_or_default();
        let column = source.get(start..offset)?.chars().count() + 1;
        let meant = source.get(offset..offset + length).unwrap_or_default().lines().next().unwrap_or_default();
        Some(Self {
            line: before.matches('\n').count() + 1,
            column,
            width: meant.chars().count().max(1),
            text: text.to_owned(),
        })
    }
}

/// A shader that compiles.
#[derive(Debug)]
pub struct Shader {
    entry_points: Vec<EntryPoint>,
}

/// A compute entry point and what it binds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryPoint {
    /// Its name.
    pub name: String,
    /// Invocations per workgroup along x, y, z.
    pub workgroup_size: [u32; 3],
    /// The buffers that it uses, by binding number.
    pub bindings: Vec<Binding>,
}

/// One buffer of a shader: `@group(0) @binding(index) var<…> name`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Binding {
    /// The number in `@binding(…)`.
    pub index: u32,
    /// The variable's name.
    pub name: String,
    /// How the shader reaches it.
    pub access: Access,
    /// What it holds.
    pub holds: Holds,
}

/// What a buffer of a shader holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holds {
    /// `array<T>` of as many elements as the buffer has room for, or of a fixed number.
    Elements {
        /// `f32`, `vec4<u32>`, ….
        element: String,
        /// From one element to the next, bytes.
        stride: u32,
    },
    /// A struct of scalars and vectors.
    Struct {
        /// Bytes of all of it.
        size: u32,
        /// In the order of the declaration.
        members: Vec<Member>,
    },
    /// Anything else.
    Other,
}

/// One member of a uniform struct.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where it begins, bytes.
    pub offset: u32,
    /// What each component is.
    pub scalar: Scalar,
    /// Components: 1 to 4.
    pub components: u8,
}

/// A number of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `f32`.
    F32,
    /// `i32`.
    I32,
    /// `u32`.
    U32,
}

/// How a shader reaches a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`.
    Uniform,
    /// `var<storage>` or `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

impl Shader {
    /// Parses and validates `source`. Needs no GPU.
    ///
    /// # Errors
    /// [`ShaderError`] with the first thing that is wrong and where it is.
    pub fn check(source: &str) -> Result<Self, ShaderError> {
        if source.len() > MAX_SOURCE {
            return Err(ShaderError::new(format!(
                "the source has {} bytes, and the limit is {MAX_SOURCE}",
                source.len()
            )));
        }
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("millwork-wgsl".to_owned())
                .stack_size(COMPILER_STACK)
                .spawn_scoped(scope, || compile(source))
                .map_err(|error| ShaderError::new(format!("no thread to compile on: {error}")))?
                .join()
                .unwrap_or_else(|_| Err(ShaderError::new("the compiler panicked on this source")))
        })
    }

    /// The compute entry point called `name`, or the only one there is.
    ///
    /// # Errors
    /// [`GpuError::EntryPoint`] with the names that there are.
    pub fn entry_point(&self, name: Option<&str>) -> Result<&EntryPoint, GpuError> {
        let missing = |asked| GpuError::EntryPoint {
            asked,
            available: self.entry_points.iter().map(|e| e.name.clone()).collect(),
        };
        match (name, self.entry_points.as_slice()) {
            (Some(name), all) => all
                .iter()
                .find(|entry| entry.name == name)
                .ok_or_else(|| missing(format!("there is no compute entry point `{name}`"))),
            (None, [only]) => Ok(only),
            (None, []) => Err(missing("there is no `@compute` function".to_owned())),
            (None, _) => Err(missing("name the entry point".to_owned())),
        }
    }
}

fn compile(source: &str) -> Result<Shader, ShaderError> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| match error.location(source) {
        Some(at) => ShaderError::at(error.message(), source, at.offset as usize, at.length as usize),
        None => ShaderError::new(error.message()),
    })?;
    let optional = Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER;
    let info = Validator::new(ValidationFlags::all(), Capabilities::default() | optional).validate(&module).map_err(
        |error| {
            let message = with_causes(error.as_inner());
            match error.location(source) {
                Some(at) => ShaderError::at(message, source, at.offset as usize, at.length as usize),
                None => ShaderError::new(message),
            }
        },
    )?;

    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup);
    for (handle, variable) in shared {
        let bytes = module.types[variable.ty].inner.size(module.to_ctx());
        if bytes > MOST_SHARED {
            let span = module.global_variables.get_span(handle).location(source);
            let text = format!("{bytes} bytes of workgroup memory; no device has more than {MOST_SHARED}");
            return Err(ShaderError::at(text, source, span.offset as usize, span.length as usize));
        }
    }
    let mut entry_points = Vec::new();
    for (i, entry) in module.entry_points.iter().enumerate() {
        if entry.stage != naga::ShaderStage::Compute {
            continue;
        }
        let uses = info.get_entry_point(i);
        let mut bindings = Vec::new();
        for (handle, variable) in module.global_variables.iter() {
            let Some(place) = &variable.binding else { continue };
            if uses[handle].is_empty() {
                continue;
            }
            let name = variable.name.clone().unwrap_or_default();
            let refuse = |what: &str| {
                let span = module.global_variables.get_span(handle).location(source);
                ShaderError::at(format!("`{name}` {what}"), source, span.offset as usize, span.length as usize)
            };
            if place.group != 0 {
                return Err(refuse("is not in @group(0), and that is the only one there is"));
            }
            let access = match variable.space {
                naga::AddressSpace::Uniform => Access::Uniform,
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    Access::ReadWrite
                }
                naga::AddressSpace::Storage { .. } => Access::Read,
                _ => return Err(refuse("is a texture or sampler; only buffers can be bound")),
            };
            let holds = reflect::holds(&module, variable.ty);
            bindings.push(Binding { index: place.binding, name, access, holds });
        }
        bindings.sort_by_key(|binding| binding.index);
        entry_points.push(EntryPoint { name: entry.name.clone(), workgroup_size: entry.workgroup_size, bindings });
    }
    Ok(Shader { entry_points })
}

/// The error and its causes in one line: the outer ones only say "function `main` is invalid".
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
