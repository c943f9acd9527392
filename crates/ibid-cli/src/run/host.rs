//! What a program is given: arguments, environment, directories, the network.

use crate::Failure;
use clap::Args;
use std::ffi::OsString;
use std::path::Path;
use wasmtime::{Result, StoreLimits, StoreLimitsBuilder, bail, error::Context as _, format_err};
use wasmtime_cli_flags::CommonOptions;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiCtxView, WasiView};

/// What is granted on the command line.
#[derive(Args)]
pub(crate) struct Grants {
    /// Let the program have a directory, as GUEST_DIR if that is said
    #[arg(long = "dir", value_name = "HOST_DIR[::GUEST_DIR]", value_parser = directory)]
    directories: Vec<(String, String)>,

    /// Set a variable of the program's environment, or pass on the one of this name
    #[arg(long = "env", value_name = "NAME[=VAL]", value_parser = variable)]
    variables: Vec<(String, Option<String>)>,

    /// What the program is to be told that it is called [default: the file's name]
    #[arg(long, value_name = "NAME")]
    argv0: Option<String>,
}

fn directory(text: &str) -> Result<(String, String), String> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    if host.is_empty() || guest.is_empty() {
        return Err("a directory is HOST_DIR or HOST_DIR::GUEST_DIR, as in data::/data".into());
    }
    Ok((host.into(), guest.into()))
}

fn variable(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.into())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("a variable is NAME or NAME=VAL".into());
    }
    Ok((name.into(), value))
}

/// Refuses what Wasmtime's own command can do and this one cannot: no program shall run with less
/// than it was meant to have.
pub(crate) fn check(options: &CommonOptions) -> Result<(), Failure> {
    let wasi = &options.wasi;
    let yes = Some(true);
    let missing = [
        (wasi.http == yes, "-S http"),
        (wasi.nn == yes || !wasi.nn_graph.is_empty(), "-S nn"),
        (wasi.threads == yes, "-S threads"),
        (wasi.config == yes, "-S config"),
        (wasi.keyvalue == yes, "-S keyvalue"),
        (wasi.tls == yes, "-S tls"),
        (wasi.p3 == yes, "-S p3"),
        (wasi.preview0 == yes, "-S preview0"),
        (wasi.preview2 == Some(false), "-S preview2=n"),
        (wasi.listenfd == yes, "-S listenfd"),
        (!wasi.tcplisten.is_empty(), "-S tcplisten"),
        (options.debug.debugger.is_some(), "-D debugger"),
    ];
    for (asked, option) in missing {
        if asked {
            return Err(Failure::Usage(format!(
                "`ibid run` has no `{option}`; compile with `ibid compile`, and run the artifact with `wasmtime run --allow-precompiled`, which may have it"
            )));
        }
    }
    Ok(())
}

/// What the store of a program has beside the program.
pub(crate) struct Host {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) limits: StoreLimits,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiView::ctx(&mut self.wasi)
    }
}

