//! SaslHandshake and SaslAuthenticate: the sign-in of a connection (KIP-43, KIP-152, KIP-368).

use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::sleep;

pub(crate) async fn sasl_handshake(call: &Call, request: SaslHandshakeRequest) -> SaslHandshakeResponse {
    let identity = &call.peer.identity;
    let security = &call.broker.config.security;
    let illegal = ResponseError::IllegalSaslState.code();
    if !call.peer.listener.protocol.is_sasl() {
        return SaslHandshakeResponse::default().with_error_code(illegal);
    }
    let names = security.mechanisms.iter().map(|mechanism| StrBytes::from_static_str(mechanism.name()));
    let response = SaslHandshakeResponse::default().with_mechanisms(names.collect());
    let chosen = security.mechanisms.iter().find(|mechanism| mechanism.name() == request.mechanism.as_str());
    let Some(mechanism) = chosen else {
        identity.refuse();
        return response.with_error_code(ResponseError::UnsupportedSaslMechanism.code());
    };
    if !identity.may_begin(*mechanism, security.session_lifetime.is_some()) {
        return SaslHandshakeResponse::default().with_error_code(illegal);
    }
    identity.begin(*mechanism, call.version == 0);
    response
}

pub(crate) async fn sasl_authenticate(
    call: &Call,
    request: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    let identity = &call.peer.identity;
    let failed = |error: ResponseError, message: String| {
        let response = SaslAuthenticateResponse::default().with_error_code(error.code());
        response.with_error_message(Some(StrBytes::from_string(message)))
    };
    match identity.take(&call.broker, &request.auth_bytes).await {
        Some(Ok(token)) => {
            let session = token.session.map_or(0, |session| session.as_millis());
            let session = i64::try_from(session).unwrap_or(i64::MAX);
            SaslAuthenticateResponse::default().with_auth_bytes(token.bytes).with_session_lifetime_ms(session)
        }
        Some(Err(refusal)) => {
            identity.refuse();
            call.broker.metrics.sign_ins.refuse(call.peer.address, &refusal.0);
            // Each guess takes so long.
            sleep(call.broker.config.security.failed_authentication_delay).await;
            failed(ResponseError::SaslAuthenticationFailed, refusal.0)
        }
        None => {
            let message =
                "SaslAuthenticate request received without a handshake before it, or after the sign-in";
            failed(ResponseError::IllegalSaslState, message.to_owned())
        }
    }
}
