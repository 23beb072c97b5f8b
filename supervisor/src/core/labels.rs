//! What a request needs of a worker's machine, held against what the worker's labels say it has.

use millwork_protocol::message::{ErrorData, ErrorKind};

use super::pool::{Home, Members};
use super::requests::Request;
use super::routing::Decision;
use super::{Answer, Core};

impl Core {
    /// Leaves out the groups that are labelled with too little memory for a request. Those without a label may have enough.
    pub(super) fn fitting(&self, request: &Request, home: Home) -> Decision {
        let Some(needed) = request.route.vram_gb else { return Decision::Home(home) };
        let fits = self.groups_of(home).filter(|(_, group)| group.policy.vram_gb.is_none_or(|has| has >= needed));
        let members = fits.fold(Members::default(), |members, (_, group)| members.with(group.home.members));
        if members != Members::default() {
            return Decision::Home(Home { members, ..home });
        }
        let has = |has: Option<f64>| has.map_or("an unknown amount".to_owned(), |has| format!("{has} GB"));
        let all = self.groups_of(home).map(|(_, group)| {
            let policy = &group.policy;
            format!("worker `{}` has {}", policy.name, has(policy.vram_gb))
        });
        let all: Vec<String> = all.collect();
        let text = format!(
            "{} needs {needed} GB of video memory (requires_vram_gb), and no worker that has it offers so much: {} (labels.vram_gb)",
            request.label(),
            all.join(", ")
        );
        let mut error = ErrorData::new(ErrorKind::Unavailable, text);
        error.retryable = Some(false);
        Decision::Answer(Answer::Error(error))
    }
}
