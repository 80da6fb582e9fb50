//! Policies for tests: a document compiled, signed and opened as by a gateway.

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use serde_json::Value;

use super::{Document, Manifest, SnapshotKey, SnapshotVersion, compile, open, seal};
use crate::Timestamp;
use crate::policy_set::PolicySet;
use crate::token::PureRust;

/// The instant at which the policy is in force.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_795_348_800)
}

/// The policy that a document comes to.
pub(crate) fn enforced(document: Value) -> PolicySet {
    let document: Document = serde_json::from_value(document).unwrap();
    let signer = SigningKey::from_slice(&[9; 32]).unwrap();
    let key = SnapshotKey::from_spki_der(signer.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap();
    let image = compile(&document).unwrap();
    let version = SnapshotVersion { epoch: 1, version: 1 };
    let end = now().plus_seconds(3600);
    let manifest = Manifest::new(document.provider.clone(), version, 0, 0, now(), end, key.key_id(), &image);
    let signature: p256::ecdsa::Signature = signer.sign(&manifest.signing_bytes());
    let body = seal(&manifest, &signature.to_bytes().into(), &image);
    open(body, &[key], &document.provider, None, now(), &PureRust).unwrap()
}
