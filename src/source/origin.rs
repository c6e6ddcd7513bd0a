//! Which addresses may be asked: those below the base URL, and those of the origins that the settings name. Whatever a
//! report, a notification or a server says, nothing else is called.

use url::{Origin, Url};

/// An address that may be asked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Where.
    pub(super) url: Url,
    /// Whether our credentials are sent there.
    pub(super) with_credentials: bool,
}

/// Why an address is not asked. It never shows the address: that may identify a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a URL, or none that joins with the base.
    #[error("the address is not a URL")]
    NotAUrl,
    /// Another scheme than http and https.
    #[error("the address is neither http nor https")]
    Scheme,
    /// It carries a user name or a password.
    #[error("the address carries a user name or a password")]
    UserInfo,
    /// Its path steps up, or hides a separator.
    #[error("the address's path steps out of where it begins")]
    Path,
    /// Another origin than those that the settings name.
    #[error("the address is outside of base_url and of attachment_origins")]
    Elsewhere,
}

/// The addresses of one source.
#[derive(Clone)]
pub(super) struct Origins {
    base: Url,
    others: Vec<Origin>,
    others_trusted: bool,
}

impl Origins {
    /// `base` and `others` are those of settings without faults.
    pub(super) fn new(base: &Url, others: &[Url], others_trusted: bool) -> Self {
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Self { base, others: others.iter().map(Url::origin).collect(), others_trusted }
    }

    /// The origin of the base URL.
    pub(super) fn base_origin(&self) -> Origin {
        self.base.origin()
    }

    /// Something below the base URL: `Type/id`, `Type?name=value`, or empty for the base itself.
    pub(super) fn below(&self, relative: &str) -> Result<Allowed, Refused> {
        let (path, query) = relative.split_once('?').map_or((relative, None), |(path, query)| (path, Some(query)));
        steps_nowhere(path)?;
        if path.starts_with('/') || path.contains(['#', '\\']) || path.contains("//") {
            return Err(Refused::Path);
        }
        let mut url = self.base.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        }
        url.set_query(query);
        self.check(url)
    }

    /// An address as a resource or an answer names it: absolute, or relative to the base URL.
    pub(super) fn named(&self, address: &str) -> Result<Allowed, Refused> {
        let address = address.trim();
        let scheme = address.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        });
        if !scheme && !address.starts_with(['/', '\\', '?', '#']) {
            return self.below(address);
        }
        let path = address.split(['?', '#']).next().unwrap_or_default();
        steps_nowhere(path)?;
        let url = if scheme { Url::parse(address) } else { self.base.join(address) };
        self.check(url.map_err(|_| Refused::NotAUrl)?)
    }

    fn check(&self, mut url: Url) -> Result<Allowed, Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        url.set_fragment(None);
        let below = |path: &str| {
            let base = self.base.path().trim_end_matches('/');
            path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if url.origin() == self.base.origin() && below(url.path()) {
            return Ok(Allowed { url, with_credentials: true });
        }
        if self.others.contains(&url.origin()) {
            let with_credentials = self.others_trusted || url.origin() == self.base.origin();
            return Ok(Allowed { url, with_credentials });
        }
        Err(Refused::Elsewhere)
    }
}

