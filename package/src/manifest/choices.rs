//! The words that a key may have, key by key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$item_doc])* $item,)*
        }
    )*};
}

choices! {
    /// How a picture of another form fits in.
    Fit {
        /// What stands out is cut.
        Crop,
        /// All of it, stretched.
        Stretch,
        /// All of it, with a border right and below.
        Pad,
    }
    /// How a picture is resized.
    Filter {
        /// Averages where it shrinks, bilinear where it grows.
        Area,
        /// The nearest pixel.
        Nearest,
        /// Triangles.
        Bilinear,
        /// Catmull and Rom's cubic.
        Bicubic,
        /// Lanczos, three lobes.
        Lanczos,
    }
    /// Channels in their order.
    Channels {
        /// Red first.
        Rgb,
        /// Blue first.
        Bgr,
        /// Brightness.
        Gray,
    }
    /// The order of a picture's axes.
    Layout {
        /// Batch, channels, height, width.
        Nchw,
        /// Batch, height, width, channels.
        Nhwc,
        /// Channels, height, width.
        Chw,
        /// Height, width, channels.
        Hwc,
        /// Batch, height, width.
        Nhw,
        /// Height, width.
        Hw,
        /// Batch, all values.
        Flat,
    }
    /// What of a text's tokens.
    Part {
        /// Their numbers in the vocabulary.
        Ids,
        /// 1 for a token, 0 for padding.
        AttentionMask,
        /// 0 for the first text, 1 for the second.
        TypeIds,
    }
    /// The scale of mel bands.
    MelScale {
        /// Linear below 1 kHz.
        Slaney,
        /// `2595 log₁₀(1 + f/700)`.
        Htk,
    }
    /// The weights of mel bands.
    MelNorm {
        /// The same area for each.
        Area,
        /// Height 1.
        None,
    }
    /// What becomes of the power in a band.
    MelLog {
        /// It stays.
        None,
        /// `ln max(P, floor)`.
        Ln,
        /// `log₁₀ max(P, floor)`.
        Log10,
        /// `10 log₁₀ max(P, floor)`.
        Db,
        /// As Whisper has it.
        Whisper,
    }
    /// The axes of a mel spectrogram.
    MelLayout {
        /// Bands first.
        MelsFrames,
        /// Time first.
        FramesMels,
    }
    /// What a value becomes for the host.
    As {
        /// A tensor.
        Tensor,
        /// The only element.
        Number,
        /// All elements.
        List,
        /// A picture.
        Image,
        /// Where something is.
        Mask,
        /// The best label.
        Label,
        /// The best label's score.
        Score,
        /// The best labels.
        Labels,
        /// Boxes around things.
        Boxes,
        /// A vector.
        Embedding,
        /// The text of a CTC model.
        Ctc,
        /// A sound.
        Audio,
    }
    /// How scores become probabilities.
    Activation {
        /// All classes sum to one.
        Softmax,
        /// Each class for itself.
        Sigmoid,
        /// They are such already.
        None,
    }
    /// What a detector gives.
    BoxFormat {
        /// `[1, 4 + C, N]`.
        Yolo,
        /// `[1, N, 5 + C]`.
        Yolo5,
        /// `[N, 4]` and scores beside it.
        Corners,
    }
    /// How tokens' vectors become one.
    Pooling {
        /// Their mean.
        Mean,
        /// The first token's.
        Cls,
        /// The largest of each component.
        Max,
    }
    /// What a buffer's elements are.
    Format {
        /// `vec4f` a pixel.
        Rgba32f,
        /// `u32` a pixel.
        Rgba8,
        /// `f32` a pixel.
        R32f,
        /// `f32`.
        F32,
        /// `u32`.
        U32,
        /// `i32`.
        I32,
    }
}
