//! The keys of the table `[data]`.

use super::{Table, key, optional};

pub(super) const DATA: Table = Table {
    name: "data",
    about: "How files become images. A run keeps it, and reads later files by it.",
    keys: &[
        key(
            "range",
            "How values become pixels, decided once by the training images: auto (bytes of pictures over\n\
             255; whole numbers from 0 on over the largest; floats in [0, 1] as they are; what is taken\n\
             is said), bytes (over 255), none (as they are), \"LOW,HIGH\" (mapped to [0, 1]), standardise\n\
             (less the mean, over the deviation), columns (each by its own) or by-file (each file by its\n\
             own content, as older runs).",
        ),
        key(
            "split",
            "Where no test images are given: drawn (a share of each class, by a hash of split-seed and the\n\
             image; equal images and those of one group stay together) or every-tenth (as older runs;\n\
             of ordered data a biased sample).",
        ),
        key("test-fraction", "The share of images that is to test, above 0 and below 1."),
        key(
            "validation-fraction",
            "The share of the training images that is set apart to validate, 0 to below 1: training looks at\n\
             them after each epoch and leaves the test images to the end; 0.0 sets none apart.",
        ),
        key("split-seed", "The seed of the division, from 0 on, apart from that of training."),
        optional(
            "image-size",
            "[28, 20]",
            "Height, width and perhaps channels of images that lie as flat rows, else a square, or a row; or\n\
             height and width of what `pad` without `resize` pads pictures to, else the largest.",
        ),
        optional(
            "layout",
            "\"nhwc\"",
            "The order of an array's axes where it could be more than one: nhwc (images, height, width,\n\
             channels), nchw (channels before the pixels) or hwn (images last).",
        ),
        key(
            "channels",
            "as-files (colour if one picture to train on has colour; a run keeps grey or color), grey (the\n\
             weights of Rec. 601) or color.",
        ),
        key(
            "background",
            "What lies behind what is transparent: auto (black; white where all would be of one colour;\n\
             a run keeps which), black or white.",
        ),
        key(
            "resize",
            "Pictures are scaled until the short side has so many pixels, up to 16384, and the middle is\n\
             cut out; 0 leaves them.",
        ),
        key(
            "pad",
            "Whether pictures are padded with the background in place of cut: to squares of `resize`, or\n\
             to the largest: true or false.",
        ),
        optional(
            "label-column",
            "\"label\"",
            "The column of a table that holds the class: its name, or first, last or none.",
        ),
        optional(
            "group-column",
            "\"patient\"",
            "The column of a table whose equal values are not divided into train and test.",
        ),
        optional(
            "labels",
            "\"labels.npy\"",
            "A file of the training images' classes: IDX, .npy, or a class a line.",
        ),
        optional("test-labels", "\"test-labels.npy\"", "A file of the test images' classes."),
    ],
};
