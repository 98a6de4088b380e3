//! Requests to a service with a REST API: HTTP/1.1 with a name and password, in the clear or over TLS.
//!
//! One connection per request: what asks here asks seldom.

use crate::limits::{ANSWER_BYTES_MAX, ANSWER_TIME};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Asking again cannot help: the address or the certificates must be mended.
    #[error("{0}")]
    Address(String),
    /// The service is away or too slow.
    #[error("{0}")]
    Unavailable(String),
}

/// Who asks (`basic.auth.user.info`).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name, or the key of an API.
    pub user: String,
    /// The password, or the secret.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that the operating system believes.
    #[default]
    System,
    /// Those that these certificates signed, in PEM.
    Pem(Vec<u8>),
}

/// A service behind HTTP.
#[derive(Debug)]
pub struct HttpService {
    host: String,
    port: u16,
    /// What stands before every path.
    base: String,
    authorization: Option<String>,
    tls: Option<TlsConnectorOf>,
}

/// What opens a TLS connection to one host.
struct TlsConnectorOf(TlsConnector, ServerName<'static>);

impl fmt::Debug for TlsConnectorOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsConnectorOf").field(&self.1).finish()
    }
}

impl HttpService {
    /// A client of `what` (with its article, for messages) at `url`, such as `https://registry.plant:8081`. A name and password in
    /// the URL count where there are no `credentials`.
    pub fn new(
        what: &str,
        url: &str,
        credentials: Option<&Credentials>,
        trust: &Trust,
    ) -> Result<Self, HttpError> {
        let invalid = |why: &str| HttpError::Address(format!("`{url}` is no address of {what}: {why}"));
        let uri: Uri = url.parse().map_err(|_| invalid("no URL"))?;
        let authority = uri.authority().ok_or_else(|| invalid("it has no host"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid("it begins neither with http:// nor with https://")),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let in_url = authority.as_str().rsplit_once('@').map(|(user, _)| user.to_owned());
        let user = credentials.map(|c| format!("{}:{}", c.user, c.password)).or(in_url);
        let authorization =
            user.map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)));
        let tls = if is_tls { Some(connector(&host, trust)?) } else { None };
        Ok(Self { host, port, base: uri.path().trim_end_matches('/').to_owned(), authorization, tls })
    }

    /// One request with a body of JSON, or none, and its answer: the status and the body.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Json>,
    ) -> Result<(u16, Bytes), HttpError> {
        let asked = self.exchange(method, path, content_type, body);
        let answer = tokio::time::timeout(ANSWER_TIME, asked).await;
        answer.map_err(|_| unavailable(&format!("no answer within {ANSWER_TIME:?}")))?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Json>,
    ) -> Result<(u16, Bytes), HttpError> {
        let failed = |error: &dyn fmt::Display| unavailable(&format!("{}:{}: {error}", self.host, self.port));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(ACCEPT, content_type)
            .header(CONTENT_TYPE, content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = body.map_or_else(Bytes::new, |json| json.to_string().into());
        let request = request.body(Full::new(body)).map_err(|error| HttpError::Address(error.to_string()))?;
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| failed(&error))?;
        match &self.tls {
            None => answered(TokioIo::new(stream), request).await,
            Some(TlsConnectorOf(connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(|error| failed(&error))?;
                answered(TokioIo::new(stream), request).await
            }
        }
    }
}

async fn answered<I>(io: I, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), HttpError>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let failed = |error: &dyn fmt::Display| unavailable(&error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|error| failed(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| failed(&error))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    // The connection does the work; it may end first, with the answer read already.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(failed(&error)),
        },
    }
}

fn connector(host: &str, trust: &Trust) -> Result<TlsConnectorOf, HttpError> {
    let refused = |error: &dyn fmt::Display| HttpError::Address(format!("TLS to `{host}`: {error}"));
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Trust::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| refused(&error))?;
                roots.add(certificate).map_err(|error| refused(&error))?;
            }
        }
    }
    if roots.is_empty() {
        return Err(refused(&"there is no certificate to believe"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| refused(&error))?;
    Ok(TlsConnectorOf(TlsConnector::from(Arc::new(config)), name))
}

fn unavailable(why: &str) -> HttpError {
    HttpError::Unavailable(why.to_owned())
}

/// A name as part of a path.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
