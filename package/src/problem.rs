//! What is wrong with a package, and where: a load error before it travels.

use std::fmt;

use millwork_protocol::Map;
use millwork_protocol::message::LoadError;

/// How far a package came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// package.toml.
    Manifest,
    /// What its nodes are.
    Metadata,
    /// Its files.
    Import,
    /// An ONNX model.
    ModelLoad,
    /// A WGSL shader.
    ShaderCompile,
    /// A GPU that is not there.
    GpuInit,
    /// A program that does not start.
    Spawn,
    /// A program that starts and does not answer as a worker.
    Handshake,
}

impl Phase {
    /// As it stands in a load error.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Metadata => "metadata",
            Self::Import => "import",
            Self::ModelLoad => "model_load",
            Self::ShaderCompile => "shader_compile",
            Self::GpuInit => "gpu_init",
            Self::Spawn => "spawn",
            Self::Handshake => "handshake",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident in $phase:ident,)*) => {
        /// What sort of problem it is, for programs; its text is for people. A kind belongs to one phase.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// As it stands in a load error: `MissingFile`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The phase that it belongs to.
            #[must_use]
            pub fn phase(self) -> Phase {
                match self { $(Self::$name => Phase::$phase,)* }
            }
        }
    };
}

kinds! {
    /// The file is not TOML.
    SyntaxError in Manifest,
    /// A key that means nothing there.
    UnknownKey in Manifest,
    /// A key that is needed.
    MissingKey in Manifest,
    /// A value of another type than the key's.
    WrongType in Manifest,
    /// A value that cannot be.
    InvalidValue in Manifest,
    /// A name that nothing has.
    UnknownName in Manifest,
    /// A name that something else has.
    DuplicateName in Manifest,
    /// An expression that is none.
    InvalidExpression in Manifest,
    /// Another Millwork is asked for.
    VersionNotMet in Manifest,
    /// An environment variable is asked for and not set.
    MissingSetting in Manifest,
    /// Another package has this name.
    DuplicatePackage in Manifest,
    /// A node outside of the package's namespaces.
    WrongNamespace in Metadata,
    /// Another node has this type.
    DuplicateNode in Metadata,
    /// Another provider has this id.
    DuplicateProvider in Metadata,
    /// More or fewer labels than classes.
    LabelCount in Metadata,
    /// A file that is not there.
    MissingFile in Import,
    /// A file that cannot be read.
    UnreadableFile in Import,
    /// A path that leads out of the folder.
    OutsideFolder in Import,
    /// A file or an archive over a limit.
    TooLarge in Import,
    /// A tokenizer that is none.
    InvalidTokenizer in Import,
    /// An archive that is none.
    InvalidArchive in Import,
    /// A model that is none, or that cannot be planned.
    InvalidModel in ModelLoad,
    /// Operators that are missing here.
    UnsupportedOperator in ModelLoad,
    /// The model has no such input.
    UnknownInput in ModelLoad,
    /// An input of the model is given nothing.
    MissingInput in ModelLoad,
    /// The model has no such output.
    UnknownOutput in ModelLoad,
    /// What is given cannot have the shape that is asked for.
    ShapeMismatch in ModelLoad,
    /// A shader that does not compile.
    ShaderError in ShaderCompile,
    /// The shader has no such variable or member.
    UnknownBinding in ShaderCompile,
    /// A variable or member of the shader is given nothing.
    MissingBinding in ShaderCompile,
    /// A variable of the shader holds something else.
    TypeMismatch in ShaderCompile,
    /// The shader has no such entry point.
    UnknownEntry in ShaderCompile,
    /// A GPU is needed and there is none.
    NoGpu in GpuInit,
    /// The program is not there.
    ProgramNotFound in Spawn,
    /// The program cannot be started.
    SpawnFailed in Spawn,
    /// The program is not a worker.
    WorkerFailed in Handshake,
}

/// A place in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// Something that is wrong with a package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The node type or the package that is not there because of it.
    pub module: String,
    /// What sort of problem.
    pub kind: Kind,
    /// What is wrong, for people.
    pub text: String,
    /// The file it is in, relative to the package's folder.
    pub file: Option<String>,
    /// Where in that file.
    pub place: Option<Place>,
    /// What would help.
    pub hint: Option<String>,
    /// Whether trying again without a change is useless.
    pub deterministic: bool,
}

impl Problem {
    /// A problem of nothing and nowhere yet, that trying again does not solve.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            module: String::new(),
            kind,
            text: text.into(),
            file: None,
            place: None,
            hint: None,
            deterministic: true,
        }
    }

    /// Of this node type or package.
    #[must_use]
    pub fn of(mut self, module: impl Into<String>) -> Self {
        self.module = module.into();
        self
    }

    /// In this file, at this place.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, place: Option<Place>) -> Self {
        self.file = Some(file.into());
        self.place = place;
        self
    }

    /// With what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// One that may be gone the next time.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.deterministic = false;
        self
    }
}

/// As it travels: `file`, `line`, `column`, `hint` and `deterministic` are further keys.
impl From<Problem> for LoadError {
    fn from(problem: Problem) -> Self {
        let phase = problem.kind.phase().as_str();
        let mut extra = Map::new();
        if let Some(file) = problem.file {
            extra.insert("file".to_owned(), file.into());
        }
        if let Some(Place { line, column }) = problem.place {
            extra.insert("line".to_owned(), line.into());
            extra.insert("column".to_owned(), column.into());
        }
        if let Some(hint) = problem.hint {
            extra.insert("hint".to_owned(), hint.into());
        }
        extra.insert("deterministic".to_owned(), problem.deterministic.into());
        Self { extra, ..Self::new(problem.module, phase, problem.kind.as_str(), problem.text) }
    }
}

/// `package.toml:3:5: unknown key`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(Place { line, column }) = self.place {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}
