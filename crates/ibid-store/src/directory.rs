//! Where a store lives when nobody says.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The directory of the user's own store: `$XDG_CACHE_HOME/ibid` if that variable holds an
/// absolute path, else `$HOME/.cache/ibid`, else `None`.
///
/// The XDG Base Directory Specification asks that a relative `XDG_CACHE_HOME` be ignored. The
/// directory need not exist: [`DiskStore::open`](crate::DiskStore::open) makes it.
pub fn default_directory() -> Option<PathBuf> {
    choose(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))
}

fn choose(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cache = xdg_cache_home
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(cache.join("ibid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(xdg_cache_home: Option<&str>, home: Option<&str>) -> Option<PathBuf> {
        choose(xdg_cache_home.map(Into::into), home.map(Into::into))
    }

    #[test]
    #[cfg(unix)]
    fn prefers_xdg_cache_home_if_absolute() {
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(chosen(Some("/x"), Some("/h")), path("/x/ibid"));
        assert_eq!(chosen(Some("x"), Some("/h")), path("/h/.cache/ibid"));
        assert_eq!(chosen(Some(""), Some("/h")), path("/h/.cache/ibid"));
        assert_eq!(chosen(None, Some("/h")), path("/h/.cache/ibid"));
        assert_eq!(chosen(None, Some("")), None);
        assert_eq!(chosen(None, None), None);
    }
}
