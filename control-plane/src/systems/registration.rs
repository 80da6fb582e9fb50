//! What a vendor says about a system, and the rules that it keeps. Everything that is wrong is found, not only the first.
//!
//! Shared by the operations that store a system whole ([`super::register`], [`super::replace`]) or a part of it.

use std::collections::BTreeSet;

use policies::id::{AccessPackage, IdError, MaskinportenClientId, OrganizationNumber, SystemId};
use serde::Deserialize;

use super::model::{RedirectUrl, SystemContent};
use super::store;
use crate::access_packages;
use crate::fields::{LocalizedText, NAME_CHARS_MAX, is_text};
use crate::problem::{Invalid, InvalidCode, Problem, codes};
use crate::resources;
use crate::right::{AccessPackageBody, ResourceRight, RightBody};
use crate::store::Connection;

pub(super) const SYSTEM_ID: &str = "/registersystemrequest/systemid";
const NAME: &str = "/registersystemrequest/name";
const DESCRIPTION: &str = "/registersystemrequest/description";
const REDIRECT_URLS: &str = "/registersystemrequest/allowedredirecturls";
const CLIENT_ID: &str = "/registersystemrequest/clientid";
const ACCESS_PACKAGES: &str = "/registersystemrequest/accesspackages";
const RESOURCE: &str = "/registersystemrequest/rights/resource";

const DESCRIPTION_CHARS_MAX: usize = 2000;
/// Entries of each of a system's lists.
const ENTRIES_MAX: usize = 1000;

/// A system as it arrives.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    id: String,
    vendor: Option<VendorBody>,
    name: Option<TextBody>,
    description: Option<TextBody>,
    #[serde(default)]
    rights: Vec<RightBody>,
    #[serde(default, rename = "accesspackages")]
    access_packages: Vec<AccessPackageBody>,
    #[serde(default, rename = "clientid")]
    client_ids: Vec<String>,
    #[serde(default, rename = "allowedredirecturls")]
    redirect_urls: Vec<String>,
    #[serde(default, rename = "isvisible")]
    is_visible: bool,
}

#[derive(Debug, Deserialize)]
struct VendorBody {
    #[serde(default)]
    id: String,
}

#[derive(Debug, Default, Deserialize)]
struct TextBody {
    nb: Option<String>,
    nn: Option<String>,
    en: Option<String>,
}

impl Body {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The vendor, named by its ISO 6523 identifier.
    pub(super) fn vendor(&self) -> Result<OrganizationNumber, IdError> {
        OrganizationNumber::from_iso6523(self.vendor.as_ref().map_or("", |vendor| vendor.id.as_str()))
    }

    /// Everything but the identity. A system that is there already may keep its client ids.
    pub(super) async fn check(
        self,
        connection: &mut Connection,
        system: Option<&SystemId>,
        wrong: &mut Wrong,
    ) -> Result<SystemContent, sqlx::Error> {
        Ok(SystemContent {
            name: localized(self.name.unwrap_or_default(), NAME, NAME_CHARS_MAX, wrong),
            description: match self.description {
                Some(description) => localized(description, DESCRIPTION, DESCRIPTION_CHARS_MAX, wrong),
                None => LocalizedText::default(),
            },
            rights: rights(connection, &self.rights, wrong).await?,
            access_packages: access_packages(&self.access_packages, self.is_visible, wrong),
            client_ids: client_ids(connection, &self.client_ids, system, wrong).await?,
            redirect_urls: redirect_urls(&self.redirect_urls, wrong),
            is_visible: self.is_visible,
        })
    }
}

/// What is wrong so far; each code once.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<Invalid>);

