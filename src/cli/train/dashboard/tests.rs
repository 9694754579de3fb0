//! The dashboard as it is drawn, at sizes and of runs that may come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbo::Losses;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::Widget;

use crate::cli::picture::Look;

use super::curves::{Curve, DIM, TEST, TRAIN, label, test_pen, y_range};
use super::draw::{draw, thousands, time};
use super::mosaic::{Mosaic, Tiles, average};
use super::view::{About, Pictures, Point, Progress, View};

const PER_EPOCH: u64 = 100;

fn losses(loss: f64) -> Losses {
    Losses { loss, recon: loss * 0.75, kl: loss * 0.25 }
}

/// A run after so many epochs of 2000, half a minute after it began, in the middle of the next.
fn view(epochs: u64, loss: impl Fn(u64) -> f64) -> (View, Instant) {
    let start = Instant::now();
    let about = About {
        model: "784-400-20".to_owned(),
        device: "CPU".to_owned(),
        data: "assets/mnist".to_owned(),
        looked_at: "test",
        seed: 7,
        memory: 64 << 20,
        run: "runs/0001".to_owned(),
    };
    let mut view = View::new(about, Vec::new());
    view.begin(0, 2000 * PER_EPOCH, PER_EPOCH, start);
    for epoch in 1..=epochs {
        let (train, test) = (losses(loss(epoch)), losses(loss(epoch) - 1.0));
        view.evaluated(Point { epoch, train, test });
    }
    view.epoch(epochs + 1, 2000, start + Duration::from_secs(25));
    for tenth in 1..=5 {
        let step = epochs * PER_EPOCH + tenth * 10;
        let told =
            Progress { step, losses: losses(100.5), images: tenth as usize * 1280, rate: 0.001 };
        view.progress(told, start + Duration::from_secs(25 + tenth));
    }
    view.say("step 12 broke");
    let image: Vec<f32> = (0..28 * 28).map(|i| (i % 28) as f32 / 27.0).collect();
    if epochs > 0 {
        let [tests, made] = [0, 1].map(|_| image.repeat(8));
        let (look, samples) = (Look::unit([28, 28]), image.repeat(64));
        view.pictures = Some(Arc::new(Pictures { epoch: epochs, look, tests, made, samples }));
    }
    (view, start + Duration::from_secs(30))
}

fn drawn(view: &View, now: Instant, ending: Option<&str>, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory is enough");
    terminal.draw(|frame| draw(frame, view, ending, now)).expect("memory takes all that is drawn");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width);
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|c| c.symbol()).collect();
    lines.map(line).collect::<Vec<String>>().join("\n")
}

#[test]
fn all_is_told_at_usual_sizes() {
    let (view, now) = view(1000, |epoch| 100.0 + 300.0 / epoch as f64);
    for size in [(80, 24), (120, 36), (200, 60)] {
        let text = text(&drawn(&view, now, None, size));
        let all = [
            "784-400-20",
            "CPU",
            "assets/mnist",
            "seed 7",
            "runs/0001",
            "loss, nats per image",
            "train, epoch 1000",
            "100.30",
            "test, epoch 1000",
            "99.30",
            "epoch 1001 so far",
            "75.38",
            "1,280 images/s",
            "10 steps/s",
            "lr 0.001",
            "elapsed 30 s",
            "memory 64 MiB",
            "epoch 1001/2000, step 100050/200000, 30 s left  50 %",
            "step 12 broke",
            "save and end",
            "epoch 1 ",
        ];
        for word in all {
            assert!(text.contains(word), "`{word}` at {size:?}:\n{text}");
        }
        let roomy = size.0 > 80;
        assert_eq!(text.contains("KL(q(z|x)"), roomy, "charts of the parts at {size:?}:\n{text}");
        assert_eq!(text.contains("best test 99.30, epoch 1000"), roomy, "{size:?}:\n{text}");
    }
}

#[test]
fn the_end_is_told() {
    let (view, now) = view(1, |_| 100.0);
    let text = text(&drawn(&view, now, Some("Ctrl-C"), (80, 24)));
    assert!(text.contains("Ctrl-C: saving, then the end"), "the footer says so:\n{text}");
}

