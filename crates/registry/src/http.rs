//! A client of a registry that runs elsewhere: Confluent Schema Registry, or whatever speaks its REST API.
//!
//! One connection per request: schemas are asked for once and remembered by whoever decodes.

use crate::limits::{ANSWER_BYTES_MAX, ANSWER_TIME};
use crate::record::{describe, schema};
use crate::rest::CONTENT_TYPE;
use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE as CONTENT_TYPE_HEADER, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use millstream_format::registry::{RegistryError, SchemaRegistry, SchemaText, SchemaVersion};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Map, Value as Json};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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

/// A registry behind HTTP.
#[derive(Debug)]
pub struct HttpRegistry {
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

impl HttpRegistry {
    /// A client of the registry at `url`, such as `https://registry.plant:8081`. A name and password in the URL count where
    /// there are no `credentials`.
    pub fn new(url: &str, credentials: Option<&Credentials>, trust: &Trust) -> Result<Self, RegistryError> {
        let invalid =
            |why: &str| RegistryError::Refused(format!("`{url}` is no address of a registry: {why}"));
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

    /// One request and its answer, as JSON; an error of the registry becomes one of ours.
    async fn request(&self, method: Method, path: &str, body: Option<Json>) -> Result<Json, RegistryError> {
        let asked = tokio::time::timeout(ANSWER_TIME, self.exchange(method, path, body)).await;
        let (status, bytes) =
            asked.map_err(|_| unavailable(&format!("no answer within {ANSWER_TIME:?}")))??;
        let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(json);
        }
        let message = json.get("message").and_then(Json::as_str).unwrap_or("no message").to_owned();
        let code = json.get("error_code").and_then(Json::as_i64).unwrap_or(i64::from(status));
        Err(match (status, code) {
            (404, _) => RegistryError::UnknownSubject(path.to_owned()),
            (409, _) => RegistryError::Incompatible { subject: path.to_owned(), reasons: vec![message] },
            (422, _) => RegistryError::Invalid(message),
            (429 | 500..=599, _) => unavailable(&format!("it answers {status}: {message}")),
            (_, code) => RegistryError::Refused(format!("it answers {code}: {message}")),
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
    ) -> Result<(u16, Bytes), RegistryError> {
        let failed = |error: &dyn fmt::Display| unavailable(&format!("{}:{}: {error}", self.host, self.port));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(ACCEPT, CONTENT_TYPE)
            .header(CONTENT_TYPE_HEADER, CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = body.map_or_else(Bytes::new, |json| json.to_string().into());
        let request =
            request.body(Full::new(body)).map_err(|error| RegistryError::Refused(error.to_string()))?;
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

    fn version_of(json: &Json) -> Result<SchemaVersion, RegistryError> {
        let number = |name: &str| json.get(name).and_then(Json::as_i64).and_then(|v| i32::try_from(v).ok());
        let subject = json.get("subject").and_then(Json::as_str).unwrap_or_default().to_owned();
        match (number("version"), number("id"), schema(json)) {
            (Some(version), Some(id), Ok(schema)) => Ok(SchemaVersion { subject, version, id, schema }),
            (.., Err(error)) => Err(strange(&error)),
            _ => Err(strange("a version without number or id")),
        }
    }
}

async fn answered<I>(io: I, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), RegistryError>
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

fn connector(host: &str, trust: &Trust) -> Result<TlsConnectorOf, RegistryError> {
    let refused = |error: &dyn fmt::Display| RegistryError::Refused(format!("TLS to `{host}`: {error}"));
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

fn unavailable(why: &str) -> RegistryError {
    RegistryError::Unavailable(why.to_owned())
}

fn strange(why: &str) -> RegistryError {
    RegistryError::Refused(format!("its answer cannot be read: {why}"))
}

/// A subject as part of a path.
pub(crate) fn escaped(text: &str) -> String {
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

fn body(schema: &SchemaText) -> Json {
    let mut body = Map::new();
    describe(schema, &mut body);
    Json::Object(body)
}

#[async_trait]
impl SchemaRegistry for HttpRegistry {
    async fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32, RegistryError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let answer = self.request(Method::POST, &path, Some(body(schema))).await;
        let answer = answer.map_err(|error| about(error, subject, None))?;
        let id = answer.get("id").and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
        id.ok_or_else(|| strange("no id"))
    }

    async fn by_id(&self, id: i32) -> Result<SchemaText, RegistryError> {
        match self.request(Method::GET, &format!("/schemas/ids/{id}"), None).await {
            Ok(json) => schema(&json).map_err(|error| strange(&error)),
            Err(RegistryError::UnknownSubject(_)) => Err(RegistryError::UnknownId(id)),
            Err(error) => Err(error),
        }
    }

    async fn latest(&self, subject: &str) -> Result<SchemaVersion, RegistryError> {
        let path = format!("/subjects/{}/versions/latest", escaped(subject));
        let answer =
            self.request(Method::GET, &path, None).await.map_err(|error| about(error, subject, None))?;
        Self::version_of(&answer)
    }

    async fn version(&self, subject: &str, version: i32) -> Result<SchemaVersion, RegistryError> {
        let path = format!("/subjects/{}/versions/{version}", escaped(subject));
        let answer = self.request(Method::GET, &path, None).await;
        Self::version_of(&answer.map_err(|error| about(error, subject, Some(version)))?)
    }

    async fn versions(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let answer =
            self.request(Method::GET, &path, None).await.map_err(|error| about(error, subject, None))?;
        numbers(&answer)
    }

    async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let answer = self.request(Method::GET, "/subjects", None).await?;
        let listed = answer.as_array().ok_or_else(|| strange("no list"))?;
        let mut subjects: Vec<String> = listed.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        subjects.sort();
        Ok(subjects)
    }

    async fn incompatibilities(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Vec<String>, RegistryError> {
        let path = format!("/compatibility/subjects/{}/versions?verbose=true", escaped(subject));
        let answer = match self.request(Method::POST, &path, Some(body(schema))).await {
            Ok(answer) => answer,
            Err(RegistryError::UnknownSubject(_)) => return Ok(Vec::new()),
            Err(error) => return Err(about(error, subject, None)),
        };
        if answer.get("is_compatible").and_then(Json::as_bool) == Some(true) {
            return Ok(Vec::new());
        }
        let told = answer.get("messages").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let told: Vec<String> = told.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        Ok(if told.is_empty() { vec!["the registry says no".to_owned()] } else { told })
    }

    async fn delete_subject(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        let path = format!("/subjects/{}", escaped(subject));
        let answer =
            self.request(Method::DELETE, &path, None).await.map_err(|error| about(error, subject, None))?;
        numbers(&answer)
    }
}

fn numbers(answer: &Json) -> Result<Vec<i32>, RegistryError> {
    let listed = answer.as_array().ok_or_else(|| strange("no list"))?;
    Ok(listed.iter().filter_map(Json::as_i64).filter_map(|v| i32::try_from(v).ok()).collect())
}

/// The same error, about a subject instead of a path.
fn about(error: RegistryError, subject: &str, version: Option<i32>) -> RegistryError {
    let subject = subject.to_owned();
    match (error, version) {
        (RegistryError::UnknownSubject(_), None) => RegistryError::UnknownSubject(subject),
        (RegistryError::UnknownSubject(_), Some(version)) => {
            RegistryError::UnknownVersion { subject, version }
        }
        (RegistryError::Incompatible { reasons, .. }, _) => RegistryError::Incompatible { subject, reasons },
        (other, _) => other,
    }
}
