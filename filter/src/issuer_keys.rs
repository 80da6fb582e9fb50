//! Keys from the issuers themselves, beside those of the snapshot: fetched when a token names a key that is not known. The
//! call with that token waits meanwhile, so that no call is refused because its issuer has a new key.
//!
//! All workers of a gateway together ask an issuer at most once in an interval, whatever tokens come: the instant of the
//! last try is a lease in the host's shared data. What came is put there too, sealed, and every worker reads it itself.
//! A set counts whole or not at all, and the last good one stays. Keys serve the issuer that they were fetched for; where
//! the snapshot has a key of the same id, that one counts. An issuer that the snapshot does not trust stays untrusted.

use policies::Timestamp;
use policies::token::{KEY_SET_BYTES_MAX, KeySetError, VerificationKey, key_set, named_issuer};

use crate::config::{Config, IssuerKeysSource};
use crate::feed::shared::{Seal, SharedData};

/// How often a set that was fetched is fetched anew, in milliseconds: keys that an issuer no longer publishes go.
const REFRESH_MILLIS: i64 = 3_600_000;
/// How long it is worth to wait for what another worker asked for, in milliseconds.
pub(crate) const ANSWER_MILLIS_MAX: i64 = 2_000;

/// The keys of all issuers that are fetched.
pub(crate) struct IssuerKeys {
    sources: Vec<Source>,
    seal: Seal,
}

struct Source {
    config: IssuerKeysSource,
    is_wanted: bool,
    under_way: Option<u32>,
    /// When this worker last tried, or saw that another had.
    tried: Option<Timestamp>,
    /// When another did, while this one wanted to.
    another_tried: Option<Timestamp>,
    /// When the set in use was fetched, in milliseconds since 1970.
    fetched_millis: i64,
    keys: Vec<VerificationKey>,
}

/// A fetch that is due.
pub(crate) struct Fetch<'a> {
    pub(crate) source: usize,
    pub(crate) config: &'a IssuerKeysSource,
}

impl IssuerKeys {
    pub(crate) fn new(config: &Config) -> Self {
        let source = |config: &IssuerKeysSource| Source {
            config: config.clone(),
            is_wanted: false,
            under_way: None,
            tried: None,
            another_tried: None,
            fetched_millis: 0,
            keys: Vec::new(),
        };
        Self { sources: config.issuer_keys.iter().map(source).collect(), seal: Seal::new(config.followed()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// A token named a key that its issuer is not known to have; `true` when it is worth to wait for that issuer's keys:
    /// it is being asked, or may be for all that this worker knows.
    pub(crate) fn key_unknown(&mut self, token: &str, now: Timestamp) -> bool {
        let Some(issuer) = named_issuer(token) else { return false };
        let Some(source) = self.sources.iter_mut().find(|source| source.config.issuer == issuer) else { return false };
        source.is_wanted = true;
        source.under_way.is_some() || source.is_time_over(now) || source.another_asks(now)
    }

    /// Issuers and the keys that were fetched for them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &[VerificationKey])> {
        self.sources.iter().map(|source| (source.config.issuer.as_str(), source.keys.as_slice()))
    }

    /// The next fetch that is due, if there is one that no worker has tried lately. Whoever gets it tries.
    pub(crate) fn due(&mut self, shared: &dyn SharedData, now: Timestamp) -> Option<Fetch<'_>> {
        let seal = &self.seal;
        let position = self.sources.iter_mut().position(|source| {
            let age = now.unix_millis() - source.fetched_millis;
            source.is_wanted |= source.fetched_millis > 0 && !(0..REFRESH_MILLIS).contains(&age);
            source.is_wanted && source.under_way.is_none() && source.may_try(seal, shared, now)
        })?;
        let source = self.sources.get(position)?;
        Some(Fetch { source: position, config: &source.config })
    }

    /// The fetch was sent under this token.
    pub(crate) fn sent(&mut self, source: usize, token: Option<u32>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.under_way = token;
        }
    }

    /// The fetch that a reply is to.
    pub(crate) fn source_of(&self, token: u32) -> Option<usize> {
        self.sources.iter().position(|source| source.under_way == Some(token))
    }

