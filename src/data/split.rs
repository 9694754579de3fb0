//! A fair division: which images test is drawn by a hash, a share of each class.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::config::{DataConfig, Split};
use crate::data::held::Held;
use crate::data::raw::{Part, Raw};
use crate::error::{Error, Result};

/// Every so many-th image tests in the division of older runs.
const TEST_EVERY: usize = 10;

/// Divides images into those to train and those to test on, as the configuration says.
///
/// Images lie in units that are not divided: equal images, and those of one group. Units follow one another
/// by a hash of the seed and their images' values, so that neither the order of the images nor their number
/// decides; of each class, the first are taken until its share is full: exactly the rounded share, if each
/// image is a unit of its own.
pub(super) fn divide(path: &Path, raw: Raw, config: &DataConfig) -> Result<(Raw, Raw)> {
    let count = raw.count;
    let mut raw = raw;
    let taken: Vec<bool> = match config.split {
        Split::EveryTenth => (1..=count).map(|i| i.is_multiple_of(TEST_EVERY)).collect(),
        Split::Drawn => drawn(&mut raw, config.test_fraction, config.split_seed)?,
    };
    let hint = "give test images of their own with `--test-data`, more images, or another `--test-fraction`";
    check(path, &taken, "test on", hint)?;
    let (test, train) = raw.divided(&taken);
    Ok((train, test))
}

/// Sets images to train on apart to validate, a share of each class; drawn as those to test on are, and after
/// them, so that they are the next by the same hash.
pub(super) fn set_apart(path: &Path, mut raw: Raw, config: &DataConfig) -> Result<(Raw, Raw)> {
    let taken = drawn(&mut raw, config.validation_fraction, config.split_seed)?;
    let hint = "give more images, or another `--validation-fraction`";
    check(path, &taken, "validate on", hint)?;
    let (validation, train) = raw.divided(&taken);
    Ok((train, validation))
}

/// Refuses a division with nothing on one side.
fn check(path: &Path, taken: &[bool], aim: &str, hint: &str) -> Result<()> {
    let (some, count) = (taken.iter().filter(|&&taken| taken).count(), taken.len());
    if some == 0 || some == count {
        let what =
            format!("its {count} images cannot be divided: {some} of them would be to {aim}");
        return Err(Error::data(path, what).hint(hint));
    }
    Ok(())
}

/// Whether each image is one of the drawn share.
fn drawn(raw: &mut Raw, share: f64, seed: u64) -> Result<Vec<bool>> {
    let hashes = hashes(&raw.values, raw.size.len(), seed)?;
    let mut units = units(raw, &hashes);
    if units.len() == 1 && raw.count > 1 {
        let what = if raw.groups.is_some() {
            "images are equal or of one group"
        } else {
            "images are equal"
        };
        raw.notes.push(format!("all {what}, so that those held out are none that are new"));
        units = (0..raw.count).map(|image| vec![image]).collect();
    }
    // The smallest hash of a unit is its place, which no order of the images changes.
    units.sort_by_cached_key(|unit| unit.iter().map(|&i| hashes[i]).min());
    let class = |image: usize| raw.labels.as_ref().map_or(0, |labels| labels.values[image]);
    let mut left = [0_usize; 256];
    (0..raw.count).for_each(|i| {
        let place = &mut left[usize::from(class(i))];
        *place = place.saturating_add(1);
    });
    for count in &mut left {
        *count = (*count as f64 * share).round() as usize;
    }
    let mut taken = vec![false; raw.count];
    for unit in &units {
        let mut has = [0_usize; 256];
        for &image in unit {
            let place = &mut has[usize::from(class(image))];
            *place = place.saturating_add(1);
        }
        // A share may be exceeded where that is nearer to it than to stay below.
        let fits =
            left.iter().zip(has).all(|(&left, has)| has == 0 || has < left.saturating_mul(2));
        if fits {
            left.iter_mut().zip(has).for_each(|(left, has)| *left = left.saturating_sub(has));
            unit.iter().for_each(|&image| taken[image] = true);
        }
    }
    // Something must be drawn, where there is more than one thing.
    if !taken.contains(&true) && units.len() > 1 {
        let fewest = units.iter().min_by_key(|unit| unit.len());
        fewest.into_iter().flatten().for_each(|&image| taken[image] = true);
    }
    Ok(taken)
}

/// A hash of the seed and of each row of so many values: the first 16 bytes of SHA-256.
pub(super) fn hashes(values: &Held, row: usize, seed: u64) -> Result<Vec<u128>> {
    let start = Sha256::new().chain_update(seed.to_le_bytes());
    let digest = |hash: Sha256| {
        let bytes = hash.finalize();
        bytes.first_chunk().map_or(0, |first| u128::from_le_bytes(*first))
    };
    let mut hashes = Vec::new();
    values.each_part(row, &mut |_, part| {
        match part {
            Part::Bytes(v) => hashes.par_extend(
                v.par_chunks_exact(row).map(|row| digest(start.clone().chain_update(row))),
            ),
            Part::Floats(v) => hashes.par_extend(v.par_chunks_exact(row).map(|row| {
                let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
                digest(start.clone().chain_update(bytes))
            })),
        }
        Ok(())
    })?;
    Ok(hashes)
}

