//! Slow and greedy clients: they lose, nobody else does.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use hornero::api::Limits;

use super::support::Server;

/// Longer than any machine takes for what the test waits for, so that a hang fails and does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the server closes.
fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_client_that_never_ends_its_request_is_closed_while_others_are_answered() {
    let server = Server::start(Limits { head_time: Duration::from_millis(300), ..Limits::default() });
    let mut slow: Vec<TcpStream> = (0..8).map(|_| connect(&server)).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /eth/v1/node/version HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    }
    assert_eq!(server.get("/eth/v1/node/version").status, 200);
    for stream in &mut slow {
        assert!(!read_all(stream).contains("200 OK"));
    }
}

#[test]
fn a_connection_above_the_limit_is_closed_and_its_place_comes_back() {
    let server = Server::start(Limits { connections: 1, ..Limits::default() });
    let mut first = connect(&server);
    first.write_all(b"GET /eth/v1/node/version HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(read_all(&mut connect(&server)), "", "the second is closed without an answer");
    drop(first);
    // The server needs a moment to see that the first is gone.
    let answered = |_| {
        let mut third = connect(&server);
        let asked = third.write_all(b"GET /eth/v1/node/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        asked.is_ok() && read_all(&mut third).starts_with("HTTP/1.1 200 OK")
    };
    assert!((0..10_000).any(answered));
}

#[test]
fn an_oversized_head_is_refused() {
    let server = Server::start(Default::default());
    let mut stream = connect(&server);
    let long = "a".repeat(200 << 10);
    // The server may close before all is written.
    let _ = stream.write_all(format!("GET /eth/v1/node/version?{long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    assert!(!read_all(&mut stream).contains("200 OK"));
    assert_eq!(server.get("/eth/v1/node/version").status, 200);
}

#[test]
fn what_is_not_http_gets_no_answer_that_helps() {
    let server = Server::start(Default::default());
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\r\n\r\n\r\n\0\0\0\0", b"GET\r\n\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!read_all(&mut stream).contains("200 OK"));
    }
    assert_eq!(server.get("/eth/v1/node/version").status, 200);
}
