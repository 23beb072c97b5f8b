//! Every type that a field and an output can have: what is said of it, what it takes, what it gives, what it refuses.

use millwork_worker::image::RgbImage;
use millwork_worker::prelude::*;
use millwork_worker::protocol::metadata::TypeMetadata;
use millwork_worker::testing::NodeTest;

/// A node that gives back what it is given.
macro_rules! echo {
    ($name:ident, $ty:ty) => {
        /// Gives its value back.
        #[derive(Node)]
        #[node("test.Echo")]
        struct $name {
            /// The value.
            value: $ty,
        }

        impl Run for $name {
            type Output = $ty;

            fn run(self, _: &Context) -> Result<$ty> {
                Ok(self.value)
            }
        }
    };
}

/// One value, there and back, beside the type that `discover` has of it.
macro_rules! travels {
    ($ty:ty, $metadata:expr, $($value:expr),+ $(,)?) => {{
        echo!(Echo, $ty);
        let metadata = Echo::entry().metadata;
        assert_eq!((&metadata.properties[0].ty, &metadata.outputs[0].ty), (&$metadata, &$metadata));
        $(
            let answer = NodeTest::new::<Echo>().field("value", $value).run().unwrap();
            assert_eq!(answer.get::<$ty>("output").unwrap(), $value);
        )+
    }};
}

/// What the error says of a value of the wrong type.
macro_rules! refused {
    ($ty:ty, $($value:expr => $text:literal),+ $(,)?) => {{
        echo!(Echo, $ty);
        $(
            let error = NodeTest::new::<Echo>().field("value", $value).run().unwrap_err();
            assert_eq!((error.kind(), error.message()), (&ErrorKind::InvalidInput, concat!("field `value`: ", $text)));
        )+
    }};
}

fn list(items: &[Value]) -> Value {
    Value::List(items.to_vec())
}

#[test]
fn numbers_and_texts() {
    travels!(bool, TypeMetadata::bool(), true);
    travels!(u8, TypeMetadata::int(), 255u8);
    travels!(i8, TypeMetadata::int(), -128i8);
    travels!(u16, TypeMetadata::int(), 7u16);
    travels!(isize, TypeMetadata::int(), -7isize);
    travels!(f32, TypeMetadata::float(), 0.5f32);
    travels!(String, TypeMetadata::str(), "ä".to_owned());
    travels!(Bytes, TypeMetadata::bytes(), Bytes::from_static(b"\0\xff"));
    refused!(bool, "yes" => "expected a bool, got str \"yes\"", 1 => "expected a bool, got int 1");
    refused!(u8, 256 => "must be between 0 and 255, got 256", 1.5 => "expected an int, got float 1.5");
    refused!(f32, "x" => "expected a float, got str \"x\"");
    refused!(String, 3 => "expected a str, got int 3", map! { "a" => 1 } => "expected a str, got map");
    refused!(Bytes, 3 => "expected bytes, got int 3");
}

#[test]
fn a_blob_can_be_a_text_or_bytes() {
    echo!(Text, String);
    let answer = NodeTest::new::<Text>().blob("value", &b"text"[..]).run().unwrap();
    assert_eq!(answer.get::<String>("output").unwrap(), "text");
    let error = NodeTest::new::<Text>().blob("value", &b"\xff"[..]).run().unwrap_err();
    assert!(error.message().starts_with("field `value`: expected UTF-8 text"), "{error}");
    echo!(Raw, Bytes);
    let answer = NodeTest::new::<Raw>().blob("value", &b"\xff"[..]).run().unwrap();
    assert_eq!(answer.get::<Bytes>("output").unwrap(), &b"\xff"[..]);
}

#[test]
fn options_lists_arrays_tuples_and_maps() {
    travels!(Option<i64>, TypeMetadata::int().optional(), Some(3), None::<i64>);
    travels!(Vec<Option<f64>>, TypeMetadata::list_of(TypeMetadata::float().optional()), vec![Some(1.5), None]);
    travels!([f32; 3], TypeMetadata::tuple_of([(); 3].map(|()| TypeMetadata::float())), [1.0f32, 0.5, 0.0]);
    travels!((String, i64), TypeMetadata::tuple_of([TypeMetadata::str(), TypeMetadata::int()]), ("a".to_owned(), 1i64),);
    travels!(Map, TypeMetadata::dict(), map! { "a" => 1, "b" => Value::Nil });
    travels!(
        IndexMap<String, Vec<u32>>,
        TypeMetadata::dict_of(TypeMetadata::str(), TypeMetadata::list_of(TypeMetadata::int())),
        IndexMap::from([("a".to_owned(), vec![1u32, 2])]),
    );
    refused!(Vec<f64>, list(&[1.into(), "x".into()]) => "element 1: expected a float, got str \"x\"", 1 => "expected a list, got int 1");
    refused!([u8; 3], vec![1, 2] => "expected a list of 3, got one of 2", 1 => "expected a list of 3, got int 1");
    refused!((String, i64), list(&["a".into(), "b".into()]) => "element 1: expected an int, got str \"b\"");
    refused!(IndexMap<String, u8>, map! { "a" => 300 } => "entry `a`: must be between 0 and 255, got 300");
    refused!(Map, 1 => "expected a dict, got int 1");
}

