//! Tokens as Maskinporten issues them, for system users of an invented world.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine_guest::document::ISSUER;
use engine_guest::random::Random;
use engine_guest::session::NOW;
use engine_guest::world::{SCOPE, World, client_id, system_id, vendor};
use serde_json::{Value, json};

use crate::cases::keys::{self, NamedKey};

/// Which key signs; RSA, as Maskinporten's does.
pub const KEY: &str = "rsa-bench";
/// One that signs faster, where very many tokens are needed.
pub const FAST_KEY: &str = "p256-bench";

/// The public key that goes into snapshots.
pub fn issuer_key() -> Result<Value> {
    public_key(KEY)
}

/// The public half of a key.
pub fn public_key(name: &str) -> Result<Value> {
    Ok(keys::key(name)?.public_jwk(name))
}

/// So many system users, half of them by rows (so mostly agents with many clients), each with its token.
pub fn tokens(world: &World, count: usize) -> Result<Vec<(u32, String)>> {
    let mut random = Random::new(77);
    (0..count)
        .map(|number| {
            let user = match number % 2 {
                0 => world.any_row(&mut random).0,
                _ => random.below(world.shape().system_users as usize) as u32,
            };
            Ok((user, token(world, user, number)?))
        })
        .collect()
}

/// How long the tokens of measuring programs are valid still, in seconds.
const VALIDITY_SECONDS: i64 = 590;

/// A system user's token.
pub fn token(world: &World, user: u32, number: usize) -> Result<String> {
    token_at(world, user, number, Times { now: NOW, validity_seconds: VALIDITY_SECONDS }, &*keys::key(KEY)?, KEY)
}

/// When a token is issued, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub now: i64,
    pub validity_seconds: i64,
}

/// A system user's token of some time, signed by a key.
pub fn token_at(
    world: &World,
    user: u32,
    number: usize,
    Times { now, validity_seconds }: Times,
    key: &NamedKey,
    key_id: &str,
) -> Result<String> {
    let system = world.system(user);
    let organization = |number: String| json!({"authority": "iso6523-actorid-upis", "ID": format!("0192:{number}")});
    let claims = json!({
        "authorization_details": [{
            "type": "urn:altinn:systemuser",
            "systemuser_id": [world.system_user_id(user)],
            "systemuser_org": organization(world.owner(user).to_string()),
            "system_id": system_id(system)?,
        }],
        "scope": SCOPE,
        "iss": ISSUER,
        "client_amr": "private_key_jwt",
        "token_type": "Bearer",
        "iat": now - 10,
        "exp": now + validity_seconds,
        "client_id": client_id(system),
        "jti": format!("Xm2_{number:040}"),
        "consumer": organization(vendor(system)),
    });
    let header = json!({"alg": key.algorithm(), "typ": "JWT", "kid": key_id});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signing_input = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = key.sign(signing_input.as_bytes());
    Ok(format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
