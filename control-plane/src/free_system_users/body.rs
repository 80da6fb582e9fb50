//! What an organisation says of a free system user, and what becomes of it.

use policies::id::{AccessPackage, MaskinportenClientId};
use serde::Deserialize;

use crate::fields::{LocalizedText, NAME_CHARS_MAX, text};
use crate::problem::{Invalid, Problem, codes};
use crate::requested;
use crate::right::{AccessPackageBody, ResourceRight, RightBody};
use crate::store::Connection;
use crate::systems;
use crate::systems::model::{System, SystemContent};

/// Client ids of one system user.
const CLIENT_IDS_MAX: usize = 10;
/// Entries of a list of rights or access packages.
const ENTRIES_MAX: usize = 1000;
const CLIENT_IDS: &str = "/clientids";

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(default, rename = "integrationtitle")]
    integration_title: String,
    #[serde(default, rename = "clientids")]
    client_ids: Vec<String>,
    #[serde(default)]
    rights: Vec<RightBody>,
    #[serde(default, rename = "accesspackages")]
    access_packages: Vec<AccessPackageBody>,
}

impl Body {
    pub(super) fn title(&self) -> Result<String, Problem> {
        text("integrationTitle", &self.integration_title, NAME_CHARS_MAX)
    }

    pub(super) fn rights(&self) -> Result<Vec<ResourceRight>, Problem> {
        if self.rights.len() > ENTRIES_MAX || self.access_packages.len() > ENTRIES_MAX {
            return Err(Problem::new(codes::FIELD_INVALID).detail(format!("at most {ENTRIES_MAX} entries a list")));
        }
        let right = |body: &RightBody| ResourceRight::try_from(body).map_err(|_| codes::RIGHTS_NOT_DELEGABLE.into());
        self.rights.iter().map(right).collect()
    }

    /// All that the system consists of. Its own client ids, if it is there already, are not taken.
    pub(super) async fn content(
        &self,
        connection: &mut Connection,
        present: Option<&System>,
    ) -> Result<SystemContent, Problem> {
        let name = self.title()?;
        let package = |body: &AccessPackageBody| AccessPackage::try_from(body).map_err(|_| codes::PACKAGES_INVALID);
        Ok(SystemContent {
            name: LocalizedText { nb: name.clone(), nn: name.clone(), en: name.clone() },
            description: LocalizedText { nb: name.clone(), nn: name.clone(), en: name },
            rights: self.rights()?,
            access_packages: self.access_packages.iter().map(package).collect::<Result<_, _>>()?,
            client_ids: self.client_ids(connection, present).await?,
            redirect_urls: Vec::new(),
            is_visible: false,
        })
    }

    /// What the system's system user is to hold: rights that there are, packages that a standard system user can hold.
    pub(super) async fn delegated(
        &self,
        connection: &mut Connection,
        system: &System,
    ) -> Result<(Vec<ResourceRight>, Vec<AccessPackage>), Problem> {
        let rights = requested::rights(connection, system, &self.rights).await?;
        Ok((rights, requested::standard_packages(system, &self.access_packages)?))
    }

    async fn client_ids(
        &self,
        connection: &mut Connection,
        present: Option<&System>,
    ) -> Result<Vec<MaskinportenClientId>, Problem> {
        let invalid = |code| Problem::validation(vec![Invalid::at(code, CLIENT_IDS)]);
        if self.client_ids.is_empty() || self.client_ids.len() > CLIENT_IDS_MAX {
            let expected = format!("`clientIds`: expected 1 to {CLIENT_IDS_MAX}");
            return Err(Problem::new(codes::FIELD_INVALID).detail(expected));
        }
        let mut client_ids: Vec<MaskinportenClientId> = Vec::with_capacity(self.client_ids.len());
        for text in &self.client_ids {
            let client_id = MaskinportenClientId::parse(text).map_err(|_| invalid(codes::CLIENT_ID_FORMAT))?;
            let taken_by = systems::store::system_of_client(connection, &client_id).await?;
            if taken_by.is_some_and(|other| present.is_none_or(|present| present.id != other)) {
                return Err(invalid(codes::CLIENT_ID_EXISTS));
            }
            if client_ids.contains(&client_id) {
                return Err(invalid(codes::DUPLICATE_CLIENT_IDS));
            }
            client_ids.push(client_id);
        }
        Ok(client_ids)
    }
}
