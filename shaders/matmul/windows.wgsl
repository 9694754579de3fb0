// Where the windows of a map lie, and what is under their taps.

override channels: u32 = 4u;
override taps_right: u32 = 1u;
override zoom: u32 = 1u;
override turn_down: u32 = 1u;
override turn_right: u32 = 1u;

// What coordinates of a first tap count from, so that none is negative.
const OFFSET = 64u;

// The image of a window and the place of its first tap, in one word. Windows past the end repeat the last image's.
fn window_of(row: u32) -> u32 {
    let line = (p.first + row) / p.right;
    let image = min(line / p.down, p.images - 1u);
    let y = line % p.down * p.step + p.top;
    let x = (p.first + row) % p.right * p.step + p.left;
    return (image << 20u) | (y << 10u) | x;
}

// The same, but windows past the end lie below the map, so that there is nothing under them.
fn window_or_none(row: u32) -> u32 {
    return select(1023u << 10u, window_of(row), p.first + row < p.images * p.down * p.right);
}

// Whole turns before a tap, and its place within its turn. Where one turn has all taps compilers see no division.
fn turns_right(right: u32) -> u32 { return select(0u, right / turn_right, turn_right < taps_right); }
fn within_turn(right: u32) -> u32 { return select(right, right % turn_right, turn_right < taps_right); }

// Where an element of a window lies, and whether there is one; outside of the map there is none.
struct Seen { at: u32, inside: bool }

fn seen(window: u32, col: u32, stride: u32) -> Seen {
    let tap = col / channels;
    let down = tap / taps_right;
    let right = tap % taps_right;
    let y = (((window >> 10u) & 1023u) + down / turn_down + p.sign * (down % turn_down) - OFFSET) / zoom;
    let x = ((window & 1023u) + turns_right(right) + p.sign * within_turn(right) - OFFSET) / zoom;
    // Without branches: what is computed for nothing costs less.
    let inside = (down < p.taps_down) & (y < p.height) & (x < p.width);
    let place = ((window >> 20u) * p.height + y) * p.width + x;
    return Seen(select(0u, place * stride + col % channels, inside), inside);
}
