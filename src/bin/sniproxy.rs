fn main() -> std::process::ExitCode {
    sslserver::sniproxy::main()
}
