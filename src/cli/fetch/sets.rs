//! The data sets that `elbo fetch` knows: what they are, where their files lie, and how a right file is told
//! from a wrong one.

/// A data set that can be downloaded.
#[derive(Debug)]
pub(in crate::cli) struct Set {
    /// What `elbo fetch` and `--data` call it.
    pub(in crate::cli) name: &'static str,
    /// What it holds, in a few words.
    pub(super) what: &'static str,
    /// The licence that its publishers state.
    pub(super) licence: &'static str,
    /// The page that describes it.
    pub(super) home: &'static str,
    /// Folders on the web that hold the files, tried in turn.
    pub(super) mirrors: &'static [&'static str],
    pub(super) files: &'static [File],
    /// The file that is read, where it is not the folder; one to test on is found beside it.
    pub(super) read: Option<&'static str>,
}

/// A file as it was published: only these bytes are taken.
#[derive(Debug)]
pub(in crate::cli) struct File {
    pub(super) name: &'static str,
    pub(super) bytes: u64,
    /// In hexadecimal digits.
    pub(super) sha256: &'static str,
}

impl Set {
    /// The size of all its files.
    pub(in crate::cli) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The sets. Sizes and SHA-256 are those of TensorFlow Datasets (`url_checksums`); other loaders have the same
/// hashes. MNIST's files are those of the original page, packed otherwise than those in `assets/mnist`.
const SETS: &[Set] = &[
    Set {
        name: "mnist",
        what: "70,000 handwritten digits, 28 × 28, grey",
        licence: "CC BY-SA 3.0",
        home: "http://yann.lecun.com/exdb/mnist/",
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: &[
            File {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            File {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            File {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            File {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
        read: None,
    },
    Set {
        name: "fashion-mnist",
        what: "70,000 articles of clothing, 28 × 28, grey",
        licence: "MIT",
        home: "https://github.com/zalandoresearch/fashion-mnist",
        mirrors: &[
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        ],
        files: &[
            File {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            File {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            File {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            File {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ],
        read: None,
    },
    Set {
        name: "kmnist",
        what: "70,000 cursive Japanese characters, 28 × 28, grey",
        licence: "CC BY-SA 4.0",
        home: "https://codh.rois.ac.jp/kmnist/",
        mirrors: &["https://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        files: &[
            File {
                name: "train-images-idx3-ubyte.gz",
                bytes: 18_165_135,
                sha256: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            },
            File {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_497,
                sha256: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            },
            File {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 3_041_136,
                sha256: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            },
            File {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_120,
                sha256: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            },
        ],
        read: None,
    },
    Set {
        name: "cifar10",
        what: "60,000 photographs of 10 classes, 32 × 32, colour",
        licence: "none stated; its authors ask to be cited",
        home: "https://www.cs.toronto.edu/~kriz/cifar.html",
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[File {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
        read: Some("cifar-10-binary.tar.gz"),
    },
    Set {
        name: "cifar100",
        what: "60,000 photographs of 100 classes, 32 × 32, colour",
        licence: "none stated; its authors ask to be cited",
        home: "https://www.cs.toronto.edu/~kriz/cifar.html",
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[File {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        }],
        read: Some("cifar-100-binary.tar.gz"),
    },
    Set {
        name: "svhn",
        what: "99,289 digits of house numbers, 32 × 32, colour",
        licence: "for non-commercial use only",
        home: "http://ufldl.stanford.edu/housenumbers/",
        mirrors: &["https://ufldl.stanford.edu/housenumbers/"],
        files: &[
            File {
                name: "train_32x32.mat",
                bytes: 182_040_794,
                sha256: "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            },
            File {
                name: "test_32x32.mat",
                bytes: 64_275_384,
                sha256: "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            },
        ],
        read: Some("train_32x32.mat"),
    },
];

/// A set of a few kilobytes, which tests make and serve: there is no other whose bytes they have.
const TINY: &[Set] = &[Set {
    name: "tiny",
    what: "80 images that tests make, 28 × 28, grey",
    licence: "that of elbo",
    home: "tests/cli/fetch.rs",
    mirrors: &["https://first.invalid/", "https://second.invalid/mirror/"],
    files: &[
        File {
            name: "train-images-idx3-ubyte",
            bytes: 50_192,
            sha256: "f9b0b94f645e9d94d0a39fa67f92a15afbb6f48050a35d3d910ff430940ce186",
        },
        File {
            name: "t10k-images-idx3-ubyte",
            bytes: 12_560,
            sha256: "4785c195e81350d7901b53f748f0aeb5c99af7a4e591d363dcff964e49106faf",
        },
    ],
    read: None,
}];

/// All sets, in the order in which they are listed.
pub(in crate::cli) fn all() -> impl Iterator<Item = &'static Set> {
    let tiny = if super::served_here().is_some() { TINY } else { &[] };
    SETS.iter().chain(tiny)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_can_be_meant() {
        let names: BTreeSet<_> = SETS.iter().map(|set| set.name).collect();
        assert_eq!(names.len(), SETS.len(), "each name stands once");
        for set in SETS {
            let name = set.name;
            assert!(set.mirrors.iter().all(|at| at.starts_with("https://")), "{name}: by https");
            assert!(set.mirrors.iter().all(|at| at.ends_with('/')), "{name}: folders");
            assert!(set.what.chars().count() <= 60, "{name} fits a line");
            for file in set.files {
                let digits = file.sha256.bytes().filter(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
                assert_eq!((digits.count(), file.sha256.len()), (64, 64), "{name}: {}", file.name);
            }
            if let Some(named) = set.read {
                assert!(set.files.iter().any(|file| file.name == named), "{name}: {named}");
            }
        }
    }
}