    /// Takes the answer to a fetch; `true` when the keys have changed. A set that is refused changes nothing.
    pub(crate) fn fetched(
        &mut self,
        source: usize,
        status: Option<u16>,
        body: &[u8],
        shared: &dyn SharedData,
        now: Timestamp,
    ) -> Result<bool, KeySetError> {
        let Some(source) = self.sources.get_mut(source) else { return Ok(false) };
        source.under_way = None;
        if status != Some(200) {
            return Err(KeySetError::Malformed);
        }
        let keys = key_set(body)?;
        source.is_wanted = false;
        source.fetched_millis = now.unix_millis();
        let record = [&now.unix_millis().to_le_bytes()[..], body].concat();
        let name = self.seal.name(&format!("keys.{}", source.config.issuer));
        shared.set(&name, &self.seal.sealed(&name, &record), None);
        let is_changed = keys != source.keys;
        source.keys = keys;
        Ok(is_changed)
    }

    /// Takes what other workers have fetched since; `true` when there was anything.
    pub(crate) fn look(&mut self, shared: &dyn SharedData, now: Timestamp) -> bool {
        let mut is_new = false;
        for source in &mut self.sources {
            let name = self.seal.name(&format!("keys.{}", source.config.issuer));
            let Some((record, _)) = shared.get(&name) else { continue };
            // The instant stands first, and an unchanged one costs no look at the seal.
            let Some((millis, _)) = record.split_first_chunk() else { continue };
            let millis = i64::from_le_bytes(*millis);
            if millis <= source.fetched_millis || millis > now.unix_millis() + REFRESH_MILLIS {
                continue;
            }
            let opened = self.seal.opened(&name, &record).and_then(|record| record.get(size_of::<i64>()..));
            if let Some(Ok(keys)) = opened.map(key_set) {
                source.fetched_millis = millis;
                source.is_wanted = false;
                is_new = true;
                source.keys = keys;
            }
        }
        is_new
    }
}

impl Source {
    /// As far as this worker knows, the interval since the last try is over.
    fn is_time_over(&self, now: Timestamp) -> bool {
        let interval = i64::from(self.config.interval_seconds) * 1000;
        self.tried.is_none_or(|tried| is_over_at(tried.unix_millis(), now, interval))
    }

    /// Another worker has asked just now, and nothing has come of it yet.
    fn another_asks(&self, now: Timestamp) -> bool {
        self.another_tried.is_some_and(|tried| {
            self.fetched_millis < tried.unix_millis() && (0..ANSWER_MILLIS_MAX).contains(&now.millis_since(tried))
        })
    }

    /// Takes the lease of the next try.
    fn may_try(&mut self, seal: &Seal, shared: &dyn SharedData, now: Timestamp) -> bool {
        let interval = i64::from(self.config.interval_seconds) * 1000;
        if !self.is_time_over(now) {
            return false;
        }
        let name = seal.name(&format!("tried.{}", self.config.issuer));
        // A lease in a missing place could be taken by two: it is put there expired, and then competed for.
        if shared.get(&name).is_none() {
            shared.set(&name, &seal.sealed(&name, &i64::MIN.to_le_bytes()), None);
        }
        if let Some((record, state)) = shared.get(&name) {
            let tried = seal.opened(&name, &record).and_then(|record| record.first_chunk().copied());
            let tried = tried.map(i64::from_le_bytes).filter(|tried| !is_over_at(*tried, now, interval));
            let lease = seal.sealed(&name, &now.unix_millis().to_le_bytes());
            if tried.is_some() || !shared.set(&name, &lease, Some(state)) {
                self.tried = tried.map(Timestamp::from_unix_millis);
                self.another_tried = self.tried;
                return false;
            }
        }
        self.tried = Some(now);
        true
    }
}

/// The interval since that instant is over, also when the clock was set back.
fn is_over_at(tried: i64, now: Timestamp, interval: i64) -> bool {
    !(0..interval).contains(&now.unix_millis().saturating_sub(tried))
}

/// Longest answer that is taken from the host, in bytes: one more than a set may have, so that it is refused by name.
pub(crate) const ANSWER_BYTES_MAX: usize = KEY_SET_BYTES_MAX + 1;

#[cfg(test)]
mod tests {
    use policies::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::feed::shared::tests::{MemoryShared, NoShared};

    const ISSUER: &str = "https://issuer.example/";

    fn config() -> Config {
        let mut config = crate::config::tests::valid();
        config["issuerKeys"] = json!([{"issuer": ISSUER, "cluster": "issuer", "authority": "issuer.example",
            "path": "/jwks", "intervalSeconds": 30}]);
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn set(kid: &str) -> Vec<u8> {
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": kid,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})
        .to_string()
        .into_bytes()
    }

    fn now(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + seconds)
    }