/// The images that belong together.
fn units(raw: &Raw, hashes: &[u128]) -> Vec<Vec<usize>> {
    // A forest: each image points to one before it, or to itself.
    let mut above: Vec<usize> = (0..raw.count).collect();
    fn root(above: &mut [usize], mut image: usize) -> usize {
        while above[image] != image {
            above[image] = above[above[image]];
            image = above[image];
        }
        image
    }
    let mut join = |first: usize, second: usize| {
        let (a, b) = (root(&mut above, first), root(&mut above, second));
        above[a.max(b)] = a.min(b);
    };
    let mut first_of = HashMap::new();
    for (image, hash) in hashes.iter().enumerate() {
        join(*first_of.entry(*hash).or_insert(image), image);
    }
    let mut first_in = HashMap::new();
    for (image, group) in raw.groups.iter().flatten().enumerate() {
        join(*first_in.entry(*group).or_insert(image), image);
    }
    let mut units = vec![Vec::new(); raw.count];
    for image in 0..raw.count {
        units[root(&mut above, image)].push(image);
    }
    units.retain(|unit| !unit.is_empty());
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::labels::Labels;
    use crate::data::raw::{Kind, Values};

    fn raw(values: Vec<u8>, labels: Option<Vec<u8>>) -> Raw {
        let raw = Raw::new(Path::new("x"), [1, 1].into(), Values::Bytes(values), Kind::Bytes);
        let mut raw = raw.expect("images of a byte");
        raw.labels = labels.map(|values| Labels { values, names: None });
        raw
    }

    fn values_of(raw: &Raw) -> Vec<u8> {
        let Held::Memory(Values::Bytes(v)) = &raw.values else { panic!("other values: {raw:?}") };
        v.clone()
    }

    fn tests_of(raw: Raw, config: &DataConfig) -> (Raw, Raw) {
        divide(Path::new("x"), raw, config).expect("a division")
    }

    /// Exactly the rounded share of each class, however the images are ordered, and another with another
    /// seed.
    #[test]
    fn each_class_gives_its_share() {
        let values: Vec<u8> = (0..=249).collect();
        let labels: Vec<u8> = values.iter().map(|v| v / 50).collect();
        let config = DataConfig::default();
        let (train, test) = tests_of(raw(values.clone(), Some(labels.clone())), &config);
        assert_eq!((train.count, test.count), (225, 25), "a tenth");
        let given = test.labels.clone().expect("labels").values;
        for class in 0..5 {
            let found = given.iter().filter(|&&c| c == class).count();
            assert_eq!(found, 5, "a tenth of 50 of the class {class}");
        }
        let back = |v: &Vec<u8>| v.iter().rev().copied().collect::<Vec<_>>();
        let (_, turned) = tests_of(raw(back(&values), Some(back(&labels))), &config);
        let sorted = |raw: &Raw| {
            let mut v = values_of(raw);
            v.sort_unstable();
            v
        };
        assert_eq!(sorted(&turned), sorted(&test), "the order of the images decides nothing");
        let other = DataConfig { split_seed: 2, ..config };
        let (_, drawn) = tests_of(raw(values, Some(labels)), &other);
        assert_ne!(sorted(&drawn), sorted(&test), "another seed");
    }

    #[test]
    fn equal_images_and_groups_stay_together() {
        let config = DataConfig { test_fraction: 0.3, ..DataConfig::default() };
        // Each image four times, and groups of two neighbouring values.
        let values: Vec<u8> = (0..200).map(|i| i / 4).collect();
        let mut all = raw(values, None);
        all.groups = Some((0..200).map(|i| i / 8).collect());
        let (train, test) = tests_of(all, &config);
        let groups = |raw: &Raw| -> std::collections::BTreeSet<u8> {
            values_of(raw).iter().map(|v| v / 2).collect()
        };
        assert!(groups(&train).is_disjoint(&groups(&test)), "no group is on both sides");
        assert!((53..=60).contains(&test.count), "{} of 200 test", test.count);
    }

    /// Neither the test images nor their equals validate, and each class gives its share.
    #[test]
    fn validation_images_are_set_apart_from_the_others() {
        let config = DataConfig { validation_fraction: 0.2, ..DataConfig::default() };
        let values: Vec<u8> = (0..=199).collect();
        let labels: Vec<u8> = values.iter().map(|v| v / 50).collect();
        let (train, test) = tests_of(raw(values, Some(labels)), &config);
        let (train, validation) = set_apart(Path::new("x"), train, &config).expect("a division");
        assert_eq!((train.count, validation.count, test.count), (144, 36, 20), "a fifth of 180");
        let given = validation.labels.clone().expect("labels").values;
        let of = |class: u8| given.iter().filter(|&&c| c == class).count();
        assert_eq!([0, 1, 2, 3].map(of), [9; 4], "a fifth of 45 of each class");
        let mut all = [&train, &validation, &test].map(values_of).concat();
        all.sort_unstable();
        assert_eq!(all, (0..=199).collect::<Vec<_>>(), "each image is in one set");
        let error = set_apart(Path::new("x"), raw(vec![1], None), &config).expect_err("one image");
        assert!(error.to_string().contains("would be to validate on"), "{error}");
    }

    #[test]
    fn what_cannot_be_divided_is_refused() {
        let one = raw(vec![1], None);
        let error = divide(Path::new("x"), one, &DataConfig::default()).expect_err("one image");
        assert!(error.to_string().contains("1 images cannot be divided"), "{error}");
        let (train, test) = tests_of(raw(vec![1, 2, 3, 4], None), &DataConfig::default());
        assert_eq!((train.count, test.count), (3, 1), "one of four, though a tenth is none");
        let (train, test) = tests_of(raw(vec![7; 100], None), &DataConfig::default());
        assert_eq!((train.count, test.count), (90, 10), "all alike");
        assert_eq!(train.notes.len(), 1, "which is said: {:?}", train.notes);
    }
}
