//! What differs from step to step: chosen by the host, and told to every kernel.

/// Steps that one submit may hold.
pub const SLOTS: usize = 64;

/// The number of rates of a record.
pub const RATES: usize = 18;

/// Everything a step is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The position in the epoch of the minibatch's first image.
    pub first: u32,
    /// Images in this minibatch; the rest of a batch's rows are zero.
    pub rows: u32,
    /// The step, which noise depends on.
    pub step: u32,
    /// The epoch, which the order of images depends on.
    pub epoch: u32,
    /// Images in the dataset.
    pub images: u32,
    /// Whether the images come in the epoch's order or in the file's.
    pub shuffle: bool,
    /// Where in a window that holds the minibatch its first row lies; none where the dataset lies whole.
    pub window: Option<u32>,
    /// What the noise is for: a stream of its own for training, tests and pictures.
    pub stream: u32,
    /// The seed.
    pub seed: u64,
    /// The per-step numbers, in the order of the constants in [`rate`].
    pub rates: [f64; RATES],
}

/// Positions of the rates of a record.
pub mod rate {
    /// What a loss per image is multiplied by: 1, or 1 / rows.
    pub const LOSS_SCALE: usize = 0;
    /// The weight of the KL divergence.
    pub const KL_WEIGHT: usize = 1;
    /// The learning rate.
    pub const RATE: usize = 2;
    /// β₁.
    pub const BETA1: usize = 3;
    /// 1 − β₁, computed in f64: near 1 the f32 difference has few digits.
    pub const ONE_MINUS_BETA1: usize = 4;
    /// β₂, or α of `RMSprop`.
    pub const BETA2: usize = 5;
    /// 1 − β₂.
    pub const ONE_MINUS_BETA2: usize = 6;
    /// The learning rate over 1 − β₁ᵗ.
    pub const STEP_SIZE: usize = 7;
    /// 1 / √(1 − β₂ᵗ).
    pub const ROOT_CORRECTION: usize = 8;
    /// What is added to the root of the second moment.
    pub const EPSILON: usize = 9;
    /// Weight decay.
    pub const DECAY: usize = 10;
    /// Momentum.
    pub const MOMENTUM: usize = 11;
    /// The largest norm of the gradients.
    pub const MAX_NORM: usize = 12;
    /// 1 in a step that is learned from, 0 where a program only looks: what noise there is to make
    /// learning harder is left out.
    pub const LEARNING: usize = 13;
    /// Nats of KL that are aimed at.
    pub const CAPACITY: usize = 14;
    /// What Adagrad's sums of squares begin with.
    pub const ACCUMULATOR: usize = 15;
    /// The share of the new weights in their averages.
    pub const AVERAGING: usize = 16;
    /// Nats of KL that cost nothing: of each dimension of z, or of each level.
    pub const FREE: usize = 17;
}

/// No place in a window, as `common.wgsl` has it.
pub const WHOLE: u32 = u32::MAX;

/// Words of the uniform before the rates.
pub const WORDS: usize = 11;

/// The fields of the uniform, as `common.wgsl` declares them: words, then rates as f32.
pub const FIELDS: [&str; WORDS + RATES] = [
    "first",
    "rows",
    "step",
    "epoch",
    "images",
    "shuffle",
    "window",
    "stream",
    "seed_low",
    "seed_high",
    "slot",
    "loss_scale",
    "kl_weight",
    "rate",
    "beta1",
    "one_minus_beta1",
    "beta2",
    "one_minus_beta2",
    "step_size",
    "root_correction",
    "epsilon",
    "decay",
    "momentum",
    "max_norm",
    "learning",
    "capacity",
    "accumulator",
    "averaging",
    "free",
];

impl Record {
    /// What the minibatch without its first rows is told.
    #[must_use]
    pub(crate) fn after_rows(&self, rows: usize) -> Self {
        let rows = rows as u32;
        let window = self.window.map(|place| place + rows);
        Self { first: self.first + rows, rows: self.rows.saturating_sub(rows), window, ..*self }
    }

    /// Which row of a dataset on the device an image is, that a row of the minibatch holds: that of its
    /// number, or where a window holds the minibatch, one row behind another. Rows past the record's have the
    /// first.
    #[must_use]
    pub fn row_of(&self, image: u32, row: u32) -> u32 {
        match self.window {
            None => image,
            Some(place) if row < self.rows => place + row,
            Some(_) => 0,
        }
    }

    /// The size of the uniform.
    pub const BYTES: usize = 4 * FIELDS.len();

    /// The uniform's bytes, for a step whose metrics go to a slot.
    #[must_use]
    pub fn bytes(&self, slot: usize) -> [u8; Self::BYTES] {
        let words: [u32; WORDS] = [
            self.first,
            self.rows,
            self.step,
            self.epoch,
            self.images,
            u32::from(self.shuffle),
            self.window.unwrap_or(WHOLE),
            self.stream,
            self.seed as u32,
            (self.seed >> 32) as u32,
            slot as u32,
        ];
        let mut bytes = [0; Self::BYTES];
        let (head, tail) = bytes.split_at_mut(4 * WORDS);
        head.copy_from_slice(bytemuck::bytes_of(&words));
        tail.copy_from_slice(bytemuck::bytes_of(&self.rates.map(|rate| rate as f32)));
        bytes
    }
}
