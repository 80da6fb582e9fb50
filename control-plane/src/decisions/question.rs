//! A request in the JSON profile or in XML, before it is known how it is to be read.

use axum::body::Bytes;
use policies::xacml::context::{self, EntryPoint, Names};
use policies::xacml::request::{Request, RequestError};
use policies::xacml::response::{Response, StatusCode};
use policies::xacml::{Semantics, json_profile, xml_context};

/// How a request is written, and how its answer will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

/// The bytes, and the first reading of them.
#[derive(Debug)]
pub(super) struct Question {
    bytes: Bytes,
    pub(super) format: Format,
    pub(super) entry: EntryPoint,
    as_altinn: Result<Request, RequestError>,
}

impl Question {
    pub(super) fn new(bytes: Bytes, format: Format, entry: EntryPoint) -> Self {
        let as_altinn = read(&bytes, format, Semantics::Altinn);
        Self { bytes, format, entry, as_altinn }
    }

    /// What the request names, in whichever reading it can be read.
    pub(super) fn names(&self) -> Names {
        match &self.as_altinn {
            Ok(request) => Names::of(request),
            Err(_) => self.read(Semantics::Standard).map_or_else(|_| Names::default(), |request| Names::of(&request)),
        }
    }

    /// The request, or the answer to one that cannot be read.
    pub(super) fn request(&self, semantics: Semantics) -> Result<Request, Response> {
        let read = match semantics {
            Semantics::Altinn => self.as_altinn.clone(),
            Semantics::Standard => self.read(semantics),
        };
        read.map_err(|error| match semantics {
            Semantics::Altinn => context::refused(&error, self.entry),
            Semantics::Standard => Response::indeterminate(StatusCode::SyntaxError, error.message),
        })
    }

    /// The answer to a request that is not looked into.
    pub(super) fn refused(&self, message: String) -> Response {
        let code = match self.entry {
            EntryPoint::External => StatusCode::ProcessingError,
            EntryPoint::Internal => StatusCode::SyntaxError,
        };
        Response::indeterminate(code, message)
    }

    fn read(&self, semantics: Semantics) -> Result<Request, RequestError> {
        read(&self.bytes, self.format, semantics)
    }
}

fn read(bytes: &[u8], format: Format, semantics: Semantics) -> Result<Request, RequestError> {
    match format {
        Format::Json => json_profile::read_request(bytes, semantics),
        Format::Xml => xml_context::read_request(bytes, semantics),
    }
}
