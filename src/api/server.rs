//! Connections: accepted, bounded, each its own task.

use std::{convert::Infallible, io, panic, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use smol::{
    Task, Timer, future,
    net::{TcpListener, TcpStream},
};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::{
    Api, ApiContext,
    gates::{Gates, Limits},
    paced::Paced,
    request::Request,
    response::{ApiError, Response},
    routes::{self, Found, Route, Verb},
};
use crate::metrics::{self, API_CONNECTIONS_REFUSED, API_REQUESTS};

/// Bytes of a request's head, and of what is read ahead of it. The longest we expect has a list of 64 public keys.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of a body that no handler wants, which are read all the same: a client that is still sending when the connection closes
/// gets an error instead of our answer.
const UNWANTED_BYTES: usize = 64 << 10;
/// Wait after a failed accept: it fails when the process has no file descriptors left, and comes back when some are free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Answers requests that come in on `listener` until the future is dropped, which closes all connections.
pub async fn serve(listener: TcpListener, context: ApiContext) -> Infallible {
    serve_with(listener, context, Limits::default()).await
}

/// Like [`serve`], with limits of one's own.
pub async fn serve_with(listener: TcpListener, context: ApiContext, limits: Limits) -> Infallible {
    let gates = Gates::counting(limits, context.body_bytes.clone());
    let api = Arc::new(Api { context, gates });
    let mut connections = FuturesUnordered::new();
    loop {
        let ended = async {
            while connections.next().await.is_some() {}
            future::pending().await
        };
        match future::or(listener.accept(), ended).await {
            Ok((stream, _)) if connections.len() < api.gates.limits.connections => {
                // A connection that panics ends alone: `fallible` keeps it from us.
                let connection: Task<()> = smol::spawn(converse(api.clone(), stream));
                connections.push(connection.fallible());
            }
            Ok(_) => metrics::inc(&API_CONNECTIONS_REFUSED, &[]),
            Err(error) => {
                tracing::warn!(
                    "the API can't accept a connection: {error}; if this goes on, raise the limit of open files"
                );
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(api: Arc<Api>, stream: TcpStream) {
    let limits = &api.gates.limits;
    // Without this, the last piece of an answer may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let stream = FuturesIo::new(Paced::new(stream, limits.stall_time));
    let answers = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(answer(api, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(stream, answers);
    if let Err(error) = connection.await {
        tracing::debug!("a connection to the API ended: {error}");
    }
}

async fn answer(api: Arc<Api>, request: hyper::Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    let verb = match head.method {
        Method::GET | Method::HEAD => Some(Verb::Get),
        Method::POST => Some(Verb::Post),
        _ => None,
    };
    let (route, response) = match routes::find(verb, head.uri.path()) {
        Found::Route(route, params) => {
            let answer = match Request::new(&params, head.uri.query(), head.headers) {
                Ok(request) => work(api, route, request, body).await,
                Err(error) => {
                    drain(&api, body).await;
                    Err(error)
                }
            };
            (route.path, answer)
        }
        Found::OtherVerb => {
            drain(&api, body).await;
            let message = format!("{} is not allowed here", head.method);
            ("other", Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)))
        }
        Found::Nothing => {
            drain(&api, body).await;
            let message = format!("there is nothing at {}", head.uri.path());
            ("other", Err(ApiError::not_found(message)))
        }
    };
    let response = response.unwrap_or_else(ApiError::into_response);
    metrics::inc(&API_REQUESTS, &[("route", route), ("status", class_of(response.status()))]);
    response
}

/// Reads a body that is not wanted, as far as that is little.
async fn drain(api: &Api, mut body: Incoming) {
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |piece| piece.len());
            if bytes > UNWANTED_BYTES {
                return;
            }
        }
    };
    let late = async {
        Timer::after(api.gates.limits.body_time).await;
    };
    future::or(read, late).await;
}

/// Reads the body and runs the handler on the blocking pool.
async fn work(
    api: Arc<Api>,
    route: &'static Route,
    mut request: Request,
    body: Incoming,
) -> Result<Response, ApiError> {
    if route.verb == Verb::Post {
        request.read_body(body, &api.gates).await?;
    }
    let place = api.gates.work().await;
    smol::unblock(move || {
        let _place = place;
        let handled = panic::catch_unwind(panic::AssertUnwindSafe(|| (route.handler)(&api, &request)));
        handled.unwrap_or_else(|_| Err(ApiError::internal(format!("{} failed; please report this", route.path))))
    })
    .await
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        ApiError::internal(error)
    }
}
