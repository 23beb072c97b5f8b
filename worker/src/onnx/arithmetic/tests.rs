//! The same numbers as tract's own operators compute.

use proptest::prelude::*;
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::tract_core::ops::binary::BinMiniOp;
use tract_onnx::tract_core::ops::cnn::{KernelFormat, PaddingSpec, PoolSpec};
use tract_onnx::tract_core::ops::math::{Add, Mul, Sub};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::*;

/// Numbers without any order, of a few digits: sums of them are exact in whatever order.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |at: usize| (((at + seed) * 7919 % 31) as f32 - 15.0) / 8.0;
    let numbers: Vec<f32> = (0..count).map(number).collect();
    Tensor::from_shape(shape, &numbers).unwrap()
}

/// Runs the operator by tract and replaced, alone and on threads; `name` is what it has to be replaced by.
fn compare(op: impl Into<Box<dyn TypedOp>>, inputs: &[Tensor], name: &str) {
    let mut model = TypedModel::default();
    let sources = inputs
        .iter()
        .enumerate()
        .map(|(at, input)| model.add_source(format!("input{at}"), f32::fact(input.shape())).unwrap());
    let sources: Vec<OutletId> = sources.collect();
    let outlets = model.wire_node("op", op, &sources).unwrap();
    model.select_output_outlets(&outlets).unwrap();
    let run = |model: TypedModel| {
        let inputs = inputs.iter().map(|input| input.clone().into_tvalue()).collect();
        model.into_runnable().unwrap().run(inputs).unwrap().remove(0)
    };
    let expected = run(model.clone());
    replace_products(&mut model).unwrap();
    let is_there = model.nodes().iter().any(|node| node.op.name() == name);
    assert_eq!(is_there, has_instructions(), "{model:?}");
    let alone = multithread_tract_scope(Executor::SingleThread, || run(model.clone()));
    assert_eq!(*alone, *expected);
    let threads = Executor::multithread_with_name(3, "test");
    assert_eq!(*multithread_tract_scope(threads, || run(model)), *expected);
}

fn product(einsum: &str, a: &[usize], b: &[usize]) {
    let op = EinSum::new(einsum.parse().unwrap(), f32::datum_type());
    if has_instructions() {
        let facts = [f32::fact(a), f32::fact(b)];
        let product = Product::of(&op, &[&facts[0], &facts[1]]).expect("a product");
        assert!(product.plan(a, b).is_some(), "{einsum} of {a:?} and {b:?} is left to tract");
    }
    compare(op, &[numbers(a, 1), numbers(b, 2)], "Product");
}

#[test]
fn products_are_those_of_tract() {
    product("mk,kn->mn", &[5, 7], &[7, 9]);
    product("km,nk->nm", &[7, 5], &[9, 7]);
    product("amk,kn->mn", &[1, 128, 64], &[64, 96]);
    product("mk,kn->amn", &[128, 64], &[64, 96]);
    // Heads of attention, as exports have them.
    product("mbk,nbk->abmn", &[33, 4, 16], &[40, 4, 16]);
    product("abmk,kbn->mbn", &[1, 4, 33, 40], &[40, 4, 16]);
    product("mbk,bkn->amn", &[33, 4, 16], &[4, 16, 64]);
    // Several heads that share their keys.
    product("bhgmk,bhgnk->bhgmn", &[2, 2, 3, 8, 16], &[2, 2, 1, 12, 16]);
    // Terms through which no one stride leads.
    product("makb,nbka->mn", &[8, 3, 4, 5], &[9, 5, 4, 3]);
    // More than one axis of rows, apart from each other in the result.
    product("mapk,kn->anmp", &[4, 3, 5, 8], &[8, 6]);
    // One row or column, of a matrix in whichever order; some have to go through gemm.
    for (einsum, b) in [("mk,kn->mn", [75, 40]), ("mk,nk->mn", [40, 75]), ("mk,kn->nm", [75, 40])] {
        product(einsum, &[1, 75], &b);
    }
    product("mk,kn->mn", &[40, 75], &[75, 1]);
    product("km,kn->mn", &[75, 40], &[75, 1]);
    product("bmk,bnk->bmn", &[6, 1, 64], &[6, 1500, 64]);
    product("bmk,bkn->mbn", &[6, 1, 1500], &[6, 1500, 64]);
    product("bmk,kbn->nmb", &[6, 1, 33], &[33, 6, 20]);
    product("mak,kna->mn", &[1, 3, 33], &[33, 20, 3]);
    // Hardly any terms.
    product("mk,nk->mnk", &[9, 5], &[7, 5]);
    product("mk,kn->mn", &[9, 1], &[1, 7]);
    product("bmk,bkn->bnm", &[3, 5, 2], &[3, 2, 7]);
    // Large enough for threads.
    product("mk,kn->mn", &[130, 140], &[140, 150]);
    product("bmk,bkn->bmn", &[8, 40, 32], &[8, 32, 48]);
}

