//! The APIs, one file per family. A function takes the call and the request, and gives the response, errors within it.

pub(crate) mod metadata;
pub(crate) mod versions;
