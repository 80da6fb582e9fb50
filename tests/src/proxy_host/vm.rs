//! One running VM as the test drives it: life cycle, time, HTTP calls, queues, and what can be observed.
//!
//! What happens to a stream is in `vm_streams.rs`. After every callback the actions that the guest deferred (resume,
//! reply, reset) are carried out in order, as Envoy does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wasmtime::{Instance, InstancePre, Store, WasmParams, WasmResults};

use super::HostOptions;
use super::abi::Status;
use super::failure::{Cause, GuestFailure};
use super::headers::Headers;
use super::logs::LogLine;
use super::properties;
use super::state::{HttpAnswer, HttpCall, ROOT, State};

/// Envoy's limit for the body of an answered HTTP call; a longer one reaches the guest as a failed call.
const HTTP_CALL_BODY_BYTES_MAX: usize = 32 << 20;
/// More ticks than this in one `advance` are a mistake in the test.
const TICKS_MAX: u64 = 1_000_000;
/// How much of the log a failure carries.
const FAILURE_LOG_LINES: usize = 20;

/// One instance of the module with one root context.
pub struct Vm {
    pub(super) store: Store<State>,
    instance: Instance,
    dead: bool,
    fuel_used: u64,
}

impl Vm {
    pub(super) fn start(
        module: &InstancePre<State>,
        configuration: &str,
        options: HostOptions,
    ) -> Result<Self, GuestFailure> {
        let fuel = options.fuel_per_callback;
        let vm_configuration_size = options.vm_configuration.len();
        let mut store = Store::new(module.module().engine(), State::new(options));
        store.limiter(|state| &mut state.limits);
        let instance = store.set_fuel(fuel).and_then(|()| module.instantiate(&mut store));
        let instance = instance.map_err(|error| failure_in(&store, "instantiate", 0, Cause::of(&error, fuel)))?;
        let mut vm = Self { store, instance, dead: false, fuel_used: 0 };
        vm.run_constructors()?;

        let root = vm.state_mut().next_context();
        vm.call::<_, ()>("proxy_on_context_create", root, (root, 0_u32))?;
        let accepted = vm.call::<_, u32>("proxy_on_vm_start", root, (root, size(vm_configuration_size)))?;
        vm.must_accept("proxy_on_vm_start", accepted)?;
        vm.state_mut().plugin_configuration = Some(configuration.as_bytes().to_vec());
        let accepted = vm.call::<_, u32>("proxy_on_configure", root, (root, size(configuration.len())));
        vm.state_mut().plugin_configuration = None;
        vm.must_accept("proxy_on_configure", accepted?)?;
        Ok(vm)
    }

    /// Sets the clock. Nothing else happens: no tick, no timeout.
    pub fn set_now(&mut self, unix_nanos: u64) {
        self.state_mut().now_unix_nanos = unix_nanos;
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.state().now_unix_nanos
    }

