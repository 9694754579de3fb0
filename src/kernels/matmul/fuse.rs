//! Puts dispatches of a recorded program together, where one product can do the work of several.

use super::fused::{
    ADAM, ADAM_BYTES, BACKWARD_DRAW, BERNOULLI, BERNOULLI_BYTES, DRAW, FORWARD_BYTES, PART,
};
use super::{BACKWARD_W, BACKWARD_X, FORWARD, Product};
use crate::engine::kernel::Access;
use crate::engine::plan::Dispatch;
use crate::engine::tensor::size;
use crate::engine::{Dtype, Grid, Plan, Tensor};
use crate::kernels::{bernoulli, finite, gather, gaussian, optimizer, reduce};

/// How far a program is fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// Only the update of the weights, where their gradients are made.
    Updates,
    /// Everything: fewer dispatches that wait for one another.
    All,
}

/// A step with the same results in fewer dispatches. What cannot be fused stays as it is.
#[must_use]
pub fn fuse(plan: &mut Plan, dispatches: &[Dispatch], fusion: Fusion) -> Vec<Dispatch> {
    let mut list = List { plan, dispatches: dispatches.to_vec() };
    if fusion == Fusion::All {
        list.draw();
        list.likelihood();
        list.backward_draw();
    }
    list.updates();
    if fusion == Fusion::All {
        list.bytes();
    }
    list.dispatches
}

struct List<'p> {
    plan: &'p mut Plan,
    dispatches: Vec<Dispatch>,
}

fn params<P: bytemuck::Pod>(dispatch: &Dispatch) -> P {
    bytemuck::pod_read_unaligned(&dispatch.params)
}

fn overlap(a: Tensor, b: Tensor) -> bool {
    let (x, y) = (a.range(), b.range());
    a.buffer() == b.buffer() && x.start < y.end && y.start < x.end
}

