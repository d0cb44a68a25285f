#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sslserver_fuzz::to_sign::run(bytes);
});
