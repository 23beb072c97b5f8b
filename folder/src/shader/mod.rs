//! Steps that are WGSL shaders: compiled and held to their step when they are loaded (`bind`), run as one job where they follow
//! one another (`job`).

mod bind;
mod job;

use bytes::Bytes;
use millwork_package::manifest::Step as StepTable;
use millwork_package::{Kind, Place, Problem};
use millwork_worker::gpu::{Bind, EntryPoint, Kernel, Member, Scalar, Shader, Step};
use millwork_worker::{Error, Result, ResultExt};
use toml::Spanned;

use crate::check::Check;
use crate::expression::Expression;
use crate::value::Values;

pub(crate) use job::run;

/// A shader that can be run.
#[derive(Debug)]
pub(crate) struct ShaderStep {
    file: String,
    source: String,
    entry: EntryPoint,
    dispatch: Vec<Expression>,
    /// What each binding is, from 0 on.
    binds: Vec<Bound>,
}

#[derive(Debug)]
pub(super) enum Bound {
    Buffer {
        name: String,
        is_written: bool,
    },
    Uniform {
        size: usize,
        members: Vec<(Member, Vec<Expression>)>,
    },
    /// A number that the shader leaves out.
    Nothing,
}

impl ShaderStep {
    /// Compiles the shader and holds the step to it.
    pub(crate) fn new(check: &mut Check<'_>, step: &StepTable, file: &Spanned<String>) -> Option<Self> {
        let name = file.as_ref();
        let text = check.files.text(name);
        let source = check.ok(file, text)?;
        let shader = Shader::check(&source).map_err(|error| {
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let place = error.location.as_ref().map(|at| Place { line: number(at.line), column: number(at.column) });
            Problem::new(Kind::ShaderError, format!("{name}: {}", error.message)).at(name, place)
        });
        let shader = check.ok(file, shader)?;
        let wanted = step.entry.as_ref().map(|entry| entry.as_ref().as_str());
        let entry = match shader.entry_point(wanted) {
            Ok(entry) => entry.clone(),
            Err(error) => {
                let problem = Problem::new(Kind::UnknownEntry, error.to_string());
                match &step.entry {
                    Some(at) => check.told(at, problem),
                    None => check.told(file, problem.hint("name one of them: entry = \"…\"")),
                }
                return None;
            }
        };
        let dispatch: Vec<Option<Expression>> = step
            .dispatch
            .iter()
            .flat_map(|all| all.as_ref())
            .map(|one| check.numeric(one, Kind::InvalidExpression))
            .collect();
        let binds = bind::binds(check, step, file, &entry);
        let dispatch = dispatch.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Self { file: name.clone(), source, entry, dispatch, binds: binds? })
    }

    /// The buffers that it reads or writes.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &str> {
        self.binds.iter().filter_map(|bound| match bound {
            Bound::Buffer { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    fn step(&self, values: &Values, index: impl Fn(&str) -> usize) -> Result<Step> {
        let mut workgroups = [1u32; 3];
        for ((count, expression), size) in workgroups.iter_mut().zip(&self.dispatch).zip(self.entry.workgroup_size) {
            let invocations = expression.count(values).context("dispatch")?;
            *count = u32::try_from(invocations.div_ceil(u64::from(size.max(1)))).unwrap_or(u32::MAX);
        }
        let bind = self.binds.iter().map(|bound| {
            Ok(match bound {
                Bound::Buffer { name, .. } => Bind::Buffer(index(name)),
                Bound::Uniform { size, members } => Bind::Params(uniform(*size, members, values)?),
                Bound::Nothing => Bind::Params(Bytes::from_static(&[0; 16])),
            })
        });
        let kernel = Kernel { source: self.source.clone().into(), entry: Some(self.entry.name.clone().into()) };
        Ok(Step { kernel, bind: bind.collect::<Result<_>>()?, workgroups })
    }
}

/// The bytes of a uniform struct.
fn uniform(size: usize, members: &[(Member, Vec<Expression>)], values: &Values) -> Result<Bytes> {
    // Uniform buffers are as long as a multiple of 16.
    let mut bytes = vec![0u8; size.next_multiple_of(16)];
    for (member, expressions) in members {
        for (i, expression) in expressions.iter().enumerate() {
            let number = expression.number(values).context(format!("uniform `{}`", member.name))?;
            let refuse = |what: &str| Error::invalid(format!("uniform `{}`: {number} is no {what}", member.name));
            let is_whole = number.fract() == 0.0;
            let four = match member.scalar {
                Scalar::F32 => (number as f32).to_le_bytes(),
                Scalar::U32 if is_whole && (0.0..=f64::from(u32::MAX)).contains(&number) => {
                    (number as u32).to_le_bytes()
                }
                Scalar::I32 if is_whole && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) => {
                    (number as i32).to_le_bytes()
                }
                Scalar::U32 => return Err(refuse("whole number from 0 on; `floor()` or `//` make one")),
                Scalar::I32 => return Err(refuse("whole number; `floor()` or `//` make one")),
            };
            let at = member.offset as usize + 4 * i;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&four);
            }
        }
    }
    Ok(bytes.into())
}
