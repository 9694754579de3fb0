//! The driver's compiled pipelines, kept in a file from run to run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::gpu::Gpu;

/// The first bytes of a file; the checksum of the rest follows.
const MAGIC: &[u8; 8] = b"elbopc01";

/// Bytes before the driver's own.
const HEADER: usize = MAGIC.len() + 4;

/// A pipeline cache with its file, which is written when this is dropped: some drivers compile a
/// pipeline only when it is first used.
#[derive(Debug)]
pub(super) struct Cache {
    pipelines: wgpu::PipelineCache,
    path: PathBuf,
    /// The checksum of what the file gave.
    read: Option<u32>,
}

impl Cache {
    /// The cache of a device's adapter in a folder, if the device was granted one.
    pub(super) fn open(gpu: &Gpu, folder: &Path) -> Option<Self> {
        if !gpu.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(&gpu.device.adapter_info())?);
        let stored = std::fs::read(&path).unwrap_or_default();
        let data = unpack(&stored);
        if data.is_none() && !stored.is_empty() {
            tracing::warn!("`{}` is no cache of pipelines; it is made anew", path.display());
        }
        // What another driver wrote is refused, and then there is nothing to start from.
        let made = create(gpu, data).or_else(|e| {
            tracing::warn!("`{}` does not suit this driver: {e}", path.display());
            create(gpu, None)
        });
        let pipelines = made.ok()?;
        Some(Self { pipelines, path, read: data.map(checksum) })
    }

    /// What pipelines are made with.
    pub(super) fn pipelines(&self) -> &wgpu::PipelineCache {
        &self.pipelines
    }

    /// Writes the file, if it gave anything else: an older driver's may have been longer.
    fn save(&self) -> Result<()> {
        let data = self.pipelines.get_data().unwrap_or_default();
        if self.read == Some(checksum(&data)) {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        write_whole(&self.path, &pack(&data))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // A device that is lost may have nothing to say any more, and wgpu may panic over that.
        match catch_unwind(AssertUnwindSafe(|| self.save())) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("the cache of pipelines was not kept: {e}"),
            Err(_) => tracing::warn!("the cache of pipelines was not kept: the device is lost"),
        }
    }
}

/// A driver's bytes as they stand in a file.
fn pack(data: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &checksum(data).to_le_bytes(), data].concat()
}

/// The driver's bytes in a file, if it is whole: no driver is known to judge more than their header.
fn unpack(file: &[u8]) -> Option<&[u8]> {
    let (header, data) = file.split_at_checked(HEADER)?;
    let (magic, sum) = header.split_at(MAGIC.len());
    (magic == MAGIC && sum == checksum(data).to_le_bytes()).then_some(data)
}

fn checksum(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// Makes a device's cache of what [`unpack`] let through.
#[expect(unsafe_code, reason = "the driver is given what it once gave")]
fn create(gpu: &Gpu, data: Option<&[u8]>) -> Result<wgpu::PipelineCache> {
    let label = Some("elbo pipelines");
    let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback: true };
    gpu.guarded("make a cache of pipelines", || {
        // SAFETY: the data must come from `get_data` of a cache on the same kind of adapter. Its
        // file has our mark and a checksum of all of it, so it is whole what `save` got from there;
        // wgpu compares adapter and driver with those in the data's header, and refuses others. Who
        // can forge a file in the user's own folder need not go by way of a driver.
        unsafe { gpu.device.create_pipeline_cache(&descriptor) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Options;

    #[test]
    fn only_a_whole_file_is_believed() {
        let file = pack(b"what a driver wrote");
        assert_eq!(unpack(&file), Some(b"what a driver wrote".as_slice()), "as it was written");
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 4;
            assert_eq!(unpack(&broken), None, "a bit of byte {at} is wrong");
            assert_eq!(unpack(&file[..at]), None, "it ends after {at} bytes");
        }
    }

    #[test]
    fn any_file_and_any_folder_will_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = |folder: &Path| {
            let options = Options { cache: Some(folder.to_owned()), ..Options::default() };
            let gpu = Gpu::open_with(0, &options).expect("an adapter");
            let cache = gpu.cache.clone();
            // The one failure here that is not a fault: an adapter whose API has no such cache.
            cache.map(|cache| (cache.path.clone(), cache.read))
        };
        let Some((path, read)) = open(folder.path()) else { return };
        assert_eq!(read, None, "there was no file");
        let kept = std::fs::read(&path).expect("a file, as the driver has a header at least");
        let data = unpack(&kept).expect("a whole one");
        assert_eq!(
            open(folder.path()),
            Some((path.clone(), Some(checksum(data)))),
            "it is read again"
        );
        let foreign = [b"WGPUPLCH".as_slice(), &[7; 200]].concat();
        let mut other_adapter = data.to_vec();
        // wgpu's own header: a mark of 8 bytes, two words, the backend, then the adapter.
        other_adapter[17] ^= 1;
        for broken in [b"".to_vec(), b"no".to_vec(), pack(&foreign), pack(&other_adapter)] {
            std::fs::write(&path, &broken).expect("a file");
            let opened = open(folder.path()).expect("a cache all the same");
            assert_eq!(opened.0, path, "{} bytes", broken.len());
            let mended = std::fs::read(&path).expect("a file");
            assert!(unpack(&mended).is_some_and(|d| d.starts_with(b"WGPUPLCH")), "it is whole");
            assert_ne!(mended, broken, "what cannot be used is replaced");
        }
        // A file where the folder should be.
        assert!(
            open(&path).is_some_and(|(_, read)| read.is_none()),
            "no folder, no file, no error"
        );
    }
}
