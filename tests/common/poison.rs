//! What a step makes is NaN before it makes it, so that whatever reads something else breaks.

use std::collections::HashSet;

use elbo::engine::{BufferId, Dispatch, Dtype, Parameter, Program, Record, Tensor};

use crate::common::{Bench, Under};

impl Bench {
    /// What holds something between two steps.
    fn kept(&self) -> HashSet<BufferId> {
        let learned = self.vae.parameters.list().iter().flat_map(Parameter::tensors);
        learned.chain([self.vae.ports.reports.slots.values]).map(|tensor| tensor.buffer()).collect()
    }

    /// Leaves NaN in what a dispatch makes whole, if nothing has `used` it before; it gives these tensors.
    fn poison_made(&mut self, dispatch: &Dispatch, used: &mut HashSet<BufferId>) -> Vec<Tensor> {
        let uses = dispatch.bindings.iter().zip(dispatch.kernel.bindings());
        let fresh =
            uses.filter(|(t, b)| used.insert(t.buffer()) && b.whole && t.dtype() == Dtype::F32);
        let fresh: Vec<_> = fresh.map(|(&tensor, _)| tensor).collect();
        for tensor in &fresh {
            self.session.write_bits(*tensor, &vec![f32::NAN.to_bits(); tensor.words()]);
        }
        fresh
    }

    /// Leaves NaN wherever a step makes what it then reads: if it reads anything that it did not make, it breaks.
    pub(crate) fn poison(&mut self) {
        let mut used = self.kept();
        for dispatch in self.step.dispatches.clone() {
            self.poison_made(&dispatch, &mut used);
        }
    }

    /// Runs a step a dispatch at a time, each with NaN in what it is the first to make, and gives the kernels that leave some
    /// of it, though they say that they make it whole. Some take several dispatches for that, one after another.
    pub(crate) fn left_over(&mut self, record: Record) -> Vec<String> {
        let (mut used, mut found) = (self.kept(), Vec::new());
        let (dispatches, mut made) = (self.step.dispatches.clone(), Vec::new());
        for (at, dispatch) in dispatches.iter().enumerate() {
            made.extend(self.poison_made(dispatch, &mut used));
            self.run_alone(dispatch.clone(), record);
            let kernel = dispatch.kernel.name();
            if dispatches.get(at + 1).is_some_and(|next| next.kernel.name() == kernel) {
                continue;
            }
            for tensor in made.drain(..) {
                let values = self.session.read(tensor.with_padding());
                if let Some(at) = values.iter().position(|value| value.is_nan()) {
                    let (row, col) = (at / tensor.stride(), at % tensor.stride());
                    let (name, rows, cols) =
                        (self.vae.plan.name(tensor), tensor.rows(), tensor.cols());
                    found.push(format!("{kernel} leaves {name}, {rows} × {cols}, at {row}, {col}"));
                    // As it is where nothing else lay there.
                    let bits =
                        values.iter().map(|value| if value.is_nan() { 0.0 } else { *value as f32 });
                    self.session.write_bits(tensor, &bits.map(f32::to_bits).collect::<Vec<_>>());
                }
            }
        }
        found
    }

    fn run_alone(&mut self, dispatch: Dispatch, record: Record) {
        let program = Program { name: "one".to_owned(), dispatches: vec![dispatch] };
        match &mut self.session {
            Under::Oracle(session) => {
                let one = session.load(&program);
                session.run(one, &[record]);
                while session.next_report().is_some() {}
            }
            Under::Device(session) => {
                let one = session.load(&program).expect("the device takes it");
                session.run(one, &[record]).expect("the device works");
                while session.next_report(false).expect("the device works").is_some() {}
            }
        }
    }
}
