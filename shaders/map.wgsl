// Between rows x (images, blocks · height · width · each) and a map (images · height · width, blocks · each):
// x[image, (block · places + place) · each + k] = map[image · places + place, block · each + k], with zeros in
// all padding. of_rows makes the map, to_rows makes the rows; each is the other's way back.

struct Reshape {
    len: u32, images: u32, height: u32, width: u32, channels: u32, each: u32, stride: u32,
    map_stride: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Reshape;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read_write> map: array<f32>;

@compute @workgroup_size(WIDTH)
fn of_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let places = p.height * p.width;
    let row = i / p.map_stride;
    let channel = i % p.map_stride;
    let image = row / places;
    var value = select(0.0, map[i], p.accumulate != 0u);
    if image < p.images && channel < p.channels {
        let col = (channel / p.each * places + row % places) * p.each + channel % p.each;
        value += rows[image * p.stride + col];
    }
    map[i] = value;
}

@group(0) @binding(1) var<storage, read> from_map: array<f32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;

@compute @workgroup_size(WIDTH)
fn to_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let places = p.height * p.width;
    let image = i / p.stride;
    let col = i % p.stride;
    var value = select(0.0, to[i], p.accumulate != 0u);
    if image < p.images && col < places * p.channels {
        let at = col / p.each;
        let channel = at / places * p.each + col % p.each;
        value += from_map[(image * places + at % places) * p.map_stride + channel];
    }
    to[i] = value;
}
