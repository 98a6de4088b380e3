//! Who may ask what, until there is a sign-in: everyone who reaches the port may look, only this machine may change things,
//! and no web page of elsewhere may use a person's browser for it.

use crate::error::Refusal;
use crate::ksql::refused;
use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderValue, ORIGIN, REFERRER_POLICY, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) own: SocketAddr,
}

/// The middleware.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let ends = request.extensions().get::<Ends>().copied();
    let path = request.uri().path().to_owned();
    let judged = match ends {
        Some(ends) => judge(request.method(), &host(&request), request.headers(), ends),
        None => Err(Refusal::new(StatusCode::FORBIDDEN, "the request came over no connection")),
    };
    let mut response = match judged {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(&path, refusal),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'",
        ),
    );
    response
}

/// The name that the client knows us by: HTTP/2 has it beside the headers.
fn host(request: &Request) -> String {
    let header = || request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let authority = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
    authority.map(Authority::as_str).or_else(header).unwrap_or_default().to_owned()
}

fn judge(method: &Method, host: &str, headers: &HeaderMap, ends: Ends) -> Result<(), Refusal> {
    // A name that an attacker's DNS turns into 127.0.0.1 would make our answers "same origin" with his page.
    if ends.own.ip().is_loopback() && !is_loopback_name(host) {
        let message = format!("`{host}` is no name of this machine's own address");
        return Err(Refusal::new(StatusCode::FORBIDDEN, message).help(format!("ask http://{}/", ends.own)));
    }
    // A WebSocket begins as a GET, and browsers let any page open one.
    if matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(UPGRADE) {
        return Ok(());
    }
    if !ends.peer.ip().to_canonical().is_loopback() {
        let message = "only this machine itself may change anything here";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message)
            .help("run the command on the machine where Millstream runs"));
    }
    match headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, from)| from != host) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("a page of `{origin}` may not change anything here"),
        )),
        _ => Ok(()),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => inner,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, own: &str, peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        let ends = Ends { own: own.parse().unwrap(), peer: peer.parse().unwrap() };
        let headers: HeaderMap = headers.collect();
        let host = headers.get(HOST).map_or("", |host| host.to_str().unwrap()).to_owned();
        judge(method, &host, &headers, ends).is_ok()
    }

    #[test]
    fn a_foreign_name_for_the_loopback_address_is_refused() {
        let (own, peer) = ("127.0.0.1:8080", "127.0.0.1:5");
        assert!(ask(&Method::GET, own, peer, &[("host", "localhost:8080")]));
        assert!(ask(&Method::GET, "[::1]:8080", peer, &[("host", "[::1]:8080")]));
        assert!(!ask(&Method::GET, own, peer, &[("host", "evil.example:8080")]));
        assert!(!ask(&Method::GET, own, peer, &[]));
        assert!(ask(&Method::GET, "10.0.0.2:8080", "10.0.0.9:5", &[("host", "plant.example")]));
    }

    #[test]
    fn only_this_machine_and_its_own_pages_change_anything() {
        let own = "10.0.0.2:8080";
        let host = ("host", "10.0.0.2:8080");
        assert!(ask(&Method::POST, own, "127.0.0.1:5", &[host]));
        assert!(!ask(&Method::POST, own, "10.0.0.9:5", &[host]));
        assert!(ask(&Method::POST, own, "127.0.0.1:5", &[host, ("origin", "http://10.0.0.2:8080")]));
        assert!(!ask(&Method::DELETE, own, "127.0.0.1:5", &[host, ("origin", "http://evil.example")]));
        assert!(!ask(&Method::POST, own, "127.0.0.1:5", &[host, ("origin", "null")]));
    }
}
