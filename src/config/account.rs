//! What can be said of a Cosmos account without asking it: endpoint, key, connection string and
//! names. No message contains any of them.

use secrecy::SecretString;
use url::Url;

/// The key that Microsoft publishes for its emulator, which is no secret.
const EMULATOR_KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqYMsEcaGQy67XIw/Jw==";

/// Hosts on which nothing but an emulator answers.
const EMULATOR_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Most characters in the name of a database or container.
const NAME_MAX: usize = 255;

const ENDPOINT: &str = "https://ACCOUNT.documents.azure.com:443/";
const CONNECTION_STRING: &str = "AccountEndpoint=https://ACCOUNT.documents.azure.com:443/;AccountKey=KEY;";
const KEY: &str = "the primary or secondary key as the portal shows it, read-only or not";
const NAME: &str = "1 to 255 characters without `/ \\ ? #` and without a space at the end";

/// Why a text cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// What it should be.
    pub(super) what: &'static str,
    /// What is wrong with it.
    pub(super) why: &'static str,
    /// What would be right.
    pub(super) expected: &'static str,
}

/// Where an account is, and the key to it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) endpoint: Url,
    pub(super) key: SecretString,
}

/// What is wrong with the text of a key of the configuration.
pub(super) fn fault_of(key: &str, text: &str) -> Option<Fault> {
    match key {
        "endpoint" => endpoint(text).err(),
        "key" => check_key(text).err(),
        "connection_string" => connection_string(text).err(),
        _ => check_name(text).err(),
    }
}

/// The URL of an account: a scheme, a host and perhaps a port.
pub(super) fn endpoint(text: &str) -> Result<Url, Fault> {
    let fault = |why| Fault {
        what: "the endpoint of a Cosmos account",
        why,
        expected: ENDPOINT,
    };
    if text.to_ascii_lowercase().contains("accountendpoint=") {
        return Err(Fault {
            expected: "it in `connection_string`, which has the endpoint in it",
            ..fault("it is a connection string")
        });
    }
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err(fault("it does not begin with `https://`"));
    }
    let url = Url::parse(text).map_err(|_| fault("it is no URL"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fault("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("it holds a user or a password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("something stands behind the host"));
    }
    Ok(url)
}

/// `AccountEndpoint=…;AccountKey=…;` in any order; other parts mean nothing here.
pub(super) fn connection_string(text: &str) -> Result<Account, Fault> {
    let fault = |why| Fault {
        what: "the connection string of a Cosmos account",
        why,
        expected: CONNECTION_STRING,
    };
    if text.starts_with("mongodb") {
        return Err(fault("it is one of the API for MongoDB"));
    }
    let (mut found, mut key) = (None, None);
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| fault("a part of it is no NAME=VALUE"))?;
        let place = match name.trim().to_ascii_lowercase().as_str() {
            "accountendpoint" => &mut found,
            "accountkey" => &mut key,
            "tableendpoint" => return Err(fault("it is one of the API for Table")),
            "gremlinendpoint" => return Err(fault("it is one of the API for Gremlin")),
            _ => continue,
        };
        if place.replace(value.trim()).is_some() {
            return Err(fault("a part of it stands there twice"));
        }
    }
    let found = found.ok_or_else(|| fault("it has no `AccountEndpoint`"))?;
    let key = key.ok_or_else(|| fault("it has no `AccountKey`"))?;
    let endpoint = endpoint(found).map_err(|_| fault("its `AccountEndpoint` is no endpoint"))?;
    check_key(key).map_err(|_| fault("its `AccountKey` is not base64"))?;
    Ok(Account {
        endpoint,
        key: SecretString::from(key),
    })
}

/// Base64 with its padding, which is what requests are signed with.
fn check_key(text: &str) -> Result<(), Fault> {
    let fault = |why| Fault {
        what: "the key of a Cosmos account",
        why,
        expected: KEY,
    };
    if text.to_ascii_lowercase().contains("accountkey=") {
        return Err(Fault {
            expected: "it in `connection_string`",
            ..fault("it is a connection string")
        });
    }
    let digits = text.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let whole = text.len().is_multiple_of(4) && text.len() - digits.len() <= 2;
    if digits.is_empty() || !whole || !digits.bytes().all(plain) {
        return Err(fault("it is not base64"));
    }
    Ok(())
}

/// Name of a database or container.
fn check_name(text: &str) -> Result<(), Fault> {
    let why = if text.chars().count() > NAME_MAX {
        "it is too long"
    } else if text.contains(['/', '\\', '?', '#']) {
        "it contains one of `/ \\ ? #`"
    } else if text.contains(char::is_control) {
        "it contains a control character"
    } else if text.ends_with(' ') {
        "it ends with a space"
    } else {
        return Ok(());
    };
    Err(Fault {
        what: "the name of a Cosmos database or container",
        why,
        expected: NAME,
    })
}

/// Whether the text of a key or connection string is more than the emulator's published key.
pub(super) fn holds_secret(text: &str) -> bool {
    let part = |part: &str| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("accountkey")
            .then(|| value.trim() != EMULATOR_KEY)
    };
    text != EMULATOR_KEY && text.split(';').find_map(part).unwrap_or(true)
}

