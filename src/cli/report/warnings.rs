//! What a reader of a run's page should know first: what went wrong, and why training ended.

use std::fmt::Write as _;

use elbo::train::Diagnosis;
use serde_json::{Map, Value};

use crate::cli::report::chart::figure;
use crate::cli::report::page::{escape, text, times};
use crate::cli::report::read::Story;

/// Troubles that are told one by one.
pub(super) const MOST_TROUBLES: usize = 10;
/// A model of fewer steps has no codes to speak of, so that nothing can be said of them.
const FIRST_STEPS: u64 = 100;

/// All that is to be known first, the worst first.
pub(super) fn warnings(story: &Story) -> String {
    [broken(story), diverged(story), collapsed(story), ended(story)].concat()
}

/// A box; words between backticks are for typing.
fn told(class: &str, head: &str, rest: &str) -> String {
    let rest: String = rest
        .split('`')
        .enumerate()
        .map(|(place, part)| match place % 2 {
            0 => escape(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect();
    format!("<p class=\"{class}\" role=\"note\"><b>{}</b> {rest}</p>\n", escape(head))
}

/// Steps whose numbers broke.
fn broken(story: &Story) -> String {
    let (skipped, back) = (story.skipped.len(), story.rolled_back.len());
    if skipped + back == 0 {
        return String::new();
    }
    let mut html = format!(
        "<div class=\"warning\" role=\"note\"><b>The numbers broke {}:</b> {} left out, {} to an \
         earlier state.\n<ul>\n",
        times(skipped + back, "time"),
        times(skipped, "step"),
        times(back, "return")
    );
    let mut all: Vec<_> = story.skipped.iter().chain(&story.rolled_back).collect();
    all.sort_by_key(|line| line.get("step").and_then(Value::as_u64));
    for line in all.into_iter().take(MOST_TROUBLES) {
        let to = text(line, "to");
        let went_on = match to.is_empty() {
            true => "left out".to_owned(),
            false => {
                let scale = line.get("rate_scale").unwrap_or(&Value::Null);
                format!("back to the state after step {to}, at {scale} of the learning rate")
            }
        };
        let told = format!("step {}: {}; {went_on}", text(line, "step"), text(line, "what"));
        let _ = writeln!(html, "<li>{}</li>", escape(&told));
    }
    if skipped + back > MOST_TROUBLES {
        let _ = writeln!(html, "<li>… and {} more</li>", skipped + back - MOST_TROUBLES);
    }
    html + "</ul></div>\n"
}

/// A loss that is no number, or worse than where it began.
fn diverged(story: &Story) -> String {
    let Some((number, last)) = story.epochs.last_key_value() else { return String::new() };
    let first = story.epochs.first_key_value().and_then(|(_, epoch)| epoch.test[0]);
    let of = story.looked_at();
    let advice = "Train anew with a lower learning rate (`--lr`).";
    let what = match (last.test[0], first) {
        (None, _) => format!("The {of} loss after epoch {number} is not finite."),
        (Some(loss), Some(first)) if loss > first => format!(
            "The {of} loss after epoch {number}, {}, is above the first, {}.",
            figure(loss),
            figure(first)
        ),
        _ => return String::new(),
    };
    told("warning", "Training diverged.", &format!("{what} {advice}"))
}

/// Most of z says nothing of the image.
fn collapsed(story: &Story) -> String {
    let point = story.key("model", "posterior").and_then(Value::as_str) == Some("point");
    let newest = story.epochs.values().next_back();
    let early = newest.is_some_and(|epoch| epoch.step.is_none_or(|step| step < FIRST_STEPS));
    let active = newest.and_then(|epoch| epoch.active);
    let (Some(active), Some(all)) = (active, story.count("model", "latent")) else {
        return String::new();
    };
    if point || early || active.saturating_mul(2) >= all {
        return String::new();
    }
    let [active, all] = [active, all].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let found = Diagnosis::Collapsed { active, all, scale: None };
    told("warning", "Posterior collapse:", &format!("{found}. Hint: {}.", found.hint()))
}

/// Why training ended, if not after the last epoch.
fn ended(story: &Story) -> String {
    let end = story.sessions.last().and_then(|session| session.end.as_ref());
    let Some(end) = end else { return under_way(story) };
    let after = match text(end, "step").as_str() {
        "" => String::new(),
        step => format!(" after step {step}"),
    };
    let go_on = "`elbo train --resume` with this folder goes on.";
    let head = match end.get("status").and_then(Value::as_str) {
        Some("patience") => return patience(story, &after),
        Some("time") => "The time was up (`max-time`)",
        Some("asked") => "A key ended training",
        Some("signal") => "A signal ended training",
        Some("failed") => return failed(end, &after),
        // All epochs were trained, or a newer version tells of something else.
        _ => return String::new(),
    };
    told("notice", "Ended early.", &format!("{head}{after}. {go_on}"))
}

fn failed(end: &Map<String, Value>, after: &str) -> String {
    let why = text(end, "error");
    let rest = if why.is_empty() { "." } else { ": " };
    told("warning", "Training failed", &format!("{}{rest}{why}", after.trim_start()))
}

fn patience(story: &Story, after: &str) -> String {
    let of = story.looked_at();
    let best = story.best().map_or(String::new(), |(epoch, loss)| {
        format!(" The best is epoch {epoch}, with a {of} loss of {}.", figure(loss))
    });
    let waited = epochs(story.count("train", "patience").unwrap_or(0));
    let what = format!("No better {of} loss in {waited} (`patience`) ended training{after}.{best}");
    told("notice", "Early stopping.", &what)
}

fn epochs(count: u64) -> String {
    times(usize::try_from(count).unwrap_or(usize::MAX), "epoch")
}

/// What can be known of a run that does not say how it ended.
fn under_way(story: &Story) -> String {
    let Some((&number, last)) = story.epochs.last_key_value() else { return String::new() };
    let Some(all) = story.count("train", "epochs") else { return String::new() };
    let positive = |key| story.count("train", key).filter(|count| *count > 0);
    let enough = |most| last.step.is_some_and(|step| step >= most);
    let since = story.best().map_or(number, |(best, _)| number - best);
    if number >= all || positive("max-steps").is_some_and(enough) {
        return String::new();
    }
    if positive("patience").is_some_and(|patience| since >= patience) {
        return patience(story, "");
    }
    let what = "training is under way, or was ended.";
    told("notice", "Not finished.", &format!("{number} of {} are done: {what}", epochs(all)))
}
