//! The story: from a vendor's request to a decision inside Envoy, each step with what it proves.
//!
//! It runs on a platform and a gateway that somebody else has started, and stops at the first step that does not go as
//! expected. The single moves, which tests use on their own, are in `moves`.

pub mod moves;
pub mod narrator;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::sample_api::Echo;
use crate::stack::cast::{FJORDBAKERIET, Organization, ROERLEGGER, annual_accounts_path, vat_path};
use crate::stack::{Answer, Gateway, InForce, Platform};
use moves::Wanted;
use narrator::{Narrator, milliseconds};

/// What the gateway tells the API about the caller begins so.
pub const IDENTITY_HEADER_PREFIX: &str = "x-systemuser";
/// What Maskinporten's tokens live when nothing else was asked of the stand-in.
pub const TOKEN_SECONDS: u32 = 120;

/// What was measured, as seen through Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the answer of the approval to the first call let through; includes getting the token.
    pub approval_to_permit: Duration,
    /// The part of it that Maskinporten's token took.
    pub of_which_token: Duration,
    /// From the answer of the withdrawal to the first call refused.
    pub withdrawal_to_denial: Duration,
}

/// Plays the whole story.
pub async fn play(platform: &Platform, gateway: &Gateway, narrator: &mut Narrator<'_>) -> Result<Times> {
    let mut story = Story { platform, gateway, narrator };
    story.vendor_registers().await?;
    let request = story.vendor_asks().await?;
    let approved = story.manager_approves(&request).await?;
    let got = story.token_and_permit(&request).await?;
    story.rights_through_a_package(&got.token).await?;
    story.another_customer_approves_less(&got.token).await?;
    story.bad_tokens().await?;
    let withdrawn = story.manager_withdraws(&request).await?;
    let denied = story.next_call_is_refused(&got.token).await?;
    story.operator_sees_it_in_force().await?;
    story.no_more_tokens().await?;
    Ok(Times {
        approval_to_permit: got.permitted.duration_since(approved),
        of_which_token: got.token_took,
        withdrawal_to_denial: denied.duration_since(withdrawn),
    })
}

struct Story<'a, 'out> {
    platform: &'a Platform,
    gateway: &'a Gateway,
    narrator: &'a mut Narrator<'out>,
}

/// A token that has been let through, and when.
struct FirstPermit {
    token: String,
    token_took: Duration,
    permitted: Instant,
}

/// A token, and whose system user it is for.
type TokenOf<'token> = Option<(Organization, &'token str)>;

impl Story<'_, '_> {
    async fn vendor_registers(&mut self) -> Result<()> {
        self.narrator.step("SmartCloud AS registers its system")?;
        let answer = moves::register_system(self.platform).await?;
        self.tell(&answer)?;
        let proof = "a vendor is who its Maskinporten token says, and registers systems of its own";
        Ok(self.narrator.proves(proof)?)
    }

    /// The id of the request.
    async fn vendor_asks(&mut self) -> Result<String> {
        let customer = ROERLEGGER.name;
        self.narrator.step(&format!("SmartCloud AS asks {customer} for VAT and Annual Accounts"))?;
        let request = moves::request_system_user(self.platform, ROERLEGGER, Wanted::VatAndAnnualAccounts).await?;
        ensure!(request.status == "New", "the request is {}", request.status);
        self.narrator.happened(&format!("the customer confirms at {}", request.confirm_url))?;
        self.refused_by_maskinporten().await?;
        self.narrator.proves("asking gives nothing: without approval there is no token")?;
        Ok(request.id)
    }

    /// The instant of the answer.
    async fn manager_approves(&mut self, request: &str) -> Result<Instant> {
        self.narrator.step(&format!("{}, the general manager, approves", ROERLEGGER.manager.name))?;
        let answer = moves::approve(self.platform, ROERLEGGER, request).await?;
        let approved = Instant::now();
        self.tell(&answer)?;
        self.narrator.proves("the register of roles says who may approve for an organisation")?;
        Ok(approved)
    }

