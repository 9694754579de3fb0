// x (rows, n) = images (rows, n) as a step that is learned from sees them: mirrored, shifted and with another contrast and
// brightness, drawn for each image; of n numbers place by place, each place with its channels. With a source s of each
// place, x = a v + b of v = images at s, within [0, 1] or on the nearest of the levels k / steps where that is asked for;
// then, where it is asked for, a coin of that probability. What lies beyond an edge is the pixel at the edge.

struct Augment {
    len: u32, cols: u32, stride: u32, width: u32, channels: u32, flip: u32, shift: u32, jitter: u32,
    steps: u32, unit: u32, coins: u32,
}
@group(0) @binding(0) var<uniform> p: Augment;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> images: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

fn drawn(element: u32, row: u32, purpose: u32) -> vec4<u32> {
    let key = vec2<u32>(record.seed_low, record.seed_high);
    return philox(vec4<u32>(element, image[row], record.step, 16u * record.stream + purpose), key);
}

// A whole number from −most to most.
fn around(word: u32, most: u32) -> i32 {
    return i32(multiply_high(word, 2u * most + 1u)) - i32(most);
}

// Where in its image a number comes from, by the words of the image.
fn source(at: u32, words: vec4<u32>) -> u32 {
    let place = at / p.channels;
    let last_line = i32(p.cols / (p.width * p.channels)) - 1;
    let last = i32(p.width) - 1;
    let line = clamp(i32(place / p.width) - around(words.z, p.shift), 0, last_line);
    let across = clamp(i32(place % p.width) - around(words.y, p.shift), 0, last);
    let turned = (p.flip != 0u) & (words.x >= 0x80000000u);
    let from_place = line * i32(p.width) + select(across, last - across, turned);
    return u32(from_place) * p.channels + at % p.channels;
}

// a v + b, with a = 1 and b = 0 but for as many parts of 2¹⁶ as the jitter has at most. Between levels all is whole
// numbers, so that every device comes to the same level.
fn jittered(value: f32, words: vec4<u32>) -> f32 {
    let slope = 65536 + around(words.x, p.jitter);
    let offset = around(words.y, p.jitter);
    if p.steps != 0u {
        let steps = i32(p.steps);
        let level = i32(floor(value * f32(p.steps) + 0.5));
        // At least 0 before it is divided.
        let moved = max(slope * level + offset * steps + 32768, 0) / 65536;
        return f32(min(moved, steps)) / f32(p.steps);
    }
    let moved = (f32(slope) * value + f32(offset)) / 65536.0;
    return select(moved, clamp(moved, 0.0, 1.0), p.unit != 0u);
}

// Four neighbours of a row.
@compute @workgroup_size(WIDTH)
fn change(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let row = 4u * i / p.stride;
    let col = 4u * i % p.stride;
    var value = vec4<f32>();
    if (row < record.rows) & (col < p.cols) {
        let words = drawn(0u, row, AUGMENT);
        for (var j = 0u; j < min(4u, p.cols - col); j++) {
            value[j] = images[row * p.stride + source(col + j, words)];
            if p.jitter != 0u {
                value[j] = jittered(value[j], drawn(1u + (col + j) % p.channels, row, AUGMENT));
            }
        }
        if p.coins != 0u {
            let coins = drawn(col / 4u, row, PIXELS) >> vec4<u32>(8u);
            let heads = vec4<f32>(coins) < value * 16777216.0;
            value = select(vec4<f32>(0.0), vec4<f32>(1.0), heads);
        }
    }
    x[i] = value;
}
