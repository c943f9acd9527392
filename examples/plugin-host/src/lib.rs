//! A host of plugins that takes a changed plugin into service while requests keep coming.
//!
//! In the order in which a change goes through:
//!
//! | module | what it is |
//! |---|---|
//! | [`watch`] | notices which files of a directory changed, and when they have come to rest |
//! | [`host`] | compiles what changed, tries it out, and exchanges the plugin in service |
//! | [`plugin`] | one version of a plugin, and what a request is for it |
//! | [`engine`] | the settings of all of them, and the clock that ends a plugin that hangs |
//! | [`report`] | what became of a change, in a line |
//! | [`load`] | requests from several threads |
//!
//! Nobody waits for a compile but the thread that does it. A request is answered by the version
//! that was in service when it began, or by a later one, never by a mixture; what does not compile,
//! or is no plugin, does not come into service.

pub mod engine;
pub mod host;
pub mod load;
pub mod plugin;
pub mod report;
pub mod watch;

pub use host::Host;
pub use load::Load;
pub use report::{Refused, Reloaded};
pub use watch::Watch;

/// Follows what `watch` notices until it is stopped: every change goes to `host`, and what became
/// of it to `tell`.
pub fn follow(host: &Host, watch: &mut Watch, mut tell: impl FnMut(Result<Reloaded, Refused>)) {
    while let Some(changes) = watch.wait() {
        for change in changes {
            tell(host.reload(&change));
        }
    }
}