#[test]
fn media() {
    travels!(Image, TypeMetadata::image(), Image::from(RgbImage::new(3, 2)));
    travels!(VideoBytes, TypeMetadata::video(), VideoBytes(Bytes::from_static(b"film")));
    travels!(TextAsset, TypeMetadata::text(), TextAsset(Bytes::from_static(b"text")));
    travels!(Tensor, TypeMetadata::np_array(), Tensor::from_slice(&[2], &[1.0f32, 2.0]).unwrap());
    travels!(
        Vec<Tensor>,
        TypeMetadata::list_of(TypeMetadata::np_array()),
        vec![Tensor::from_slice(&[1], &[1i64]).unwrap()]
    );
    echo!(Sound, Audio);
    let audio = Audio::new(vec![0.5, -0.5], 1, 8000).unwrap();
    let answer = NodeTest::new::<Sound>().field("value", audio.clone()).run().unwrap();
    assert_eq!(answer.get::<Audio>("output").unwrap().sample_rate, audio.sample_rate);
    // A picture in a list carries its bytes inline.
    echo!(Pictures, Vec<Image>);
    let pictures = vec![Image::from(RgbImage::new(1, 1)), Image::from(RgbImage::new(2, 1))];
    let answer = NodeTest::new::<Pictures>().field("value", pictures.clone()).run().unwrap();
    assert_eq!(answer.get::<Vec<Image>>("output").unwrap(), pictures);
    refused!(VideoBytes, 1 => "expected video (a ref with its bytes as a blob), got int 1");
    refused!(Image, map! { "type" => "image", "uri" => "" } => "the image is empty: send its bytes as a blob");
}

#[test]
fn tables() {
    let columns = vec![ColumnDef::new("name", "string"), ColumnDef::new("age", "int")];
    let rows = vec![vec!["Ada".into(), 36.into()], vec!["Bo".into(), Value::Nil]];
    let frame = DataFrame::new(columns, rows).unwrap();
    travels!(DataFrame, TypeMetadata::dataframe(), frame.clone());

    echo!(Table, DataFrame);
    let dicts = list(&[map! { "name" => "Ada", "age" => 36 }.into(), map! { "name" => "Bo" }.into()]);
    let answer = NodeTest::new::<Table>().field("value", dicts).run().unwrap();
    assert_eq!(answer.get::<DataFrame>("output").unwrap(), frame);

    let ragged = map! {
        "columns" => Value::List(vec![ColumnDef::new("a", "int").into()]),
        "data" => list(&[vec![1, 2].into()]),
    };
    refused!(DataFrame,
        ragged.clone() => "the table: row 0 has 2 values for 1 columns",
        7 => "expected a table {type: \"dataframe\", columns, data} or a list of dicts, got int 7",
        list(&[1.into()]) => "row 0: expected a dict, got int 1",
        map! { "type" => "dataframe", "data" => 1 } => "the table: data: expected list, got int",
        map! { "type" => "dataframe", "uri" => "memory://1" } => "the table is at \"memory://1\" and its rows are not here: send them in `data`",
    );
}

/// Answers with a model.
#[derive(Node)]
#[node("test.Models")]
struct Models {
    /// The model.
    #[node(model = "hf.text_to_image")]
    model: ModelRef,
    /// Others.
    #[node(model = "language_model", default)]
    others: Vec<ModelRef>,
    /// Any model of a provider.
    #[node(model = "language_model")]
    writer: Option<ModelRef>,
}

