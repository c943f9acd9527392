//! Servers as people have them, each with a port and a directory of its own.
//!
//! A server whose program is not on this machine is skipped, with a line on stderr, unless the
//! environment variable `IBID_TEST_SERVERS` is `required`.

use super::http::send;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The bucket that each S3 server has.
pub(crate) const BUCKET: &str = "fleet";

/// How long a server may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// How many ports are tried.
const ATTEMPTS: usize = 5;

/// Where programs are that are not meant for everyone, who may not have these in their `PATH`.
const FOR_ADMINISTRATORS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Where nginx's modules are, on Debian and on others.
const NGINX_MODULES: [&str; 2] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];

/// A Redis without persistence.
pub(crate) struct Redis(Server);

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        let program = program("redis-server").or_else(|| program("valkey-server"));
        let program = program.or_else(|| skip("redis-server", "apt-get install redis-server"))?;
        let server = Server::start(|port, directory| {
            let mut command = Command::new(&program);
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(directory);
            command
        });
        Some(Self(server))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.0.address)
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }
}

/// A memcached with its defaults: 64 MiB in all, and 1 MiB for a value.
pub(crate) struct Memcached(Server);

impl Memcached {
    pub(crate) fn start() -> Option<Self> {
        let program = program("memcached");
        let program = program.or_else(|| skip("memcached", "apt-get install memcached"))?;
        let server = Server::start(|port, directory| {
            let mut command = Command::new(&program);
            command.args(["-l", "127.0.0.1", "-p", &port.to_string()]);
            if is_root(directory) {
                command.args(["-u", "nobody"]);
            }
            command
        });
        Some(Self(server))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }
}

/// An nginx that serves WebDAV.
pub(crate) struct WebDav(Server);

impl WebDav {
    pub(crate) fn start() -> Option<Self> {
        let install = "apt-get install nginx libnginx-mod-http-dav-ext";
        let program = program("nginx").or_else(|| skip("nginx", install))?;
        let mut modules = NGINX_MODULES
            .iter()
            .map(|directory| Path::new(directory).join("ngx_http_dav_ext_module.so"));
        let module = modules.find(|module| module.is_file());
        let module = module.or_else(|| skip("WebDAV module of nginx", install))?;
        let server = Server::start(|port, directory| {
            fs::create_dir_all(directory.join("files")).unwrap();
            let configuration = nginx_configuration(&module, port, directory);
            fs::write(directory.join("nginx.conf"), configuration).unwrap();
            let mut command = Command::new(&program);
            command.arg("-p").arg(directory);
            command.arg("-c").arg(directory.join("nginx.conf"));
            // What it says before it has read the configuration.
            command.arg("-e").arg(directory.join("error.log"));
            command
        });
        Some(Self(server))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Where the files are that it serves.
    pub(crate) fn files(&self) -> PathBuf {
        self.0.directory.path().join("files")
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }
}

/// A configuration for one process, so that no other remains when that is killed.
fn nginx_configuration(module: &Path, port: u16, directory: &Path) -> String {
    let user = if is_root(directory) { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path \"{}/{what}\";\n", directory.display()))
        .concat();
    format!(
        r#"load_module "{module}";
daemon off;
master_process off;
{user}
pid "{directory}/nginx.pid";
error_log "{directory}/error.log";
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            root "{directory}/files";
            create_full_put_path on;
            dav_access user:rw;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS;
        }}
    }}
}}
"#,
        module = module.display(),
        directory = directory.display(),
    )
}

/// An S3 with one empty bucket, [`BUCKET`], and no check of signatures.
pub(crate) struct S3(Server);

impl S3 {
    pub(crate) fn start() -> Option<Self> {
        let install = "pip install 'moto[server,s3]', and IBID_MOTO_SERVER=.../bin/moto_server";
        let program = moto().or_else(|| skip("moto_server", install))?;
        let server = Server::start(|port, _| {
            let mut command = Command::new(&program);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        });
        let answer = send(server.address, "PUT", &format!("/{BUCKET}"), &[], b"").unwrap();
        assert_eq!(answer.status, 200, "no bucket: {}", answer.text());
        Some(Self(server))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }
}

fn moto() -> Option<PathBuf> {
    if let Some(stated) = std::env::var_os("IBID_MOTO_SERVER") {
        let stated = PathBuf::from(stated);
        assert!(stated.is_file(), "IBID_MOTO_SERVER names no file");
        return Some(stated);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = workspace.join("target/moto/bin/moto_server");
    if installed.is_file() {
        return Some(installed);
    }
    program("moto_server")
}

/// A process that listens.
struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts what `command` makes of a port and a directory, and waits until it listens.
    fn start(command: impl Fn(u16, &Path) -> Command) -> Self {
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            match Self::try_start(&command) {
                Ok(server) => return server,
                Err(last) => said = last,
            }
        }
        panic!("a server does not start, and says: {said}");
    }

    /// Returns what the server said if it ended, which it does when another has its port.
    fn try_start(command: impl Fn(u16, &Path) -> Command) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = command(address.port(), directory.path());
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut server = Self {
            child,
            address,
            directory,
        };
        let start = Instant::now();
        loop {
            let listens = TcpStream::connect(address).is_ok();
            // In this order: what listens is the server only if that has not ended.
            if server.child.try_wait().unwrap().is_some() {
                return Err(server.said());
            }
            if listens {
                return Ok(server);
            }
            assert!(
                start.elapsed() < STARTING,
                "a server does not listen, and says: {}",
                server.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        read("log") + &read("error.log")
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of loopback that nothing listens on, and that was not returned before.
fn free_address() -> SocketAddr {
    static RETURNED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut returned = RETURNED.lock().unwrap();
        if returned.get_or_insert_default().insert(address.port()) {
            return address;
        }
    }
}

/// Whether we may do everything, which is known from whose our files are.
fn is_root(directory: &Path) -> bool {
    fs::metadata(directory).unwrap().uid() == 0
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(FOR_ADMINISTRATORS.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

fn skip<T>(what: &str, install: &str) -> Option<T> {
    let is_required =
        std::env::var_os("IBID_TEST_SERVERS").as_deref() == Some(OsStr::new("required"));
    assert!(!is_required, "no {what} here ({install})");
    eprintln!("SKIPPED: no {what} here ({install})");
    None
}