/// Whether an emulator is there: on this machine, or on the host that the operator names as one.
pub(super) fn is_emulator(endpoint: &Url, named: Option<&str>) -> bool {
    endpoint.host_str().is_some_and(|host| {
        let is = |other: &str| host.eq_ignore_ascii_case(other);
        EMULATOR_HOSTS.iter().any(|other| is(other)) || named.is_some_and(is)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn an_endpoint_is_a_scheme_and_a_host() {
        for (text, same) in [
            ("https://a.documents.azure.com:443/", "https://a.documents.azure.com/"),
            ("https://A.documents.azure.com", "https://a.documents.azure.com/"),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/"),
            ("https://[::1]:8081/", "https://[::1]:8081/"),
        ] {
            assert_eq!(endpoint(text).map(String::from).as_deref(), Ok(same), "{text}");
        }
        for (text, why) in [
            ("a.documents.azure.com", "it does not begin with `https://`"),
            ("postgres://h/d", "it does not begin with `https://`"),
            ("https://", "it is no URL"),
            ("https://h:port/", "it is no URL"),
            ("https://me:hunter2@h/", "it holds a user or a password"),
            ("https://h/dbs/game", "something stands behind the host"),
            ("https://h/?key=hunter2", "something stands behind the host"),
            (
                "AccountEndpoint=https://h/;AccountKey=aHVudGVyMg==",
                "it is a connection string",
            ),
        ] {
            assert_eq!(endpoint(text).map_err(|fault| fault.why), Err(why), "{text}");
        }
    }

    #[test]
    fn a_connection_string_is_taken_apart() {
        for text in [
            "AccountEndpoint=https://h:443/;AccountKey=aHVudGVyMg==;",
            " accountkey = aHVudGVyMg== ; AccountEndpoint=https://h ;Database=x;DisableServerCertificateValidation=True",
        ] {
            let account = connection_string(text).expect("a good one");
            assert_eq!(account.endpoint.as_str(), "https://h/");
            assert_eq!(account.key.expose_secret(), "aHVudGVyMg==");
            assert!(!format!("{account:?}").contains("aHVud"));
        }
        for (text, why) in [
            ("aHVudGVyMg==", "it has no `AccountEndpoint`"),
            ("https://h/", "a part of it is no NAME=VALUE"),
            ("AccountEndpoint=https://h/", "it has no `AccountKey`"),
            ("AccountKey=aHVudGVyMg==", "it has no `AccountEndpoint`"),
            (
                "AccountEndpoint=h;AccountKey=aHVudGVyMg==",
                "its `AccountEndpoint` is no endpoint",
            ),
            (
                "AccountEndpoint=https://h/;AccountKey=hunter2",
                "its `AccountKey` is not base64",
            ),
            ("AccountEndpoint=https://h/;AccountKey=", "its `AccountKey` is not base64"),
            (
                "AccountEndpoint=https://h/;AccountKey=aHVu;AccountKey=aHVu",
                "a part of it stands there twice",
            ),
            ("mongodb://h:hunter2@h:10255/?ssl=true", "it is one of the API for MongoDB"),
            (
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aHVu;TableEndpoint=https://h/",
                "it is one of the API for Table",
            ),
        ] {
            assert_eq!(
                connection_string(text).map(|_| ()).map_err(|fault| fault.why),
                Err(why),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_is_base64() {
        for text in ["aHVu", "aHVudGVyMg==", EMULATOR_KEY] {
            assert_eq!(check_key(text), Ok(()));
        }
        for text in ["", "==", "a", "aHVudGVyMg=", "aHVu\n", "aHVu====", "aH-u", "hunter 2"] {
            assert_eq!(
                check_key(text).map_err(|fault| fault.why),
                Err("it is not base64"),
                "{text:?}"
            );
        }
        let whole = check_key("AccountEndpoint=https://h/;AccountKey=aHVu");
        assert_eq!(whole.map_err(|fault| fault.why), Err("it is a connection string"));
    }

    #[test]
    fn a_name_is_one_that_the_service_gives() {
        let long = "x".repeat(NAME_MAX + 1);
        assert_eq!(check_name("Documents (old), Straße"), Ok(()));
        for text in ["a/b", "a?", "a\\b", "#", "a ", "a\tb", long.as_str()] {
            assert!(check_name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_published_key_is_no_secret() {
        assert!(!holds_secret(EMULATOR_KEY));
        assert!(!holds_secret(&format!(
            "AccountEndpoint=http://localhost/;AccountKey={EMULATOR_KEY};"
        )));
        assert!(holds_secret("aHVudGVyMg=="));
        assert!(holds_secret("AccountEndpoint=http://localhost/;AccountKey=aHVudGVyMg=="));
    }

    #[test]
    fn an_emulator_is_here_or_named() {
        let is = |text, named| is_emulator(&endpoint(text).expect("an endpoint"), named);
        assert!(is("http://localhost:8081", None) && is("http://[::1]:8081", None));
        assert!(!is("http://cosmos:8081", None) && is("http://cosmos:8081", Some("Cosmos")));
        assert!(!is("https://localhost.example.org", None) && !is("https://127.0.0.2", None));
    }
}
