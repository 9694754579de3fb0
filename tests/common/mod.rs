//! What the tests share: an adapter to run on.

use elbo::gpu::{Gpu, adapters};

/// The adapter for the tests: a hardware one if there is one, else software.
///
/// There must be one. Mesa's software Vulkan is enough:
/// `apt-get install -y mesa-vulkan-drivers libvulkan1`, which the README's test command does.
pub(crate) fn gpu() -> Gpu {
    let found = adapters();
    let best = found.iter().position(|adapter| !adapter.software).unwrap_or(0);
    assert!(!found.is_empty(), "these tests need an adapter; install mesa-vulkan-drivers");
    Gpu::open(best).expect("the adapter gives a device")
}
