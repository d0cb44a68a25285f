fn main() -> std::process::ExitCode {
    sslserver::sniproxy::hostname::main()
}