/// Refuses a path that steps up, also when percent-encoded once or twice: servers and proxies decode at different times.
fn steps_nowhere(path: &str) -> Result<(), Refused> {
    let mut text = path.to_owned();
    for _ in 0..3 {
        if text.split(['/', '\\']).any(|segment| segment == ".." || segment == ".") || text.contains('\0') {
            return Err(Refused::Path);
        }
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(base: &str) -> Origins {
        let files = Url::parse("https://files.example.org").expect("a URL");
        Origins::new(&Url::parse(base).expect("a URL"), &[files], false)
    }

    #[test]
    fn a_relative_address_keeps_the_path_of_the_base() {
        for base in ["https://ehr.example.org/tenant/fhir", "https://ehr.example.org/tenant/fhir/"] {
            let origins = origins(base);
            for (relative, expected) in [
                ("Binary/1", "https://ehr.example.org/tenant/fhir/Binary/1"),
                ("", "https://ehr.example.org/tenant/fhir"),
                ("Observation?identifier=a|b", "https://ehr.example.org/tenant/fhir/Observation?identifier=a|b"),
            ] {
                let allowed = origins.below(relative).expect("allowed");
                assert_eq!(allowed.url.as_str(), expected, "{relative}");
                assert!(allowed.with_credentials);
            }
        }
    }

    #[test]
    fn only_the_base_and_the_named_origins_are_asked_and_only_the_base_gets_credentials() {
        let origins = origins("https://ehr.example.org/fhir");
        for (address, expected) in [
            ("Binary/1", Ok(true)),
            ("/fhir/Binary/1", Ok(true)),
            ("https://ehr.example.org/fhir/Binary/1", Ok(true)),
            ("https://EHR.example.org:443/fhir/Binary/1", Ok(true)),
            ("https://ehr.example.org/fhir?_getpages=1", Ok(true)),
            ("https://files.example.org/any/where?sig=1", Ok(false)),
            ("https://ehr.example.org/fhirother/1", Err(Refused::Elsewhere)),
            ("https://ehr.example.org/admin", Err(Refused::Elsewhere)),
            ("/admin", Err(Refused::Elsewhere)),
            ("http://ehr.example.org/fhir/Binary/1", Err(Refused::Elsewhere)),
            ("https://ehr.example.org:8443/fhir/Binary/1", Err(Refused::Elsewhere)),
            ("https://ehr.example.org.evil.example/fhir/1", Err(Refused::Elsewhere)),
            ("https://evil.example/fhir/1", Err(Refused::Elsewhere)),
            ("//evil.example/fhir/1", Err(Refused::Elsewhere)),
            ("\\\\evil.example\\fhir\\1", Err(Refused::Elsewhere)),
            ("https://ehr.example.org@evil.example/fhir/1", Err(Refused::UserInfo)),
            ("https://user:secret@ehr.example.org/fhir/1", Err(Refused::UserInfo)),
            ("https:evil.example/fhir", Err(Refused::Elsewhere)),
            ("file:///etc/passwd", Err(Refused::Scheme)),
            ("gopher://ehr.example.org/fhir/1", Err(Refused::Scheme)),
            ("data:text/plain,x", Err(Refused::Scheme)),
            ("urn:uuid:1", Err(Refused::Scheme)),
            ("../admin", Err(Refused::Path)),
            ("Binary/../../admin", Err(Refused::Path)),
            ("Binary/%2e%2e/%2E%2e/admin", Err(Refused::Path)),
            ("Binary/%252e%252e%252fadmin", Err(Refused::Path)),
            ("https://ehr.example.org/fhir/..%2fadmin", Err(Refused::Path)),
            ("https://ehr.example.org/fhir/..\\admin", Err(Refused::Path)),
        ] {
            let result = origins.named(address).map(|allowed| allowed.with_credentials);
            assert_eq!(result, expected, "{address}");
        }
    }

    #[test]
    fn another_spelling_of_an_address_is_the_same_address() {
        let loopback = Origins::new(&Url::parse("http://127.0.0.1:8090/fhir").expect("a URL"), &[], false);
        for (address, allowed) in [
            ("http://0x7f.1:8090/fhir/Binary/1", true),
            ("http://2130706433:8090/fhir/Binary/1", true),
            ("http://127.0.0.1:8091/fhir/Binary/1", false),
            ("http://[::1]:8090/fhir/Binary/1", false),
            ("http://169.254.169.254/fhir/", false),
            ("http://0:8090/fhir/", false),
        ] {
            assert_eq!(loopback.named(address).is_ok(), allowed, "{address}");
        }
    }
}
