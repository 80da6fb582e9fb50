//! Runs the measuring program, in wasmtime or natively, each in a thread of its own, and talks to it.
//!
//! The program blocks on its standard input between requests, so several of them can take turns in one process.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use engine_guest::figures::Figure;
use engine_guest::frames::{DONE, Request};

use super::wasi::{self, Program};

/// Frames that wait for the program; more would only cost memory.
const WAITING_FRAMES_MAX: usize = 2;

/// A running program.
pub struct Guest {
    requests: Option<SyncSender<Vec<u8>>>,
    answers: Receiver<String>,
    memory_bytes: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Guest {
    /// Starts the program in wasmtime.
    pub fn in_wasmtime(program: &Program) -> Self {
        let program = program.clone();
        Self::start(move |input, output, memory_bytes| wasi::run(&program, input, output, memory_bytes))
    }

    /// Starts the same program natively.
    pub fn natively() -> Self {
        Self::start(|mut input, mut output, _| {
            engine_guest::session::serve(&mut input, &mut output).map_err(|error| anyhow!(error))
        })
    }

    fn start(program: impl FnOnce(Input, Output, Arc<AtomicUsize>) -> Result<()> + Send + 'static) -> Self {
        let (requests, frames) = sync_channel(WAITING_FRAMES_MAX);
        let (lines, answers) = channel();
        let memory_bytes = Arc::new(AtomicUsize::new(0));
        let input = Input { frames, current: Vec::new(), position: 0 };
        let output = Output { lines, begun: Vec::new() };
        let seen = Arc::clone(&memory_bytes);
        let thread = std::thread::spawn(move || program(input, output, seen));
        Self { requests: Some(requests), answers, memory_bytes, thread: Some(thread) }
    }

    /// Says something that is not answered.
    pub fn tell(&mut self, request: &Request<'_>) -> Result<()> {
        let mut frame = Vec::new();
        request.write(&mut frame)?;
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(frame).is_ok());
        if sent { Ok(()) } else { Err(self.why_it_ended()) }
    }

    /// Says something and waits for the figures.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Vec<Figure>> {
        self.tell(request)?;
        self.figures()
    }

    /// The figures of the next answer.
    pub fn figures(&mut self) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        loop {
            let Ok(line) = self.answers.recv() else { return Err(self.why_it_ended()) };
            if line == DONE {
                return Ok(figures);
            }
            figures.push(Figure::parse(&line).with_context(|| format!("the program said `{line}`"))?);
        }
    }

    /// Size of the linear memory when the program last called its host; 0 natively.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    fn why_it_ended(&mut self) -> anyhow::Error {
        self.requests = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => error.context("the measuring program failed"),
            Some(Err(_)) => anyhow!("the measuring program panicked"),
            _ => anyhow!("the measuring program ended"),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The program's standard input.
pub struct Input {
    frames: Receiver<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.current.len() {
            let Ok(next) = self.frames.recv() else { return Ok(0) };
            (self.current, self.position) = (next, 0);
        }
        let mut rest = self.current.get(self.position..).unwrap_or(&[]);
        let read = rest.read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

/// The program's standard output, line by line.
pub struct Output {
    lines: Sender<String>,
    begun: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.lines.send(line).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_guest::world::Shape;

    #[test]
    fn a_program_answers_and_says_why_it_ends() {
        let mut guest = Guest::natively();
        assert_eq!(guest.ask(&Request::World(Shape::of_rows(1_000))).unwrap(), []);
        let error = guest.ask(&Request::SnapshotKey(b"no key")).unwrap_err();
        assert!(format!("{error:#}").contains("the measuring program failed: the key is not"), "{error:#}");
    }
}
