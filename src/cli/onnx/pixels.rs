//! The end of a decoder: from its hidden units to the means of the pixels.

use std::ops::Range;

use elbo::Result;
use elbo::config::{LOG_MEAN_BOUNDS, Likelihood, Mean, ModelConfig};

use super::graph::{Builder, integer};
use super::walk::Walk;

impl Walk<'_> {
    /// Adds what makes the means of so many pixels under the likelihood, and of the decoder's last layer as
    /// much as they take; what they are, in words. Counts that share a total share this one.
    pub(super) fn pixels(
        &mut self,
        model: &ModelConfig,
        pixels: usize,
        total: f32,
    ) -> Result<&'static str> {
        let (made, len) = (self.vae.ports.made, self.vae.networks().made.len);
        // What is no mean, a log-scale, is left out.
        let mut blocks = |name: &str, ending: &str, blocks: Range<usize>| {
            self.rows(made, (name, ending), blocks.start * len..blocks.end * len)
        };
        let means = "the means of the pixels, a row for each z, top row first";
        Ok(match model.likelihood {
            Likelihood::Bernoulli => {
                let logits = blocks("logits", "", 0..1)?;
                self.graph.node("Sigmoid", &[&logits], "pixels", vec![]);
                "the probabilities of white, a row for each z, top row first"
            }
            Likelihood::ContinuousBernoulli => {
                let logits = blocks("logits", "", 0..1)?;
                self.graph.unit_mean(&logits);
                means
            }
            Likelihood::Normal | Likelihood::Laplace => {
                blocks("pixels", "", 0..1)?;
                means
            }
            Likelihood::Logistic => {
                let locations = blocks("locations", "", 0..1)?;
                self.graph.within(&locations, "pixels");
                "the locations of the pixels from 0 to 1, a row for each z, top row first"
            }
            Likelihood::LogisticMixture | Likelihood::ColourMixture => {
                self.mixture(model.components, (pixels / len, len))?;
                means
            }
            Likelihood::Categorical => {
                let logits = blocks("logits", "", 0..model.levels)?;
                let graph = &mut self.graph;
                graph.blocks(&[model.levels, pixels]);
                let steps = (model.levels - 1) as f32;
                let values: Vec<_> = (0..model.levels).map(|k| k as f32 / steps).collect();
                graph.constant("values", &[model.levels, 1], &values);
                graph.expectation(&logits, "values", "pixels");
                means
            }
            Likelihood::Poisson | Likelihood::NegativeBinomial => {
                let made = blocks("made", "", 0..1)?;
                self.graph.counts(&made, model.mean, total)
            }
        })
    }

    /// The means of so many numbers at each of so many places, whose mixtures have so many components: over these, of
    /// locations within the range, each by those of the numbers before it.
    fn mixture(&mut self, count: usize, (together, places): (usize, usize)) -> Result<()> {
        let made = self.vae.ports.made;
        let mut group = |name: &str, group: usize| {
            let rows = group * count * places..(group + 1) * count * places;
            self.rows(made, (name, &format!(".{name}")), rows)
        };
        let logits = group("logits", 0)?;
        let mut locations = Vec::new();
        let mut pairs = Vec::new();
        for i in 0..together {
            locations.push(group(&format!("locations.{i}"), 1 + i)?);
            for j in 0..i {
                let at = 1 + 2 * together + pairs.len();
                pairs.push(group(&format!("coefficients.{i}.{j}"), at)?);
            }
        }
        self.graph.places(&logits, (locations, pairs), [count, places]);
        Ok(())
    }
}

impl Builder {
    /// 1 / (1 − exp −l) − 1 / l, and near zero its series (Loaiza-Ganem and Cunningham 2019, eq. 9).
    fn unit_mean(&mut self, l: &str) {
        let constants =
            [("one", 1.0), ("half", 0.5), ("twelfth", 1.0 / 12.0), ("cubic", -1.0 / 720.0)];
        for (name, value) in constants {
            self.constant(name, &[], &[value]);
        }
        let nodes: [(&str, &[&str], &str); 14] = [
            ("Abs", &[l], "size"),
            ("Less", &["size", "half"], "is_near"),
            ("Where", &["is_near", "one", l], "far"),
            ("Neg", &["far"], "minus_far"),
            ("Exp", &["minus_far"], "exp"),
            ("Sub", &["one", "exp"], "rest"),
            ("Reciprocal", &["rest"], "first"),
            ("Reciprocal", &["far"], "second"),
            ("Sub", &["first", "second"], "mean_far"),
            ("Mul", &[l, l], "square"),
            ("Mul", &["square", "cubic"], "bend"),
            ("Add", &["twelfth", "bend"], "slope"),
            ("Mul", &[l, "slope"], "rise"),
            ("Add", &["half", "rise"], "mean_near"),
        ];
        for (op, inputs, output) in nodes {
            self.node(op, inputs, output, vec![]);
        }
        self.node("Where", &["is_near", "mean_near", "mean_far"], "pixels", vec![]);
    }

