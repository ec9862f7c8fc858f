//! A beacon node's API, as far as a checkpoint sync asks: the finalized state and its block, streamed from files.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
};

use super::chain::{Chain, block_file, state_file};

/// Serves the anchor for as long as the test runs; returns the address.
pub fn start(chain: &Chain, folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (state, block) = (state_file(folder), block_file(folder, &chain.anchor.root));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Err(error) = serve(stream, &state, &block) {
                eprintln!("the checkpoint's provider: {error}");
            }
        }
    });
    url
}

fn serve(mut out: TcpStream, state: &PathBuf, block: &PathBuf) -> io::Result<()> {
    let mut lines = BufReader::new(out.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let file = match path {
        "/eth/v2/debug/beacon/states/finalized" => state,
        path if path.starts_with("/eth/v2/beacon/blocks/") => block,
        _ => return out.write_all(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    };
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    write!(out, "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n")?;
    write!(out, "content-length: {length}\r\nconnection: close\r\n\r\n")?;
    io::copy(&mut file, &mut out).map(drop)
}
