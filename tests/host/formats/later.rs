//! Pictures that a run is shown later are made as those that it trained on.

use std::sync::Mutex;

use elbo::config::{Background, Channels, Config, DataConfig};
use elbo::data::Sources;
use elbo::{Dataset, Error};

use super::folders::{Folder, auto, grey, images, refused, rgb, rgba};

/// What the training pictures decided holds for the test images, and by the run's configuration for all that
/// come later.
#[test]
fn later_pictures_are_made_like_those_to_train_on() {
    let opened = |train: &Folder, later: &Folder, data: DataConfig| {
        let config = Config { data, ..Config::default() };
        let (data, test) = (train.path(), Some(later.path()));
        let opened = Sources { test, ..Sources::new(data, &config) }.open()?;
        let run = Config { data: opened.data.clone(), ..Config::default() };
        let reading = Some(&opened.reading);
        let again = Sources { test, reading, ..Sources::new(later.path(), &run) }.open()?;
        assert_eq!(
            again.train.fingerprint()?,
            opened.test.fingerprint()?,
            "after the run as in it"
        );
        Ok::<_, Error>(opened)
    };
    let print = |data: &Dataset| data.fingerprint().expect("images in memory");
    let of = |pictures: &[Vec<u8>]| {
        let folder = Folder::new();
        for (i, picture) in pictures.iter().enumerate() {
            folder.put(&format!("{i}.png"), picture);
        }
        folder
    };
    let black_and_white = of(&[grey([1, 2], &[0, 9])]);
    let red_and_green = of(&[rgb([1, 2], &[255, 0, 0, 0, 255, 0])]);
    let made = opened(&black_and_white, &red_and_green, auto()).expect("grey");
    assert_eq!(made.data.channels, Channels::Grey, "what the grey ones decided");
    assert_eq!(print(&made.test), print(&images([1, 2], &[76, 150])), "made grey");
    let made = opened(&red_and_green, &black_and_white, auto()).expect("colour");
    let three = images([1, 2, 3], &[0, 0, 0, 9, 9, 9]);
    assert_eq!(print(&made.test), print(&three), "made colour");
    // By itself the second would lie on black.
    let ink = of(&[rgba([1, 2], &[0, 0, 0, 255, 0, 0, 0, 51])]);
    let light = of(&[rgba([1, 2], &[200, 200, 200, 102, 0, 0, 0, 255])]);
    let made = opened(&ink, &light, auto()).expect("ink");
    assert_eq!(made.data.background, Background::White, "what the ink decided");
    assert_eq!(print(&made.test), print(&images([1, 2], &[233, 0])), "on white");
    let made = opened(&black_and_white, &light, auto()).expect("opaque ones");
    assert_eq!(made.data.background, Background::Auto, "what is opaque decides none");
    // Padded to the largest of those to train on.
    let pad = || DataConfig { pad: true, ..auto() };
    let wide = of(&[grey([1, 4], &[1, 2, 3, 4]), grey([2, 2], &[5, 6, 7, 8])]);
    let made = opened(&wide, &black_and_white, pad()).expect("one that is smaller");
    let all = images([2, 4], &[0, 0, 9, 0, 0, 0, 0, 0]);
    assert_eq!(print(&made.test), print(&all), "padded like those");
    refused(
        opened(&black_and_white, &wide, pad()),
        "has pictures up to 2 × 4, expected at most 1 × 2, which all are padded to",
    );
}

#[test]
fn progress_is_told_to_the_last_picture() {
    let names: Vec<String> = (0..300).map(|i| format!("{i}.png")).collect();
    let folder = Folder::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (config, told) = (Config::default(), Mutex::new(Vec::new()));
    let sources = Sources::new(folder.path(), &config);
    sources
        .open_told(&|done, all| told.lock().expect("no panic").push((done, all)))
        .expect("300 pictures");
    let mut told = told.into_inner().expect("no panic");
    told.sort_unstable();
    let each = (1..=300).map(|done| (done, 300));
    assert!(told.iter().copied().eq(each), "each picture once: {told:?}");
}
