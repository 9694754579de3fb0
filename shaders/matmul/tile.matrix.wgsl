// Sums by cooperative matrices: operands rounded to f16, sums in f32. A workgroup is four subgroups, each of which makes
// 2 × 2 matrices.

const SIDE = 4u * SIZE;
const DEPTH = 2u * SIZE;
const THREADS = 4u * LANES;
const MATRIX = SIZE * SIZE;

// A, row by row; B, term by term; and one matrix of sums of each subgroup.
var<workgroup> tile_a: array<f16, SIDE * DEPTH>;
var<workgroup> tile_b: array<f16, SIDE * DEPTH>;
var<workgroup> sums: array<f32, 4u * MATRIX>;
// Where rows of A begin, while sums are made; then the losses of four columns of a row, as bits.
var<workgroup> kept: array<u32, select(SIDE, SIDE * SIDE / 4u, LOSSES)>;

@compute @workgroup_size(THREADS)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) own: u32,
) {
    let tile = tile_of(group, groups, SIDE);
    let corner = SIDE * tile;
    let quarter = own / LANES;
    let own_row = quarter / 2u * DEPTH;
    let own_col = quarter % 2u * DEPTH;
    begin();
    if A_ALONG && own < SIDE {
        let row = corner.x + own;
        kept[own] = a_row(min(row, p.rows - 1u), tile.y == 0u && row < p.rows);
    }
    var c00 = MatrixC();
    var c01 = MatrixC();
    var c10 = MatrixC();
    var c11 = MatrixC();
    for (var block = 0u; block < p.depth; block += DEPTH) {
        workgroupBarrier();
        for (var i = own; i < SIDE * DEPTH / 4u; i += THREADS) {
            load_a(corner.x, i, block);
            load_b(corner.y, i, block);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += SIZE) {
            let at_a = own_row * DEPTH + k;
            let at_b = k * SIDE + own_col;
            let a0 = coopLoadT<MatrixA>(&tile_a[at_a], DEPTH);
            let a1 = coopLoadT<MatrixA>(&tile_a[at_a + SIZE * DEPTH], DEPTH);
            let b0 = coopLoadT<MatrixB>(&tile_b[at_b], SIDE);
            let b1 = coopLoadT<MatrixB>(&tile_b[at_b + SIZE], SIDE);
            c00 = coopMultiplyAdd(a0, b0, c00);
            c01 = coopMultiplyAdd(a0, b1, c01);
            c10 = coopMultiplyAdd(a1, b0, c10);
            c11 = coopMultiplyAdd(a1, b1, c11);
        }
    }
    for (var place = 0u; place < 4u; place++) {
        workgroupBarrier();
        coopStoreT(c00, &sums[quarter * MATRIX], SIZE);
        workgroupBarrier();
        let row0 = own_row + place / 2u * SIZE;
        let col0 = own_col + place % 2u * SIZE;
        for (var i = own % LANES; i < MATRIX / 4u; i += LANES) {
            let within = vec2<u32>(row0 + i / (SIZE / 4u), col0 + 4u * (i % (SIZE / 4u)));
            finish_four(corner, within, quarter * MATRIX + 4u * i);
        }
        c00 = c01;
        c01 = c10;
        c10 = c11;
    }
    if LOSSES { add_losses(corner, own); }
    if !A_ALONG && tile.y == 0u && own < SIDE / 4u { sum_bias(corner.x + 4u * own); }
}

// Four elements, rounded. Past the end of the sums they are zero.
fn rounded(values: vec4<f32>, k: u32) -> vec4<f16> {
    return vec4<f16>(select(vec4<f32>(), values, k < p.depth));
}

fn put_a(at: u32, step: u32, values: vec4<f16>) {
    tile_a[at] = values.x;
    tile_a[at + step] = values.y;
    tile_a[at + 2u * step] = values.z;
    tile_a[at + 3u * step] = values.w;
}

fn put_b(at: u32, step: u32, values: vec4<f16>) {
    tile_b[at] = values.x;
    tile_b[at + step] = values.y;
    tile_b[at + 2u * step] = values.z;
    tile_b[at + 3u * step] = values.w;
}

fn load_a(row0: u32, i: u32, block: u32) {
    if A_ALONG {
        let k = block + 4u * (i % (DEPTH / 4u));
        let values = a_at(kept[i / (DEPTH / 4u)], min(k, p.depth - 4u));
        put_a(4u * i, 1u, rounded(values, k));
    } else {
        let k = block + i / (SIDE / 4u);
        let four_rows = 4u * (i % (SIDE / 4u));
        let values = a_at(a_row(min(k, p.depth - 1u), false), min(row0 + four_rows, p.rows - 4u));
        put_a(four_rows * DEPTH + k - block, DEPTH, rounded(values, k));
    }
}

fn load_b(col0: u32, i: u32, block: u32) {
    if B_ALONG {
        let k = block + 4u * (i % (DEPTH / 4u));
        let col = i / (DEPTH / 4u);
        let values = b_at(b_row(col0 + col), min(k, p.depth - 4u));
        put_b((k - block) * SIDE + col, SIDE, rounded(values, k));
    } else {
        let k = block + i / (SIDE / 4u);
        let col = min(col0 + 4u * (i % (SIDE / 4u)), p.cols - 4u);
        let values = b_at(b_row(min(k, p.depth - 1u)), col);
        put_b(4u * i, 1u, rounded(values, k));
    }
}

// Finishes four sums of a place within the tile, unless it is past the end.
fn finish_four(corner: vec2<u32>, within: vec2<u32>, at: u32) {
    let place = corner + within;
    var loss = 0.0;
    if place.x < p.rows && place.y < p.cols {
        let four_sums = vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
        loss = finish(place.x, place.y, four_sums);
    }
    if LOSSES { kept[within.x * SIZE + within.y / 4u] = bitcast<u32>(loss); }
}

// Adds up the losses of each row, 32 columns at a time.
fn add_losses(corner: vec2<u32>, own: u32) {
    workgroupBarrier();
    for (var i = own; i < SIDE * (SIDE / 32u); i += THREADS) {
        let row = corner.x + i / (SIDE / 32u);
        let col = corner.y + i % (SIDE / 32u) * 32u;
        var sum = 0.0;
        for (var j = 0u; j < 8u; j++) { sum += bitcast<f32>(kept[8u * i + j]); }
        if row < p.rows && col < p.cols { store_loss(row, col / 32u, sum); }
    }
}

// Sums of four of A's columns, in f32.
fn sum_bias(row: u32) {
    if row >= p.rows { return; }
    var sum = vec4<f32>();
    for (var k = 0u; k < p.depth; k++) { sum += a_at(a_row(k, false), row); }
    finish_bias(row, sum);
}