    fn want(keys: &mut IssuerKeys) {
        keys.sources[0].is_wanted = true;
    }

    #[test]
    fn all_workers_ask_once_in_an_interval() {
        let shared = MemoryShared::default();
        let mut workers = [IssuerKeys::new(&config()), IssuerKeys::new(&config()), IssuerKeys::new(&config())];
        let mut asked = Vec::new();
        for second in 0..95 {
            for (number, worker) in workers.iter_mut().enumerate() {
                want(worker);
                if let Some(fetch) = worker.due(&shared, now(second)) {
                    let source = fetch.source;
                    asked.push((second, number));
                    assert!(worker.fetched(source, Some(503), b"", &shared, now(second)).is_err());
                }
            }
        }
        assert_eq!(asked, [(0, 0), (30, 0), (60, 0), (90, 0)]);
    }

    #[test]
    fn to_wait_is_worth_it_once_in_an_interval() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let encoded = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let claims = encoded(&format!(r#"{{"iss":"{ISSUER}"}}"#));
        let token = format!("{}.{claims}.c2ln", encoded(r#"{"alg":"ES256","kid":"a"}"#));
        let shared = MemoryShared::default();
        let (mut one, mut other) = (IssuerKeys::new(&config()), IssuerKeys::new(&config()));
        assert!(!one.key_unknown("no token", now(0)));
        assert!(one.key_unknown(&token, now(0)) && other.key_unknown(&token, now(0)));
        let source = one.due(&shared, now(0)).unwrap().source;
        one.sent(source, Some(7));
        assert!(one.key_unknown(&token, now(1)), "it is being asked");
        assert!(other.due(&shared, now(1)).is_none());
        assert!(other.key_unknown(&token, now(1)), "another asks");
        assert!(!other.key_unknown(&token, now(2)), "nothing came of it");
        assert!(one.fetched(source, Some(503), b"", &shared, now(2)).is_err());
        assert!(!one.key_unknown(&token, now(29)));
        assert!(one.key_unknown(&token, now(30)) && other.key_unknown(&token, now(30)));
    }

    #[test]
    fn a_worker_without_shared_data_keeps_the_interval_too() {
        let mut keys = IssuerKeys::new(&config());
        let shared = NoShared;
        let mut asked = 0;
        for second in 0..60 {
            want(&mut keys);
            if let Some(Fetch { source, .. }) = keys.due(&shared, now(second)) {
                asked += 1;
                assert!(keys.fetched(source, None, b"", &shared, now(second)).is_err());
            }
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn what_one_worker_fetched_the_others_have() {
        let shared = MemoryShared::default();
        let (mut one, mut other) = (IssuerKeys::new(&config()), IssuerKeys::new(&config()));
        assert_eq!(one.fetched(0, Some(200), &set("a"), &shared, now(0)), Ok(true));
        assert!(other.look(&shared, now(0)));
        assert!(!other.look(&shared, now(1)), "nothing new");
        let (issuer, keys) = other.all().next().unwrap();
        assert_eq!((issuer, keys.len(), keys[0].kid()), (ISSUER, 1, "a"));
    }

    #[test]
    fn the_last_good_set_stays() {
        let shared = MemoryShared::default();
        let mut keys = IssuerKeys::new(&config());
        assert_eq!(keys.fetched(0, Some(200), &set("a"), &shared, now(0)), Ok(true));
        let twice = String::from_utf8(set("b")).unwrap().replace("}]}", "},{\"kid\":\"b\"}]}");
        for (status, body) in [
            (Some(200), b"<html>".to_vec()),
            (Some(200), Vec::new()),
            (Some(200), br#"{"keys":[]}"#.to_vec()),
            (Some(200), vec![b' '; 2 << 20]),
            (Some(200), twice.into_bytes()),
            (Some(500), set("b")),
            (None, set("b")),
        ] {
            assert!(keys.fetched(0, status, &body, &shared, now(100)).is_err());
            assert_eq!(keys.all().next().unwrap().1[0].kid(), "a");
        }
    }

    #[test]
    fn what_others_write_there_counts_for_nothing() {
        let shared = MemoryShared::default();
        let mut keys = IssuerKeys::new(&config());
        let name = keys.seal.name(&format!("keys.{ISSUER}"));
        let record = [&now(5).unix_millis().to_le_bytes()[..], &set("evil"), &[0; 32]].concat();
        shared.set(&name, &record, None);
        assert!(!keys.look(&shared, now(6)));
        assert!(keys.all().all(|(_, keys)| keys.is_empty()));
    }
}
