//! The minibatch of a step, and of a program that only looks.

use crate::config::{Config, Pixels, Support, TrainConfig};
use crate::kernels::augment::{Changes, Kept, augment};
use crate::kernels::gather::{Shard, gather};
use crate::kernels::label::gather_labels;
use crate::model::Ports;
use crate::model::programs::Recorder;

impl Recorder<'_> {
    /// Records the minibatch, and the classes of its images.
    pub(super) fn gather(&mut self, shards: &[Shard]) {
        let &Ports { x, image, .. } = self.ports;
        gather(&mut self.tape, shards, self.config.train.pixels, (x, image));
        self.gather_labels(shards);
    }

    pub(super) fn gather_labels(&mut self, shards: &[Shard]) {
        let &Ports { image, label, .. } = self.ports;
        if let Some(label) = label {
            gather_labels(&mut self.tape, shards, image, label);
        }
    }

    /// Records the minibatch of a training step, whose images change first if the configuration says so: all that follows
    /// takes them for those of the dataset.
    pub(super) fn gather_to_learn(&mut self) {
        let shards = &self.ports.train;
        let Config { model, train, .. } = self.config;
        if train.augments().is_empty() {
            return self.gather(shards);
        }
        let &Ports { x, image, .. } = self.ports;
        let images = self.tape.plan.matrix("images as they are", x.rows(), x.cols());
        // Coins that are tossed anew come after, since their probabilities move.
        let (before, coins) = match train.pixels {
            Pixels::Grey => (Pixels::Grey, false),
            Pixels::Binarised => (Pixels::Grey, true),
            Pixels::BinarisedOnce => (Pixels::BinarisedOnce, false),
        };
        gather(&mut self.tape, shards, before, (images, image));
        let kept = match model.likelihood.support() {
            Support::Unit => Kept::Unit,
            Support::Levels => Kept::Levels(model.levels),
            Support::Line | Support::Counts => Kept::Free,
        };
        let &TrainConfig { flip, shift, jitter, .. } = train;
        let how = Changes { size: self.size, flip, shift, jitter, kept, coins };
        augment(&mut self.tape, (image, images), x, how);
        self.gather_labels(shards);
    }
}
