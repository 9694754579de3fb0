//! Mutations of what other programs write: IDX files of any numbers, pickles, MATLAB's and Parquet's files, CIFAR.

use elbo::data::formats::{cifar, idx, mat, parquet, pickle};

use super::{as_it_is, both_by_file, both_hold, by_file, fixtures_in, mutations, whole};

#[test]
fn numbers_in_idx_are_read_or_refused() {
    let file = |kind: u8, dims: &[u32], size: u32| -> Vec<u8> {
        let header = [
            vec![0, 0, kind, dims.len() as u8],
            dims.iter().flat_map(|d| d.to_be_bytes()).collect(),
        ];
        let len = dims.iter().product::<u32>() * size;
        header.concat().into_iter().chain((0..len).map(|i| (i * 7) as u8)).collect()
    };
    let seeds = [
        file(8, &[2, 5, 6, 3], 1),
        file(9, &[2, 3, 4], 1),
        file(11, &[2, 3, 4], 2),
        file(12, &[2, 9], 4),
        file(13, &[2, 2, 2], 4),
        file(14, &[2, 2, 2], 8),
    ];
    mutations("idx of numbers", &seeds, as_it_is, by_file(idx::read), whole);
}

#[test]
fn files_of_others_are_read_or_refused() {
    let seeds = |ending| fixtures_in("tests/data/others", ending);
    mutations("pickle", &seeds("pkl"), as_it_is, both_by_file(pickle::read), both_hold);
    mutations("mat", &seeds("mat"), as_it_is, both_by_file(mat::read), both_hold);
    mutations("parquet", &seeds("parquet"), as_it_is, by_file(parquet::read), whole);
    let record = |classes: &[u8]| [classes, &[7; 3072]].concat();
    let batches = [record(&[3]), [record(&[19, 99]), record(&[1, 2])].concat()];
    mutations("cifar", &batches, as_it_is, by_file(cifar::read), whole);
    let batch = std::fs::read("tests/data/others/batch_4.pkl").expect("a fixture");
    mutations(
        "tar",
        &[tar("data_batch_1", &batch)],
        as_it_is,
        both_by_file(cifar::read_tar),
        both_hold,
    );
}

/// A tar of one member.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[257..262].copy_from_slice(b"ustar");
    let padding = content.len().next_multiple_of(512) - content.len();
    [header.as_slice(), content, &vec![0; padding + 1024]].concat()
}
