//! Tokens as Maskinporten issues them, for system users of an invented world.

use std::sync::Arc;

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
const KEY: &str = "rsa-bench";

/// The public key that goes into snapshots.
pub fn issuer_key() -> Result<Value> {
    Ok(key()?.public_jwk(KEY))
}

fn key() -> Result<Arc<NamedKey>> {
    keys::key(KEY)
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

/// A system user's token.
pub fn token(world: &World, user: u32, number: usize) -> Result<String> {
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
        "iat": NOW - 10,
        "exp": NOW + 590,
        "client_id": client_id(system),
        "jti": format!("Xm2_{number:040}"),
        "consumer": organization(vendor(system)),
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signing_input = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = key()?.sign(signing_input.as_bytes());
    Ok(format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
