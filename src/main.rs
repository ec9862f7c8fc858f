//! The `hornero` program: all of it is in the library's `node` room.

fn main() -> std::process::ExitCode {
    hornero::node::main()
}
