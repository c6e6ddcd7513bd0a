//! Which addresses may be asked: those below the base URL, and those of the origins that the settings name. Whatever a
//! report, a notification or a server says, nothing else is called. An address below another base URL by which the source
//! calls itself (`also_known_as`) stands for the same below the base URL: that other one is never asked itself.

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
    #[error(
        "the address is outside of base_url and of attachment_origins (if the source calls itself by another base URL, \
         name that in also_known_as)"
    )]
    Elsewhere,
}

/// The addresses of one source.
#[derive(Clone)]
pub(super) struct Origins {
    base: Url,
    also_known_as: Vec<Url>,
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
        let others = others.iter().map(Url::origin).collect();
        Self { base, also_known_as: Vec::new(), others, others_trusted }
    }

    /// The same, of a source that calls itself by these base URLs, too.
    pub(super) fn also_known_as(mut self, others: Vec<Url>) -> Self {
        self.also_known_as = others;
        self
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
        let below = |base: &Url, url: &Url| {
            let rest = url.path().strip_prefix(base.path().trim_end_matches('/'));
            let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
            rest.filter(|_| url.origin() == base.origin()).map(str::to_owned)
        };
        // Checked as what it stands for, like any other address.
        if below(&self.base, &url).is_none()
            && let Some(rest) = self.also_known_as.iter().find_map(|base| below(base, &url))
        {
            let query = url.query().map(str::to_owned);
            url = self.base.clone();
            url.set_path(&format!("{}{rest}", self.base.path().trim_end_matches('/')));
            url.set_query(query.as_deref());
        }
        if below(&self.base, &url).is_some() {
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
    fn a_source_that_calls_itself_otherwise_is_asked_by_its_base_url_only() {
        let named = |url: &str| Url::parse(url).expect("a URL");
        let origins = origins("https://ehr.example.org/r4/fhir")
            .also_known_as(vec![named("http://ehr.internal:9999/fhir"), named("https://10.0.0.7")]);
        for (address, expected) in [
            ("http://ehr.internal:9999/fhir/Binary/1?x=y#z", Ok("https://ehr.example.org/r4/fhir/Binary/1?x=y")),
            ("http://ehr.internal:9999/fhir?_getpages=1", Ok("https://ehr.example.org/r4/fhir?_getpages=1")),
            ("https://10.0.0.7/Binary/1", Ok("https://ehr.example.org/r4/fhir/Binary/1")),
            ("https://ehr.example.org/r4/fhir/Binary/1", Ok("https://ehr.example.org/r4/fhir/Binary/1")),
            ("http://ehr.internal:9999/admin", Err(Refused::Elsewhere)),
            ("http://ehr.internal:9999/fhirother/1", Err(Refused::Elsewhere)),
            ("http://ehr.internal/fhir/Binary/1", Err(Refused::Elsewhere)),
            ("https://ehr.internal:9999/fhir/Binary/1", Err(Refused::Elsewhere)),
            ("http://ehr.internal:9999@evil.example/fhir/1", Err(Refused::UserInfo)),
            ("http://user:secret@ehr.internal:9999/fhir/1", Err(Refused::UserInfo)),
            ("http://ehr.internal:9999/fhir/../admin", Err(Refused::Path)),
            ("http://ehr.internal:9999/fhir/%2e%2e/%2e%2e/admin", Err(Refused::Path)),
            ("https://10.0.0.7//evil.example/1", Ok("https://ehr.example.org/r4/fhir//evil.example/1")),
        ] {
            let result = origins.named(address);
            let result = result.as_ref().map(|allowed| allowed.url.as_str()).map_err(|refused| *refused);
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
