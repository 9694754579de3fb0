//! Pages of odd runs: without epochs, with words that HTML would take for its own, with many troubles.

use super::*;
use crate::cli::report::read::Picture;

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
    story.starts = vec![line.clone()];
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
    assert_eq!(training_time(&story), Some(Duration::from_secs(60)), "3000 images at 50 a second");
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
