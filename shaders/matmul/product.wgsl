// What all products C = op(A) op(B) share. The source of one is the text of several files, joined: this one, a form, an
// entry, a way to load and a tile. A tile makes the sums and knows neither what the operands are nor what the sums are for;
// the entry tells it, by these functions:
//
// a_row(row, first), b_row(row)   where a row of A or B begins as it is stored; `first` where no other tile asks for it
// a_at(start, col), b_at(start, col)   neighbours in that row, from a column on, which is a multiple of four or of two
// begin()                         runs before all sums
// finish(row, col, sums)          takes four neighbours of C; its result is their share of the row's loss, or of its squares
// store_loss(row, part, sum)      takes the losses, or squares, of 32 columns, where the entry has any: if LOSSES
// finish_bias(row, sums)          takes the sums over four columns of A, where A's rows are the terms: if not A_ALONG

// The sizes, p, stand in a file of their own: those of any product, or those of one with windows of a map.

// The row and the column of a workgroup's tile, counted in tiles of so many rows. Rows go first: tiles that follow one
// another share columns of B, which is the larger operand. Where a grid was folded, the last workgroups may have columns
// past the end; they finish nothing.
fn tile_of(group: vec3<u32>, groups: vec3<u32>, rows: u32) -> vec2<u32> {
    let tile = flat_group(group, groups);
    let down = (p.rows + rows - 1u) / rows;
    return vec2<u32>(tile % down, tile / down);
}

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    return vec4<f32>(bytes_of(word)) / 255.0;
}
