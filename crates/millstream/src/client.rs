//! A client of a running instance: one request per connection, answers whole or line by line.

use crate::failure::Failure;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use millstream_server::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a connection and the start of an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest answer that is taken whole, in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The longest line of a stream, in bytes: a record of the largest size, with every byte escaped.
const LINE_BYTES: usize = 8 * 1024 * 1024;

/// Where an instance answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// `host:port`, as in the URL.
    authority: String,
}

impl Client {
    /// A client of the instance at `url`.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let help = "give it as http://127.0.0.1:8080, with --url or in MILLSTREAM_URL";
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(Failure::mistake(format!("`{scheme}` is not what an instance speaks"), help));
            }
            None => url,
        };
        let authority = rest.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '@', ' ']) {
            return Err(Failure::mistake(format!("`{url}` is no address of an instance"), help));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority })
    }

    /// Asks, and takes the answer as JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let mut answer = self.open(method, path, body).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES {
                return Err(Failure::failed(format!("the answer of {} is too large", self.authority)));
            }
        }
        // An answer without content reads as `null`.
        let bytes = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| self.odd(&error.to_string()))
    }

    /// Asks, and takes the answer line by line.
    pub(crate) async fn lines(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Lines, Failure> {
        Ok(Lines { answer: self.open(method, path, body).await?, buffer: Vec::new(), at: 0 })
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Failure> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| Failure::failed(error.to_string()))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::failed(error.to_string()))?;
        let exchange = async {
            let stream = TcpStream::connect(&self.authority).await.map_err(|error| self.away(&error))?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| self.odd(&error.to_string()))?;
            let driving = Driving(tokio::spawn(async move {
                // What goes wrong shows in the answer.
                let _ = connection.await;
            }));
            let response =
                sender.send_request(request).await.map_err(|error| self.odd(&error.to_string()))?;
            Ok((response, driving))
        };
        let (response, driving) = timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| Err(Failure::failed(format!("{} does not answer", self.authority))))?;
        if response.status().is_success() {
            Ok(Answer { response, _driving: driving })
        } else {
            Err(refusal(response).await)
        }
    }

    fn away(&self, error: &std::io::Error) -> Failure {
        Failure::failed(format!("no instance answers at {}: {error}", self.authority))
            .help("start one with `millstream run PLANT`, or say where it is with --url")
    }

    fn odd(&self, error: &str) -> Failure {
        Failure::failed(format!("{} does not answer like Millstream: {error}", self.authority))
            .help("say where the instance is with --url")
    }
}

/// The task that moves the bytes; ends with the answer.
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Answer {
    response: Response<Incoming>,
    _driving: Driving,
}

impl Answer {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(Failure::failed(format!("the connection broke: {error}"))),
            }
        }
    }
}

/// An answer that goes on, one JSON value per line.
pub(crate) struct Lines {
    answer: Answer,
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    at: usize,
}

impl Lines {
    /// The next value; `None` at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        loop {
            if let Some(line) = self.line() {
                // An empty line only says that the other side is still there.
                if line.is_empty() {
                    continue;
                }
                let value = serde_json::from_slice(&line);
                return value
                    .map(Some)
                    .map_err(|error| Failure::failed(format!("an odd line came: {error}")));
            }
            if self.buffer.len() > LINE_BYTES {
                return Err(Failure::failed("a line came that is too long"));
            }
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let Some(length) = self.buffer[self.at..].iter().position(|byte| *byte == b'\n') else {
            self.buffer.drain(..self.at);
            self.at = 0;
            return None;
        };
        let line = self.buffer[self.at..self.at + length].to_vec();
        self.at += length + 1;
        Some(line)
    }
}

async fn refusal(response: Response<Incoming>) -> Failure {
    let status = response.status();
    let bytes =
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| ErrorBody {
        message: format!("{status}: {}", String::from_utf8_lossy(&bytes).trim()),
        help: None,
    });
    let failure = match status {
        StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::BAD_REQUEST
        | StatusCode::UNPROCESSABLE_ENTITY => Failure::plain_mistake(body.message),
        _ => Failure::failed(body.message),
    };
    match body.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// A path segment with everything that is not plain percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_host_and_port() {
        let authority = |url: &str| Client::new(url).map(|client| client.authority).ok();
        assert_eq!(authority("http://127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(authority("http://plant/").as_deref(), Some("plant:80"));
        assert_eq!(authority("localhost:8080").as_deref(), Some("localhost:8080"));
        assert_eq!(authority("https://plant"), None);
        assert_eq!(authority("http://a/b"), None);
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("press.telemetry"), "press.telemetry");
        assert_eq!(segment("a/b c"), "a%2Fb%20c");
    }
}
