//! Pages of odd runs: without epochs, with words that HTML would take for its own, with many troubles.

use super::*;
use std::time::Duration;

use crate::cli::report::pictures::Picture;
use crate::cli::report::read::Session;
use crate::cli::report::setting::training_time;
use crate::cli::report::warnings::MOST_TROUBLES;

const HOSTILE: &str = "</title><script>alert('1')</script>\"&amp;";

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("a JSON object")
}

/// A story in which every word is hostile.
fn hostile() -> Story {
    let mut story = Story { name: HOSTILE.to_owned(), ..Story::default() };
    let word = Value::from(HOSTILE);
    let section = Map::from_iter([(HOSTILE.to_owned(), word.clone())]);
    story.config = Map::from_iter([
        (HOSTILE.to_owned(), Value::Object(section)),
        ("alone".to_owned(), word.clone()),
        ("model".to_owned(), Value::Object(Map::from_iter([("latent".to_owned(), word)]))),
    ]);
    let keys = ["what", "step", "to", "rate_scale", "adapter", "device", "version", HOSTILE];
    let line = Map::from_iter(keys.map(|key| (key.to_owned(), Value::from(HOSTILE))));
    story.sessions = vec![Session { start: line.clone(), end: Some(line.clone()) }];
    story.skipped = vec![line.clone()];
    story.rolled_back = vec![line.clone()];
    story.evaluation = Some(line);
    let picture = Picture { kind: HOSTILE.to_owned(), epoch: Some(1), png: vec![1, 2, 3] };
    story.pictures = vec![picture];
    story.left_out = vec![HOSTILE.to_owned()];
    story.epochs.insert(1, Epoch::default());
    story
}

#[test]
fn what_files_say_is_escaped() {
    let html = page(&hostile());
    for found in ["<script", "</title><", "'1'", "\"&amp;amp;\""] {
        assert!(!html.contains(found), "`{found}` came through: {html}");
    }
    let shown =
        html.matches("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;amp;").count();
    assert!(shown >= 20, "the words are shown {shown} times");
    assert!(html.contains("data:image/png;base64,AQID\""), "the picture is in the page");
    for outside in ["http:", "https:", "<link", "@import", "url(//", "src=\"/"] {
        assert!(!html.contains(outside), "`{outside}` is elsewhere");
    }
}

#[test]
fn every_tag_is_closed() {
    let mut story = hostile();
    story
        .epochs
        .insert(2, Epoch { test: [Some(3.0); 3], train: [Some(2.0); 3], ..Epoch::default() });
    for story in [story, Story::default()] {
        let html = page(&story);
        for tag in [
            "div", "p", "dl", "table", "tr", "td", "th", "section", "figure", "svg", "g", "ul",
            "li", "main",
        ] {
            let opened = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            let closed = html.matches(&format!("</{tag}>")).count();
            assert_eq!(opened, closed, "{tag}");
        }
    }
}

#[test]
fn a_run_without_epochs_says_so() {
    let html = page(&Story::default());
    assert!(html.contains("No epoch was finished yet"), "{html}");
    assert!(!html.contains("<svg") && !html.contains("class=\"warning\""), "{html}");
    assert!(!html.contains("The numbers broke"), "{html}");
}