/// Every size that a window can be dragged to, and every loss that may come of a run.
#[test]
fn no_size_and_no_value_panics() {
    let values: [fn(u64) -> f64; 7] = [
        |_| 100.0,
        |_| f64::NAN,
        |epoch| if epoch % 2 == 0 { f64::NAN } else { 1.0 },
        |_| f64::INFINITY,
        |epoch| f64::MAX * if epoch % 2 == 0 { 1.0 } else { -1.0 },
        |epoch| 1e-300 * epoch as f64,
        |epoch| 1e99 * epoch as f64,
    ];
    for (epochs, loss) in [0, 1, 2, 1000].into_iter().flat_map(|n| values.map(|v| (n, v))) {
        let (mut view, now) = view(epochs, loss);
        for size in [(20, 5), (0, 0), (1, 1), (80, 1), (1, 60), (50, 16), (80, 24), (200, 60)] {
            drawn(&view, now, None, size);
        }
        view.running = Some(losses(loss(1)));
        view.bounds = None;
        drawn(&view, now, Some("q"), (120, 36));
    }
    let (view, now) = view(3, |epoch| 100.0 / epoch as f64);
    for size in (0..70).flat_map(|width| (0..40).map(move |height| (width, height))) {
        drawn(&view, now, None, size);
    }
}

/// The cells of a curve, by its marks and its style; neither a legend nor a frame has a cell like these.
fn dots(buffer: &Buffer, mark: char, style: Style) -> Vec<(u16, u16)> {
    let braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
    let is = |c: char| if braille(mark) { braille(c) } else { c == mark };
    let cells = buffer.content.iter().enumerate().filter(|(_, cell)| {
        let same = cell.fg == style.fg.unwrap_or(Color::Reset);
        same && cell.modifier == style.add_modifier && cell.symbol().chars().all(is)
    });
    cells.map(|(index, _)| buffer.pos_of(index)).collect()
}

#[test]
fn late_epochs_are_not_pressed_flat() {
    let (view, now) = view(1000, |epoch| 100.0 + 300.0 / (epoch as f64).sqrt());
    let buffer = drawn(&view, now, None, (80, 24));
    // What comes after the first quarter falls through as many rows as one of the two can have.
    let late = dots(&buffer, '⠤', TRAIN).into_iter().filter(|&(x, _)| x > 18);
    let rows: BTreeSet<u16> = late.map(|(_, y)| y).collect();
    assert!(rows.len() >= 3, "rows {rows:?} of\n{}", text(&buffer));
    assert!(!dots(&buffer, '•', TEST).is_empty(), "the test loss is drawn");
}

#[test]
fn the_first_epoch_is_shown_as_it_comes() {
    let (view, now) = view(0, |_| 0.0);
    let buffer = drawn(&view, now, None, (80, 24));
    assert!(dots(&buffer, '·', DIM).len() > 5, "the mean so far is drawn:\n{}", text(&buffer));
    assert_eq!(dots(&buffer, '⠤', TRAIN).len(), 1, "the mark beside its name:\n{}", text(&buffer));
}

/// Before anything was measured there is nothing to draw axes for.
#[test]
fn no_axes_are_invented() {
    let (view, now) = view(0, |_| 0.0);
    let buffer = text(&drawn(&view, now, None, (120, 36)));
    for invented in ["│0.00", "│0.50", "│1.00"] {
        assert!(!buffer.contains(invented), "`{invented}` was not measured:\n{buffer}");
    }
    assert_eq!(buffer.matches("no value yet").count(), 2, "the parts of the loss:\n{buffer}");
    let new = View::new(About::default(), Vec::new());
    let buffer = text(&drawn(&new, now, None, (120, 36)));
    assert_eq!(buffer.matches("no value yet").count(), 3, "the loss too:\n{buffer}");
}

