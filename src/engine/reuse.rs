//! Room that one tensor leaves is taken by the next.

use std::collections::{HashMap, HashSet};

use crate::engine::binding::Access;
use crate::engine::plan::Plan;
use crate::engine::program::Dispatch;
use crate::engine::tensor::{BufferId, Dtype};

/// When the dispatches of a program use a buffer of floats.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
    words: usize,
}

/// The lives of buffers of floats that the first dispatch which uses them makes whole, the padding too: nothing needs what
/// was there before.
fn lives(plan: &Plan, dispatches: &[Dispatch]) -> HashMap<BufferId, Life> {
    let mut lives: HashMap<BufferId, (Life, bool)> = HashMap::new();
    for (at, dispatch) in dispatches.iter().enumerate() {
        for (tensor, binding) in dispatch.bindings.iter().zip(dispatch.kernel.bindings()) {
            let words = plan.buffers()[tensor.buffer().index()].words;
            let padded = tensor.rows() * tensor.cols() < tensor.words();
            let made = binding.access == Access::Write
                && tensor.dtype() == Dtype::F32
                && tensor.words() == words - 2 * plan.margin()
                && (binding.whole || !padded);
            let life = Life { first: at, last: at, words };
            lives.entry(tensor.buffer()).or_insert((life, made)).0.last = at;
        }
    }
    let made = |(buffer, (life, made))| Some((buffer, life)).filter(|_| made);
    lives.into_iter().filter_map(made).collect()
}

/// Has buffers that nothing but these dispatches uses move to where there is room when they are made: to others of them
/// that are no longer needed then, or to what else the dispatches make and need no more, but for what is `kept`.
///
/// Only what is made whole, its padding too, by the first dispatch that uses it moves or is moved to. Each takes the
/// smallest room that is large enough; the plan forgets the buffers that have moved.
pub(crate) fn reuse(
    plan: &mut Plan,
    dispatches: &mut [Dispatch],
    mut movable: Vec<BufferId>,
    kept: &HashSet<BufferId>,
) {
    let lives = lives(plan, dispatches);
    movable.retain(|buffer| lives.contains_key(buffer));
    movable.sort_unstable_by_key(|buffer| (lives[buffer].first, *buffer));
    movable.dedup();
    // What there is to move to, and from when on.
    let stays = |buffer: &&BufferId| !kept.contains(*buffer) && !movable.contains(*buffer);
    let mut rooms: Vec<_> =
        lives.keys().filter(stays).map(|&buffer| (buffer, lives[&buffer].last)).collect();
    let mut moved: HashMap<BufferId, BufferId> = HashMap::new();
    for buffer in movable {
        let Life { first, last, words } = lives[&buffer];
        let fits = |room: BufferId| lives[&room].words >= words;
        let free = rooms.iter_mut().filter(|(room, until)| *until < first && fits(*room));
        match free.min_by_key(|(room, _)| (lives[room].words, *room)) {
            None => rooms.push((buffer, last)),
            Some((room, until)) => {
                *until = last;
                moved.insert(buffer, *room);
            }
        }
    }
    for tensor in dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
        tensor.buffer = moved.get(&tensor.buffer).copied().unwrap_or(tensor.buffer);
    }
    moved.into_keys().for_each(|buffer| plan.forget(buffer));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Activation;
    use crate::engine::{Init, Parameters, Tape, Tensor};
    use crate::kernels::activation::activation;
    use crate::kernels::group_norm::group_norm;
    use crate::kernels::layer_norm::Norm;
    use crate::kernels::matmul::convolution::Map;

    /// x through as many functions as it takes, each result in a buffer of its own.
    fn chain(plan: &mut Plan, rows: &[usize]) -> (Vec<Dispatch>, Vec<Tensor>) {
        let mut parameters = Parameters::new();
        let mut tape = Tape::new(plan, &mut parameters);
        let mut made = Vec::new();
        for &rows in rows {
            let x = tape.plan.matrix("x", rows, 16);
            made.push(activation(&mut tape, Activation::Tanh, x));
        }
        // The first is read once more.
        activation(&mut tape, Activation::Tanh, made[0]);
        (tape.take(), made)
    }

    #[test]
    fn what_is_made_later_takes_the_room_of_what_is_needed_no_more() {
        let none = HashSet::new();
        let mut plan = Plan::new();
        let (mut dispatches, made) = chain(&mut plan, &[16, 32, 32, 16, 48]);
        let before = plan.bytes();
        let buffers: Vec<_> = made.iter().map(Tensor::buffer).collect();
        reuse(&mut plan, &mut dispatches, buffers[1..].to_vec(), &none);
        let makes: Vec<_> = dispatches.iter().map(|d| d.bindings[1].buffer()).collect();
        // The first is needed to the end, the fourth takes the smallest that is free, and the last is too large for it.
        let second = buffers[1];
        assert_eq!(makes[..5], [buffers[0], second, second, second, buffers[4]], "where they lie");
        assert_eq!(before - plan.bytes(), 4 * 16 * (32 + 16), "bytes");
    }

    #[test]
    fn nothing_moves_to_where_its_own_dispatch_reads() {
        let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
        let mut tape = Tape::new(&mut plan, &mut parameters);
        let x = tape.plan.matrix("x", 16, 16);
        let y = activation(&mut tape, Activation::Tanh, x);
        let z = activation(&mut tape, Activation::Tanh, y);
        let mut dispatches = tape.take();
        reuse(&mut plan, &mut dispatches, vec![y.buffer(), z.buffer()], &HashSet::new());
        assert_eq!(dispatches[1].bindings[1].buffer(), z.buffer());
    }

    #[test]
    fn what_is_kept_stays() {
        let mut plan = Plan::new();
        let (mut dispatches, made) = chain(&mut plan, &[16, 32, 32]);
        let buffers: Vec<_> = made.iter().map(Tensor::buffer).collect();
        let kept = HashSet::from([buffers[1]]);
        reuse(&mut plan, &mut dispatches, vec![buffers[2]], &kept);
        assert_eq!(dispatches[2].bindings[1].buffer(), buffers[2], "its room would be kept");
        assert!(plan.buffers().iter().all(|spec| spec.words > 0), "nothing has moved");
    }

    /// A group norm leaves the padding as it was.
    #[test]
    fn what_is_made_but_for_the_padding_moves_only_if_it_has_none() {
        for (channels, moves) in [(16, true), (12, false)] {
            let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
            let mut tape = Tape::new(&mut plan, &mut parameters);
            let made = [0, 1].map(|_| {
                let at = tape.plan.matrix("x", 32, channels);
                let map = Map { at, height: 4, width: 4 };
                let gain =
                    |tape: &mut Tape<'_>, name| tape.parameter(name, channels, Init::Constant(1.0));
                let norm = Norm { gain: gain(&mut tape, "gain"), bias: gain(&mut tape, "bias") };
                group_norm(&mut tape, "y", (map, false), (2, norm), Activation::Identity).at
            });
            let mut dispatches = tape.take();
            let [first, second] = made.map(|tensor| tensor.buffer());
            reuse(&mut plan, &mut dispatches, vec![first, second], &HashSet::new());
            assert_eq!(plan.buffers()[second.index()].words == 0, moves, "{channels} channels");
        }
    }
}
