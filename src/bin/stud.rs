fn main() -> std::process::ExitCode {
    sslserver::stud::main()
}
