//! The sockets: an actix system on a thread of its own, whose workers are threads beside it.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::{Server, ServerHandle};
use actix_service::map_config;
use actix_web::dev::AppConfig;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpServer, rt, web};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::SocketTransport;
use crate::http;
use crate::state::Node;
use crate::transport::upgrades;

/// How long the kernel waits for a peer that takes nothing: longer than a session, which knows what to call it.
const KERNEL_STALL: Duration = Duration::from_secs(40);
/// From the last byte of an answer that was handed over until it is in the kernel's hands.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// How long a client may take over the end of a connection that is being closed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What listens on one address.
pub(super) struct Sockets {
    server: ServerHandle,
    system: thread::JoinHandle<io::Result<()>>,
}

impl Sockets {
    /// Serves clients, by these routes.
    pub(super) async fn serve(
        node: Arc<Node>,
        listener: TcpListener,
        n_workers: usize,
        transport: SocketTransport,
        routes: fn(&mut web::ServiceConfig),
    ) -> io::Result<Self> {
        Self::start("sockets", move || {
            let node = web::Data::new(node);
            let app = move || {
                let (log, track) = (from_fn(http::log), from_fn(http::track));
                App::new().wrap(track).wrap(headers()).wrap(log).app_data(node.clone()).configure(routes)
            };
            let server = Server::build().workers(n_workers).max_concurrent_connections(usize::MAX);
            let server = server.disable_signals();
            let server = match transport {
                SocketTransport::Direct => server.listen("clients", listener, move || {
                    let service = HttpService::build().client_disconnect_timeout(LAST_WORDS);
                    let service = service.on_connect_ext(|stream, _data| prepare(stream));
                    service
                        .upgrade(upgrades(app.clone()))
                        .h1(map_config(app(), |_| AppConfig::default()))
                        .tcp()
                }),
                SocketTransport::ActixWs => server.listen("clients", listener, move || {
                    let service = HttpService::build().client_disconnect_timeout(LAST_WORDS);
                    let service = service.on_connect_ext(|stream, _data| prepare(stream));
                    service.h1(map_config(app(), |_| AppConfig::default())).tcp()
                }),
            };
            Ok(server?.run())
        })
        .await
    }

    /// Serves operators. It does not keep the node from ending.
    pub(super) async fn serve_operators(node: Weak<Node>, listener: TcpListener) -> io::Result<Self> {
        Self::start("operators", move || {
            let node = web::Data::new(node);
            let app =
                move || App::new().wrap(headers()).app_data(node.clone()).configure(http::operators_routes);
            Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
        })
        .await
    }

    async fn start(
        name: &str,
        serve: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let (started, starting) = oneshot::channel();
        let system = thread::Builder::new().name(name.to_owned()).spawn(move || {
            rt::System::new().block_on(async move {
                let server = serve()?;
                let _waits = started.send(server.handle());
                server.await
            })
        })?;
        match starting.await {
            Ok(server) => Ok(Self { server, system }),
            Err(_closed) => match system.join() {
                Ok(Err(error)) => Err(error),
                _ => Err(io::Error::other("the thread of the sockets ended")),
            },
        }
    }

    /// Ends every connection. Actix's own patience looks once a second whether all are gone, which is long for those
    /// that only stand there; whoever calls this has waited for the others.
    pub(super) async fn stop(self, within: Duration) {
        let end = async {
            tokio::time::sleep(LAST_BYTES).await;
            self.server.stop(false).await;
            let _panicked = tokio::task::spawn_blocking(move || self.system.join()).await;
        };
        let _late = timeout(within, end).await;
    }
}

/// For whatever has no rule of its own: it is somebody's, and is what it says.
fn headers() -> DefaultHeaders {
    DefaultHeaders::new().add((CACHE_CONTROL, "no-store")).add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

/// Has small frames leave at once, and the kernel end a connection whose peer takes nothing, whatever was being sent to
/// it: a session can stop waiting for such a peer, but only this gives its memory back.
fn prepare(stream: &TcpStream) {
    // What fails here is a connection that is gone.
    let _gone = stream.set_nodelay(true);
    // Elsewhere the peer stays until it answers or resets.
    #[cfg(target_os = "linux")]
    let _unsupported = SockRef::from(stream).set_tcp_user_timeout(Some(KERNEL_STALL));
}