impl Host {
    /// The host of `program`, which is a file and the arguments.
    pub(crate) fn new(
        options: &CommonOptions,
        grants: &Grants,
        program: &[OsString],
    ) -> Result<Host> {
        let wasi = &options.wasi;
        let mut builder = WasiCtxBuilder::new();
        builder.args(&grants.arguments(program)?);
        if wasi.inherit_stdin.unwrap_or(true) {
            builder.inherit_stdin();
        }
        if wasi.inherit_stdout.unwrap_or(true) {
            builder.inherit_stdout();
        }
        if wasi.inherit_stderr.unwrap_or(true) {
            builder.inherit_stderr();
        }
        // Nothing else is to do in this process but to wait, unless there is a limit to that.
        builder.allow_blocking_current_thread(options.wasm.timeout.is_none());
        if wasi.inherit_env == Some(true) {
            for (name, value) in std::env::vars_os() {
                builder.env(text(&name)?, text(&value)?);
            }
        }
        for (name, value) in &grants.variables {
            match value {
                Some(value) => {
                    builder.env(name, value);
                }
                // What is not set here is not set there.
                None => {
                    if let Some(value) = std::env::var_os(name) {
                        builder.env(name, text(&value)?);
                    }
                }
            }
        }
        for (host, guest) in &grants.directories {
            builder
                .preopened_dir(host, guest, FsPerms::ReadWrite)
                .with_context(|| format!("cannot open the directory `{host}`"))?;
        }
        if let Some(directory) = &wasi.cwd {
            builder.initial_cwd(directory);
        }
        network(&mut builder, options);
        if let Some(size) = wasi.max_random_size {
            builder.max_random_size(size);
        }
        let mut context = builder.build_p1();
        if let Some(resources) = wasi.max_resources {
            WasiView::ctx(&mut context)
                .table
                .set_max_capacity(resources);
        }
        Ok(Host {
            wasi: context,
            limits: limits(options),
        })
    }
}

impl Grants {
    /// The program's arguments. Its name is that of the file, without where it is, which is none of
    /// its business.
    fn arguments(&self, program: &[OsString]) -> Result<Vec<String>> {
        let (file, rest) = program
            .split_first()
            .ok_or_else(|| format_err!("no program"))?;
        let name = match &self.argv0 {
            Some(name) => name.clone(),
            None => text(Path::new(file).file_name().unwrap_or(file))?.into(),
        };
        let rest = rest.iter().map(|argument| Ok(text(argument)?.to_string()));
        [Ok(name)].into_iter().chain(rest).collect()
    }
}

fn network(builder: &mut WasiCtxBuilder, options: &CommonOptions) {
    let wasi = &options.wasi;
    if wasi.inherit_network == Some(true) {
        builder.inherit_network();
        builder.allow_tcp(true).allow_udp(true);
    }
    if let Some(allow) = wasi.allow_ip_name_lookup {
        builder.allow_ip_name_lookup(allow);
    }
    if let Some(allow) = wasi.tcp {
        builder.allow_tcp(allow);
    }
    if let Some(allow) = wasi.udp {
        builder.allow_udp(allow);
    }
}

fn limits(options: &CommonOptions) -> StoreLimits {
    let wasm = &options.wasm;
    let mut limits = StoreLimitsBuilder::new();
    if let Some(bytes) = wasm.max_memory_size {
        limits = limits.memory_size(bytes);
    }
    if let Some(elements) = wasm.max_table_elements {
        limits = limits.table_elements(elements);
    }
    if let Some(instances) = wasm.max_instances {
        limits = limits.instances(instances);
    }
    if let Some(tables) = wasm.max_tables {
        limits = limits.tables(tables);
    }
    if let Some(memories) = wasm.max_memories {
        limits = limits.memories(memories);
    }
    if let Some(trap) = wasm.trap_on_grow_failure {
        limits = limits.trap_on_grow_failure(trap);
    }
    limits.build()
}

/// WASI has no other text than Unicode.
fn text(text: &std::ffi::OsStr) -> Result<&str> {
    match text.to_str() {
        Some(text) => Ok(text),
        None => bail!("{text:?} is not valid UTF-8, and WASI has nothing else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read() {
        let pair = |host: &str, guest: &str| Ok((host.to_string(), guest.to_string()));
        assert_eq!(directory("."), pair(".", "."));
        assert_eq!(directory("data::/d"), pair("data", "/d"));
        assert!(directory("").is_err() && directory("a::").is_err());
        let set = |name: &str, value: Option<&str>| Ok((name.into(), value.map(String::from)));
        assert_eq!(variable("A=b=c"), set("A", Some("b=c")));
        assert_eq!(variable("A="), set("A", Some("")));
        assert_eq!(variable("A"), set("A", None));
        assert!(variable("=b").is_err());
    }
}
