fn main() -> std::process::ExitCode {
    sslserver::sslserver::main()
}
