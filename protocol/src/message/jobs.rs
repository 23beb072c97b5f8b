//! `job.start` and `job.end`: the bounds of a run, so that a worker knows when to let go of what it loaded for it.

use super::macros::{message, text_enum};

text_enum! {
    /// Why a job ended. It changes nothing about what is released.
    pub enum EndReason {
        /// It ran to its end.
        Completed = "completed",
        /// One of its nodes failed.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// Nobody ended it, and it was idle for too long.
        Abandoned = "abandoned",
    }
}

message! {
    /// The data of `job.start`.
    #[derive(Default)]
    pub struct JobStart {
        /// The job, named as in `execute`; not empty.
        pub job_id: String,
        /// The graph that is run.
        pub workflow_id: Option<String> = lenient,
        /// On whose behalf.
        pub user_id: Option<String> = lenient,
    }
}

message! {
    /// The data of the answer to `job.start`.
    #[derive(Default)]
    pub struct JobStarted {
        /// The job.
        pub job_id: String,
        /// Always true, also for a job that had been started before.
        pub started: bool = default,
    }
}

message! {
    /// The data of `job.end`.
    #[derive(Default)]
    pub struct JobEnd {
        /// The job; not empty.
        pub job_id: String,
        /// Why it ended.
        pub reason: Option<EndReason> = lenient,
    }
}

message! {
    /// The data of the answer to `job.end`.
    #[derive(Default)]
    pub struct JobEnded {
        /// The job.
        pub job_id: String,
        /// The nodes whose models are no longer held for it.
        pub released_nodes: Vec<String> = default,
        /// Whether the worker knew the job.
        pub known: bool = default,
    }
}
