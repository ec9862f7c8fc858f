//! A provider of checkpoints that does as it is told, well or badly.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

/// How a request is answered.
#[derive(Clone)]
#[allow(dead_code)] // each test uses some
pub enum Answer {
    /// With these bytes.
    Ssz(Vec<u8>),
    /// With these bytes, so many at a time, each behind a flush.
    InPieces(&'static [u8], usize),
    /// With this JSON.
    Json(String),
    /// With an error.
    Status(u16),
    /// Announces all bytes, sends so many, and hangs up.
    CutOff(Vec<u8>, usize),
    /// Announces all bytes, sends so many, and says nothing more.
    Silent(Vec<u8>, usize),
    /// Announces this many bytes.
    Announced(u64),
    /// Never stops sending: these bytes, then zeros, without an announced length.
    Endless(Vec<u8>),
}

pub struct Provider {
    pub url: String,
}

impl Provider {
    /// Answers requests by their path, for as long as the test runs.
    pub fn start(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = answers.clone();
                // A client that hangs up is no error of ours.
                std::thread::spawn(move || drop(serve(stream, answers.as_ref())));
            }
        });
        Provider { url }
    }
}

fn serve(stream: TcpStream, answers: &dyn Fn(&str) -> Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut out = stream;
    let path = request.split(' ').nth(1).unwrap_or_default();
    match answers(path) {
        Answer::Ssz(bytes) => {
            head(&mut out, 200, "application/octet-stream", bytes.len() as u64)?;
            out.write_all(&bytes)
        }
        Answer::InPieces(bytes, piece) => {
            head(&mut out, 200, "application/octet-stream", bytes.len() as u64)?;
            bytes.chunks(piece).try_for_each(|piece| out.write_all(piece).and_then(|()| out.flush()))
        }
        Answer::Json(text) => {
            head(&mut out, 200, "application/json", text.len() as u64)?;
            out.write_all(text.as_bytes())
        }
        Answer::Status(code) => head(&mut out, code, "application/json", 0),
        Answer::CutOff(bytes, sent) => {
            head(&mut out, 200, "application/octet-stream", bytes.len() as u64)?;
            out.write_all(&bytes[..sent])
        }
        Answer::Silent(bytes, sent) => {
            head(&mut out, 200, "application/octet-stream", bytes.len() as u64)?;
            out.write_all(&bytes[..sent])?;
            out.flush()?;
            // Until the client has had enough and hangs up.
            let mut left = String::new();
            BufReader::new(out).read_line(&mut left).map(drop)
        }
        Answer::Announced(len) => head(&mut out, 200, "application/octet-stream", len),
        Answer::Endless(bytes) => {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n\r\n")?;
            out.write_all(&bytes)?;
            loop {
                out.write_all(&[0; 1 << 16])?;
            }
        }
    }
}

fn head(out: &mut TcpStream, code: u16, kind: &str, len: u64) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 {code} X\r\ncontent-type: {kind}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n");
    out.write_all(head.as_bytes())
}
