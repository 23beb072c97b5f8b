//! Tensors to and from `.npy` files. The format is in [`super::npy`].

use millwork_worker::convert::Asset;
use millwork_worker::prelude::*;

use super::npy;

/// Writes a tensor to a NumPy `.npy` file in the workspace; a file of that name is replaced.
#[derive(Node)]
#[node("tensor.Save")]
pub(super) struct Save {
    /// The tensor.
    tensor: Tensor,
    /// Where to, ending in `.npy`: relative to the workspace, in a folder that exists.
    path: String,
}

impl Run for Save {
    type Output = String;

    /// The whole path of the file.
    fn run(self, cx: &Context) -> Result<String> {
        self.tensor.check()?;
        let path = cx.path(&self.path)?;
        if path.extension().is_none_or(|extension| extension != "npy") {
            return Err(Error::invalid(format!("field `path`: {:?} does not end in .npy", self.path)));
        }
        std::fs::write(&path, npy::write(&self.tensor)).context(format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// Reads a tensor from a NumPy `.npy` file.
#[derive(Node)]
#[node("tensor.Load")]
pub(super) struct Load {
    /// The file: a path in the workspace, or the file itself.
    file: Asset,
}

impl Run for Load {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        npy::read(&self.file.bytes)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{output, tensor};
    use super::*;

    #[test]
    fn saved_and_loaded_again() {
        let folder = std::env::temp_dir().join(format!("millwork-npy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let value = tensor(&[2, 2], &[1f32, 2.0, 3.0, 4.5]);
        let save = |path: &str| {
            NodeTest::new::<Save>().workspace(&folder).field("tensor", value.clone()).field("path", path).run()
        };
        let written = save("a.npy").unwrap().outputs["output"].as_str().unwrap().to_owned();
        let loaded = NodeTest::new::<Load>().workspace(&folder).field("file", "a.npy").run().unwrap();
        assert_eq!(Value::from(output(&loaded)), value);
        let sent = NodeTest::new::<Load>().blob("file", std::fs::read(written).unwrap()).run().unwrap();
        assert_eq!(Value::from(output(&sent)), value);
        assert!(save("a.txt").unwrap_err().message().contains("does not end in .npy"));
        assert!(save("../a.npy").unwrap_err().message().contains("outside the workspace"));
        let missing = NodeTest::new::<Load>().workspace(&folder).field("file", "none.npy").run().unwrap_err();
        assert!(missing.message().contains("none.npy"), "{missing}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
