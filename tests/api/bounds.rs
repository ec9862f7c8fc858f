//! Slow and greedy clients: they lose, nobody else does.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use hornero::api::Limits;

use super::support::Node;

/// Longer than any machine takes for what the test waits for, so that a hang fails and does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect(server: &Node) -> TcpStream {
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
    let server = Node::limited(Limits { head_time: Duration::from_millis(300), ..Limits::default() });
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
    let server = Node::limited(Limits { connections: 1, ..Limits::default() });
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
    let server = Node::at_genesis();
    let mut stream = connect(&server);
    let long = "a".repeat(200 << 10);
    // The server may close before all is written.
    let _ = stream.write_all(format!("GET /eth/v1/node/version?{long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    assert!(!read_all(&mut stream).contains("200 OK"));
    assert_eq!(server.get("/eth/v1/node/version").status, 200);
}

#[test]
fn what_is_not_http_gets_no_answer_that_helps() {
    let server = Node::at_genesis();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\r\n\r\n\r\n\0\0\0\0", b"GET\r\n\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!read_all(&mut stream).contains("200 OK"));
    }
    assert_eq!(server.get("/eth/v1/node/version").status, 200);
}

#[test]
fn a_body_above_the_limit_or_too_slow_is_refused() {
    let limits = Limits { body_bytes: 1000, body_time: Duration::from_millis(300), ..Limits::default() };
    let server = Node::limited(limits);
    let path = "/eth/v1/validator/duties/attester/0";
    let indices: Vec<String> = (0..1000u64).map(|index| index.to_string()).collect();
    let reply = server.post_json(path, &indices);
    assert_eq!((reply.status, reply.json()["code"].as_u64()), (413, Some(413)));

    let mut slow = connect(&server);
    let head = "POST /eth/v1/validator/duties/attester/0 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[";
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(server.post_json(path, &["1"]).status, 200, "another client is not held up");
    assert!(read_all(&mut slow).starts_with("HTTP/1.1 408 "));
}

#[test]
fn streams_and_subscribers_have_a_number() {
    let server = Node::limited(Limits { streams: 0, subscribers: 0, ..Limits::default() });
    for path in ["/eth/v2/debug/beacon/states/head", "/eth/v1/events?topics=head"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.json()["message"].is_string());
    }
    assert_eq!(server.get("/eth/v1/beacon/states/head/validators").status, 200, "short lists are no streams");
}
