// gather: label (batch) = the class of each image of the minibatch, out of the classes of a shard of the
// dataset. append: y (rows, n + classes) = [a | one-hot(label[row / samples])] for a (rows, n), with zeros
// in the padding and in rows past the record's. backward: da = dy's first n columns.

struct Label {
    len: u32, cols: u32, stride: u32, y_stride: u32, classes: u32, samples: u32, shard_first: u32,
    shard_rows: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Label;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> classes: array<u32>;
@group(0) @binding(2) var<storage, read> image: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<u32>;

@compute @workgroup_size(WIDTH)
fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.len { return; }
    if row >= record.rows {
        gathered[row] = 0u;
        return;
    }
    let from_row = row_of(image[row], row);
    if from_row >= p.shard_first && from_row - p.shard_first < p.shard_rows {
        gathered[row] = classes[from_row - p.shard_first];
    }
}

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> label: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn append(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let row = i / p.y_stride;
    let col = i % p.y_stride;
    var value = 0.0;
    if row < record.rows * p.samples {
        if col < p.cols {
            value = a[row * p.stride + col];
        } else if col < p.cols + p.classes {
            value = select(0.0, 1.0, col - p.cols == label[row / p.samples]);
        }
    }
    y[i] = value;
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> da: array<f32>;

@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let row = i / p.stride;
    let col = i % p.stride;
    let before = select(0.0, da[i], p.accumulate != 0u);
    let inside = row < record.rows * p.samples && col < p.cols;
    da[i] = before + select(0.0, dy[row * p.y_stride + min(col, p.cols - 1u)], inside);
}
