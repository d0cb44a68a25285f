fn main() -> std::process::ExitCode {
    sslserver::tunnel::main()
}
