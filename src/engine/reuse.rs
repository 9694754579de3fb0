//! Room that one tensor leaves is taken by the next.

use std::collections::{HashMap, HashSet};

use crate::engine::binding::Access;
use crate::engine::plan::Plan;
use crate::engine::program::Dispatch;
use crate::engine::tensor::{BufferId, Dtype};

/// When the dispatches of a program use a buffer.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
    /// Whether the first of them makes all of it, the padding too.
    made: bool,
}

fn lives(plan: &Plan, dispatches: &[Dispatch]) -> HashMap<BufferId, Life> {
    let mut lives: HashMap<BufferId, Life> = HashMap::new();
    for (at, dispatch) in dispatches.iter().enumerate() {
        for (tensor, binding) in dispatch.bindings.iter().zip(dispatch.kernel.bindings()) {
            let all = plan.buffers()[tensor.buffer().index()].words - 2 * plan.margin();
            let padded = tensor.rows() * tensor.cols() < tensor.words();
            let made = binding.access == Access::Write
                && tensor.words() == all
                && (binding.whole || !padded);
            lives.entry(tensor.buffer()).or_insert(Life { first: at, last: at, made }).last = at;
        }
    }
    lives
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
    movable.retain(|buffer| lives.get(buffer).is_some_and(|life| life.made));
    movable.sort_unstable_by_key(|buffer| (lives[buffer].first, *buffer));
    movable.dedup();
    let spec = |plan: &Plan, buffer: BufferId| {
        (plan.buffers()[buffer.index()].dtype, plan.buffers()[buffer.index()].words)
    };
    // What there is to move to, and from when on.
    let stays = |(buffer, life): (&BufferId, &Life)| {
        let room = life.made && !kept.contains(buffer) && !movable.contains(buffer);
        (room && spec(plan, *buffer).0 == Dtype::F32).then_some((*buffer, life.last))
    };
    let mut rooms: Vec<_> = lives.iter().filter_map(stays).collect();
    let mut moved: HashMap<BufferId, BufferId> = HashMap::new();
    for buffer in movable {
        let (life, (_, words)) = (lives[&buffer], spec(plan, buffer));
        let free = rooms
            .iter_mut()
            .filter(|(room, until)| *until < life.first && spec(plan, *room).1 >= words);
        match free.min_by_key(|(room, _)| (spec(plan, *room).1, *room)) {
            None => rooms.push((buffer, life.last)),
            Some((room, until)) => {
                *until = life.last;
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
    use crate::engine::{Parameters, Tape, Tensor};
    use crate::kernels::activation::activation;

    /// x through as many functions as it takes, each result in a buffer of its own.
    fn chain(plan: &mut Plan, rows: &[usize]) -> (Vec<Dispatch>, Vec<Tensor>) {
        let mut parameters = Parameters::new();
        let mut tape = Tape::new(plan, &mut parameters);
        let mut made = Vec::new();
        for &rows in rows {
            let x = tape.plan.matrix("x", rows, 16);
            made.push(activation(&mut tape, Activation::Tanh, x));
        }
        // The last is read once more.
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
    fn what_is_kept_or_padded_stays() {
        let mut plan = Plan::new();
        let (mut dispatches, made) = chain(&mut plan, &[16, 32, 32]);
        let buffers: Vec<_> = made.iter().map(Tensor::buffer).collect();
        let kept = HashSet::from([buffers[1]]);
        reuse(&mut plan, &mut dispatches, vec![buffers[2]], &kept);
        assert_eq!(dispatches[2].bindings[1].buffer(), buffers[2], "its room would be kept");
        assert!(plan.buffers().iter().all(|spec| spec.words > 0), "nothing has moved");
    }
}
