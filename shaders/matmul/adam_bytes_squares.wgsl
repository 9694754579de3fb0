// What `adam_bytes.wgsl` does, and the sums of the gradients' squares.
@group(0) @binding(8) var<storage, read_write> squares: array<f32>;
