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
        let made = self.vae.ports.made;
        // What is no mean, a log-scale, is left out.
        let mut blocks = |name: &str, ending: &str, blocks: Range<usize>| {
            self.rows(made, (name, ending), blocks.start * pixels..blocks.end * pixels)
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
            Likelihood::LogisticMixture => {
                let count = model.components;
                let logits = blocks("logits", ".logits", 0..count)?;
                let locations = blocks("locations", ".locations", count..2 * count)?;
                let graph = &mut self.graph;
                graph.blocks(count, pixels);
                graph.node("Reshape", &[&locations, "blocks"], "locations.blocks", vec![]);
                let values = graph.within("locations.blocks", "values");
                graph.expectation(&logits, &values);
                means
            }
            Likelihood::Categorical => {
                let logits = blocks("logits", "", 0..model.levels)?;
                let graph = &mut self.graph;
                graph.blocks(model.levels, pixels);
                let steps = (model.levels - 1) as f32;
                let values: Vec<_> = (0..model.levels).map(|k| k as f32 / steps).collect();
                graph.constant("values", &[model.levels, 1], &values);
                graph.expectation(&logits, "values");
                means
            }
            Likelihood::Poisson | Likelihood::NegativeBinomial => {
                let made = blocks("made", "", 0..1)?;
                self.graph.counts(&made, model.mean, total)
            }
        })
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

    /// The shape (n, count, pixels), of as many rows as there are.
    fn blocks(&mut self, count: usize, pixels: usize) {
        self.integers("blocks", &[0, count as i64, pixels as i64]);
    }

    /// The mean over blocks of values, which have the logits of their probabilities.
    fn expectation(&mut self, logits: &str, values: &str) {
        self.node("Reshape", &[logits, "blocks"], "logits.blocks", vec![]);
        self.node("Softmax", &["logits.blocks"], "probabilities", vec![integer("axis", 1)]);
        self.node("Mul", &["probabilities", values], "parts", vec![]);
        self.integers("axes", &[1]);
        self.node("ReduceSum", &["parts", "axes"], "pixels", vec![integer("keepdims", 0)]);
    }
}
