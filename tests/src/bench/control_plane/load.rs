//! Many calls at once over a few connections: HTTP/1.1 as little as it takes, so that the processors are the server's.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine_guest::figures::quantile;
use engine_guest::random::Random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is called.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub token: Option<String>,
    /// Each call takes one of them.
    pub paths: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Load {
    pub answers: usize,
    pub time: Duration,
    milliseconds: Vec<f64>,
}

impl Load {
    /// Time that one call in a hundred exceeds.
    pub fn p99_ms(&self) -> f64 {
        quantile(&self.milliseconds, 0.99)
    }
}

/// Calls for this long; any answer but 200 is an error.
pub async fn run(target: &Target, connections: usize, time: Duration, seed: usize) -> Result<Load> {
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..connections {
        let (target, random) = (target.clone(), Random::new((seed * 64 + number) as u64));
        callers.spawn(async move { call(&target, random, begun + time).await });
    }
    let mut load = Load::default();
    while let Some(called) = callers.join_next().await {
        load.milliseconds.extend(called??);
    }
    load.answers = load.milliseconds.len();
    load.time = begun.elapsed();
    Ok(load)
}

/// One connection; how long each call took, in milliseconds.
async fn call(target: &Target, mut random: Random, until: Instant) -> Result<Vec<f64>> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let authorization = target.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
    let rest = format!(" HTTP/1.1\r\nhost: bench\r\n{}\r\n", authorization.unwrap_or_default());
    let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(ANSWER_BYTES_MAX));
    while Instant::now() < until {
        let path = target.paths.get(random.below(target.paths.len())).context("no path")?;
        let begun = Instant::now();
        stream.write_all(format!("GET {path}{rest}").as_bytes()).await?;
        read_answer(&mut stream, &mut buffer).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Reads one answer to its end.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
        ensure!(buffer.len() <= ANSWER_BYTES_MAX, "the answer is too long");
        let text = String::from_utf8_lossy(buffer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        ensure!(head.starts_with("HTTP/1.1 200 "), "answered otherwise: {text}");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.context("an answer without length")? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::control_plane::bare::Bare;

    #[tokio::test]
    async fn calls_are_answered_and_others_than_200_are_errors() {
        let bare = Bare::start().await.unwrap();
        let load = run(bare.target(), 2, Duration::from_millis(50), 1).await.unwrap();
        assert!(load.answers > 0 && load.p99_ms() > 0.0, "{load:?}");
        let wrong = Target { paths: vec!["/other".to_owned()], ..bare.target().clone() };
        assert!(run(&wrong, 1, Duration::from_millis(50), 1).await.unwrap_err().to_string().contains("404"));
    }
}
