//! `/api/devices/{device}/rearm`: a tag that was latched off takes writes again.

use super::State;
use crate::error::Refusal;
use crate::instance::NotRearmed;
use axum::Json;
use axum::extract::{Path, State as With};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rearm {
    /// The tag, under its name in the plant folder.
    pub tag: String,
}

/// The answer: this tag takes writes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rearmed {
    /// The device.
    pub device: String,
    /// The tag that was latched off.
    pub rearmed: String,
}

pub(crate) async fn rearm(
    With(state): With<Arc<State>>,
    Path(device): Path<String>,
    Json(Rearm { tag }): Json<Rearm>,
) -> Result<Json<Rearmed>, Refusal> {
    match state.instance.rearm(&device, &tag).await {
        Ok(()) => Ok(Json(Rearmed { device, rearmed: tag })),
        Err(error) => Err(refusal(&device, &tag, error)),
    }
}

fn refusal(device: &str, tag: &str, error: NotRearmed) -> Refusal {
    let unknown = |message: String, nearest: Option<String>| {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, message);
        match nearest {
            Some(name) => refusal.help(format!("did you mean `{name}`?")),
            None => refusal,
        }
    };
    match error {
        NotRearmed::UnknownDevice { nearest } => unknown(format!("there is no device `{device}`"), nearest),
        NotRearmed::UnknownTag { nearest } => {
            unknown(format!("`{device}` has no tag `{tag}` that may be written"), nearest)
        }
        NotRearmed::NotLatched => {
            Refusal::new(StatusCode::CONFLICT, format!("`{tag}` of `{device}` is not latched off"))
                .help("nothing has to be done: it takes writes")
        }
        NotRearmed::Unrecorded(cause) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "`{tag}` of `{device}` stays latched off: that it is re-armed cannot be recorded: {cause}"
            ),
        )
        .help("try again once the log takes records"),
    }
}