impl List<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        self.dispatches.iter().position(|d| d.kernel.name() == name)
    }

    /// The one dispatch that writes a tensor, if it is a product without an activation that stores
    /// its result, and nothing but it and `user` touches the tensor.
    fn made_for(&self, tensor: Tensor, name: &str, user: usize) -> Option<usize> {
        let touches = |d: &Dispatch| d.bindings.iter().any(|&t| overlap(t, tensor));
        let all = self.dispatches.iter().enumerate();
        let others: Vec<_> = all.filter(|&(i, d)| i != user && touches(d)).collect();
        let [(maker, dispatch)] = others[..] else { return None };
        let plain = |p: Product| p.activation == 0 && p.accumulate == 0;
        (dispatch.kernel.name() == name && plain(params(dispatch))).then_some(maker)
    }

    /// Whether losses are added up, and nothing else but their `maker` touches them: then they may come
    /// in parts.
    fn only_summed(&self, losses: Tensor, maker: usize) -> bool {
        let touches = |d: &Dispatch| d.bindings.iter().any(|&t| overlap(t, losses));
        let all = self.dispatches.iter().enumerate();
        let users: Vec<_> = all.filter(|&(i, d)| i != maker && touches(d)).collect();
        matches!(users[..], [(_, user)] if user.kernel.name() == reduce::TERMS.name)
    }

    /// Replaces losses by their parts where they are summed.
    fn sum_parts(&mut self, losses: Tensor, parts: Tensor) {
        let sums = |d: &&mut Dispatch| d.kernel.name() == reduce::TERMS.name;
        for dispatch in self.dispatches.iter_mut().filter(sums) {
            let mut p: reduce::Reduce = params(dispatch);
            let lens = [&mut p.first_len, &mut p.second_len, &mut p.third_len];
            for (bound, len) in dispatch.bindings.iter_mut().zip(lens) {
                if *bound == losses {
                    // Of length 0 it only stands in for a term that is not there.
                    *len = if *len == 0 { 0 } else { size(parts.words() / 4) };
                    *bound = parts;
                }
            }
            dispatch.params = bytemuck::bytes_of(&p).to_vec();
        }
    }

    /// The posterior's product draws z.
    fn draw(&mut self) {
        let Some(user) = self.find(gaussian::DRAW.name) else { return };
        let [image, h, eps, z, kl] = self.dispatches[user].bindings[..] else { return };
        let makes = |d: &Dispatch| d.kernel.name() == FORWARD.name && d.bindings[3] == h;
        let Some(maker) = self.dispatches.iter().position(makes) else { return };
        let p: Product = params(&self.dispatches[maker]);
        let posterior: gaussian::Gaussian = params(&self.dispatches[user]);
        if p.activation != 0 || posterior.samples != 1 || !self.only_summed(kl, user) {
            return;
        }
        let [x, b, w, _] = self.dispatches[maker].bindings[..] else { return };
        let cols = 2 * z.cols().next_multiple_of(2);
        let parts = self.plan.matrix("kl parts", z.rows(), cols.div_ceil(PART));
        let p = Product {
            cols: size(cols),
            latent: size(z.cols()),
            other_stride: size(z.stride()),
            parts: size(parts.stride()),
            ..p
        };
        let grid = Grid::Matrix(z.padded_rows(), cols);
        let fused = Dispatch::new(&DRAW, p, [x, b, w, image, h, eps, z, parts], grid);
        self.dispatches[maker] = fused;
        self.dispatches.remove(user);
        self.sum_parts(kl, parts);
    }

    /// The last product of the decoder makes the losses and the gradient at the logits.
    fn likelihood(&mut self) {
        let Some(user) = self.find(bernoulli::FORWARD.name) else { return };
        let [logits, images, nll, dlogits] = self.dispatches[user].bindings[..] else { return };
        let Some(maker) = self.made_for(logits, FORWARD.name, user) else { return };
        let losses: bernoulli::Bernoulli = params(&self.dispatches[user]);
        if losses.samples != 1 || !self.only_summed(nll, user) {
            return;
        }
        let [x, b, w, _] = self.dispatches[maker].bindings[..] else { return };
        let p: Product = params(&self.dispatches[maker]);
        let parts = self.plan.matrix("nll parts", logits.rows(), (p.cols as usize).div_ceil(PART));
        let p = Product { other_stride: size(images.stride()), parts: size(parts.stride()), ..p };
        let grid = self.dispatches[maker].grid;
        let fused = Dispatch::new(&BERNOULLI, p, [x, b, w, images, dlogits, parts], grid);
        self.dispatches[user] = fused;
        self.dispatches.remove(maker);
        self.sum_parts(nll, parts);
    }

    /// The product that makes the gradient at z makes the posterior's.
    fn backward_draw(&mut self) {
        let Some(user) = self.find(gaussian::BACKWARD.name) else { return };
        let [h, eps, dz, dh] = self.dispatches[user].bindings[..] else { return };
        let Some(maker) = self.made_for_input(dz, user) else { return };
        let posterior: gaussian::Gaussian = params(&self.dispatches[user]);
        let whole = gaussian::Divergence::Whole.code();
        if posterior.accumulate != 0 || posterior.samples != 1 || posterior.divergence != whole {
            return;
        }
        let [dy, _, w, _] = self.dispatches[maker].bindings[..] else { return };
        let p: Product = params(&self.dispatches[maker]);
        let p = Product {
            c_stride: size(h.stride()),
            other_stride: size(eps.stride()),
            latent: posterior.latent,
            ..p
        };
        let grid = self.dispatches[maker].grid;
        self.dispatches[user] = Dispatch::new(&BACKWARD_DRAW, p, [dy, w, h, eps, dh], grid);
        self.dispatches.remove(maker);
    }

    fn made_for_input(&self, tensor: Tensor, user: usize) -> Option<usize> {
        self.made_for(tensor, BACKWARD_X.name, user)
    }

    /// Adam updates where the gradients are made, unless their norm is clipped.
    fn updates(&mut self) {
        while let Some(at) = self.find(optimizer::ADAM.name) {
            let rule: optimizer::Optimizer = params(&self.dispatches[at]);
            let [guard, _, grads, values, first, second] = self.dispatches[at].bindings[..] else {
                return;
            };
            let leaf = |d: &Dispatch| {
                d.kernel.name() == BACKWARD_W.name && d.bindings[2].buffer() == grads.buffer()
            };
            let leaves: Vec<_> = self.dispatches.iter().filter(|d| leaf(d)).cloned().collect();
            let writes = |d: &Dispatch| {
                let mut uses = d.bindings.iter().zip(d.kernel.bindings());
                uses.any(|(t, b)| b.access == Access::Write && t.buffer() == grads.buffer())
            };
            let makers = self.dispatches.iter().filter(|d| writes(d)).count();
            let once = leaves.iter().all(|d| params::<Product>(d).accumulate == 0);
            // A bias that found no room in its weight's arena lies in the next.
            let together = leaves.iter().all(|d| d.bindings[3].buffer() == grads.buffer());
            if rule.clip != 0 || makers != leaves.len() || !once || !together {
                return;
            }
            let fused = leaves.iter().map(|d| {
                let [dy, x, dw, db] = d.bindings[..] else { unreachable!("a row of four") };
                let (first_word, last) = (dw.range().start, db.range().end);
                let layer = |arena: Tensor| {
                    Tensor::vector(arena.buffer(), first_word, last - first_word, Dtype::F32)
                };
                let p = Product {
                    bias: size(db.range().start - first_word),
                    decoupled: rule.decoupled,
                    ..params(d)
                };
                let bindings = [dy, x, guard, layer(values), layer(first), layer(second)];
                Dispatch::new(&ADAM, p, bindings, d.grid)
            });
            let fused: Vec<_> = fused.collect();
            self.dispatches.splice(at..=at, fused);
            let check = |d: &Dispatch| {
                d.kernel.name() == finite::CHECK.name && d.bindings[0].buffer() == grads.buffer()
            };
            self.dispatches.retain(|d| !leaf(d) && !check(d));
        }
    }

    /// Products read the bytes of the dataset themselves, if nothing else needs the minibatch.
    fn bytes(&mut self) {
        let Some(at) = self.find(gather::BYTES.name) else { return };
        let p: gather::Gather = params(&self.dispatches[at]);
        let [pixels, x, image] = self.dispatches[at].bindings[..] else { return };
        let whole = self.dispatches.iter().filter(|d| d.kernel.name() == gather::BYTES.name);
        let reads = |d: &&Dispatch| d.bindings.iter().any(|&t| overlap(t, x));
        let can = |d: &Dispatch| match d.kernel.name() {
            name if name == FORWARD.name => d.bindings[0] == x,
            name if name == BERNOULLI.name => d.bindings[3] == x,
            name if name == ADAM.name => d.bindings[1] == x,
            name => name == gather::BYTES.name,
        };
        let firsts = |d: &&Dispatch| d.kernel.name() == FORWARD.name && d.bindings[0] == x;
        if p.binarise != 0
            || whole.count() != 1
            || self.dispatches.iter().filter(firsts).count() != 1
            || !self.dispatches.iter().filter(reads).all(can)
        {
            return;
        }
        self.dispatches.remove(at);
        for d in self.dispatches.iter_mut().filter(|d| reads(&&**d)) {
            let grid = d.grid;
            let p: Product = params(d);
            *d = match d.bindings[..] {
                [_, b, w, y] => Dispatch::new(&FORWARD_BYTES, p, [pixels, b, w, y, image], grid),
                [input, b, w, _, dlogits, nll] if d.kernel.name() == BERNOULLI.name => {
                    let bindings = [input, b, w, pixels, image, dlogits, nll];
                    Dispatch::new(&BERNOULLI_BYTES, p, bindings, grid)
                }
                [dy, _, guard, weights, first, second] => {
                    let bindings = [dy, pixels, image, guard, weights, first, second];
                    Dispatch::new(&ADAM_BYTES, p, bindings, grid)
                }
                _ => unreachable!("`can` knows these three"),
            };
        }
    }
}
