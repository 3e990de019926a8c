//! Whether a request is signed with the account's key, as the service checks it.

use azure_core::credentials::Secret;
use hyper::http::request::Parts;
use url::form_urlencoded;

/// True where the signature is the key's over method, resource and date.
pub(crate) fn is_signed(parts: &Parts, key: &Secret) -> bool {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authorization) = header("authorization") else {
        return false;
    };
    let Some(date) = header("x-ms-date").or_else(|| header("date")) else {
        return false;
    };
    let (kind, link) = resource(parts.uri.path());
    let text = format!(
        "{}\n{kind}\n{link}\n{}\n\n",
        parts.method.as_str().to_lowercase(),
        date.to_lowercase()
    );
    let Ok(signature) = azure_core::hmac::hmac_sha256(&text, key) else {
        return false;
    };
    decode(authorization) == format!("type=master&ver=1.0&sig={signature}")
}

/// Kind and link of the resource that a path names: `/dbs/a/colls` is `colls` of `dbs/a`, and
/// `/dbs/a` is `dbs` at `dbs/a`.
fn resource(path: &str) -> (String, String) {
    let decoded: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let named = decoded.len() - decoded.len() % 2;
    let kind = match decoded.len() % 2 {
        0 => decoded.iter().rev().nth(1),
        _ => decoded.last(),
    };
    (kind.cloned().unwrap_or_default(), decoded[..named].join("/"))
}

fn decode(part: &str) -> String {
    // The form's decoder takes `+` for a blank, a path does not.
    let escaped = part.replace('+', "%2B");
    form_urlencoded::parse(escaped.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::resource;

    #[test]
    fn a_path_names_a_kind_and_a_link() {
        let of = |path| {
            let (kind, link) = resource(path);
            format!("{kind} {link}")
        };
        assert_eq!(of("/"), " ");
        assert_eq!(of("/dbs/a"), "dbs dbs/a");
        assert_eq!(of("/dbs/a/colls/b%20c"), "colls dbs/a/colls/b c");
        assert_eq!(of("/dbs/a/colls/b/pkranges"), "pkranges dbs/a/colls/b");
        assert_eq!(of("/dbs/a/colls/b/docs/1+2"), "docs dbs/a/colls/b/docs/1+2");
    }
}
