fn main() -> std::process::ExitCode {
    sslserver::mconnect_io::main()
}
