// x (rows, n) = the minibatch's rows of a dataset, or of a window of it, and image (rows) = which they are: the
// epoch's order gives the image at each position. Bytes are divided by 255; a binarised pixel is a
// coin of that probability, tossed for each step (1) or once for all (2). A dataset lies in shards; each
// dispatch serves the rows of its own. In rows of bytes classes may lie behind the pixels, which x lacks.

struct Gather {
    len: u32, stride: u32, row_stride: u32, cols: u32, told: u32, shard_first: u32, shard_rows: u32,
    binarise: u32,
}
override told: u32 = 0u;
@group(0) @binding(0) var<uniform> p: Gather;
const WIDTH = 64u;
const ONCE = 2u;

@group(0) @binding(1) var<storage, read> pixels: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> image: array<u32>;

struct Place { row: u32, block: u32, inside: bool, mine: bool, source: u32, from_row: u32 }

// Where the invocation's sixteen pixels go and come from.
fn place(i: u32) -> Place {
    let blocks = p.stride / 16u;
    var at = Place(i / blocks, i % blocks, false, false, 0u, 0u);
    at.inside = at.row < record.rows;
    if at.inside {
        at.source = image_at(record.first + at.row);
        let from_row = row_of(at.source, at.row);
        at.mine = from_row >= p.shard_first && from_row - p.shard_first < p.shard_rows;
        at.from_row = from_row - p.shard_first;
    }
    return at;
}

// Random words for four neighbouring pixels.
fn coins(source: u32, block: u32) -> vec4<u32> {
    let key = vec2<u32>(record.seed_low, record.seed_high);
    let once = p.binarise == ONCE;
    let purpose = 16u * record.stream + select(PIXELS, PIXELS_ONCE, once);
    return philox(vec4<u32>(block, source, select(record.step, 0u, once), purpose), key);
}

fn clear(i: u32, at: Place) {
    for (var k = 0u; k < 4u; k++) { x[4u * i + k] = vec4<f32>(); }
    if at.block == 0u { image[at.row] = 0u; }
}

@compute @workgroup_size(WIDTH)
fn bytes(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let at = place(i);
    if !at.inside { clear(i, at); }
    if !at.mine { return; }
    if at.block == 0u { image[at.row] = at.source; }
    let packed = pixels[at.from_row * (p.row_stride / 16u) + at.block];
    for (var k = 0u; k < 4u; k++) {
        let four = bytes_of(packed[k]);
        var value = vec4<f32>(four) / 255.0;
        if p.binarise != 0u {
            let words = coins(at.source, 4u * at.block + k);
            let heads = (words >> vec4<u32>(8u)) * 255u < (four << vec4<u32>(24u));
            value = select(vec4<f32>(0.0), vec4<f32>(1.0), heads);
        }
        if told != 0u {
            let cols = vec4<u32>(16u * at.block + 4u * k) + vec4<u32>(0u, 1u, 2u, 3u);
            value = select(vec4<f32>(0.0), value, cols < vec4<u32>(p.cols));
        }
        x[4u * i + k] = value;
    }
}

@group(0) @binding(1) var<storage, read> values: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn floats(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let at = place(i);
    if !at.inside { clear(i, at); }
    if !at.mine { return; }
    if at.block == 0u { image[at.row] = at.source; }
    for (var k = 0u; k < 4u; k++) {
        var value = values[(at.from_row * (p.row_stride / 16u) + at.block) * 4u + k];
        if p.binarise != 0u {
            let words = coins(at.source, 4u * at.block + k) >> vec4<u32>(8u);
            let heads = vec4<f32>(words) < value * 16777216.0;
            value = select(vec4<f32>(0.0), vec4<f32>(1.0), heads);
        }
        x[4u * i + k] = value;
    }
}
