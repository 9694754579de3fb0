// A tile of 32 × 32 sums, 4 × 4 an invocation, from vector loads, four terms at a time. Rows and columns past the end read
// the last ones, and are not finished.

const SIDE = 8u;
var<workgroup> losses: array<vec4<f32>, 64>;

@compute @workgroup_size(8, 8)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) id: vec3<u32>,
) {
    let tile = tile_of(group, groups, 32u);
    let row0 = 32u * tile.x + 4u * id.y;
    let col0 = 32u * tile.y + 4u * id.x;
    begin();
    let a = a_places(row0, col0 == 0u && row0 < p.rows);
    let b = b_places(col0);
    var sums = Sums();
    for (var k = 0u; k < p.depth; k += 4u) {
        let four_a = a_block(a, k);
        let four_b = b_block(b, k);
        sums = plus(sums, four_a[0], four_b[0]);
        sums = plus(sums, four_a[1], four_b[1]);
        sums = plus(sums, four_a[2], four_b[2]);
        sums = plus(sums, four_a[3], four_b[3]);
    }
    let own = finish_rows(sums, row0, col0);
    if LOSSES {
        losses[SIDE * id.y + id.x] = own;
        workgroupBarrier();
        if id.x == 0u && col0 < p.cols {
            var sum = vec4<f32>();
            for (var j = 0u; j < 8u; j++) { sum += losses[SIDE * id.y + j]; }
            store_losses(row0, tile.y, sum);
        }
    }
    if !A_ALONG && col0 == 0u && row0 < p.rows { finish_bias(row0, sums.of_a); }
}

// Where four rows of A begin, or which four columns of it.
fn a_places(row0: u32, first: bool) -> vec4<u32> {
    if !A_ALONG { return vec4<u32>(min(row0, p.rows - 4u)); }
    let last = p.rows - 1u;
    return vec4<u32>(
        a_row(min(row0, last), first), a_row(min(row0 + 1u, last), first),
        a_row(min(row0 + 2u, last), first), a_row(min(row0 + 3u, last), first),
    );
}

fn b_places(col0: u32) -> vec4<u32> {
    if !B_ALONG { return vec4<u32>(min(col0, p.cols - 4u)); }
    return vec4<u32>(b_row(col0), b_row(col0 + 1u), b_row(col0 + 2u), b_row(col0 + 3u));
}

// Four rows of C at each of four terms.
fn a_block(at: vec4<u32>, k: u32) -> mat4x4<f32> {
    if A_ALONG {
        return transpose(mat4x4<f32>(a_at(at.x, k), a_at(at.y, k), a_at(at.z, k), a_at(at.w, k)));
    }
    return mat4x4<f32>(
        a_at(a_row(k, false), at.x), a_at(a_row(k + 1u, false), at.x),
        a_at(a_row(k + 2u, false), at.x), a_at(a_row(k + 3u, false), at.x),
    );
}

// Four columns of C at each of four terms.
fn b_block(at: vec4<u32>, k: u32) -> mat4x4<f32> {
    if B_ALONG {
        return transpose(mat4x4<f32>(b_at(at.x, k), b_at(at.y, k), b_at(at.z, k), b_at(at.w, k)));
    }
    return mat4x4<f32>(
        b_at(b_row(k), at.x), b_at(b_row(k + 1u), at.x),
        b_at(b_row(k + 2u), at.x), b_at(b_row(k + 3u), at.x),
    );
}
