fn main() -> std::process::ExitCode {
    sslserver::tcprules::compile::main()
}
