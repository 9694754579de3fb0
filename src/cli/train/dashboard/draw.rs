//! The dashboard's panes, for terminals of any size.

use std::time::{Duration, Instant};

use elbo::Losses;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Paragraph, Row, Sparkline, Table, Wrap};

use super::curves::{DIM, TEST, TRAIN, losses, part};
use super::mosaic::Mosaic;
use super::view::{Doing, Point, View};

/// Below this there is room for a few lines alone.
const SMALLEST: (u16, u16) = (50, 16);
/// From this on the loss's parts have charts of their own.
const ROOMY: (u16, u16) = (100, 32);

/// Draws all that is known, as of `now`; `ending` says why the run is about to end.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, ending: Option<&str>, now: Instant) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return small(frame, area, view, ending, now);
    }
    let roomy = area.width >= ROOMY.0 && area.height >= ROOMY.1;
    let messages = if roomy { area.height / 6 } else { 4 };
    let heights = [2, 0, if roomy { 2 } else { 1 }, 1, messages, 1].map(|height| match height {
        0 => Constraint::Min(0),
        height => Constraint::Length(height),
    });
    let rows = Layout::vertical(heights).split(area);
    header(frame, rows[0], view);
    let wide = [Constraint::Percentage(60), Constraint::Min(0)];
    let [left, right] = Layout::horizontal(wide).areas(rows[1]);
    let table = Constraint::Length(6);
    if roomy {
        let [above, below] =
            Layout::vertical([Constraint::Percentage(58), Constraint::Min(0)]).areas(left);
        losses(frame, above, view);
        let [recon, kl] =
            Layout::horizontal([Constraint::Percentage(50), Constraint::Min(0)]).areas(below);
        part(frame, recon, "reconstruction, −log p(x|z)", view, |l| l.recon);
        part(frame, kl, "KL(q(z|x) ‖ p(z))", view, |l| l.kl);
        let [above, below] = Layout::vertical([table, Constraint::Min(0)]).areas(right);
        numbers(frame, above, view);
        pictures(frame, below, view);
    } else {
        let [above, below] = Layout::vertical([Constraint::Min(0), table]).areas(left);
        losses(frame, above, view);
        numbers(frame, below, view);
        pictures(frame, right, view);
    }
    speed(frame, rows[2], view, now);
    progress(frame, rows[3], view, now);
    talk(frame, rows[4], view);
    footer(frame, rows[5], ending);
}

/// The most important lines first, as many as there is room for.
fn small(frame: &mut Frame<'_>, area: Rect, view: &View, ending: Option<&str>, now: Instant) {
    let loss = |losses: Option<Losses>| losses.map_or(String::new(), |l| format!("{:.2}", l.loss));
    let mut lines = vec![format!("epoch {}/{}  loss {}", view.epoch, view.of, loss(view.running))];
    if let Some(why) = ending {
        lines.push(format!("{why}: saving"));
    }
    lines.push(match view.left(now) {
        Some(left) => format!("{:.0} %, {} left", (view.done() * 100.0).floor(), time(left)),
        None => format!("{:.0} %", (view.done() * 100.0).floor()),
    });
    if let Some(Point { epoch, train, test }) = view.epochs.last() {
        let of = view.about.looked_at;
        lines.push(format!("epoch {epoch}: train {:.2}, {of} {:.2}", train.loss, test.loss));
    }
    lines.extend(pace(view, now).trim().split(" · ").map(str::to_owned));
    lines.extend(view.messages.last().cloned());
    lines.push("q: save and end, s: save".to_owned());
    let lines: Vec<_> = lines.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn header(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let about = &view.about;
    let dim = |text: &'static str| Span::from(text).style(DIM);
    let lines = [
        Line::from(vec![
            " elbo ".bold().reversed(),
            format!(" {} ", about.model).bold(),
            dim("on "),
            about.device.as_str().into(),
        ]),
        // The longest comes last, since it is cut where there is no room.
        Line::from(vec![
            dim(" run "),
            about.run.as_str().into(),
            dim(" · seed "),
            about.seed.to_string().into(),
            dim(" · memory "),
            format!("{} MiB", about.memory >> 20).into(),
            dim(" · data "),
            about.data.as_str().into(),
        ]),
    ];
    frame.render_widget(Paragraph::new(lines.to_vec()), area);
}

fn pane(title: &str) -> Block<'_> {
    Block::bordered().border_style(DIM).title(Line::from(title))
}

