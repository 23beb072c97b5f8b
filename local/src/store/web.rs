//! HTTP to the hub: where requests go, what they carry, and what its refusals mean. What is asked for is in `remote`.

use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Method, Request, StatusCode, Uri};
use ureq::{Agent, Body};

use super::{Settings, StoreError};

/// Redirects that are followed for one request.
const MOST_REDIRECTS: usize = 8;
/// What may be said about a refusal by the server, in characters.
const MOST_SAID: usize = 200;
/// A name is looked up, and a connection made, within this.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections to one hub, for one transfer.
#[derive(Debug, Clone)]
pub(super) struct Web {
    agent: Agent,
    endpoint: String,
    token: Option<Token>,
}

/// The value of the header, which is not printed.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An answer that is none of the refusals, or a redirect that was not to be followed.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Body,
    /// Of this answer, and then of the redirects before it.
    headers: Vec<HeaderMap>,
}

impl Reply {
    /// A header of the last answer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.first()?.get(name)?.to_str().ok()
    }

    /// A header of the last answer that has it: only the hub itself sends those that begin with `X-`.
    pub(super) fn any_header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|headers| headers.get(name)?.to_str().ok())
    }
}

impl Web {
    /// # Errors
    /// Where the endpoint is no address or the token cannot be one.
    pub(super) fn new(settings: &Settings, token: Option<&str>) -> Result<Self, StoreError> {
        let endpoint = settings.endpoint.trim_end_matches('/').to_owned();
        let is_fine = endpoint.parse::<Uri>().is_ok_and(|uri| Origin::of(&uri).is_some());
        if !is_fine {
            return Err(StoreError::Invalid(format!(
                "the hub's address {endpoint:?} ($HF_ENDPOINT) is no http(s) URL"
            )));
        }
        let token = token.or(settings.token.as_deref()).map(str::trim).filter(|token| !token.is_empty());
        if token.is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(StoreError::Invalid(
                "the token holds what no token has: spaces, or letters that are not ASCII".into(),
            ));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // They are followed here: the token must not go with them, and what they say on the way is needed.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(settings.patience.stall))
            .timeout_per_write(Some(settings.patience.stall))
            .user_agent(concat!("millwork/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .build();
        let token = token.map(|token| Token(format!("Bearer {token}")));
        Ok(Self { agent: config.new_agent(), endpoint, token })
    }

    /// An error that does not say the token, whatever the server has said.
    pub(super) fn blot(&self, error: StoreError) -> StoreError {
        match self.token.as_ref().and_then(|Token(header)| header.strip_prefix("Bearer ")) {
            Some(token) => error.map(|text| text.replace(token, "***")),
            None => error,
        }
    }

    /// Ends every request that is under way, also in clones; later ones fail.
    pub(super) fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks for a path of the hub, which begins with a slash. `Method::HEAD` does not go to other hosts: what they say about a
    /// file is not the hub's.
    ///
    /// # Errors
    /// `what` begins the text of each.
    pub(super) fn send(&self, method: &Method, path: &str, from: u64, what: &str) -> Result<Reply, StoreError> {
        let mut url = format!("{}{path}", self.endpoint);
        let mut headers = Vec::new();
        for _ in 0..=MOST_REDIRECTS {
            let mut response = self.once(method, &url, from, what)?;
            headers.insert(0, std::mem::take(response.headers_mut()));
            let status = response.status();
            let location =
                headers.first().filter(|_| status.is_redirection()).and_then(|map| map.get(LOCATION)?.to_str().ok());
            let Some(location) = location else {
                if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
                    return Ok(Reply { status, body: response.into_body(), headers });
                }
                return Err(self.refusal(status, headers.first(), &url, what));
            };
            let next = redirected(&url, location).ok_or_else(|| {
                StoreError::Wrong(format!("{what}: the hub redirects to {:?}, which is no address", said(location)))
            })?;
            if *method == Method::HEAD && !self.is_own(&next) {
                return Ok(Reply { status, body: response.into_body(), headers });
            }
            url = next;
        }
        Err(StoreError::Wrong(format!("{what}: the hub redirects in a circle: {MOST_REDIRECTS} times and no end")))
    }

    fn once(
        &self,
        method: &Method,
        url: &str,
        from: u64,
        what: &str,
    ) -> Result<ureq::http::Response<Body>, StoreError> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(Token(token)) = self.token.as_ref().filter(|_| self.is_own(url)) {
            request = request.header(AUTHORIZATION, token);
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let request = request.body(()).map_err(|error| StoreError::Wrong(format!("{what}: {error}")))?;
        self.agent.run(request).map_err(|error| broken(error, url, what))
    }

    /// Whether a URL is the hub's own: the token goes nowhere else.
    fn is_own(&self, url: &str) -> bool {
        let origin = |url: &str| url.parse().ok().and_then(|uri: Uri| Origin::of(&uri));
        origin(url).is_some_and(|other| origin(&self.endpoint) == Some(other))
    }

    fn refusal(&self, status: StatusCode, headers: Option<&HeaderMap>, url: &str, what: &str) -> StoreError {
        let header = |name: &str| headers.and_then(|map| map.get(name)?.to_str().ok()).map(said);
        let code = header("x-error-code").unwrap_or_default();
        let message = header("x-error-message").map(|text| format!(" ({text})")).unwrap_or_default();
        let has_token = self.token.is_some();
        let token = "HF_TOKEN, the file of HF_TOKEN_PATH, or `token` in the request";
        match (status.as_u16(), code.as_str()) {
            (_, "GatedRepo") => {
                let page = what.split(": ").next().unwrap_or(what);
                let how = if has_token {
                    "ask for access there with the account of your token".to_owned()
                } else {
                    format!("accept its terms there and give a token of that account: {token}")
                };
                StoreError::NoAccess(format!(
                    "{what}: the repository is gated: {}/{page} — {how}{message}",
                    self.endpoint
                ))
            }
            (_, "RevisionNotFound") => StoreError::NotFound(format!("{what}: there is no such revision{message}")),
            (_, "EntryNotFound") => StoreError::NotFound(format!("{what}: there is no such file{message}")),
            (401, _) if has_token && code != "RepoNotFound" => {
                StoreError::NoAccess(format!("{what}: the hub does not accept the token{message}"))
            }
            (401, _) | (_, "RepoNotFound") => {
                let how = if has_token {
                    "or the token's account does not see it".to_owned()
                } else {
                    format!("or it is private and needs a token: {token}")
                };
                StoreError::NotFound(format!("{what}: the hub has no such repository, {how}"))
            }
            (403, _) => StoreError::NoAccess(format!("{what}: the hub refuses access{message}")),
            (404, _) => StoreError::NotFound(format!("{what}: the hub does not have it{message}")),
            (408 | 425 | 429 | 500..=599, _) => {
                let after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
                let why = if status.as_u16() == 429 { "asks to be asked less often" } else { "does not work now" };
                StoreError::Unreachable { text: format!("{what}: {} {why} (HTTP {status}){message}", host(url)), after }
            }
            _ => StoreError::Wrong(format!("{what}: {} answers HTTP {status}{message}", host(url))),
        }
    }
}

/// Whether an error of the connection may pass.
fn broken(error: ureq::Error, url: &str, what: &str) -> StoreError {
    let host = host(url);
    match error {
        ureq::Error::Timeout(_) => StoreError::passing(format!("{what}: {host} does not answer in time")),
        ureq::Error::HostNotFound => StoreError::passing(format!("{what}: there is no host {host}, or no network")),
        ureq::Error::Io(error) => StoreError::passing(format!("{what}: the connection to {host} broke: {error}")),
        ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => {
            StoreError::passing(format!("{what}: the connection to {host} broke: {error}"))
        }
        other => StoreError::Wrong(format!("{what}: {host}: {other}")),
    }
}

/// The host of a URL, for texts: its query may hold a signature.
fn host(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
}

/// What a server says, short enough to be shown.
fn said(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect()
}

/// Where a redirect leads. An encrypted connection is not given up for an open one.
fn redirected(from: &str, location: &str) -> Option<String> {
    let base: Uri = from.parse().ok()?;
    let scheme = base.scheme_str()?;
    let next = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", base.authority()?)
    } else {
        location.to_owned()
    };
    let origin = Origin::of(&next.parse().ok()?)?;
    (scheme != "https" || origin.scheme == "https").then_some(next)
}

