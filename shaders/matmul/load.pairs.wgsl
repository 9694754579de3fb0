// How operands are loaded where each component costs a load, as on software adapters: two floats in a word of 64 bits.

// What A and B are arrays of, and neighbours of A that come at once.
alias WordA = u64;
alias WordB = vec2<u64>;
alias Few = vec2<f32>;
const A_WIDTH = 2u;

fn few(word: WordA) -> Few {
    return vec2<f32>(bitcast<f32>(u32(word)), bitcast<f32>(u32(word >> 32u)));
}

// Two of the four pixels in a word; the neighbouring lane has the others.
fn few_levels(word: u32, col: u32) -> Few {
    let four = levels(word);
    return select(four.xy, four.zw, col % 4u == 2u);
}

fn four(words: WordB) -> vec4<f32> { return vec4<f32>(few(words.x), few(words.y)); }

fn stored(values: vec4<f32>) -> WordB {
    let bits = bitcast<vec4<u32>>(values);
    return vec2<u64>(u64(bits.x) | (u64(bits.y) << 32u), u64(bits.z) | (u64(bits.w) << 32u));
}
