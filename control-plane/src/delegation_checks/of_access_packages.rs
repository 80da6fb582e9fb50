//! `GET /accessmanagement/api/v1/enduser/connections/accesspackages/delegationcheck?party&packages=`: which access packages
//! the caller may pass on at the party; without `packages`, of all that can be given to a standard system user.

use axum::Json;
use axum::extract::{RawQuery, State};
use policies::id::AccessPackage;
use serde_json::{Value, json};

use super::check;
use super::model::PackageCheck;
use crate::access_packages;
use crate::caller::{AccessManagementWriteInQuery, PartyAccess};
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Most packages that one call may name; the catalogue has fewer.
const PACKAGES_MAX: usize = 300;

/// Which access packages the caller may pass on.
#[utoipa::path(
    get, path = "/accessmanagement/api/v1/enduser/connections/accesspackages/delegationcheck",
    operation_id = "checkDelegationOfAccessPackages", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(
        ("party" = String, Query, description = "Organisation number or party uuid"),
        ("packages" = Option<Vec<String>>, Query, description = "URNs or their last parts; all assignable ones by default"),
    ),
    responses((status = 200, description = "`result` and `reasonCodes` of each package", body = Object), (status = 403, description = "`AUTH-00066`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWriteInQuery>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let mut packages = named(query.as_deref().unwrap_or_default())?;
    if packages.is_empty() {
        packages = assignable();
    }
    let mut connection = state.store.read().await?;
    let checked = check(&state, &mut connection, caller.user, &caller.party, &[], &packages).await?;
    Ok(Json(json!({ "data": checked.access_packages.iter().map(of_package).collect::<Vec<_>>() })))
}

/// The packages in the query: URNs, or their last parts.
fn named(query: &str) -> Result<Vec<AccessPackage>, Problem> {
    let mut packages = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name.eq_ignore_ascii_case("packages") {
            let package = AccessPackage::parse(&value).or_else(|_| AccessPackage::from_name(&value));
            let invalid = |_| Problem::new(codes::QUERY_INVALID).detail(format!("`packages`: `{value}`"));
            packages.push(package.map_err(invalid)?);
        }
    }
    if packages.len() > PACKAGES_MAX {
        return Err(Problem::new(codes::QUERY_INVALID).detail(format!("at most {PACKAGES_MAX} `packages`")));
    }
    Ok(packages)
}

fn assignable() -> Vec<AccessPackage> {
    let all = access_packages::names().filter_map(|name| AccessPackage::from_name(name).ok());
    all.filter(|package| access_packages::kind(package).is_some_and(|kind| kind.is_assignable)).collect()
}

fn of_package(check: &PackageCheck) -> Value {
    json!({ "package": { "urn": check.package }, "result": check.is_passed_on, "reasonCodes": check.reasons })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/accessmanagement/api/v1/enduser/connections/accesspackages/delegationcheck";

    #[tokio::test]
    async fn each_package_has_its_own_answer() {
        let test = TestState::with_resources().await;
        let hansen = test.administrator_of_hansen();
        let query = "party=310247049&packages=regnskap-okonomi-rapport&packages=urn:altinn:accesspackage:ansvarlig-revisor\
                     &packages=unheard-of&packages=forretningsforer-eiendom";
        let answer = test.get(&format!("{PATH}?{query}"), &hansen).await.expect(200);
        let package = |name: &str, result: bool, reason: &str| {
            let urn = format!("urn:altinn:accesspackage:{name}");
            json!({ "package": { "urn": urn }, "result": result, "reasonCodes": [reason] })
        };
        assert_eq!(
            answer["data"],
            json!([
                package("regnskap-okonomi-rapport", true, "PackageAccess"),
                package("ansvarlig-revisor", false, "PackageNotAssignable"),
                package("unheard-of", false, "PackageUnknown"),
                package("forretningsforer-eiendom", false, "PackageNotAssignable"),
            ])
        );
        let all = test.get(&format!("{PATH}?party=310247049"), &hansen).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), 175);
        test.get(&format!("{PATH}?party=310247049&packages=%20"), &hansen).await.expect_code(400, "query_invalid");
    }

    #[tokio::test]
    async fn a_main_administrator_passes_on_what_it_does_not_hold() {
        let test = TestState::with_resources().await;
        let main_administrator = 20_000_009;
        let roles = json!({ "roleAssignments": [
            { "userId": main_administrator, "organizationNumber": "310247049", "role": "hovedadministrator" },
            { "userId": story::HANSENS_MANAGER, "organizationNumber": "310247049", "role": "daglig-leder" },
        ]});
        test.put("/portvakt/v1/parties", &test.operator(), &roles).await.expect(200);
        let token = tokens::User::new(main_administrator).token(&test);
        let path = format!("{PATH}?party=310247049&packages=regnskap-okonomi-rapport");
        let answer = test.get(&path, &token).await.expect(200);
        assert_eq!(answer["data"][0]["result"], true, "{answer}");
        // And approves what its packages open, which it does not hold for itself.
        let check = "/accessmanagement/api/v1/enduser/connections/resources/delegationcheck?party=310247049&resource=";
        let answer = test.get(&format!("{check}annual-accounts"), &token).await.expect(200);
        assert_eq!(answer["rights"][0]["result"], true, "{answer}");
        let answer = test.get(&format!("{check}vat"), &token).await.expect(200);
        assert_eq!(answer["rights"][0]["reasonCodes"][0], "MissingRoleAccess", "{answer}");
    }
}