/// What makes two URLs one server's.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Self { host, port: uri.port_u16().unwrap_or(port), scheme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say_and_never_to_less() {
        let from = "https://hub.co:8443/a/b?x=1";
        assert_eq!(redirected(from, "/c?d=e").unwrap(), "https://hub.co:8443/c?d=e");
        assert_eq!(redirected(from, "//cdn.co/c").unwrap(), "https://cdn.co/c");
        assert_eq!(redirected(from, "https://cdn.co/c").unwrap(), "https://cdn.co/c");
        for bad in ["http://cdn.co/c", "ftp://x/y", "c/d", "", "javascript:x", "https://"] {
            assert_eq!(redirected(from, bad), None, "{bad}");
        }
        assert_eq!(redirected("http://a/", "https://b/x").unwrap(), "https://b/x");
    }

    #[test]
    fn the_token_is_for_one_server() {
        let settings =
            Settings { endpoint: "https://hub.co/".into(), token: Some("secret-token".into()), ..Settings::default() };
        let web = Web::new(&settings, None).unwrap();
        for own in ["https://hub.co/x", "https://HUB.co:443/y"] {
            assert!(web.is_own(own), "{own}");
        }
        for other in ["http://hub.co/x", "https://hub.co:444/x", "https://hub.co@evil.co/x", "https://hub.co.evil.co/"]
        {
            assert!(!web.is_own(other), "{other}");
        }
        assert!(!format!("{web:?} {settings:?}").contains("secret-token"));
        let bad = Settings { token: Some("a\nb".into()), ..settings };
        assert!(!Web::new(&bad, None).unwrap_err().to_string().contains("a\nb"));
    }
}
