//! Images that take more memory than they may.

use std::fs;

use crate::program::{elbo, output, place, succeed, text, train};

/// 80 images of 8×8 take 5,120 bytes: a window of a quarter of what they may take holds one minibatch.
#[test]
fn what_exceeds_its_budget_is_streamed_to_the_same_bits() {
    let dir = place();
    let file = |name: String| fs::read(dir.path().join(name)).expect("a file of a run");
    for device in ["cpu", "llvmpipe"] {
        let mut runs = Vec::new();
        for (out, flags, said) in [
            ("whole", "", None),
            ("asked", "--stream", Some("5120 bytes, are streamed: as asked")),
            ("small", "--memory-budget 1280", Some("they may take 1280 bytes")),
        ] {
            let out = format!("{out}-{device}");
            let flags = format!("--epochs 3 --device {device} --out {out} {flags}");
            let mut command = train(&dir, &flags);
            command.env("XDG_CACHE_HOME", dir.path().join("caches"));
            let done = output(command);
            assert!(done.status.success(), "{}", text(&done.stderr));
            let (says, streamed) = (text(&done.stderr), "are streamed");
            assert_eq!(said.is_some(), says.contains(streamed), "{flags}: {says}");
            assert!(says.contains(said.unwrap_or_default()), "{flags}: {says}");
            let told = succeed(elbo(&dir, &format!("evaluate {out} --device {device} --stream")));
            runs.push((file(format!("{out}/weights.safetensors")), told));
        }
        assert!(runs.windows(2).all(|two| two[0] == two[1]), "{device}: weights and losses");
    }
}