/// On a ground of any colour words are seen: there are no colours but one, and that is none of the
/// extremes; curves differ by their marks too, and the legend shows these.
#[test]
fn any_ground_will_do() {
    let (mut view, now) = view(20, |epoch| 100.0 + 30.0 / epoch as f64);
    view.pictures = None;
    for (ending, size) in [(None, (80, 24)), (Some("q"), (120, 36)), (None, (40, 12))] {
        let buffer = drawn(&view, now, ending, size);
        for cell in &buffer.content {
            assert!([Color::Reset, Color::Magenta].contains(&cell.fg), "{cell:?} at {size:?}");
            assert_eq!(cell.bg, Color::Reset, "{cell:?} at {size:?}");
            let low = cell.modifier.contains(Modifier::DIM) && cell.fg != Color::Reset;
            assert!(!low, "a colour that is dim may be none: {cell:?}");
        }
    }
    let buffer = drawn(&view, now, None, (80, 24));
    let roomy = drawn(&view, now, None, (120, 36));
    for (buffer, legends) in [
        (&buffer, ["⠤ train, epoch 20 ", "• test, epoch 20 ", "· epoch 21 so far "]),
        (&roomy, ["⠤⠤⠤ train", "••• test", "··· so far"]),
    ] {
        for legend in legends {
            assert!(text(buffer).contains(legend), "`{legend}`:\n{}", text(buffer));
        }
    }
    let marks =
        [('⠤', TRAIN), ('•', TEST), ('·', DIM)].map(|(c, style)| dots(&buffer, c, style).len());
    assert!(marks.iter().all(|count| *count > 3), "{marks:?} cells:\n{}", text(&buffer));
}

#[test]
fn without_colours_there_are_no_pictures() {
    let (mut view, now) = view(1, |_| 100.0);
    let shown = |view: &View| text(&drawn(view, now, None, (80, 24)));
    assert!(shown(&view).contains('▀'), "with colours:\n{}", shown(&view));
    view.colors = false;
    let plain = shown(&view);
    assert!(!plain.contains('▀') && plain.contains("NO_COLOR"), "without:\n{plain}");
}

/// A window that is too small for panes tells the most important things in words.
#[test]
fn a_small_window_has_words() {
    let (view, now) = view(3, |epoch| 100.0 / epoch as f64);
    for size in [(49, 40), (50, 15), (30, 3), (200, 3)] {
        let text = text(&drawn(&view, now, None, size));
        for word in ["epoch 4/2000", "loss 100.50", "0 %, "] {
            assert!(text.contains(word), "`{word}` at {size:?}:\n{text}");
        }
        if size.1 > 10 {
            for word in [
                "epoch 3: train 33.33, test 32.33",
                "lr 0.001",
                "elapsed 30 s",
                "step 12 broke",
                "q: save",
            ] {
                assert!(text.contains(word), "`{word}` at {size:?}:\n{text}");
            }
        }
    }
}

