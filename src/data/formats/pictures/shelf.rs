//! Decoded pictures until it is known what all of them become: in memory, and beyond it in a file.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;

use super::decode::Was;
use super::read::{Picture, is_black};
use super::samples::Samples;
use crate::config::ImageSize;
use crate::data::stored::{Pile, Space};
use crate::error::Result;

/// So many bytes of pictures are decoded side by side, and so few pictures and so many at the most.
const TOGETHER: usize = 16 << 20;
const FEW: usize = 16;
const MANY: usize = 256;

/// What is known of a picture without its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) size: ImageSize,
    /// Whether samples have 16 bits.
    pub(super) wide: bool,
    pub(super) was: Was,
    /// Whether it has no colour but black.
    pub(super) black: bool,
}

/// A decoded picture.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) about: About,
    samples: Samples,
}

impl Shelved {
    pub(super) fn of(picture: Picture) -> Self {
        let black = is_black(&picture);
        let Picture { size, samples, was } = picture;
        let wide = matches!(samples, Samples::Words(_));
        Self { about: About { size, wide, was, black }, samples }
    }
}

/// Where the samples of a picture are.
#[derive(Debug)]
enum Place {
    Memory(Samples),
    /// At this byte of the file.
    File(u64),
}

/// Pictures, which are taken out in their order.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    space: &'a Space<'a>,
    about: Vec<About>,
    /// Those that were not taken.
    places: VecDeque<Place>,
    /// How many bytes may be in memory, and how many are.
    most: u64,
    held: u64,
    pile: Option<Pile>,
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        self.space.free(self.held);
    }
}

impl<'a> Shelf<'a> {
    pub(super) fn new(space: &'a Space<'a>) -> Self {
        let (about, places) = (Vec::new(), VecDeque::new());
        // What they become needs as much again.
        Self { space, about, places, most: space.left() / 2, held: 0, pile: None }
    }

    /// All pictures, also those that were taken.
    pub(super) fn about(&self) -> &[About] {
        &self.about
    }

    /// How many pictures are worked on side by side.
    pub(super) fn together(&self) -> usize {
        let Some(last) = self.about.last() else { return FEW };
        TOGETHER.checked_div(last.size.len()).unwrap_or(MANY).clamp(FEW, MANY)
    }

    /// Puts one behind the others.
    pub(super) fn put(&mut self, Shelved { about, mut samples }: Shelved) -> Result<()> {
        let (bytes, held) = (samples.bytes(), self.held.saturating_add(samples.bytes()));
        let place = match &mut self.pile {
            None if held <= self.most => {
                self.held = held;
                self.space.hold(bytes);
                Place::Memory(samples)
            }
            pile => {
                let pile = match pile {
                    Some(pile) => pile,
                    None => pile.insert(self.space.pile()?),
                };
                Place::File(pile.put(samples.as_bytes_mut())?)
            }
        };
        self.about.push(about);
        self.places.push_back(place);
        Ok(())
    }

    /// Takes the next pictures, so many or all that are left.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<Picture>> {
        let first = self.about.len().saturating_sub(self.places.len());
        let (mut some, mut freed) = (Vec::new(), 0_u64);
        for place in self.places.drain(..count.min(self.places.len())) {
            let About { size, wide, was, .. } = self.about[first.saturating_add(some.len())];
            let samples = match (place, &mut self.pile) {
                (Place::File(at), Some(pile)) => {
                    let mut samples = Samples::zeros(pile.path(), size, wide)?;
                    pile.read(at, samples.as_bytes_mut())?;
                    samples
                }
                (Place::Memory(samples), _) => {
                    freed = freed.saturating_add(samples.bytes());
                    samples
                }
                // There is none in a file that there is not.
                (Place::File(_), None) => continue,
            };
            some.push(Picture { size, samples, was });
        }
        self.held = self.held.saturating_sub(freed);
        self.space.free(freed);
        Ok(some)
    }
}