/// The newest losses in their parts, beside the marks of their curves, whose legend has not always room.
fn numbers(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let row = |name: String, losses: Option<Losses>, style: Style| {
        let cell =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let parts = [losses.map(|l| l.loss), losses.map(|l| l.recon), losses.map(|l| l.kl)];
        let cells = parts.map(|part| Line::from(cell(part)).right_aligned());
        let name = Line::from(name);
        Row::new([vec![name], cells.to_vec()].concat()).style(style)
    };
    let head = ["loss", "recon", "KL"].map(|name| Line::from(name).right_aligned());
    let last = view.epochs.last();
    let epoch = last.map_or(String::new(), |point| format!(", epoch {}", point.epoch));
    let rows = [
        row(format!("⠤ train{epoch}"), last.map(|point| point.train), TRAIN),
        row(format!("• {}{epoch}", view.about.looked_at), last.map(|point| point.test), TEST),
        row(format!("· epoch {} so far", view.epoch), view.running, DIM),
    ];
    let number = Constraint::Length(if area.width < 60 { 7 } else { 10 });
    let widths = [Constraint::Min(0), number, number, number];
    let head = Row::new([vec![Line::from("nats per image")], head.to_vec()].concat()).style(DIM);
    let table = Table::new(rows, widths).header(head).block(pane(""));
    frame.render_widget(table, area);
}

fn pictures(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let words = |words: &'static str| Paragraph::new(words).wrap(Wrap { trim: true }).style(DIM);
    let Some(pictures) = view.pictures.as_ref().filter(|_| view.colors) else {
        let why = match view.colors {
            true => "after the first epoch",
            false => "no colours (NO_COLOR): the run's images/ has them",
        };
        frame.render_widget(words(why).block(pane(" pictures ")), area);
        return;
    };
    let words = if area.width < 46 { "x, made again, samples" } else { LONG };
    let title = format!(" {}: {words} ", pictures.epoch);
    let block = pane(&title);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Mosaic(pictures), inside);
}

/// What the rows of pictures are, where there is room to say it.
const LONG: &str = "images, reconstructions, samples";

/// How fast it is, the learning rate, and for how long it has been going on.
fn pace(view: &View, now: Instant) -> String {
    let mut parts = Vec::new();
    if let Some((images, steps)) = view.rates.last().zip(view.steps_per_s) {
        let digits = if steps < 10.0 { 1 } else { 0 };
        parts.push(format!("{} images/s, {steps:.digits$} steps/s", thousands(*images)));
    }
    parts.extend(view.learning_rate.map(|rate| format!("lr {}", short(rate))));
    parts.extend(view.elapsed(now).map(|elapsed| format!("elapsed {}", time(elapsed))));
    format!(" {} ", parts.join(" · "))
}

/// A learning rate in four digits.
fn short(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        1e-4.. => format!("{:.6}", rate).trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => format!("{rate:.2e}"),
    }
}

fn speed(frame: &mut Frame<'_>, area: Rect, view: &View, now: Instant) {
    let text = pace(view, now);
    let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let [words, bars] =
        Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(text), words);
    let many = view.rates.len().saturating_sub(usize::from(bars.width));
    let shown = view.rates[many..].iter().map(|&rate| rate as u64);
    frame.render_widget(Sparkline::default().data(shown), bars);
}

fn progress(frame: &mut Frame<'_>, area: Rect, view: &View, now: Instant) {
    let last = view.bounds.map_or(0, |bounds| bounds.last);
    let done = view.done();
    let mut label = format!(" epoch {}/{}, step {}/{last}, ", view.epoch, view.of, view.step);
    label += &match (view.doing, view.left(now)) {
        (Doing::Evaluating, _) => "evaluating".to_owned(),
        (Doing::Training, Some(left)) => format!("{} left", time(left)),
        (Doing::Training, None) => "training".to_owned(),
    };
    label += &format!(" {:3.0} %", (done * 100.0).floor());
    let gauge = LineGauge::default().ratio(done).label(label).filled_symbol("━");
    frame.render_widget(gauge.filled_style(Style::new().bold()).unfilled_style(DIM), area);
}

fn talk(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = pane(" messages ");
    let room = usize::from(block.inner(area).height);
    let newest = &view.messages[view.messages.len().saturating_sub(room)..];
    let lines: Vec<_> = newest.iter().map(|line| Line::from(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn footer(frame: &mut Frame<'_>, area: Rect, ending: Option<&str>) {
    let line = match ending {
        Some(why) => {
            let text = format!(" {why}: saving, then the end; Ctrl-C: at once, without a save ");
            Line::from(text).bold().reversed()
        }
        None => {
            let key = |name: &'static str| Span::from(name).reversed();
            let rest = |text: &'static str| Span::from(text).style(DIM);
            let keys = [key(" q "), rest(" save and end  "), key(" s "), rest(" save now  ")];
            let last = [key(" Ctrl-C "), rest(" save and end, twice: end at once")];
            Line::from([&[Span::from(" ")], keys.as_slice(), &last].concat())
        }
    };
    frame.render_widget(Paragraph::new(line), area);
}

/// A number without decimals, its digits in groups of three.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time by its two biggest units.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}
