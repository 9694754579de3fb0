// How operands are loaded where four floats cost one load: on hardware.

// What A and B are arrays of, and neighbours of A that come at once.
alias WordA = vec4<f32>;
alias WordB = vec4<f32>;
alias Few = vec4<f32>;
const A_WIDTH = 4u;

fn few(word: WordA) -> Few { return word; }
fn few_levels(word: u32, col: u32) -> Few { return levels(word); }
fn four(word: WordB) -> vec4<f32> { return word; }
fn stored(values: vec4<f32>) -> WordB { return values; }
