//! Our private keys of SMART Backend Services: signing assertions (RS384, ES384) and showing their public half (JWK).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA384, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::digest::sha256;

/// Why a key file cannot be used. It never shows what is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable,
    /// Not a private key in PEM.
    #[error("the file is not a private key in PEM (openssl genpkey writes one)")]
    NotPem,
    /// Another kind of key, or a form that is not read.
    #[error(
        "the key is neither RSA of 2048 to 4096 bits nor P-384 in PKCS#8: \
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384"
    )]
    Unsupported,
}

/// A private key with its public half.
pub struct SigningKey {
    pair: Pair,
    /// As the source knows it.
    id: String,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// Reads a PEM file. The key's id is `id`, or its RFC 7638 thumbprint.
    pub fn load(file: &Path, id: Option<&str>) -> Result<Self, KeyError> {
        let pem = std::fs::read(file).map_err(|_| KeyError::Unreadable)?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| KeyError::NotPem)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok().map(Box::new).map(Pair::Rsa),
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                let rsa = RsaKeyPair::from_pkcs8(key).ok().map(Box::new).map(Pair::Rsa);
                rsa.or_else(|| {
                    let random = SystemRandom::new();
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key, &random)
                        .ok()
                        .map(Box::new)
                        .map(Pair::Ec)
                })
            }
            _ => None,
        };
        let pair = pair.ok_or(KeyError::Unsupported)?;
        let id = id.map_or_else(|| thumbprint(&pair), ToOwned::to_owned);
        Ok(Self { pair, id })
    }

    /// The key's id in our JWKS.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS384",
            Pair::Ec(_) => "ES384",
        }
    }

    /// The public half, for `/.well-known/jwks.json`.
    pub fn jwk(&self) -> Value {
        let mut jwk = public_members(&self.pair);
        jwk["kid"] = self.id.clone().into();
        jwk["alg"] = self.algorithm().into();
        jwk["use"] = "sig".into();
        jwk["key_ops"] = json!(["verify"]);
        jwk
    }

    /// A signed JWT with these claims.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, signed.as_bytes(), &mut signature).ok()?;
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, signed.as_bytes()).ok()?.as_ref().to_vec(),
        };
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The members that make a public key, and no others: what RFC 7638 hashes.
fn public_members(pair: &Pair) -> Value {
    match pair {
        Pair::Rsa(pair) => {
            let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
            json!({"e": URL_SAFE_NO_PAD.encode(&public.e), "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&public.n)})
        }
        Pair::Ec(pair) => {
            // Uncompressed: 4, then x and y of 48 bytes each (SEC 1, 2.3.3).
            let point = pair.public_key().as_ref();
            let (x, y) = (&point[1..49], &point[49..]);
            json!({"crv": "P-384", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
        }
    }
}

/// RFC 7638: the SHA-256 of the members in the order of their names, without blanks.
fn thumbprint(pair: &Pair) -> String {
    let members = public_members(pair);
    let mut names: Vec<_> = members.as_object().into_iter().flatten().collect();
    names.sort_by_key(|(name, _)| name.as_str());
    let text = names.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",");
    URL_SAFE_NO_PAD.encode(sha256(format!("{{{text}}}").as_bytes()).0)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

    use super::*;

    fn file(pem: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem).expect("written");
        file
    }

    fn elliptic() -> tempfile::NamedTempFile {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
        file(&format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key.as_ref())))
    }

    #[test]
    fn a_signature_is_that_of_the_key_that_is_published() {
        let key = SigningKey::load(elliptic().path(), Some("ours")).expect("a key");
        let jwt = key.sign(&json!({"iss": "us"})).expect("signed");
        let (signed, signature) = jwt.rsplit_once('.').expect("three parts");
        let (header, claims) = signed.split_once('.').expect("three parts");
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        assert_eq!(read(header), json!({"alg": "ES384", "kid": "ours", "typ": "JWT"}));
        assert_eq!(read(claims), json!({"iss": "us"}));
        let jwk = key.jwk();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("text")).expect("base64url");
        let point = [vec![4], part("x"), part("y")].concat();
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let published = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
        published.verify(signed.as_bytes(), &signature).expect("a true signature");
        assert!(jwk["d"].is_null());
    }

    #[test]
    fn what_is_no_key_of_ours_is_told_and_not_shown() {
        let short = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (pem, expected) in [("secret", KeyError::NotPem), ("", KeyError::NotPem), (short, KeyError::Unsupported)] {
            let error = SigningKey::load(file(pem).path(), None).expect_err("no key");
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(SigningKey::load(Path::new("/nowhere"), None).expect_err("no file"), KeyError::Unreadable);
        let id = SigningKey::load(elliptic().path(), None).expect("a key").id().to_owned();
        assert_eq!(id.len(), 43, "a thumbprint: 256 bits in base64url");
    }
}