#[test]
fn results_that_lie_64_bytes_apart_are_all_written() {
    let (a, b) = (numbers(&[16, 32, 3], 1), numbers(&[16, 3, 20], 2));
    let run = |einsum: &str, is_ours: bool| {
        let mut model = TypedModel::default();
        let inputs = [&a, &b].map(|input| model.add_source(format!("{input:?}"), f32::fact(input.shape())).unwrap());
        let op = EinSum::new(einsum.parse().unwrap(), f32::datum_type());
        let result = model.wire_node("op", op, &inputs).unwrap();
        model.select_output_outlets(&result).unwrap();
        if is_ours {
            replace_products(&mut model).unwrap();
        }
        let inputs = tvec!(a.clone().into_tvalue(), b.clone().into_tvalue());
        model.into_runnable().unwrap().run(inputs).unwrap().remove(0).into_tensor()
    };
    let expected = run("bmk,bkn->bmn", false).permute_axes(&[1, 2, 0]).unwrap();
    assert_eq!(run("bmk,bkn->mnb", has_instructions()), expected);
}

#[test]
fn vectors_and_weights_and_nothing_stay_with_tract() {
    let of = |einsum: &str, a: &TypedFact, b: &TypedFact| {
        let op = EinSum::new(einsum.parse().unwrap(), f32::datum_type());
        Product::of(&op, &[a, b]).is_some()
    };
    let weights = TypedFact::try_from(numbers(&[64, 64], 1)).unwrap();
    let (square, row, column) = (f32::fact([64, 64]), f32::fact([1, 64]), f32::fact([64, 1]));
    assert!(of("mk,kn->mn", &square, &weights));
    assert!(of("mk,kn->mn", &row, &square) && of("mk,kn->mn", &square, &column));
    assert!(!of("mk,kn->mn", &row, &weights) && !of("mk,kn->mn", &weights, &column));
    assert!(!of("mk,kn->mn", &row, &column));
    let symbols = SymbolScope::default();
    let open = f32::fact([symbols.new_with_prefix("s").to_dim(), 8.to_dim()]);
    let op = EinSum::new("mk,kn->mn".parse().unwrap(), f32::datum_type());
    let product = Product::of(&op, &[&open, &f32::fact([8, 8])]).expect("a length that is not known is large");
    assert!(product.plan(&[0, 8], &[8, 8]).is_none());
    assert!(product.plan(&[1, 8], &[8, 8]).is_some());
}

fn three() -> [TypedBinOp; 3] {
    let all: [Box<dyn BinMiniOp>; 3] = [Box::new(Add), Box::new(Sub), Box::new(Mul)];
    all.map(|op| TypedBinOp(op, None))
}

/// All three by tract and by ours: with inputs that nothing else needs, which may hold the result, and with such as stay.
fn broadcast(a: &[usize], b: &[usize]) {
    let kept = [numbers(a, 3).into_tvalue(), numbers(b, 5).into_tvalue()];
    let free = |at: usize| kept[at].clone().into_tensor().into_tvalue();
    for op in three() {
        let facts = [f32::fact(a), f32::fact(b)];
        let ours = Broadcast::of(&op, &[&facts[0], &facts[1]]).expect("one of the three");
        let run = |op: &dyn EvalOp, inputs| op.eval_out_of_plan(inputs).unwrap().unwrap().remove(0);
        let all = || tvec!(kept[0].clone(), kept[1].clone());
        let expected = run(&op, all());
        for inputs in [all(), tvec!(free(0), kept[1].clone()), tvec!(kept[0].clone(), free(1)), tvec!(free(0), free(1))]
        {
            assert_eq!(run(&ours, inputs), expected, "{op:?} of {a:?} and {b:?}");
        }
        assert_eq!(run(&op, all()), expected, "an input that stays was written to");
    }
}

