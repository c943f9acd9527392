//! Where a remote is: a URL.

use opendal::{HttpTransporter, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;
use url::Url;

/// A URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// It is no URL.
    #[error("`{url}` is no URL of a remote; one is like s3://bucket/prefix?region=eu-central-1")]
    Malformed {
        /// What was given, without what may be secret.
        url: String,
    },
    /// There is no such kind of remote, or this build has not got it.
    #[error("there is no `{scheme}` in this build; there is {available}")]
    Unknown {
        /// What stands before the colon.
        scheme: String,
        /// What there is.
        available: String,
    },
    /// What is behind the scheme does not do.
    #[error("`{url}` cannot be used: {reason}")]
    Unusable {
        /// What was given, without what may be secret.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

/// A remote that can be asked.
pub(crate) enum Place {
    /// Objects that can be listed and read in ranges.
    Objects(Operator),
    /// Values under short keys, one by one.
    #[cfg(feature = "memcached")]
    Values(Operator),
    #[cfg(feature = "redis")]
    Redis {
        client: redis::Client,
        prefix: String,
    },
}

/// The schemes of this build.
const SCHEMES: &[&str] = &[
    #[cfg(feature = "s3")]
    "s3",
    #[cfg(feature = "gcs")]
    "gs",
    #[cfg(feature = "azblob")]
    "azblob",
    #[cfg(feature = "webdav")]
    "webdav",
    #[cfg(feature = "fs")]
    "file",
    #[cfg(feature = "redis")]
    "redis",
    #[cfg(feature = "memcached")]
    "memcached",
];

/// What `text` leads to; nothing is asked yet.
pub(crate) fn place(text: &str) -> Result<Place, LocationError> {
    let url = Url::parse(text).map_err(|_| LocationError::Malformed {
        url: without_secrets(text),
    })?;
    let unusable = |reason: String| LocationError::Unusable {
        url: without_secrets(text),
        reason,
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    let path = url.path().trim_matches('/').to_owned();
    let mut options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut with = |name: &str, value: String| {
        if !value.is_empty() {
            options.push((name.to_owned(), value));
        }
    };
    let named = |what: &str| match host.is_empty() {
        true => Err(unusable(format!("it names no {what}"))),
        false => Ok(host.clone()),
    };
    let (service, is_objects) = match url.scheme() {
        "s3" if has("s3") => {
            with("bucket", named("bucket")?);
            with("root", path);
            ("s3", true)
        }
        "gs" | "gcs" if has("gs") => {
            with("bucket", named("bucket")?);
            with("root", path);
            ("gcs", true)
        }
        "azblob" if has("azblob") => {
            with("container", named("container")?);
            with("root", path);
            ("azblob", true)
        }
        "webdav" | "webdav+http" if has("webdav") => {
            named("host")?;
            let plain = url.scheme() == "webdav+http";
            let scheme = if plain { "http" } else { "https" };
            with("endpoint", format!("{scheme}://{authority}"));
            with("root", path);
            let variable = |name: &str| std::env::var(name).unwrap_or_default();
            let or = |given: &str, name: &str| match given {
                "" => variable(name),
                given => given.to_owned(),
            };
            with("username", or(url.username(), "IBID_WEBDAV_USER"));
            let password = url.password().unwrap_or_default();
            with("password", or(password, "IBID_WEBDAV_PASSWORD"));
            ("webdav", true)
        }
        "file" if has("file") => {
            let path = url.to_file_path();
            let path = path.map_err(|()| unusable("it is no path of this machine".into()))?;
            let path = path.into_os_string().into_string();
            let path = path.map_err(|_| unusable("it is not UTF-8".into()))?;
            // Written aside, then renamed: who reads meanwhile sees nothing of it. Who may not
            // write needs no such directory.
            let aside = format!("{path}/writing");
            if std::fs::create_dir_all(&aside).is_ok() {
                with("atomic_write_dir", aside);
            }
            with("root", path);
            ("fs", true)
        }
        "memcached" if has("memcached") => {
            named("host")?;
            with("endpoint", format!("tcp://{authority}"));
            with("root", path);
            ("memcached", false)
        }
        #[cfg(feature = "redis")]
        "redis" | "rediss" => return redis_place(&url, &path).map_err(unusable),
        scheme => {
            return Err(LocationError::Unknown {
                scheme: scheme.to_owned(),
                available: SCHEMES.join(", "),
            });
        }
    };
    opendal::init_default_registry();
    let operator = Operator::via_iter(service, options);
    let operator = operator.map_err(|error| unusable(error.message().to_owned()))?;
    let operator = match service {
        "fs" | "memcached" => operator,
        _ => with_own_client(operator).map_err(unusable)?,
    };
    if is_objects {
        return Ok(Place::Objects(operator));
    }
    #[cfg(feature = "memcached")]
    return Ok(Place::Values(operator));
    #[cfg(not(feature = "memcached"))]
    unreachable!("nothing else stores values one by one");
}

/// Gives `operator`, whose service speaks HTTP, connections of its own. They are served by the runtime that made them, so those
/// that all operators share would break when the store whose runtime that is goes.
fn with_own_client(operator: Operator) -> Result<Operator, String> {
    let client = reqwest::Client::builder().build();
    let client = client.map_err(|error| error.to_string())?;
    let transport = HttpTransporter::new(ReqwestTransport::new(client));
    let context = operator.base_context().with_http_transport(transport);
    Ok(operator.with_context(context))
}

fn has(scheme: &str) -> bool {
    SCHEMES.contains(&scheme)
}

/// The first part of the path is the database's number, as everywhere; what follows is what keys
/// begin with.
#[cfg(feature = "redis")]
fn redis_place(url: &Url, path: &str) -> Result<Place, String> {
    let (database, prefix) = path.split_once('/').unwrap_or((path, ""));
    let mut server = url.clone();
    server.set_path(database);
    let client = redis::Client::open(server.as_str()).map_err(|error| error.to_string())?;
    let prefix = match prefix {
        "" => "ibid".to_owned(),
        prefix => prefix.to_owned(),
    };
    Ok(Place::Redis { client, prefix })
}

/// `url` as it may be shown: without a password, and without what is behind `?`.
pub(crate) fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) if !url.cannot_be_a_base() => {
            if url.password().is_some() {
                // A URL without a host has no password.
                let _ = url.set_password(Some("…"));
            }
            if url.query().is_some() {
                url.set_query(Some("…"));
            }
            url.to_string().replace("%E2%80%A6", "…")
        }
        _ => match url.split_once(['@', '?']) {
            Some(_) => "…".to_owned(),
            None => url.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let shown = [
            (
                "s3://bucket/prefix?secret_access_key=x",
                "s3://bucket/prefix?…",
            ),
            ("redis://user:word@host:1/0", "redis://user:…@host:1/0"),
            ("user:word@host", "…"),
            ("nonsense", "nonsense"),
        ];
        for (url, expected) in shown {
            assert_eq!(without_secrets(url), expected);
        }
    }

    #[test]
    fn errors_say_what_would_do() {
        let error = |url: &str| match place(url) {
            Ok(_) => panic!("{url}"),
            Err(error) => error.to_string(),
        };
        assert!(error("nonsense").contains("s3://bucket"));
        let unknown = error("ftp://host/");
        assert!(unknown.contains("`ftp`"), "{unknown}");
        #[cfg(feature = "s3")]
        {
            assert!(unknown.contains("s3"), "{unknown}");
            assert!(error("s3:///prefix").contains("no bucket"));
        }
    }

    #[test]
    #[cfg(all(
        feature = "s3",
        feature = "gcs",
        feature = "azblob",
        feature = "webdav",
        feature = "fs",
        feature = "redis",
        feature = "memcached"
    ))]
    fn every_scheme_leads_somewhere() {
        for (url, is_objects) in [
            ("s3://bucket/a/b?region=eu-central-1", true),
            ("gs://bucket/a", true),
            (
                "azblob://container/a?account_name=x&endpoint=https://x.invalid",
                true,
            ),
            ("webdav://host.invalid:1234/a", true),
            ("webdav+http://127.0.0.1:1/a", true),
            ("file:///tmp/ibid-remote", true),
            ("redis://127.0.0.1:1/2/team", false),
            ("rediss://host.invalid/", false),
            ("memcached://127.0.0.1:1/team", false),
        ] {
            match place(url) {
                Ok(place) => assert_eq!(matches!(place, Place::Objects(_)), is_objects, "{url}"),
                Err(error) => panic!("{url}: {error}"),
            }
        }
    }
}
