fn main() -> std::process::ExitCode {
    sslserver::sslclient::main()
}
