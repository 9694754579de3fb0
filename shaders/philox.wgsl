// Philox4x32-10 (Salmon et al. 2011): random words as a function of a counter and a key, and what
// is made of them. Everything that is decided, is decided on integers.

// What a random word is for; a purpose is added to sixteen times the record's stream.
const NOISE = 0u;
const PIXELS = 1u;
const ORDER = 2u;
const DROPOUT = 4u;
const CORRUPTION = 9u;
const PIXELS_ONCE = 10u;
const AUGMENT = 13u;

// The upper half of a product of two words.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let cross = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (cross >> 16u);
}

// Four random words.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let h0 = multiply_high(0xd2511f53u, c.x);
        let h1 = multiply_high(0xcd9e8d57u, c.z);
        c = vec4<u32>(h1 ^ c.y ^ k.x, 0xcd9e8d57u * c.z, h0 ^ c.w ^ k.y, 0xd2511f53u * c.x);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// log((2 ⌊word / 2⁹⌋ + 1) / 2²⁴), never that of zero. The exponent is split off on integers; then
// log f = 2 (s + s³/3 + s⁵/5 + …) for s = (f − 1) / (f + 1) and f between √½ and √2.
fn log_uniform(word: u32) -> f32 {
    let m = 2u * (word >> 9u) + 1u;
    let e = firstLeadingBit(m);
    let fraction = m << (23u - e);
    let upper = fraction > 11863283u; // √2 · 2²³
    let f = f32(fraction) * select(1.1920929e-7, 5.9604645e-8, upper);
    let s = (f - 1.0) / (f + 1.0);
    let q = s * s;
    let series = s * (2.0 + q * (0.66666667 + q * (0.4 + q * (0.28571429 + q * 0.22222222))));
    return (f32(e) - select(24.0, 23.0, upper)) * 0.69314718 + series;
}

// cos and sin of ⌊word / 2⁸⌋ / 2²⁴ of a turn. The quarter is split off on integers; then Taylor's
// series, for at most an eighth of a turn.
fn cos_sin_turn(word: u32) -> vec2<f32> {
    let turn = word >> 8u;
    let quarter = (turn + 0x200000u) >> 22u;
    let x = f32(i32(turn) - i32(quarter << 22u)) * 3.7450704e-7; // 2π / 2²⁴
    let q = x * x;
    let s = x * (1.0 + q * (-0.16666667 + q * (0.0083333333 + q * (-0.00019841270 + q * 2.7557319e-6))));
    let c = 1.0 + q * (-0.5 + q * (0.041666667 + q * (-0.0013888889 + q * (2.4801587e-5 - q * 2.7557319e-7))));
    switch quarter & 3u {
        case 1u: { return vec2<f32>(-s, c); }
        case 2u: { return vec2<f32>(-c, -s); }
        case 3u: { return vec2<f32>(s, -c); }
        default: { return vec2<f32>(c, s); }
    }
}

// Four independent standard normals of four random words (Box and Muller 1958).
fn normals_of(words: vec4<u32>) -> vec4<f32> {
    let a = sqrt(-2.0 * log_uniform(words.x)) * cos_sin_turn(words.y);
    let b = sqrt(-2.0 * log_uniform(words.z)) * cos_sin_turn(words.w);
    return vec4<f32>(a, b);
}

// The image at a position of an epoch's order: a bijection of 0 … n − 1, a Feistel network of four
// rounds (Luby and Rackoff 1988) on the next even power of two, walked until it falls below n.
fn shuffled(position: u32, n: u32, epoch: u32, purpose: u32, key: vec2<u32>) -> u32 {
    let half = max((33u - countLeadingZeros(n - 1u)) / 2u, 1u);
    let mask = (1u << half) - 1u;
    var at = position;
    loop {
        var left = at >> half;
        var right = at & mask;
        for (var round = 0u; round < 4u; round++) {
            let f = philox(vec4<u32>(right, round, epoch, purpose), key).x & mask;
            let next = left ^ f;
            left = right;
            right = next;
        }
        at = (left << half) | right;
        if at < n { break; }
    }
    return at;
}

// The image at a position of the record's epoch.
fn image_at(position: u32) -> u32 {
    // Not by the uniform alone: for such a branch Lavapipe compiles a shader anew at each dispatch. No
    // position is 2³² − 1.
    if (record.shuffle == 0u) & (position != 0xffffffffu) { return position; }
    let key = vec2<u32>(record.seed_low, record.seed_high);
    return shuffled(position, record.images, record.epoch, ORDER, key);
}