    async fn token_and_permit(&mut self, request: &str) -> Result<FirstPermit> {
        self.narrator.step("SmartCloud AS gets a token and calls the API")?;
        let start = Instant::now();
        let token = moves::token(self.platform, ROERLEGGER).await?.access_token;
        let token_took = start.elapsed();
        let answer = moves::first_permit(self.gateway, &vat_path(ROERLEGGER), &token).await?;
        let permitted = Instant::now();
        self.tell_call(&answer, Some(ROERLEGGER))?;
        self.tell_identity(&answer)?;
        let request = moves::look_at_request(self.platform, request).await?;
        ensure!(request.status == "Accepted", "the request is {}", request.status);
        self.narrator.proves("Envoy decides by itself: the policy has come to it, the call goes nowhere else")?;
        Ok(FirstPermit { token, token_took, permitted })
    }

    async fn rights_through_a_package(&mut self, token: &str) -> Result<()> {
        self.narrator.step("The same token opens Annual Accounts")?;
        self.expect(&annual_accounts_path(ROERLEGGER), Some((ROERLEGGER, token)), 200, "").await?;
        let proof = "VAT was given as a right of its own, Annual Accounts through an access package";
        Ok(self.narrator.proves(proof)?)
    }

    async fn another_customer_approves_less(&mut self, token: &str) -> Result<()> {
        self.narrator.step(&format!("{} approves VAT, and nothing else", FJORDBAKERIET.name))?;
        let (_, theirs) = moves::system_user_of(self.platform, FJORDBAKERIET, Wanted::Vat).await?;
        let theirs = theirs.access_token;
        let vat = vat_path(FJORDBAKERIET);
        let answer = moves::first_permit(self.gateway, &vat, &theirs).await?;
        self.tell_call(&answer, Some(FJORDBAKERIET))?;
        let accounts = annual_accounts_path(FJORDBAKERIET);
        self.expect(&accounts, Some((FJORDBAKERIET, &theirs)), 403, "right_missing").await?;
        self.expect(&vat, Some((ROERLEGGER, token)), 403, "party_not_represented").await?;
        let proof = "a token opens what its customer approved, and nothing of other customers";
        Ok(self.narrator.proves(proof)?)
    }

    async fn bad_tokens(&mut self) -> Result<()> {
        self.narrator.step("Calls without a token, and with one that has run out")?;
        let path = vat_path(ROERLEGGER);
        let answer = self.expect(&path, None, 401, "token_missing").await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        ensure!(challenge.starts_with("Bearer"), "the challenge is `{challenge}`");
        self.narrator.happened(&format!("  www-authenticate: {challenge}"))?;
        let expired = expired_token(self.platform, ROERLEGGER).await?;
        self.expect(&path, Some((ROERLEGGER, &expired)), 401, "token_expired").await?;
        Ok(self.narrator.proves("401 says that the token is at fault, 403 that the right is")?)
    }

    /// The instant of the answer.
    async fn manager_withdraws(&mut self, id: &str) -> Result<Instant> {
        self.narrator.step(&format!("{} withdraws the approval", ROERLEGGER.manager.name))?;
        let answer = moves::withdraw(self.platform, ROERLEGGER, id).await?;
        let withdrawn = Instant::now();
        self.tell(&answer)?;
        self.narrator.proves("what the manager gave, the manager takes back")?;
        Ok(withdrawn)
    }

    /// The instant of the first refusal.
    async fn next_call_is_refused(&mut self, token: &str) -> Result<Instant> {
        self.narrator.step("The same calls with the same token, which has not run out")?;
        let answer = moves::first_denial(self.gateway, &vat_path(ROERLEGGER), token).await?;
        let denied = Instant::now();
        let withdrawn = "system_user_withdrawn";
        self.tell_call(&answer, Some(ROERLEGGER))?;
        ensure!(answer.code() == withdrawn, "refused for another reason: {}", answer.body);
        self.expect(&annual_accounts_path(ROERLEGGER), Some((ROERLEGGER, token)), 403, withdrawn).await?;
        self.narrator.proves("a valid token is worth nothing once the approval is gone")?;
        Ok(denied)
    }