#[test]
fn numbers_of_unlike_shapes_are_those_of_tract() {
    // What attention adds and multiplies with.
    broadcast(&[2, 3, 17, 40], &[2, 1, 1, 40]);
    broadcast(&[1, 1, 17, 16], &[2, 3, 17, 16]);
    broadcast(&[2, 3, 17, 16], &[2, 3, 17, 1]);
    broadcast(&[4, 1, 8], &[1, 5, 1]);
    broadcast(&[], &[]);
    broadcast(&[0, 3], &[1, 3]);
}

#[test]
fn what_tract_has_no_kernel_for_is_replaced() {
    let mut model = TypedModel::default();
    let tokens: TDim = model.symbols.sym("tokens").into();
    let fact = |heads: i64| f32::fact([1.to_dim(), heads.to_dim(), tokens.clone(), tokens.clone()]);
    let scores = model.add_source("scores", fact(4)).unwrap();
    let mask = model.add_source("mask", fact(1)).unwrap();
    let masked = model.wire_node("masked", TypedBinOp(Box::new(Add), None), &[scores, mask]).unwrap();
    model.select_output_outlets(&masked).unwrap();
    let mut model = model.into_optimized().unwrap();
    replace_broadcasts(&mut model).unwrap();
    let is_there = model.nodes().iter().any(|node| node.op.name() == "BroadcastAdd");
    assert!(is_there, "tract has a kernel for it by now? {model:?}");
    // So many that tract splits them among threads.
    let inputs = tvec!(numbers(&[1, 4, 100, 100], 1).into_tvalue(), numbers(&[1, 1, 100, 100], 2).into_tvalue());
    let expected = TypedBinOp(Box::new(Add), None).eval_out_of_plan(inputs.clone()).unwrap().unwrap().remove(0);
    let run =
        |executor| multithread_tract_scope(executor, || model.clone().into_runnable().unwrap().run(inputs.clone()));
    assert_eq!(run(Executor::SingleThread).unwrap().remove(0), expected);
    assert_eq!(run(Executor::multithread_with_name(3, "test")).unwrap().remove(0), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn numbers_of_any_shapes_are_those_of_tract(
        axes in prop::collection::vec((1_usize..6, any::<bool>(), any::<bool>()), 0..6),
    ) {
        let shape = |is_whole: fn(&(usize, bool, bool)) -> bool| -> Vec<usize> {
            axes.iter().map(|axis| if is_whole(axis) { axis.0 } else { 1 }).collect()
        };
        broadcast(&shape(|axis| axis.1), &shape(|axis| axis.2));
    }

    #[test]
    fn convolutions_are_those_of_tract(
        (pictures, groups, from, to) in (1_usize..3, 1_usize..3, 1_usize..5, 4_usize..7),
        kernel in prop::collection::vec(1_usize..4, 1..3),
        (size, extra) in (1_usize..12, 0_usize..30),
        (stride, dilation) in (1_usize..4, 1_usize..3),
        (before, after) in (0_usize..4, 0_usize..4),
    ) {
        let rank = kernel.len();
        let least = kernel.iter().map(|len| (len - 1) * dilation + 1).max().unwrap_or(1);
        let mut input = vec![pictures, from * groups];
        input.extend([size.max(least), size.max(least) + extra].iter().take(rank));
        prop_assume!(from * kernel.iter().product::<usize>() >= LEAST);
        let padding = PaddingSpec::Explicit(tvec![before; rank], tvec![after; rank]);
        let pool_spec = PoolSpec::new(
            DataFormat::NCHW,
            kernel.iter().copied().collect(),
            padding,
            Some(tvec![dilation; rank]),
            Some(tvec![stride; rank]),
            from * groups,
            to * groups,
        );
        let mut weights = vec![to * groups, from];
        weights.extend(&kernel);
        let op = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: groups, q_params: None };
        compare(op, &[numbers(&input, 1), numbers(&weights, 2), numbers(&[to * groups], 3)], "Convolution");
    }
}

#[test]
fn a_convolution_of_many_blocks() {
    let pool_spec = PoolSpec::new(
        DataFormat::NCHW,
        tvec![3, 3],
        PaddingSpec::Explicit(tvec![1, 1], tvec![1, 1]),
        None,
        None,
        24,
        16,
    );
    let op = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
    compare(op, &[numbers(&[1, 24, 300, 310], 1), numbers(&[16, 24, 3, 3], 2), numbers(&[], 3)], "Convolution");
}
