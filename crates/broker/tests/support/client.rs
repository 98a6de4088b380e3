//! A client that speaks the Kafka protocol request by request, and a broker for it on a port of its own.

use super::{clock, fresh_dir, open_log};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_log::OsDisk;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker over a folder, listening on a free port of loopback.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) wire: Wire,
    pub(crate) embedded: Arc<Embedded>,
    pub(crate) dir: PathBuf,
}

impl Server {
    /// One with the defaults, over a fresh folder; `what` names the test file.
    pub(crate) async fn start(what: &str) -> Self {
        Self::with(&fresh_dir(what), EmbeddedConfig::default(), WireConfig::default()).await
    }

    pub(crate) async fn with(dir: &Path, engine: EmbeddedConfig, config: WireConfig) -> Self {
        let log = open_log(Arc::new(OsDisk), dir);
        let embedded = Embedded::open(log, engine, clock()).await.unwrap();
        let wire = Wire::serve(&embedded, config).await.unwrap();
        Self { wire, embedded, dir: dir.to_owned() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.wire.addresses()[0]
    }

    /// A connection of its own.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// Ends it as a clean shutdown does, and gives the folder back.
    pub(crate) async fn stop(self) -> PathBuf {
        self.wire.close().await;
        self.embedded.close().await.unwrap();
        self.dir
    }
}

/// What a connection may run over: TCP, TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One connection to a broker.
#[expect(clippy::struct_field_names, reason = "`client_id` is Kafka's name")]
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    next_correlation_id: i32,
    /// Sent with every request.
    pub(crate) client_id: &'static str,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), next_correlation_id: 1, client_id: "test" }
    }

    /// Sends a request and awaits its response.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_send(version, request).await.unwrap()
    }

    /// The same, where the broker may close the connection.
    pub(crate) async fn try_send<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> io::Result<R::Response> {
        let correlation_id = self.post(version, request).await?;
        self.receive::<R>(version, correlation_id).await
    }

    /// Sends a request without awaiting its response, and gives its correlation id.
    pub(crate) async fn post<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = frame(version, correlation_id, self.client_id, request);
        self.write(&frame).await?;
        Ok(correlation_id)
    }

    /// Awaits the response to a request that was posted before. They come in the order of the requests.
    pub(crate) async fn receive<R: Request>(
        &mut self,
        version: i16,
        correlation_id: i32,
    ) -> io::Result<R::Response> {
        let mut frame = self.read_frame().await?;
        let header_version = <R::Response as HeaderVersion>::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
        assert_eq!(header.correlation_id, correlation_id, "answers come in the order of the requests");
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes are left behind the response", frame.len());
        Ok(response)
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame without its length; `UnexpectedEof` where the broker closed the connection.
    pub(crate) async fn read_frame(&mut self) -> io::Result<Bytes> {
        let read = async {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).await?;
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            self.stream.read_exact(&mut frame).await?;
            Ok(Bytes::from(frame))
        };
        timeout(PATIENCE, read).await.expect("an answer within 30 s")
    }

    /// Waits for the broker to close the connection, and gives what it sent until then.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await;
        match read.expect("closed within 30 s") {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        bytes
    }
}

/// A request as a whole frame, its length included.
pub(crate) fn frame<R: Request>(version: i16, correlation_id: i32, client_id: &str, request: &R) -> Bytes {
    let header_version = ApiKey::try_from(R::KEY).unwrap().request_header_version(version);
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut body = BytesMut::new();
    header.encode(&mut body, header_version).unwrap();
    request.encode(&mut body, version).unwrap();
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&u32::try_from(body.remaining()).unwrap().to_be_bytes());
    frame.extend_from_slice(&body);
    frame.freeze()
}
