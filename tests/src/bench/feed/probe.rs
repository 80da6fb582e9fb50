//! A caller on one connection, and so on one worker: the same call over and over, each answer with its time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// From an answer to the next call.
const PAUSE: Duration = Duration::from_micros(500);
/// Longest that an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Answers kept; the oldest go first.
const SAMPLES_MAX: usize = 400_000;

/// One call and its answer.
#[derive(Debug, Clone)]
pub struct Sample {
    pub sent: Instant,
    pub took: Duration,
    /// The problem's code, or the status where there is no problem.
    code: Arc<str>,
}

impl Sample {
    /// When its answer was there.
    pub fn received(&self) -> Instant {
        self.sent + self.took
    }

    /// It was answered with this code.
    pub fn is_answer(&self, code: &str) -> bool {
        *self.code == *code
    }
}

/// The caller.
pub struct Probe {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    call: Mutex<Arc<[u8]>>,
    samples: Mutex<Vec<Sample>>,
    stopped: AtomicBool,
}

impl Probe {
    /// Begins to call.
    pub fn start(address: SocketAddr, call: Arc<[u8]>) -> Result<Self> {
        let stream = TcpStream::connect(address).context("Envoy does not take a connection")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let shared =
            Arc::new(Shared { call: Mutex::new(call), samples: Mutex::default(), stopped: AtomicBool::new(false) });
        let calling = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            if let Err(error) = calling.call_until_stopped(stream) {
                tracing::error!("a caller gave up: {error:#}");
            }
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What is called from now on.
    pub fn set_call(&self, call: Arc<[u8]>) {
        *locked(&self.shared.call) = call;
    }

    /// Every answer so far.
    pub fn samples(&self) -> Vec<Sample> {
        locked(&self.shared.samples).clone()
    }

    /// The first answer at or after an instant of which this is true.
    pub fn first_since(&self, since: Instant, is_it: impl Fn(&Sample) -> bool) -> Option<Sample> {
        let samples = locked(&self.shared.samples);
        let from = samples.partition_point(|sample| sample.received() < since);
        samples.iter().skip(from).find(|sample| is_it(sample)).cloned()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has said why, if it failed.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn call_until_stopped(&self, mut stream: TcpStream) -> Result<()> {
        let mut codes: Vec<Arc<str>> = Vec::new();
        while !self.stopped.load(Ordering::Relaxed) {
            let call = Arc::clone(&locked(&self.call));
            let sent = Instant::now();
            let code = exchange(&mut stream, &call)?;
            let took = sent.elapsed();
            let code = match codes.iter().find(|known| ***known == *code) {
                Some(known) => Arc::clone(known),
                None => {
                    codes.push(Arc::from(code));
                    codes.last().map(Arc::clone).context("no code")?
                }
            };
            {
                let mut samples = locked(&self.samples);
                if samples.len() >= SAMPLES_MAX {
                    samples.drain(..SAMPLES_MAX / 2);
                }
                samples.push(Sample { sent, took, code });
            }
            crate::bench::pause(PAUSE);
        }
        Ok(())
    }
}

/// One call; gives the problem's code, or else the status.
pub fn exchange(stream: &mut TcpStream, call: &[u8]) -> Result<String> {
    stream.write_all(call)?;
    read_code(stream)
}

/// Reads one answer with a length; gives the problem's code, or else the status.
fn read_code(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("\r\n\r\n")) {
            let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
            let mut lines = head.lines();
            let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
            let named = |line: &str| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            };
            let length = lines.find_map(named).context("an answer without a length")?;
            if body.len() >= length {
                let code = body.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
                return Ok(code.map_or(status, |(code, _)| code).to_owned());
            }
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            bail!("the connection was closed");
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