#[test]
fn troubles_are_counted_and_few_are_told() {
    let mut story = Story::default();
    let skipped =
        |step| object(&format!(r#"{{"event":"skipped","step":{step},"what":"w","to":null}}"#));
    story.skipped = (100..150).map(skipped).collect();
    story.rolled_back = vec![object(r#"{"step":7,"what":"a loss","to":5,"rate_scale":0.5}"#)];
    let html = page(&story);
    assert!(html.contains("broke 51 times:</b> 50 steps left out, 1 return to"), "{html}");
    assert_eq!(html.matches("<li>").count(), MOST_TROUBLES + 1, "{html}");
    assert!(html.contains("and 41 more"), "{html}");
    let first =
        "<li>step 7: a loss; back to the state after step 5, at 0.5 of the learning rate</li>";
    assert!(html.contains(first), "the first step comes first: {html}");
}

#[test]
fn the_last_and_the_best_epoch_are_told() {
    let mut story =
        Story { config: object("{\"train\":{\"batch-size\":100}}"), ..Story::default() };
    for (number, loss, step) in [(1, 120.0, 10), (2, 101.5, 20), (3, 103.25, 30)] {
        let test = [Some(loss), Some(loss - 20.0), Some(20.0)];
        let epoch = Epoch { step: Some(step), test, images_per_s: Some(50.0), ..Epoch::default() };
        story.epochs.insert(number, epoch);
    }
    let html = page(&story);
    assert!(html.contains("<dd>103.25<small>"), "the last loss: {html}");
    assert!(html.contains("<dd>2<small>test loss 101.50</small>"), "the best epoch: {html}");
    let time = training_time(&story).map(|(_, time)| time);
    assert_eq!(time, Some(Duration::from_secs(60)), "3000 images at 50 a second");
    assert!(html.contains("About 1m of training"), "{html}");
    // An epoch whose loss is no number is told, not left out.
    story.epochs.insert(4, Epoch::default());
    assert!(page(&story).contains("<dd>not finite<small>"), "a loss that is none");
    assert_eq!(training_time(&story), None, "an epoch was not timed");
}

#[test]
fn any_configuration_has_words() {
    let words = |config: &str| {
        let config = toml::from_str(config).expect("TOML");
        let mut story = Story { config, ..Story::default() };
        story.epochs.insert(1, Epoch::default());
        page(&story)
    };
    let html = words("model.posterior = 'point'\ntrain.seed = 18446744073709551615");
    assert!(html.contains("A plain autoencoder: seed 18446744073709551615."), "{html}");
    let most = u64::MAX;
    let html = words(&format!("objective = {{ samples = {most}, importance = {most} }}"));
    assert!(html.contains(&format!("{most} sampled z")), "{html}");
}

/// A run of 20 dimensions after some epochs of 100 steps, with these test losses.
fn trained(losses: &[f64], active: u64) -> Story {
    let config = object(r#"{"model":{"latent":20},"train":{"epochs":3,"patience":2}}"#);
    let mut story = Story { config, ..Story::default() };
    for (loss, number) in losses.iter().zip(1..) {
        let test = [Some(*loss).filter(|loss| loss.is_finite()), Some(1.0), Some(1.0)];
        let (step, active) = (Some(number * 100), Some(active));
        story.epochs.insert(number, Epoch { step, test, active, ..Epoch::default() });
    }
    story
}

#[test]
fn a_good_run_has_no_warning() {
    let html = page(&trained(&[3.0, 2.0, 1.0], 10));
    assert!(!html.contains("role=\"note\""), "{html}");
    assert!(html.contains("<dt>Active dimensions</dt><dd>10<small>of 20 in z"), "{html}");
}

/// What went wrong stands before the losses.
#[test]
fn what_went_wrong_is_told_first() {
    let (good, worse) = ([3.0, 2.0, 1.0], [2.0, 1.0, 2.5]);
    for (story, told) in [
        (trained(&good, 9), "<b>Posterior collapse:</b> only 9 of 20 dimensions of z are active"),
        (
            trained(&worse, 20),
            "<b>Training diverged.</b> The test loss after epoch 3, 2.500, is above the first",
        ),
        (
            trained(&[2.0, f64::NAN], 20),
            "<b>Training diverged.</b> The test loss after epoch 2 is not finite",
        ),
        (trained(&[1.0], 20), "<b>Not finished.</b> 1 of 3 epochs are done"),
        (trained(&[1.0, 1.0, 1.0][..2], 20), "<b>Not finished.</b> 2 of 3 epochs are done"),
    ] {
        let html = page(&story);
        let at = html.find(told).unwrap_or_else(|| panic!("`{told}` is in {html}"));
        assert!(
            at < html.find("<dl class=\"tiles\"").expect("losses"),
            "`{told}` comes first: {html}"
        );
    }
    // A model that has only begun, and one without a prior, say nothing by that.
    let mut early = trained(&good, 0);
    early.epochs.values_mut().for_each(|epoch| epoch.step = Some(99));
    let mut point = trained(&good, 0);
    point.config["model"]["posterior"] = Value::from("point");
    for story in [early, point] {
        assert!(!page(&story).contains("Posterior collapse"), "{}", page(&story));
    }
}

#[test]
fn why_it_ended_is_told() {
    let end = |line: &str| {
        let mut story = trained(&[3.0, 1.0, 2.0], 20);
        let session = |end| Session { start: Map::new(), end };
        // Only how the newest session ended counts.
        story.sessions =
            vec![session(Some(object(r#"{"status":"time"}"#))), session(Some(object(line)))];
        page(&story)
    };
    for (line, told) in [
        (
            r#"{"status":"signal","step":150}"#,
            "<b>Ended early.</b> A signal ended training after step 150. <code>elbo train --resume",
        ),
        (
            r#"{"status":"time","step":150}"#,
            "The time was up (<code>max-time</code>) after step 150",
        ),
        (r#"{"status":"asked"}"#, "A key ended training. <code>"),
        (
            r#"{"status":"failed","step":7,"error":"<disk>"}"#,
            "<b>Training failed</b> after step 7: &lt;disk&gt;",
        ),
        (
            r#"{"status":"patience","step":300}"#,
            "<b>Early stopping.</b> No better test loss in 2 epochs (<code>patience</code>) ended training after \
             step 300. The best is epoch 2, with a test loss of 1.000.",
        ),
    ] {
        assert!(end(line).contains(told), "`{told}` is in {}", end(line));
    }
    for line in [r#"{"status":"done"}"#, r#"{"status":"news"}"#, "{}"] {
        assert!(!end(line).contains("role=\"note\""), "{line}: {}", end(line));
    }
    // A run of an earlier version does not say; its epochs do.
    let mut story = trained(&[1.0, 2.0, 3.0], 20);
    story.config["train"]["epochs"] = Value::from(9);
    assert!(page(&story).contains("<b>Early stopping.</b>"), "{}", page(&story));
}

#[test]
fn times_of_sessions_are_added() {
    let mut story = trained(&[1.0], 20);
    let session =
        |end: &str| Session { start: object(r#"{"date":"2026-11-30"}"#), end: Some(object(end)) };
    story.sessions = vec![session(r#"{"seconds":61.5}"#), session(r#"{"seconds":1.0}"#)];
    let html = page(&story);
    assert!(html.contains("Training took 1m 2s."), "{html}");
    assert_eq!(html.matches("<td data-name=\"date\">2026-11-30</td>").count(), 2, "{html}");
    story.sessions[0].end = None;
    assert_eq!(training_time(&story), None, "one of them does not say");
}

#[test]
fn changed_keys_are_marked() {
    let config = "model = { latent = 3, posterior = 'normal' }\ntrain = { data = '/home/me/set' }";
    let story = Story { config: toml::from_str(config).expect("TOML"), ..Story::default() };
    let html = page(&story);
    let marked = "<tr class=\"changed\"><th>latent</th><td>3 <small>default 20</small></td></tr>";
    assert!(html.contains(marked), "{html}");
    assert_eq!(html.matches("class=\"changed\"").count(), 1, "the others are as ever: {html}");
    assert!(html.contains("<td>set</td>") && !html.contains("/home"), "a path's last name: {html}");
    assert!(html.contains("One key differs"), "{html}");
}