    /// The means of counts, of what was made of them; what they are.
    fn counts(&mut self, made: &str, mean: Mean, total: f32) -> &'static str {
        match mean {
            Mean::Softmax => {
                self.node("Softmax", &[made], "shares", vec![integer("axis", 1)]);
                self.constant("total", &[], &[total]);
                self.node("Mul", &["shares", "total"], "pixels", vec![]);
                "the means of the counts, which share the mean total of the training images, a row for each z"
            }
            Mean::Free => {
                let (lowest, highest) = LOG_MEAN_BOUNDS;
                self.constant("lowest", &[], &[lowest]);
                self.constant("highest", &[], &[highest]);
                self.node("Clip", &[made, "lowest", "highest"], "log_means", vec![]);
                self.node("Exp", &["log_means"], "pixels", vec![]);
                "the means of the counts, a row for each z"
            }
        }
    }

    fn within(&mut self, x: &str, y: &str) -> String {
        self.constant("lowest", &[], &[0.0]);
        self.constant("highest", &[], &[1.0]);
        self.node("Clip", &[x, "lowest", "highest"], y, vec![]);
        y.to_owned()
    }

    /// The shape of blocks, of as many rows as there are.
    fn blocks(&mut self, shape: &[usize]) {
        let shape: Vec<_> = [0].into_iter().chain(shape.iter().map(|&side| side as i64)).collect();
        self.integers("blocks", &shape);
    }

    /// The mean over blocks of values, which have the logits of their probabilities.
    fn expectation(&mut self, logits: &str, values: &str, to: &str) {
        self.probabilities(logits);
        self.over_blocks(values, to);
    }

    fn probabilities(&mut self, logits: &str) {
        self.node("Reshape", &[logits, "blocks"], "logits.blocks", vec![]);
        self.node("Softmax", &["logits.blocks"], "probabilities", vec![integer("axis", 1)]);
        self.integers("axes", &[1]);
    }

    fn over_blocks(&mut self, values: &str, to: &str) {
        let parts = format!("{to}.parts");
        self.node("Mul", &["probabilities", values], &parts, vec![]);
        self.node("ReduceSum", &[&parts, "axes"], to, vec![integer("keepdims", 0)]);
    }

    /// The means of what a mixture's logits, the locations of each number and the coefficients of each pair make.
    fn places(
        &mut self,
        logits: &str,
        (locations, pairs): (Vec<String>, Vec<String>),
        shape: [usize; 2],
    ) {
        self.blocks(&shape);
        self.probabilities(logits);
        let (together, mut pairs) = (locations.len(), pairs.into_iter());
        let mut means = Vec::new();
        for (i, location) in locations.into_iter().enumerate() {
            let mut at = format!("{location}.blocks");
            self.node("Reshape", &[&location, "blocks"], &at, vec![]);
            for (j, pair) in pairs.by_ref().take(i).enumerate() {
                let of = |ending: &str| format!("{pair}.{ending}");
                let [blocks, tanh, share, sum] = ["blocks", "tanh", "share", "sum"].map(of);
                self.node("Reshape", &[&pair, "blocks"], &blocks, vec![]);
                self.node("Tanh", &[&blocks], &tanh, vec![]);
                self.node("Mul", &[&tanh, &format!("values.{j}.centred")], &share, vec![]);
                self.node("Add", &[&at, &share], &sum, vec![]);
                at = sum;
            }
            let values = self.within(&at, &format!("values.{i}"));
            if i + 1 < together {
                self.constant("half", &[], &[0.5]);
                self.node("Sub", &[&values, "half"], &format!("{values}.centred"), vec![]);
            }
            let to = if together == 1 { "pixels".to_owned() } else { format!("means.{i}") };
            self.over_blocks(&values, &to);
            means.push(to);
        }
        if together > 1 {
            self.interleave(&means, shape[1]);
        }
    }

    /// The pixels of the means (n, places) of each number of a place.
    fn interleave(&mut self, means: &[String], places: usize) {
        self.integers("last", &[2]);
        let columns: Vec<_> = means.iter().map(|mean| format!("{mean}.column")).collect();
        for (mean, column) in means.iter().zip(&columns) {
            self.node("Unsqueeze", &[mean, "last"], column, vec![]);
        }
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        self.node("Concat", &columns, "places", vec![integer("axis", 2)]);
        self.integers("line", &[0, (means.len() * places) as i64]);
        self.node("Reshape", &["places", "line"], "pixels", vec![]);
    }
}
