fn main() -> std::process::ExitCode {
    sslserver::sslprint::main()
}