impl Wrong {
    pub(super) fn add(&mut self, code: InvalidCode, path: &'static str) {
        let invalid = Invalid::at(code, path);
        if !self.0.contains(&invalid) {
            self.0.push(invalid);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses if something is wrong.
    pub(super) fn require_nothing(self) -> Result<(), Problem> {
        if self.is_empty() { Ok(()) } else { Err(self.into()) }
    }

    /// The first entries of a list, as many as a system may have.
    fn few<'list, T>(&mut self, list: &'list [T], path: &'static str) -> &'list [T] {
        if list.len() > ENTRIES_MAX {
            self.add(codes::TOO_MANY_ENTRIES, path);
        }
        list.get(..ENTRIES_MAX).unwrap_or(list)
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::validation(wrong.0)
    }
}

/// A text in each of the three languages.
fn localized(
    TextBody { nb, nn, en }: TextBody,
    path: &'static str,
    chars_max: usize,
    wrong: &mut Wrong,
) -> LocalizedText {
    let [nb, nn, en] = [nb, nn, en].map(Option::unwrap_or_default);
    if ![&nb, &nn, &en].into_iter().all(|text| is_text(text, chars_max)) {
        wrong.add(codes::NAME_INCOMPLETE, path);
    }
    LocalizedText { nb, nn, en }
}

/// Rights on delegable resources, each once.
pub(super) async fn rights(
    connection: &mut Connection,
    bodies: &[RightBody],
    wrong: &mut Wrong,
) -> Result<Vec<ResourceRight>, sqlx::Error> {
    let mut rights = Vec::new();
    let mut seen = BTreeSet::new();
    for body in wrong.few(bodies, RESOURCE) {
        let Ok(right) = ResourceRight::try_from(body) else {
            wrong.add(codes::RESOURCE_FORMAT, RESOURCE);
            continue;
        };
        if !seen.insert(right.clone()) {
            wrong.add(codes::DUPLICATE_RIGHTS, RESOURCE);
        }
        rights.push(right);
    }
    let resources: BTreeSet<_> = rights.iter().map(|right| right.resource.clone()).collect();
    let known = resources::store::delegability(connection, &resources).await?;
    for resource in &resources {
        match known.get(resource) {
            None => wrong.add(codes::RESOURCE_NOT_FOUND, RESOURCE),
            Some(false) => wrong.add(codes::RESOURCE_TYPE_NOT_DELEGABLE, RESOURCE),
            Some(true) => {}
        }
    }
    Ok(rights)
}

/// Packages of the catalogue that a system user may hold, each once; in a visible system only those that whoever finds it
/// can give.
pub(super) fn access_packages(bodies: &[AccessPackageBody], is_visible: bool, wrong: &mut Wrong) -> Vec<AccessPackage> {
    let mut packages = Vec::new();
    let mut seen = BTreeSet::new();
    for body in wrong.few(bodies, ACCESS_PACKAGES) {
        let package = AccessPackage::try_from(body).ok();
        let kind = package.as_ref().and_then(access_packages::kind);
        let (Some(package), Some(kind)) = (package, kind.filter(|kind| kind.is_delegable || kind.is_assignable)) else {
            wrong.add(codes::PACKAGE_INVALID, ACCESS_PACKAGES);
            continue;
        };
        if is_visible && !kind.is_assignable {
            wrong.add(codes::CLIENT_PACKAGE_VISIBLE, ACCESS_PACKAGES);
        }
        if !seen.insert(package.clone()) {
            wrong.add(codes::DUPLICATE_PACKAGES, ACCESS_PACKAGES);
        }
        packages.push(package);
    }
    packages
}

async fn client_ids(
    connection: &mut Connection,
    texts: &[String],
    system: Option<&SystemId>,
    wrong: &mut Wrong,
) -> Result<Vec<MaskinportenClientId>, sqlx::Error> {
    let mut client_ids = Vec::new();
    let mut seen = BTreeSet::new();
    for text in wrong.few(texts, CLIENT_ID) {
        let Ok(client_id) = MaskinportenClientId::parse(text) else {
            wrong.add(codes::CLIENT_ID_FORMAT, CLIENT_ID);
            continue;
        };
        let taken_by = store::system_of_client(connection, &client_id).await?;
        if taken_by.is_some_and(|other| Some(&other) != system) {
            wrong.add(codes::CLIENT_ID_EXISTS, CLIENT_ID);
        }
        if !seen.insert(client_id.clone()) {
            wrong.add(codes::DUPLICATE_CLIENT_IDS, CLIENT_ID);
        }
        client_ids.push(client_id);
    }
    Ok(client_ids)
}

fn redirect_urls(texts: &[String], wrong: &mut Wrong) -> Vec<RedirectUrl> {
    let mut urls = Vec::new();
    for text in wrong.few(texts, REDIRECT_URLS) {
        match RedirectUrl::parse(text) {
            Ok(url) => urls.push(url),
            Err(_) => wrong.add(codes::REDIRECT_URL_FORMAT, REDIRECT_URLS),
        }
    }
    urls
}
