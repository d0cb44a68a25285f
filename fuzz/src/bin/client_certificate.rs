#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sslserver_fuzz::client_certificate::run(bytes);
});
