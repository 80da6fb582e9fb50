//! What came back of a call, and what is expected of it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use policies::snapshot::SnapshotVersion;
use policies::token::PureRust;
use policies::{ApiCall, Decision, PolicySet, authorize};
use serde_json::{Value, json};

use super::TestState;
use crate::state::Clock as _;

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) json: Value,
    pub(crate) bytes: Bytes,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    #[track_caller]
    pub(crate) fn expect_code(self, status: u16, code: &str) {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.json);
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }

    #[track_caller]
    pub(crate) fn expect_invalid(self, codes: &[&str]) {
        assert_eq!(self.invalid_codes(), codes, "{}", self.json);
    }

    /// Codes of the wrong parts.
    #[track_caller]
    pub(crate) fn invalid_codes(&self) -> Vec<String> {
        assert_eq!((self.status, &self.json["code"]), (400, &json!("STD-00000")), "{}", self.json);
        let errors = self.json["validationErrors"].as_array().unwrap();
        errors.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
    }
}

/// A fetched snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) etag: String,
    pub(super) body: Bytes,
}

impl Fetched {
    pub(crate) fn version(&self) -> SnapshotVersion {
        self.etag.trim_matches('"').parse().unwrap()
    }

    /// Opens it as a gateway would.
    pub(crate) fn open(self, test: &TestState) -> PolicySet {
        test.open("regnskapsregisteret", self.body)
    }

    /// What a gateway with it answers the bearer of a token who reads the customer's VAT returns.
    pub(crate) fn decide(self, test: &TestState, token: &str) -> Decision {
        let policy = self.open(test);
        let authorization = format!("Bearer {token}");
        let headers = [
            (":method", "GET"),
            (":authority", "api.test"),
            (":path", "/vat/310247049/returns"),
            ("authorization", authorization.as_str()),
        ];
        let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
        authorize(&policy, &call, test.clock.now(), &PureRust)
    }
}
