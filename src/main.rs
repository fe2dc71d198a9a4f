//! The program: hands its arguments to [`holofs::cli`].

fn main() -> std::process::ExitCode {
    holofs::cli::main()
}
