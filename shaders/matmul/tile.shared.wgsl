// Sums through workgroup memory: all invocations load, then each multiplies, 4 × 4 elements of the tile. SLICES parts of the
// workgroup take different terms, SIDE at a time, and the first adds up what they have.

// Four terms at a time are loaded of a row that lies along them.
const QUADS = SIDE / 4u;
// A slice's columns have one more than is used, so that they fall into different banks.
const COLUMNS = SIDE + 1u;
// Vectors that a slice sums up in an invocation.
const SUMS = select(5u, 4u, A_ALONG);
const WIDTH = max(2u * SLICES * COLUMNS, (SLICES - 1u) * SUMS * SIDE);
// Term by term, which comes first so that one check of bounds does for all terms: A of each slice, then B of each. In the
// end the sums of all slices but the first, then the losses, at id.y.
var<workgroup> tiles: array<array<vec4<f32>, WIDTH>, SIDE>;

@compute @workgroup_size(SIDE, SIDE, SLICES)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) id: vec3<u32>,
) {
    let tile = tile_of(group, groups, 4u * SIDE);
    let corner = 4u * SIDE * tile;
    let row0 = corner.x + 4u * id.y;
    let col0 = corner.y + 4u * id.x;
    let of_a = COLUMNS * id.z;
    let of_b = COLUMNS * (SLICES + id.z);
    begin();
    let a = a_place(corner.x, id, tile.y == 0u);
    let b = b_place(corner.y, id);
    var sums = Sums();
    for (var block = 0u; block < p.depth; block += SIDE * SLICES) {
        let k = block + SIDE * id.z;
        workgroupBarrier();
        if k < p.depth {
            load_a(of_a, id, a, k);
            load_b(of_b, id, b, k);
        }
        workgroupBarrier();
        if k < p.depth {
            sums = eight(sums, 0u, of_a + id.y, of_b + id.x);
            if SIDE == 16u { sums = eight(sums, 8u, of_a + id.y, of_b + id.x); }
        }
    }
    if SLICES > 1u { sums = sum_of_slices(sums, id); }
    var own = vec4<f32>();
    if id.z == 0u { own = finish_rows(sums, row0, col0); }
    if LOSSES { add_losses(own, id, row0, col0); }
    if !A_ALONG && col0 == 0u && id.z == 0u && row0 < p.rows { finish_bias(row0, sums.of_a); }
}

// Eight terms of the sums.
fn eight(given: Sums, k: u32, a: u32, b: u32) -> Sums {
    var s = plus(given, tiles[k][a], tiles[k][b]);
    s = plus(s, tiles[k + 1u][a], tiles[k + 1u][b]);
    s = plus(s, tiles[k + 2u][a], tiles[k + 2u][b]);
    s = plus(s, tiles[k + 3u][a], tiles[k + 3u][b]);
    s = plus(s, tiles[k + 4u][a], tiles[k + 4u][b]);
    s = plus(s, tiles[k + 5u][a], tiles[k + 5u][b]);
    s = plus(s, tiles[k + 6u][a], tiles[k + 6u][b]);
    return plus(s, tiles[k + 7u][a], tiles[k + 7u][b]);
}

// Where what an invocation loads begins: a row along the terms, of which it takes four, or four columns across them.
fn a_place(row0: u32, id: vec3<u32>, first: bool) -> u32 {
    let own = SIDE * id.y + id.x;
    if !A_ALONG { return min(row0 + 4u * id.x, p.rows - 4u); }
    let row = row0 + own / QUADS;
    return a_row(min(row, p.rows - 1u), first && id.z == 0u && own % QUADS == 0u && row < p.rows);
}

fn b_place(col0: u32, id: vec3<u32>) -> u32 {
    if !B_ALONG { return min(col0 + 4u * id.x, p.cols - 4u); }
    return b_row(col0 + (SIDE * id.y + id.x) / QUADS);
}

fn load_a(column: u32, id: vec3<u32>, place: u32, k: u32) {
    if A_ALONG {
        turn(column, id, a_at(place, k + 4u * (id.x % QUADS)));
    } else {
        tiles[id.y][column + id.x] = a_at(a_row(k + id.y, false), place);
    }
}

fn load_b(column: u32, id: vec3<u32>, place: u32, k: u32) {
    if B_ALONG {
        turn(column, id, b_at(place, k + 4u * (id.x % QUADS)));
    } else {
        tiles[id.y][column + id.x] = b_at(b_row(k + id.y), place);
    }
}

// Four terms of a row become a part of four columns.
fn turn(column: u32, id: vec3<u32>, values: vec4<f32>) {
    let row = (SIDE * id.y + id.x) / QUADS;
    let k = 4u * (id.x % QUADS);
    let at = column + row / 4u;
    tiles[k][at][row % 4u] = values.x;
    tiles[k + 1u][at][row % 4u] = values.y;
    tiles[k + 2u][at][row % 4u] = values.z;
    tiles[k + 3u][at][row % 4u] = values.w;
}

// The first slice's sums, to which it adds the others' in their order.
fn sum_of_slices(given: Sums, id: vec3<u32>) -> Sums {
    var s = given;
    workgroupBarrier();
    if id.z > 0u {
        let at = (id.z - 1u) * SUMS * SIDE + id.x;
        tiles[id.y][at] = s.row0;
        tiles[id.y][at + SIDE] = s.row1;
        tiles[id.y][at + 2u * SIDE] = s.row2;
        tiles[id.y][at + 3u * SIDE] = s.row3;
        if !A_ALONG { tiles[id.y][at + 4u * SIDE] = s.of_a; }
    }
    workgroupBarrier();
    if id.z == 0u {
        for (var slice = 0u; slice < SLICES - 1u; slice++) {
            let at = slice * SUMS * SIDE + id.x;
            s.row0 += tiles[id.y][at];
            s.row1 += tiles[id.y][at + SIDE];
            s.row2 += tiles[id.y][at + 2u * SIDE];
            s.row3 += tiles[id.y][at + 3u * SIDE];
            if !A_ALONG { s.of_a += tiles[id.y][at + 4u * SIDE]; }
        }
    }
    return s;
}

// Adds up the losses of each row, 32 columns or eight invocations at a time.
fn add_losses(own: vec4<f32>, id: vec3<u32>, row0: u32, col0: u32) {
    // Others may still read the terms.
    workgroupBarrier();
    if id.z == 0u { tiles[id.y][id.x] = own; }
    workgroupBarrier();
    if id.z == 0u && id.x % 8u == 0u && col0 < p.cols {
        var sum = vec4<f32>();
        for (var j = 0u; j < 8u; j++) { sum += tiles[id.y][id.x + j]; }
        store_losses(row0, col0 / 32u, sum);
    }
}
