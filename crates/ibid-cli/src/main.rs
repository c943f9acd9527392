//! The command `ibid`: a name and an allocator for what the library beside it does.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

fn main() -> ExitCode {
    ibid_cli::main()
}
