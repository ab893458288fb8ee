//! How a session comes by its socket: requests for an upgrade are answered by the same routes as all others, and what
//! answers one with a switch of protocols is given the socket when the answer has been written.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::{Framed, FramedParts};
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::h1;
use actix_http::ws::{HandshakeError, handshake};
use actix_http::{ConnectionType, HttpMessage, Request, Response, StatusCode};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, fn_service};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::DirectWebSocket;

/// How long a client may take to read the answer to its handshake.
const ANSWER: Duration = Duration::from_secs(10);

/// In the extensions of a request whose socket can be had.
#[derive(Clone, Default)]
pub(crate) struct Upgrade(Rc<Cell<Option<oneshot::Sender<DirectWebSocket>>>>);

impl Upgrade {
    /// The way to the socket of a request, if there is one.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Agrees to a handshake: the answer to give, and the socket once that is written. If it cannot be, the sender is gone.
    ///
    /// # Errors
    /// If the request is no WebSocket handshake.
    pub(crate) fn agree(
        &self,
        request: &HttpRequest,
    ) -> Result<(HttpResponse, oneshot::Receiver<DirectWebSocket>), HandshakeError> {
        let response = handshake(request.head())?.finish().map_into_boxed_body();
        let (sender, receiver) = oneshot::channel();
        self.0.set(Some(sender));
        Ok((response.into(), receiver))
    }
}

/// Answers requests for an upgrade by an application.
pub(crate) fn upgrades<A, S, B>(
    app: impl Fn() -> A,
) -> impl ServiceFactory<
    (Request, Framed<TcpStream, h1::Codec>),
    Config = (),
    Response = (),
    Error = Infallible,
    InitError = (),
>
where
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        >,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    fn_factory(move || {
        let starting = app().into_factory().new_service(AppConfig::default());
        async move {
            let app = Rc::new(starting.await?);
            Ok(fn_service(move |(request, framed)| answer(Rc::clone(&app), request, framed)))
        }
    })
}

/// Answers one request, and hands its socket over or closes it.
async fn answer<S, B>(
    app: Rc<S>,
    request: Request,
    mut framed: Framed<TcpStream, h1::Codec>,
) -> Result<(), Infallible>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let upgrade = Upgrade::default();
    request.extensions_mut().insert(upgrade.clone());
    let mut response = match app.call(request).await {
        Ok(response) => Response::from(HttpResponse::from(response)).map_into_boxed_body(),
        Err(error) => error.error_response().into(),
    };
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !switches {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Ok(Ok(())) = timeout(ANSWER, send(&mut framed, response)).await {
        let FramedParts { mut io, read_buf, .. } = framed.into_parts();
        match upgrade.0.take().filter(|_| switches) {
            // Whoever waited for it may be gone.
            Some(session) => drop(session.send(DirectWebSocket::new(io, &read_buf))),
            None => drop(io.shutdown().await),
        }
    }
    Ok(())
}

/// Writes an answer.
async fn send(
    framed: &mut Framed<TcpStream, h1::Codec>,
    response: Response<BoxBody>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (head, mut body) = response.into_parts();
    framed.feed(h1::Message::Item((head, body.size()))).await?;
    if !matches!(body.size(), BodySize::None) {
        while let Some(chunk) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            framed.feed(h1::Message::Chunk(Some(chunk?))).await?;
        }
        framed.feed(h1::Message::Chunk(None)).await?;
    }
    Ok(framed.flush().await?)
}
