//! Everything one VM's host functions read and write. Pure bookkeeping: nothing here calls the guest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::HostOptions;
use super::abi::{LogLevel, MapType, Status};
use super::headers::Headers;
use super::logs::{LogLine, LogSource, Logs};
use super::metrics::Metrics;
use super::stream::{LocalReply, Side, Stream};

/// The one root context; streams count on from here.
pub(super) const ROOT: u32 = 1;

/// An HTTP call that the guest has dispatched and that nobody has answered yet.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// What the guest knows it by.
    pub token: u32,
    /// The cluster that it named.
    pub cluster: String,
    /// Its headers, pseudo headers included.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
    /// How long the guest wants to wait; zero is for ever.
    pub timeout: Duration,
    /// When it was dispatched.
    pub dispatched_at_unix_nanos: u64,
}

/// The answer that the guest is reading.
pub(super) struct HttpAnswer {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// What a host function asked for and what happens when the callback has returned, as in Envoy.
pub(super) enum Deferred {
    Resume(u32, Side),
    Reply(u32, LocalReply),
    Reset(u32),
}

pub(super) struct State {
    pub(super) options: HostOptions,
    pub(super) limits: StoreLimits,
    pub(super) now_unix_nanos: u64,
    pub(super) random: u64,
    pub(super) logs: Logs,
    pub(super) metrics: Metrics,
    pub(super) vm: u64,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) plugin_configuration: Option<Vec<u8>>,
    pub(super) tick_period_nanos: Option<u64>,
    pub(super) next_tick_unix_nanos: u64,
    pub(super) http_calls: BTreeMap<u32, HttpCall>,
    pub(super) last_http_call: u32,
    pub(super) http_answer: Option<HttpAnswer>,
    pub(super) http_calls_refused_with: Option<Status>,
    /// What `proxy_get_status` tells about the call that just ended.
    pub(super) call_status: (u32, &'static str),
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) last_context: u32,
    /// The context whose callback runs.
    pub(super) current: u32,
    /// The context that the guest asked to act as; 0 is none. Forgotten when the callback returns.
    pub(super) effective: u32,
    pub(super) deferred: VecDeque<Deferred>,
    /// Host functions that the callback has called, in order; WASI's are not among them.
    pub(super) host_calls: Vec<&'static str>,
    pub(super) misuse: Option<String>,
    pub(super) done: bool,
}

impl State {
    pub(super) fn new(options: HostOptions) -> Self {
        Self {
            limits: StoreLimitsBuilder::new().memory_size(options.memory_bytes_max).build(),
            now_unix_nanos: options.now_unix_nanos,
            random: options.random_seed,
            logs: Logs::default(),
            metrics: Metrics::default(),
            vm: options.shared.next_vm(),
            options,
            properties: BTreeMap::new(),
            plugin_configuration: None,
            tick_period_nanos: None,
            next_tick_unix_nanos: 0,
            http_calls: BTreeMap::new(),
            last_http_call: 0,
            http_answer: None,
            http_calls_refused_with: None,
            call_status: (0, ""),
            streams: BTreeMap::new(),
            last_context: 0,
            current: 0,
            effective: 0,
            deferred: VecDeque::new(),
            host_calls: Vec::new(),
            misuse: None,
            done: false,
        }
    }

    /// The context on whose behalf a host function acts.
    pub(super) fn active(&self) -> u32 {
        let exists = self.effective == ROOT || self.streams.contains_key(&self.effective);
        if exists { self.effective } else { self.current }
    }

    pub(super) fn active_stream(&mut self) -> Option<&mut Stream> {
        let id = self.active();
        self.streams.get_mut(&id)
    }

    pub(super) fn next_context(&mut self) -> u32 {
        self.last_context = self.last_context.saturating_add(1);
        self.last_context
    }

    pub(super) fn log(&mut self, level: LogLevel, source: LogSource, message: String) {
        if level >= self.options.log_level {
            let context = self.active();
            self.logs.push(LogLine { level, source, context, message });
        }
    }

    pub(super) fn remark(&mut self, message: String) {
        self.log(LogLevel::Warn, LogSource::Host, message);
    }

    /// The map as the guest may read it now.
    pub(super) fn readable_map(&mut self, map: MapType) -> Option<&Headers> {
        match map {
            MapType::RequestHeaders => self.active_stream()?.readable_headers(Side::Request),
            MapType::ResponseHeaders => self.active_stream()?.readable_headers(Side::Response),
            MapType::HttpCallResponseHeaders => self.http_answer.as_ref().map(|answer| &answer.headers),
            MapType::Absent => None,
        }
    }

    /// The map as the guest may change it now.
    pub(super) fn writable_map(&mut self, map: MapType) -> Option<&mut Headers> {
        match map {
            MapType::RequestHeaders => self.active_stream()?.writable_headers(Side::Request),
            MapType::ResponseHeaders => self.active_stream()?.writable_headers(Side::Response),
            MapType::HttpCallResponseHeaders | MapType::Absent => None,
        }
    }

    /// SplitMix64: the same bytes for the same seed, on every machine.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