#[test]
fn ranges_and_labels() {
    let curve = |values: &[f64]| {
        let points = values.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
        (test_pen("test"), points)
    };
    let y_range = |curves: &[Curve]| y_range(curves).expect("values");
    let [low, high] = y_range(&[curve(&[900.0, 110.0, 100.0, 90.0])]);
    assert!((88.9..=89.1).contains(&low) && (110.9..=111.1).contains(&high), "{low} to {high}");
    let [low, high] = y_range(&[curve(&[5.0]), curve(&[])]);
    assert!(low < 5.0 && 5.0 < high, "one value lies within {low} to {high}");
    let labels = [(106.26, 40.0, "106"), (106.26, 8.0, "106.3"), (106.26, 0.5, "106.26")];
    for (value, span, expected) in labels {
        assert_eq!(label(value, span), expected, "{value} in {span}");
    }
    let times = [(59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")];
    for (seconds, expected) in times {
        assert_eq!(time(Duration::from_secs(seconds)), expected, "{seconds} s");
    }
    for (value, expected) in [(7.0, "7"), (1234.4, "1,234"), (1e6, "1,000,000")] {
        assert_eq!(thousands(value), expected, "{value}");
    }
}

/// An epoch may take less time than a rate is counted over.
#[test]
fn short_epochs_have_a_speed() {
    let (mut view, now) = view(0, |_| 0.0);
    view.rates.clear();
    for epoch in 0..10 {
        // Evaluation takes longer than training.
        let began = now + Duration::from_millis(1000 * epoch);
        view.epoch(epoch + 1, 2000, began);
        let told =
            Progress { step: 50 + (epoch + 1) * 10, losses: losses(1.0), images: 160, rate: 1e-3 };
        view.progress(told, began + Duration::from_millis(100));
    }
    assert_eq!(view.rates, [1600.0; 2], "of five epochs each");
    assert_eq!(view.steps_per_s, Some(100.0), "ten in a tenth of a second");
}

#[test]
fn an_epoch_trained_again_takes_the_first_ones_place() {
    let (mut view, _) = view(3, |epoch| 100.0 - epoch as f64);
    view.evaluated(Point { epoch: 2, train: losses(1.0), test: losses(2.0) });
    let epochs: Vec<_> = view.epochs.iter().map(|p| (p.epoch, p.train.loss)).collect();
    assert_eq!(epochs, [(1, 99.0), (2, 1.0)], "the second is new, the third not trained yet");
    assert_eq!(view.best().map(|p| p.epoch), Some(2), "its test loss is the lowest");
    view.saved(200);
    view.saved(300);
    view.say("broke");
    view.saved(400);
    let expected = ["step 12 broke", "saved after step 300", "broke", "saved after step 400"];
    assert_eq!(view.messages, expected, "only the newest save in a row is told");
}

#[test]
fn pictures_are_scaled_by_means() {
    let checks = average(&[0.0, 1.0, 1.0, 0.0], [2, 2], [1, 1]);
    assert_eq!(checks, [128], "half of the pixels are white");
    let thirds = average(&[0.0, 0.5, 1.0], [1, 3], [1, 2]);
    assert_eq!(thirds, [43, 213], "each covers one pixel and half of the middle one");
    let odd = average(&[f32::NAN, 2.0, -1.0, 1.0], [2, 2], [2, 2]);
    assert_eq!(odd, [0, 255, 0, 255], "what is no brightness is black or clamped");
    assert_eq!(average(&[0.0, 1.0], [1, 2], [2, 4]), [0, 0, 255, 255, 0, 0, 255, 255], "bigger");
    for (down, across) in (0..100).flat_map(|down| (0..100).map(move |across| (down, across))) {
        for size in [[28, 28], [8, 8], [1, 1000], [1000, 1], [64, 32]] {
            let Some(tiles) = Tiles::fit(size, [down, across]) else { continue };
            let Tiles { height, width, columns, rows } = tiles;
            let fits = rows * (height + 1) <= down + 1 && columns * (width + 1) <= across + 1;
            assert!(fits, "{tiles:?} of {size:?} in {down} x {across}");
        }
    }
}

#[test]
fn a_picture_is_two_pixels_a_cell() {
    let area = Rect::new(1, 1, 3, 4);
    let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 6));
    let (tests, made) = (vec![1.0, 0.0, 0.2, 0.4], vec![0.0; 4]);
    Mosaic(&Pictures { epoch: 1, look: Look::unit([2, 2]), tests, made, samples: Vec::new() })
        .render(area, &mut buffer);
    let grey = |value| Color::Rgb(value, value, value);
    let tiles = Tiles::fit([2, 2], [8, 3]).expect("there is room");
    assert_eq!((tiles.height, tiles.width), (3, 3), "the only column fills the width");
    let cell = |x, y| {
        let cell = &buffer[(x, y)];
        (cell.symbol().to_owned(), cell.fg, cell.bg)
    };
    assert_eq!(cell(1, 1), ("▀".to_owned(), grey(255), grey(153)), "left: white, then the mean");
    assert_eq!(cell(3, 1).1, grey(0), "right and above: black");
    assert_eq!(cell(0, 0).0, " ", "nothing is drawn outside");
}