    async fn operator_sees_it_in_force(&mut self) -> Result<()> {
        self.narrator.step("The operator asks where that is in force")?;
        let InForce { version, workers } = self.platform.newest_in_force(self.gateway.name()).await?;
        self.narrator
            .happened(&format!("version {version}: in force in {workers} of {workers} workers of the gateway"))?;
        Ok(self.narrator.proves("a change is not only saved: it is seen where it is enforced")?)
    }

    async fn no_more_tokens(&mut self) -> Result<()> {
        self.narrator.step("Maskinporten gives no new token, and the other customer notices nothing")?;
        self.refused_by_maskinporten().await?;
        let theirs = moves::token(self.platform, FJORDBAKERIET).await?.access_token;
        self.expect(&vat_path(FJORDBAKERIET), Some((FJORDBAKERIET, &theirs)), 200, "").await?;
        Ok(self.narrator.proves("the withdrawal reached Maskinporten too, and only this customer")?)
    }

    async fn refused_by_maskinporten(&mut self) -> Result<()> {
        let Err(refusal) = moves::ask_for_token(self.platform, ROERLEGGER).await? else {
            bail!("Maskinporten gave a token that nobody approved");
        };
        let expected = refusal.error == "invalid_altinn_customer_configuration";
        ensure!(expected && refusal.description.contains("MP-303"), "Maskinporten refused otherwise: {refusal:?}");
        let told = format!("POST /token of Maskinporten -> {} {} (MP-303)", refusal.status.as_u16(), refusal.error);
        Ok(self.narrator.happened(&told)?)
    }

    /// One call through the gateway that must be answered so.
    async fn expect(&mut self, path: &str, token: TokenOf<'_>, status: u16, code: &str) -> Result<Answer> {
        let answer = self.gateway.get(path, token.map(|(_, token)| token)).await?.expect(status)?;
        ensure!(answer.code() == code, "{} said `{}`, expected `{code}`", answer.call, answer.code());
        self.tell_call(&answer, token.map(|(owner, _)| owner))?;
        Ok(answer)
    }

    /// Who the API behind the gateway was told is calling.
    fn tell_identity(&mut self, answer: &Answer) -> Result<()> {
        let echo: Echo = serde_json::from_str(&answer.body).context("the API's answer")?;
        let told = echo.headers.iter().filter(|(name, _)| name.starts_with(IDENTITY_HEADER_PREFIX));
        let told: Vec<String> = told.map(|(name, value)| format!("  {name}: {value}")).collect();
        ensure!(!told.is_empty(), "the API was not told who calls: {}", answer.body);
        self.narrator.happened("the API behind the gateway was told:")?;
        Ok(told.iter().try_for_each(|header| self.narrator.happened(header))?)
    }

    fn tell(&mut self, answer: &Answer) -> Result<()> {
        Ok(self.narrator.happened(&format!("{} -> {}", answer.call, answer.status.as_u16()))?)
    }

    fn tell_call(&mut self, answer: &Answer, owner: Option<Organization>) -> Result<()> {
        let with = owner.map_or("without a token".into(), |owner| format!("with the token of {}", owner.name));
        let (status, code) = (answer.status.as_u16(), answer.code());
        let told = format!("{} {with} -> {status} {code}", answer.call);
        Ok(self.narrator.happened(told.trim_end())?)
    }
}

/// A token that Maskinporten issued an hour ago and that ran out long since.
pub async fn expired_token(platform: &Platform, owner: Organization) -> Result<String> {
    platform.standin.issue_expired_tokens().await?;
    let token = moves::token(platform, owner).await;
    platform.standin.set_token_lifetime(TOKEN_SECONDS).await?;
    Ok(token?.access_token)
}

impl Times {
    /// The two times as lines for people.
    pub fn tell(&self, narrator: &mut Narrator<'_>) -> Result<()> {
        let permit = milliseconds(self.approval_to_permit);
        let token = milliseconds(self.of_which_token);
        narrator.entry("approval -> first permit", &format!("{permit}, of which {token} to get the token"))?;
        Ok(narrator.entry("withdrawal -> first denial", &milliseconds(self.withdrawal_to_denial))?)
    }
}
