//! The stand-in's HTTP: connections, tokens and the wrapping of JSON-RPC.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_channel::Receiver;
use futures::{StreamExt as _, stream::FuturesUnordered};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode, body::Bytes, body::Incoming, header, server::conn::http1, service::service_fn,
};
use serde::Deserialize;
use serde_json::{Value, json};
use smol::{Timer, future, net::TcpStream};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::{Fault, StandInState};

/// Connections at once; a node has one or two.
const CONNECTIONS: usize = 16;
/// Bytes of a request: a payload of 10 MiB in hexadecimal, and more.
const REQUEST_BYTES: usize = 32 << 20;
/// Wait before listening is tried again on a port that is still taken.
const LISTEN_AGAIN: Duration = Duration::from_millis(20);

type Connection = Pin<Box<dyn Future<Output = ()>>>;

/// What ends a wait.
enum Event {
    Stop,
    Changed,
    Came(TcpStream),
    Nothing,
}

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

/// Answers until `stopped` is closed. While it is down, nobody listens.
pub async fn serve(listener: TcpListener, address: SocketAddr, state: StandInState, stopped: Receiver<()>) {
    let state = Arc::new(state);
    let mut first = Some(listener);
    loop {
        if state.faults.get() == Fault::Down {
            first = None;
            match future::or(stop(&stopped), changed(&state)).await {
                Event::Stop => return,
                _ => continue,
            }
        }
        let listener = match first.take().map_or_else(|| TcpListener::bind(address), Ok).and_then(smol::Async::new) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::debug!("the stand-in can't listen on {address} yet: {error}");
                Timer::after(LISTEN_AGAIN).await;
                continue;
            }
        };
        if listen(listener.into(), &state, &stopped).await {
            return;
        }
    }
}

async fn stop(stopped: &Receiver<()>) -> Event {
    let _ = stopped.recv().await;
    Event::Stop
}

async fn changed(state: &StandInState) -> Event {
    state.faults.changed().await;
    Event::Changed
}

/// Answers until it is told to stop (true) or to be down (false), which both end all connections.
async fn listen(listener: smol::net::TcpListener, state: &Arc<StandInState>, stopped: &Receiver<()>) -> bool {
    let mut connections: FuturesUnordered<Connection> = FuturesUnordered::new();
    loop {
        let ended = async {
            while connections.next().await.is_some() {}
            future::pending().await
        };
        let came = async {
            match listener.accept().await {
                Ok((stream, _)) => Event::Came(stream),
                Err(_) => {
                    Timer::after(LISTEN_AGAIN).await;
                    Event::Nothing
                }
            }
        };
        match future::or(stop(stopped), future::or(changed(state), future::or(came, ended))).await {
            Event::Stop => return true,
            Event::Changed if state.faults.get() == Fault::Down => return false,
            Event::Came(stream) if connections.len() < CONNECTIONS => {
                connections.push(Box::pin(converse(stream, state.clone())));
            }
            _ => {}
        }
    }
}

async fn converse(stream: TcpStream, state: Arc<StandInState>) {
    let _ = stream.set_nodelay(true);
    let answers = service_fn(|request| answer(state.clone(), request));
    let connection = http1::Builder::new().timer(SmolTimer::new()).serve_connection(FuturesIo::new(stream), answers);
    if let Err(error) = connection.await {
        tracing::debug!("a connection to the stand-in ended: {error}");
    }
}

async fn answer(state: Arc<StandInState>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let fault = state.faults.get();
    let (head, body) = request.into_parts();
    let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let checked = state.secret.check(token.strip_prefix("Bearer ").unwrap_or_default(), state.now());
    let respond = |status, text| respond(status, text, state.now());
    // The body is read in any case: a client that is still sending would not see the answer.
    let Ok(body) = Limited::new(body, REQUEST_BYTES).collect().await else {
        return Ok(respond(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large".into()));
    };
    match (&fault, checked) {
        (Fault::DropConnections, _) => return Err(Dropped),
        (Fault::Unauthorized, _) => return Ok(respond(StatusCode::UNAUTHORIZED, "told to refuse tokens".into())),
        (_, Err(reason)) => return Ok(respond(StatusCode::UNAUTHORIZED, reason.into())),
        (Fault::Nonsense, _) => return Ok(respond(StatusCode::OK, "<html>It works!</html>".into())),
        (Fault::Slow(wait), _) => drop(Timer::after(*wait).await),
        _ => {}
    }
    Ok(respond(StatusCode::OK, reply(&state, &body.to_bytes())))
}

/// A request of JSON-RPC, as it comes in.
#[derive(Deserialize)]
struct Call {
    id: Value,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

fn reply(state: &StandInState, body: &[u8]) -> String {
    let request: Call = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            let error = json!({"code": -32700, "message": format!("Parse error: {error}")});
            return json!({"jsonrpc": "2.0", "id": null, "error": error}).to_string();
        }
    };
    let reply = match state.call(&request.method, request.params) {
        Ok(result) => json!({"jsonrpc": "2.0", "id": request.id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": request.id, "error": error}),
    };
    reply.to_string()
}

fn respond(status: StatusCode, text: String, now: u64) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    if let Ok(date) = header::HeaderValue::try_from(date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
