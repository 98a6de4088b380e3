//! What a read plan says about itself, for `plan`, `check` and the UI. The plan proper stays inside its driver.

use millstream_model::{Diagnostic, TagType};

/// One request of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRequest {
    /// In the protocol's words, such as `read holding registers 1-125 of unit 1`.
    pub text: String,
    /// Bytes on the wire to the device, framing of the protocol included.
    pub request_bytes: usize,
    /// Bytes on the wire back.
    pub response_bytes: usize,
    /// Indexes of the tags that it answers.
    pub tags: Vec<usize>,
}

/// A scan group's plan as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanSummary {
    /// The requests of one scan in order.
    pub requests: Vec<PlannedRequest>,
    /// What each tag yields, in the group's tag order.
    pub types: Vec<TagType>,
}

impl PlanSummary {
    /// Bytes of all requests of a scan.
    pub fn request_bytes(&self) -> usize {
        self.requests.iter().map(|request| request.request_bytes).sum()
    }

    /// Bytes of all responses of a scan.
    pub fn response_bytes(&self) -> usize {
        self.requests.iter().map(|request| request.response_bytes).sum()
    }
}

/// A mistake in a tag's address, or (without a tag) in the group as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagProblem {
    /// Index of the tag.
    pub tag: Option<usize>,
    /// The mistake; its place is inside the tag's address.
    pub diagnostic: Diagnostic,
}
