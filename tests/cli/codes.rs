//! `elbo encode` and `elbo decode`: every format, with every number compared with the library's.

use std::fs;
use std::path::Path;

use crate::program::{images, place, succeed, text, train};
use crate::uses::{class, csv, datasets, model, run, told, trained};

/// The shape and the values of an array of f32, read without the library.
pub(crate) fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let file = fs::read(path).expect("an array");
    let end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = text(&file[10..end]);
    assert!(header.contains("'descr': '<f4', 'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).expect("a shape");
    let shape = shape.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let (words, rest) = file[end..].as_chunks();
    assert!(rest.is_empty(), "{} bytes behind the array", rest.len());
    (shape, words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

#[test]
fn codes_go_to_files() {
    let dir = trained();
    let at = |name: &str| dir.path().join(name);
    let [train, test] = datasets(&dir);
    let codes = model(&dir, &test).encode(0..16).expect("codes");
    let said = run(&dir, "encode out --out mean.npy");
    assert_eq!(said, "mean of 16 test images in 2 dimensions, after step 8: mean.npy\n");
    run(&dir, "encode out --out log_var.npy --what log-var");
    let line = told(&dir, "encode out --out z.npy --what z");
    assert_eq!((&line["event"], &line["images"]), (&"codes".into(), &16.into()), "{line}");
    assert_eq!(line["parts"], serde_json::json!(["z"]), "{line}");
    let parts = [("mean", &codes.mean), ("log_var", &codes.log_var), ("z", &codes.z)];
    for (name, values) in parts {
        assert_eq!(npy(&at(&format!("{name}.npy"))), (vec![16, 2], values.clone()), "{name}");
    }
    assert!(codes.mean != codes.z, "a drawn z is not the mean");
    run(&dir, "encode out --out train.NPY --split train --limit 5");
    // By a model of five images, since a minibatch of another size rounds otherwise.
    let few = model(&dir, &train.limited(5)).encode(0..5).expect("codes");
    assert_eq!(npy(&at("train.NPY")), (vec![5, 2], few.mean), "five training images");
    run(&dir, "encode out --out all.csv");
    let (names, lines) = csv(&at("all.csv"));
    let expected = "image,label,mean_0,mean_1,log_var_0,log_var_1,z_0,z_1";
    assert_eq!(names.join(","), expected, "the names of the columns");
    assert_eq!(lines.len(), 16, "a line for each image");
    for (image, line) in lines.iter().enumerate() {
        let start = [image.to_string(), class(image).to_string()];
        assert_eq!(line[..2], start, "the number and the label of image {image}");
        let found: Vec<f32> = line[2..].iter().map(|v| v.parse().expect("a number")).collect();
        let of = |values: &[f32]| values[image * 2..][..2].to_vec();
        let expected = parts.map(|(_, values)| of(values)).concat();
        assert_eq!(found, expected, "image {image}");
    }
    run(&dir, "encode out --out all.safetensors");
    let file = fs::read(at("all.safetensors")).expect("tensors");
    let file = safetensors::SafeTensors::deserialize(&file).expect("a safetensors file");
    assert_eq!(file.len(), 3, "{:?}", file.names());
    for (name, values) in parts {
        let tensor = file.tensor(name).expect(name);
        let bytes: Vec<_> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(tensor.shape() == [16, 2] && tensor.data() == bytes, "{name}: {tensor:?}");
    }
    // Without labels there is no column of them.
    fs::remove_file(at("data/t10k-labels-idx1-ubyte")).expect("labels to remove");
    run(&dir, "encode out --out bare.csv --limit 1");
    assert_eq!(csv(&at("bare.csv")).0.join(","), expected.replace("label,", ""), "no label");
}

/// More images than are decoded at once, and a last minibatch that is not full.
#[test]
fn decoded_means_are_reconstructions() {
    let dir = place();
    let path = dir.path().join("data/train-images-idx3-ubyte");
    fs::write(path, images(600)).expect("the temporary folder takes a file");
    succeed(train(&dir, "--quiet"));
    let at = |name: &str| dir.path().join(name);
    let mut model = model(&dir, &datasets(&dir)[0]);
    let (_, expected) = model.reconstruct(0..600).expect("reconstructions");
    for ending in ["npy", "csv", "safetensors"] {
        run(&dir, &format!("encode out --split train --out codes.{ending}"));
    }
    // Files of several parts are decoded at z, unless they are named otherwise.
    let line = told(&dir, "decode out codes.npy --out means.npy");
    assert_eq!((&line["event"], &line["images"]), (&"images".into(), &600.into()), "{line}");
    assert_eq!(npy(&at("means.npy")), (vec![600, 8, 8], expected.clone()), "means by .npy");
    let renamed = fs::read_to_string(at("codes.csv")).expect("a table").replace("z_", "y_");
    fs::write(at("renamed.csv"), renamed).expect("a table");
    run(&dir, "decode out renamed.csv --out renamed.npy");
    assert_eq!(npy(&at("renamed.npy")).1, expected, "means by .csv");
    let z = model.encode(0..600).expect("codes").z;
    let drawn = model.decode(&z).expect("images");
    assert!(drawn != expected, "z is not the mean");
    for ending in ["csv", "safetensors"] {
        run(&dir, &format!("decode out codes.{ending} --out {ending}.npy"));
        assert_eq!(npy(&at(&format!("{ending}.npy"))).1, drawn, "z by .{ending}");
    }
    fs::write(at("plain.csv"), "0.5,-1\n0,2e0\n").expect("a table");
    let said = run(&dir, "decode out plain.csv --out plain.png");
    assert_eq!(said, "2 images of 8 × 8 after step 38: plain.png\n", "what was written");
    let file = std::io::BufReader::new(fs::File::open(at("plain.png")).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    let info = reader.next_frame(&mut pixels).expect("a whole picture");
    assert!(info.width >= 320 && info.height > 72, "{info:?}");
    // The values of the images, each 72 pixels wide or more, lie in the picture as shades.
    let decoded = model.decode(&[0.5, -1.0, 0.0, 2.0]).expect("two images");
    let shade = (decoded[0] * 255.0 + 0.5) as u8;
    assert!(pixels.contains(&shade), "the first pixel is {shade}");
}
