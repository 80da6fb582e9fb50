//! A person logs in at the control plane through the stand-in's OpenID Connect provider, over real HTTP, as a browser does:
//! redirects are followed, cookies kept, the page's form is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use gateway_tests::http::loopback_client;
use gateway_tests::maskinporten::login::USER_ID_CLAIM;
use gateway_tests::maskinporten::{Maskinporten, Options};
use gateway_tests::process::Process;
use gateway_tests::stack::cast::{OPERATOR, ROERLEGGER};
use reqwest::{Method, StatusCode};
use url::Url;

const LOGIN: &str = "/authentication/api/v1/authentication";
const START_SECONDS_MAX: u64 = 60;
const REDIRECTS_MAX: usize = 10;

/// As much of a browser as a login needs.
#[derive(Clone)]
struct Browser {
    http: reqwest::Client,
    /// By host, port and name.
    cookies: BTreeMap<(String, String), String>,
}

struct Page {
    url: Url,
    status: StatusCode,
    text: String,
}

impl Browser {
    fn new() -> Result<Self> {
        Ok(Self { http: loopback_client()?, cookies: BTreeMap::new() })
    }

    fn cookie(&self, url: &Url, name: &str) -> Option<&String> {
        self.cookies.get(&(place(url), name.to_owned()))
    }

    /// Goes there, and on to wherever it is sent; stops before what `until` names.
    async fn go(&mut self, method: Method, url: Url, form: &[(String, String)], until: &str) -> Result<Page> {
        let (mut method, mut url, mut form) = (method, url, form.to_vec());
        for _ in 0..REDIRECTS_MAX {
            let mut request = self.http.request(method.clone(), url.clone());
            let ours = self.cookies.iter().filter(|((host, _), _)| *host == place(&url));
            let ours: Vec<_> = ours.map(|((_, name), value)| format!("{name}={value}")).collect();
            if !ours.is_empty() {
                request = request.header("cookie", ours.join("; "));
            }
            if method == Method::POST {
                request = request.form(&form);
            }
            let answer = request.send().await?;
            for cookie in answer.headers().get_all("set-cookie") {
                let (pair, attributes) = cookie.to_str()?.split_once(';').context("a cookie without attributes")?;
                assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"), "{attributes}");
                let (name, value) = pair.split_once('=').context("a cookie without a value")?;
                if attributes.contains("Max-Age=0") {
                    self.cookies.remove(&(place(&url), name.to_owned()));
                } else {
                    self.cookies.insert((place(&url), name.to_owned()), value.to_owned());
                }
            }
            let status = answer.status();
            let Some(location) = answer.headers().get("location").filter(|_| status.is_redirection()) else {
                return Ok(Page { url, status, text: answer.text().await? });
            };
            url = url.join(location.to_str()?)?;
            if !until.is_empty() && url.path() == until {
                return Ok(Page { url, status, text: String::new() });
            }
            (method, form) = (Method::GET, Vec::new());
        }
        anyhow::bail!("sent round in circles, to {url}")
    }

    /// Chooses a person on the provider's page.
    async fn choose(&mut self, page: &Page, person: u32, until: &str) -> Result<Page> {
        let mut form = vec![("user_id".to_owned(), person.to_string())];
        for input in page.text.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = input.split_once("\" value=\"").context("a hidden field without a value")?;
            let value = rest.split('"').next().unwrap_or_default();
            form.push((name.to_owned(), value.replace("&amp;", "&")));
        }
        self.go(Method::POST, page.url.join("/login/authorize")?, &form, until).await
    }
}

fn place(url: &Url) -> String {
    format!("{:?}:{:?}", url.host_str(), url.port_or_known_default())
}

struct Setting {
    // Kept for its end: the process is killed with this value.
    _process: Process,
    _directory: tempfile::TempDir,
    _provider: Maskinporten,
    base_url: Url,
}

impl Setting {
    fn url(&self, path: &str) -> Result<Url> {
        Ok(self.base_url.join(path)?)
    }
}

