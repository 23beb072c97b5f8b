//! `blob.start`, `blob.chunk`, `blob.end`: one blob of a result in frames of bounded size. Hashing is the sender's.

use bytes::Bytes;

use super::macros::message;

message! {
    /// The data of `blob.start`.
    #[derive(Default)]
    pub struct BlobStart {
        /// The key that the blob would have in `blobs`.
        pub name: String,
        /// Its size, in bytes.
        pub size: u64,
    }
}

message! {
    /// The data of `blob.chunk`.
    #[derive(Default)]
    pub struct BlobChunk {
        /// The blob.
        pub name: String,
        /// Where in the blob these bytes belong; chunks come in order, so this is what has come before.
        pub offset: u64,
        /// The bytes.
        pub bytes: Bytes,
    }
}

message! {
    /// The data of `blob.end`.
    #[derive(Default)]
    pub struct BlobEnd {
        /// The blob.
        pub name: String,
        /// Its size, in bytes.
        pub size: u64,
        /// The SHA-256 of all its bytes, in lower-case hexadecimal.
        pub sha256: String,
    }
}