impl Run for Models {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let others = self.others.iter().chain(&self.writer).map(ModelRef::name);
        Ok([self.model.name()].into_iter().chain(others).collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn models() {
    let types: Vec<_> = Models::description().properties.into_iter().map(|property| property.ty).collect();
    let language = TypeMetadata::new("language_model");
    let expected =
        [TypeMetadata::new("hf.text_to_image"), TypeMetadata::list_of(language.clone()), language.optional()];
    assert_eq!(types, expected);

    let hugging =
        map! { "type" => "hf.text_to_image", "repo_id" => "org/paint", "path" => Value::Nil, "variant" => "fp16" };
    let call = || NodeTest::new::<Models>().field("model", hugging.clone());
    let writer = map! { "type" => "language_model", "provider" => "acme", "id" => "w-1", "name" => "Writer" };
    let answer = call().field("writer", writer).field("others", vec!["a", "b"]).run().unwrap();
    assert_eq!(answer.get::<String>("output").unwrap(), "org/paint a b w-1");

    let error = |model: Value| call().field("model", model).run().unwrap_err().message().to_owned();
    let none = "field `model`: no model is chosen: a model has an `id`, a `repo_id` or a `path`";
    assert_eq!(error(map! { "type" => "hf.text_to_image", "repo_id" => "" }.into()), none);
    assert_eq!(error(3.into()), "field `model`: expected a model {type, id} or {type, repo_id, path}, got int 3");
    assert_eq!(error(map! { "id" => 3 }.into()), "field `model`: the model's `id`: expected a str, got int 3");

    // What else the host said goes back.
    let read: ModelRef = {
        echo!(Echo, ModelRefOf);
        NodeTest::new::<Echo>().field("value", hugging.clone()).run().unwrap().get("output").unwrap()
    };
    assert_eq!(read.extra["variant"], Value::from("fp16"));
}

/// A model without a sort, which only an alias of its type can be.
type ModelRefOf = ModelRef;

/// What a prompt is.
#[derive(Union, Debug, Clone, PartialEq)]
enum Prompt {
    Number(i64),
    Words(String),
    Picture(Image),
}

#[test]
fn unions() {
    let kinds = TypeMetadata::union_of([TypeMetadata::int(), TypeMetadata::str(), TypeMetadata::image()]);
    travels!(
        Prompt,
        kinds,
        Prompt::Number(3),
        Prompt::Words("a".to_owned()),
        Prompt::Picture(RgbImage::new(1, 1).into())
    );
    refused!(Prompt,
        2.5 => "expected one of the types int, str, image, got float 2.5",
        // A ref says what it is: no other type is tried.
        map! { "type" => "image", "uri" => "" } => "the image is empty: send its bytes as a blob",
    );
}

/// Which way.
#[derive(Choice, Debug, Clone, Copy, PartialEq)]
enum Way {
    Left,
    #[choice("straight on")]
    Straight,
}

/// Numbers within bounds, and a choice.
#[derive(Node)]
#[node("test.Bounded")]
struct Bounded {
    #[node(default = 2.0, min = 0.0, max = 10.0)]
    sigma: f32,
    #[node(min = 1)]
    count: Option<u32>,
    #[node(default = Way::Left)]
    way: Way,
    #[node(default = [1.0, 1.0, 1.0])]
    colour: [f32; 3],
}

impl Run for Bounded {
    type Output = (f32, Option<u32>, Way, [f32; 3]);

    fn run(self, _: &Context) -> Result<Self::Output> {
        Ok((self.sigma, self.count, self.way, self.colour))
    }
}

#[test]
fn bounds_and_choices() {
    let answer = NodeTest::new::<Bounded>().field("way", Way::Straight).field("count", 4).run().unwrap();
    let output: (f32, Option<u32>, Way, [f32; 3]) = answer.get("output").unwrap();
    assert_eq!(output, (2.0, Some(4), Way::Straight, [1.0; 3]));
    let error = |name: &str, value: Value| NodeTest::new::<Bounded>().field(name, value).run().unwrap_err();
    assert_eq!(error("sigma", 11.into()).message(), "field `sigma`: must be between 0 and 10, got 11");
    assert_eq!(error("count", 0.into()).message(), "field `count`: must be at least 1, got 0");
    assert_eq!(error("way", "up".into()).message(), "field `way`: expected one of left, straight on, got \"up\"");
    let properties = Bounded::description().properties;
    assert_eq!(properties[0].extra, map! { "min" => 0.0, "max" => 10.0 });
    assert_eq!(properties[3].default, Some(vec![1.0, 1.0, 1.0].into()));
}

#[test]
fn what_a_test_asks_for_and_is_not_there_is_named() {
    echo!(Number, i64);
    let answer = NodeTest::new::<Number>().field("value", 3).run().unwrap();
    assert_eq!(answer.get::<i64>("result").unwrap_err().message(), "output `result` was not filled; there are: output");
    let wrong = answer.get::<bool>("output").unwrap_err();
    assert_eq!(wrong.message(), "output `output`: expected a bool, got int 3");
    let untold = NodeTest::new::<Number>().field("value", Audio { samples: vec![], channels: 0, sample_rate: 1 }).run();
    assert!(untold.unwrap_err().message().starts_with("the test's field `value`: "));
}