async fn setting() -> Result<Setting> {
    let provider =
        Maskinporten::start(Options { listen: "127.0.0.1:0".parse()?, organization: OPERATOR.parse().unwrap() })
            .await?;
    let directory = tempfile::tempdir()?;
    let parties = serde_json::json!({
        "parties": [{
            "partyId": ROERLEGGER.party_id, "partyUuid": ROERLEGGER.party_uuid,
            "organizationNumber": ROERLEGGER.number, "name": ROERLEGGER.name,
        }],
        "roleAssignments": [
            { "userId": ROERLEGGER.manager.user_id, "organizationNumber": ROERLEGGER.number, "role": "daglig-leder" },
        ],
    });
    std::fs::write(directory.path().join("parties.json"), parties.to_string())?;
    let at = |name: &str| directory.path().join(name).display().to_string();
    let configuration = format!(
        "listen = \"127.0.0.1:0\"\ndatabase = {:?}\nparties_file = {:?}\n[tokens]\n\
         [[tokens.login_providers]]\nname = \"standin\"\ntitle = \"Oppdiktede personer\"\nissuer = \"{}/login\"\n\
         client_id = \"portvakt\"\nuser_id_claim = \"{USER_ID_CLAIM}\"\n",
        at("portvakt.db"),
        at("parties.json"),
        provider.base_url(),
    );
    std::fs::write(directory.path().join("portvakt.toml"), configuration)?;
    let program = std::env::var_os("CONTROL_PLANE_BIN").map(PathBuf::from);
    let mut command =
        Command::new(program.context("CONTROL_PLANE_BIN is not set: run this through `cargo xtask test`")?);
    let address_file = directory.path().join("address");
    command.arg("serve").args(["--config", &at("portvakt.toml"), "--address-file", &at("address")]);
    let mut process = Process::start("control-plane", command, directory.path())?;
    let base_url = process.base_url(&address_file, Duration::from_secs(START_SECONDS_MAX)).await?;
    Ok(Setting { _process: process, _directory: directory, _provider: provider, base_url: base_url.parse()? })
}

#[tokio::test]
async fn a_person_logs_in_and_is_who_the_provider_says() -> Result<()> {
    let setting = setting().await?;
    let mut browser = Browser::new()?;
    let users = format!("/authentication/api/v1/systemuser/{}", ROERLEGGER.party_id);
    let before = browser.go(Method::GET, setting.url(&users)?, &[], "").await?;
    assert_eq!(before.status, 401);

    let login = setting.url(&format!("{LOGIN}?goto={users}"))?;
    let page = browser.go(Method::GET, login.clone(), &[], "").await?;
    assert!(page.text.contains("Kari Hansen"), "{}", page.text);
    let home = browser.choose(&page, ROERLEGGER.manager.user_id, "").await?;
    assert_eq!((home.status, home.url.path(), home.text.as_str()), (StatusCode::OK, users.as_str(), "[]"));
    assert!(browser.cookie(&setting.base_url, "AltinnStudioRuntime").is_some());
    assert!(browser.cookie(&setting.base_url, "PortvaktLogin").is_none(), "the login's own cookie is gone");

    let renewed = browser.go(Method::GET, setting.url("/authentication/api/v1/refresh")?, &[], "").await?;
    assert_eq!(renewed.status, 200);
    let other_device = browser.clone();
    browser.go(Method::GET, setting.url("/authentication/api/v1/logout")?, &[], "/").await?;
    for mut browser in [browser, other_device] {
        assert_eq!(browser.go(Method::GET, setting.url(&users)?, &[], "").await?.status, 401, "the session is over");
    }

    // Somebody without roles is logged in, too, and may nothing.
    let mut stranger = Browser::new()?;
    let page = stranger.go(Method::GET, login, &[], "").await?;
    assert_eq!(stranger.choose(&page, 20_000_099, "").await?.status, 403);
    assert!(stranger.cookie(&setting.base_url, "AltinnStudioRuntime").is_some());
    Ok(())
}

#[tokio::test]
async fn a_login_ends_once_and_where_it_began() -> Result<()> {
    let setting = setting().await?;
    let callback = format!("{LOGIN}/callback");
    let mut browser = Browser::new()?;
    let page = browser.go(Method::GET, setting.url(LOGIN)?, &[], "").await?;
    let back = browser.choose(&page, ROERLEGGER.manager.user_id, &callback).await?;
    // Another browser cannot end it, nor can it be lured into it, …
    let mut other = Browser::new()?;
    assert_eq!(other.go(Method::GET, back.url.clone(), &[], "/").await?.status, 400);
    other.go(Method::GET, setting.url(LOGIN)?, &[], "").await?;
    assert_eq!(other.go(Method::GET, back.url.clone(), &[], "/").await?.status, 400);
    assert!(other.cookie(&setting.base_url, "AltinnStudioRuntime").is_none());
    // … a code that the provider did not give is of no use and uses the login up, …
    let mut forged = browser.clone();
    let page = forged.go(Method::GET, setting.url(LOGIN)?, &[], "").await?;
    let mut wrong = forged.choose(&page, ROERLEGGER.manager.user_id, &callback).await?.url;
    let state = wrong.query_pairs().find(|(name, _)| name == "state").context("no state")?.1.into_owned();
    wrong.query_pairs_mut().clear().append_pair("code", "x").append_pair("state", &state);
    for status in [403, 400] {
        assert_eq!(forged.go(Method::GET, wrong.clone(), &[], "/").await?.status, status);
    }
    // … and the browser that began it ends it once.
    assert_eq!(browser.go(Method::GET, back.url.clone(), &[], "/").await?.status, 303);
    assert_eq!(browser.go(Method::GET, back.url, &[], "/").await?.status, 400);
    Ok(())
}
