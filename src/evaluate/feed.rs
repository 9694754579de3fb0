//! How images come to the device: whole before the first step, or through a window ahead of the steps.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::data::Dataset;
use crate::engine::record::{RATES, Record, SLOTS};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::gather::{Shard, images_of};
use crate::session::Session;

/// Elements of a dataset that are packed at once on their way to the device.
const UPLOAD: usize = 4 << 20;

/// Windows that are read ahead.
const AHEAD: usize = 2;

/// The images of a set on their way to the device.
#[derive(Debug)]
pub(crate) enum Feed {
    /// They lie there.
    Whole,
    /// A window holds the minibatches of a submit.
    Window(Window),
}

impl Feed {
    /// Puts a dataset into its shards, and its labels, which were checked, for a model of so many classes;
    /// or makes ready to, where they are a window for minibatches of so many images.
    pub(crate) fn new(
        session: &mut Session,
        shards: &[Shard],
        data: &Dataset,
        (batch, classes): (usize, usize),
    ) -> Result<Self> {
        let held: usize = shards.iter().map(|shard| shard.rows).sum();
        match shards {
            [shard] if held < data.len() => {
                let reader = Reader::new(data.clone(), classes)?;
                Ok(Self::Window(Window { shard: *shard, batch, reader }))
            }
            _ => upload(session, shards, data, classes).map(|()| Self::Whole),
        }
    }

    /// The most minibatches of a submit.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Whole => SLOTS,
            Self::Window(window) => window.slots(),
        }
    }

    /// The records of a submit, with the place of their images where a window holds them, which they are
    /// brought into.
    ///
    /// # Errors
    ///
    /// If images cannot be read any more, or the device is lost.
    pub(crate) fn place<'r>(
        &mut self,
        session: &mut Session,
        records: &'r [Record],
    ) -> Result<Cow<'r, [Record]>> {
        match self {
            Self::Whole => Ok(Cow::Borrowed(records)),
            Self::Window(window) => window.place(session, records).map(Cow::Owned),
        }
    }

    /// How many minibatches are being read ahead, and how many more may be.
    pub(crate) fn ahead(&self) -> (u64, u64) {
        match self {
            Self::Whole => (0, 0),
            Self::Window(window) => {
                let asked = window.reader.asked.len();
                (asked as u64, window.most().saturating_sub(asked) as u64)
            }
        }
    }

    /// Has the images of coming records read ahead, as far as there is room for them.
    pub(crate) fn expect(&mut self, coming: impl Iterator<Item = Record>) -> Result<()> {
        match self {
            Self::Whole => Ok(()),
            Self::Window(window) => {
                let most = window.most();
                coming.take(most).try_for_each(|record| window.reader.expect(&record, most))
            }
        }
    }
}

/// Puts a dataset into its shards, a piece at a time.
fn upload(session: &mut Session, shards: &[Shard], data: &Dataset, classes: usize) -> Result<()> {
    for shard in shards {
        let piece = (UPLOAD / shard.row_words()).max(1);
        for row in (0..shard.rows).step_by(piece) {
            let first = (shard.first + row) as u32;
            let images: Vec<u32> = (first..first + piece.min(shard.rows - row) as u32).collect();
            let words = data.words_of(&images, classes)?;
            session.write_bits(shard.data, row * shard.row_words(), &words)?;
            if let Some(labels) = shard.labels {
                session.write_bits(labels, row, &data.classes_of(&images))?;
            }
        }
    }
    Ok(())
}

/// Room on the device for the minibatches of a submit, one behind another.
#[derive(Debug)]
pub(crate) struct Window {
    shard: Shard,
    /// Rows of a minibatch.
    batch: usize,
    reader: Reader,
}

impl Window {
    fn slots(&self) -> usize {
        self.shard.rows / self.batch
    }

    /// The most minibatches that are read ahead.
    fn most(&self) -> usize {
        AHEAD * self.slots()
    }

    fn place(&mut self, session: &mut Session, records: &[Record]) -> Result<Vec<Record>> {
        let row_words = self.shard.row_words();
        let (mut words, mut classes, mut placed) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, record) in records.iter().enumerate() {
            // Only the last minibatch of an epoch is not full.
            words.resize(slot * self.batch * row_words, 0);
            classes.resize(slot * self.batch, 0);
            let images = self.reader.take(record)?;
            words.extend(images.words);
            classes.extend(images.classes);
            placed.push(Record { window: Some((slot * self.batch) as u32), ..*record });
        }
        session.write_bits(self.shard.data, 0, &words)?;
        if let Some(labels) = self.shard.labels {
            session.write_bits(labels, 0, &classes)?;
        }
        Ok(placed)
    }
}

/// The images of a minibatch as they lie on the device, and their classes.
#[derive(Debug)]
struct Images {
    words: Vec<u32>,
    classes: Vec<u32>,
}

/// A thread that reads the images of minibatches, in the order in which they are asked for.
#[derive(Debug)]
struct Reader {
    requests: Sender<Record>,
    found: Receiver<Result<Images>>,
    /// What was asked for and not taken.
    asked: VecDeque<Record>,
}

/// What of a record says which images its minibatch has.
fn minibatch(record: &Record) -> Record {
    Record { step: 0, stream: 0, window: None, rates: [0.0; RATES], ..*record }
}

impl Reader {
    fn new(data: Dataset, classes: usize) -> Result<Self> {
        let (requests, asked) = channel::<Record>();
        let (made, found) = channel();
        let read = move || {
            for record in asked {
                let images = images_of(&record);
                let words = data.words_of(&images, classes);
                let classes = data.classes_of(&images);
                if made.send(words.map(|words| Images { words, classes })).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("elbo images".to_owned()).spawn(read);
        thread.map_err(|e| {
            let what = format!("the system gives no thread to read images: {e}");
            Error::new(ErrorKind::Limit, what).hint("end other programs")
        })?;
        Ok(Self { requests, found, asked: VecDeque::new() })
    }

    /// Has a minibatch read, unless it was asked for or so many were.
    fn expect(&mut self, record: &Record, most: usize) -> Result<()> {
        let wanted = minibatch(record);
        if self.asked.len() >= most || self.asked.contains(&wanted) {
            return Ok(());
        }
        self.requests.send(wanted).map_err(|_| gone())?;
        self.asked.push_back(wanted);
        Ok(())
    }

    /// The images of a minibatch. What was asked for before it is of no use any more: training went
    /// another way.
    fn take(&mut self, record: &Record) -> Result<Images> {
        let wanted = minibatch(record);
        loop {
            let Some(asked) = self.asked.pop_front() else {
                self.expect(record, 1)?;
                continue;
            };
            let images = self.found.recv().map_err(|_| gone())?;
            if asked == wanted {
                return images;
            }
        }
    }
}

/// The thread cannot end before its feed does.
fn gone() -> Error {
    Error::new(ErrorKind::Device, "the thread that reads images has ended")
}
