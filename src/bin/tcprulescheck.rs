fn main() -> std::process::ExitCode {
    sslserver::tcprules::check::main()
}