    /// How often the guest wants to be ticked.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        self.state().tick_period_nanos.map(Duration::from_nanos)
    }

    /// Ticks once, now.
    ///
    /// # Errors
    /// When the guest has not asked for ticks, or fails.
    pub fn tick(&mut self) -> Result<(), GuestFailure> {
        let Some(period) = self.state().tick_period_nanos else {
            return Err(self.not_possible("proxy_on_tick", "the guest has not asked for ticks"));
        };
        let state = self.state_mut();
        state.next_tick_unix_nanos = state.now_unix_nanos.saturating_add(period);
        self.call::<_, ()>("proxy_on_tick", ROOT, ROOT).map(|_| ())
    }

    /// Moves the clock on, ticking whenever a tick is due; gives the number of ticks.
    ///
    /// # Errors
    /// When the guest fails in one of them.
    pub fn advance(&mut self, by: Duration) -> Result<u64, GuestFailure> {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let end = self.now().saturating_add(nanos);
        let mut ticks = 0_u64;
        while self.state().tick_period_nanos.is_some() && self.state().next_tick_unix_nanos <= end {
            if ticks == TICKS_MAX {
                return Err(self.not_possible("proxy_on_tick", "too many ticks in one step"));
            }
            let due = self.state().next_tick_unix_nanos.max(self.now());
            self.set_now(due);
            self.tick()?;
            ticks = ticks.saturating_add(1);
        }
        self.set_now(end);
        Ok(ticks)
    }

    /// The HTTP calls that wait for an answer, oldest first.
    #[must_use]
    pub fn pending_http_calls(&self) -> Vec<HttpCall> {
        self.state().http_calls.values().cloned().collect()
    }

    /// Answers an HTTP call. `:status` is put before the headers. A body over 32 MiB reaches the guest as a failed
    /// call, which is what Envoy makes of it.
    ///
    /// # Errors
    /// When there is no such call, or the guest fails.
    pub fn answer_http_call(
        &mut self,
        token: u32,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), GuestFailure> {
        if body.len() > HTTP_CALL_BODY_BYTES_MAX {
            self.state_mut().remark("the answer exceeds 32 MiB: the guest gets no response".to_owned());
            return self.fail_http_call(token);
        }
        let status = status.to_string();
        let all = [(":status", status.as_str())].into_iter().chain(headers.iter().copied());
        let headers: Headers = all.collect::<Headers>().joined(true);
        self.end_http_call(token, Some(HttpAnswer { headers, body: body.to_vec() }))
    }

    /// Ends an HTTP call without a response: the guest sees 0 headers, as when the connection is reset.
    ///
    /// # Errors
    /// When there is no such call, or the guest fails.
    pub fn fail_http_call(&mut self, token: u32) -> Result<(), GuestFailure> {
        self.end_http_call(token, None)
    }

    /// Ends an HTTP call the way Envoy ends one that ran into its timeout.
    ///
    /// # Errors
    /// When there is no such call, or the guest fails.
    pub fn time_out_http_call(&mut self, token: u32) -> Result<(), GuestFailure> {
        self.answer_http_call(token, 504, &[("content-type", "text/plain")], b"upstream request timeout")
    }

    /// From now on new HTTP calls are refused at once with this status; `None` takes them again.
    pub fn refuse_http_calls(&mut self, with: Option<Status>) {
        self.state_mut().http_calls_refused_with = with;
    }

    /// Tells the guest about messages in queues that this VM registered last; gives how often it was told.
    ///
    /// # Errors
    /// When the guest fails.
    pub fn deliver_queue_events(&mut self) -> Result<usize, GuestFailure> {
        let state = self.state();
        let queues = state.options.shared.take_events(state.vm);
        for queue in &queues {
            self.call::<_, ()>("proxy_on_queue_ready", ROOT, (ROOT, *queue))?;
        }
        Ok(queues.len())
    }

    /// Ends the root context: done, then delete unless the guest wants to finish something first; gives whether it is
    /// finished. Ask again after the guest called `proxy_done`.
    ///
    /// # Errors
    /// When the guest fails.
    pub fn shut_down(&mut self) -> Result<bool, GuestFailure> {
        let done = self.state().done || self.call::<_, u32>("proxy_on_done", ROOT, ROOT)?.is_none_or(|done| done != 0);
        if done {
            self.call::<_, ()>("proxy_on_delete", ROOT, ROOT)?;
        }
        Ok(done)
    }

    /// Sets a property that the guest can read in every context, such as `["xds", "cluster_name"]`.
    pub fn set_property(&mut self, path: &[&str], value: &[u8]) {
        self.state_mut().properties.insert(properties::path(path), value.to_vec());
    }

    /// Everything that was logged, in order.
    #[must_use]
    pub fn logs(&self) -> &[LogLine] {
        self.state().logs.lines()
    }

    /// Everything that was logged since the last time, in order.
    pub fn take_logs(&mut self) -> Vec<LogLine> {
        self.state_mut().logs.take()
    }

    /// A counter or a gauge.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.state().metrics.named(name)
    }

    /// All counters and gauges.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        self.state().metrics.all()
    }

    /// What was recorded in a histogram.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        self.state().metrics.histogram(name)
    }

    /// What the last callback used: the same for the same input on every machine.
    #[must_use]
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// Functions of the host that the last callback called, in order.
    #[must_use]
    pub fn host_calls(&self) -> &[&'static str] {
        &self.state().host_calls
    }

    /// How many bytes of memory the guest has.
    pub fn memory_bytes(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Calls an export if there is one, then carries out what the guest deferred.
    pub(super) fn call<Params: WasmParams, Results: WasmResults>(
        &mut self,
        callback: &'static str,
        context: u32,
        params: Params,
    ) -> Result<Option<Results>, GuestFailure> {
        if self.dead {
            return Err(self.failure(callback, context, Cause::Dead));
        }
        if self.instance.get_func(&mut self.store, callback).is_none() {
            return Ok(None);
        }
        let fuel = self.state().options.fuel_per_callback;
        let function = self.instance.get_typed_func::<Params, Results>(&mut self.store, callback);
        let function = function.map_err(|error| self.failure(callback, context, Cause::of(&error, fuel)))?;
        let state = self.state_mut();
        (state.current, state.effective) = (context, 0);
        state.host_calls.clear();
        let result = self.store.set_fuel(fuel).and_then(|()| function.call(&mut self.store, params));
        self.fuel_used = fuel.saturating_sub(self.store.get_fuel().unwrap_or(0));
        match result {
            Ok(results) => {
                (self.state_mut().current, self.state_mut().effective) = (0, 0);
                self.run_deferred(callback, context)?;
                Ok(Some(results))
            }
            Err(error) => {
                self.dead = true;
                Err(self.failure(callback, context, Cause::of(&error, fuel)))
            }
        }
    }

    pub(super) fn state(&self) -> &State {
        self.store.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(super) fn failure(&self, callback: &'static str, context: u32, cause: Cause) -> GuestFailure {
        failure_in(&self.store, callback, context, cause)
    }

    pub(super) fn not_possible(&self, callback: &'static str, why: impl Into<String>) -> GuestFailure {
        self.failure(callback, ROOT, Cause::NotPossible(why.into()))
    }

    /// A reactor has `_initialize`, perhaps followed by a `main`; a command has `_start`.
    fn run_constructors(&mut self) -> Result<(), GuestFailure> {
        if self.call::<_, ()>("_initialize", 0, ())?.is_some() {
            return self.call::<_, i32>("main", 0, (0_u32, 0_u32)).map(|_| ());
        }
        self.call::<_, ()>("_start", 0, ()).map(|_| ())
    }

    fn must_accept(&self, callback: &'static str, accepted: Option<u32>) -> Result<(), GuestFailure> {
        if accepted == Some(0) { Err(self.failure(callback, ROOT, Cause::Refused)) } else { Ok(()) }
    }

    fn end_http_call(&mut self, token: u32, answer: Option<HttpAnswer>) -> Result<(), GuestFailure> {
        let callback = "proxy_on_http_call_response";
        if self.state_mut().http_calls.remove(&token).is_none() {
            return Err(self.not_possible(callback, format!("no pending HTTP call has token {token}")));
        }
        let count = answer.as_ref().map_or(0, |answer| answer.headers.len());
        let body = answer.as_ref().map_or(0, |answer| answer.body.len());
        let state = self.state_mut();
        if answer.is_none() {
            // The number stays until the next failure, as in Envoy; only the text is forgotten.
            state.call_status = (Status::BrokenConnection as u32, "reset");
        }
        state.http_answer = answer;
        let result = self.call::<_, ()>(callback, ROOT, (ROOT, token, size(count), size(body), 0_u32));
        let state = self.state_mut();
        state.http_answer = None;
        state.call_status.1 = "";
        result.map(|_| ())
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        formatter
            .debug_struct("Vm")
            .field("dead", &self.dead)
            .field("now_unix_nanos", &state.now_unix_nanos)
            .field("streams", &state.streams.len())
            .field("http_calls", &state.http_calls.len())
            .finish_non_exhaustive()
    }
}

fn failure_in(store: &Store<State>, callback: &'static str, context: u32, cause: Cause) -> GuestFailure {
    GuestFailure { callback, context, cause, logs: store.data().logs.last(FAILURE_LOG_LINES) }
}

pub(super) fn size(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
