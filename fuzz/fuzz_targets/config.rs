//! Configurations in TOML; what is valid is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(config) = elbo::Config::from_toml(text) {
        let again = elbo::Config::from_toml(&config.to_toml());
        assert!(again.is_ok(), "{again:?}");
        let _ = config.validate();
    }
});
