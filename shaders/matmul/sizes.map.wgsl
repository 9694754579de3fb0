// The sizes of a product with windows of a map.
//
// A map is a matrix whose rows are places, image by image and line by line, and whose columns are channels. A window is a
// row of an operand: the channels of the places under its taps, tap by tap. Each image has so many windows down and right,
// `step` places apart; taps follow in the direction of `sign`, 1 or −1. Windows may lie on a map whose places are repeated
// `zoom` times in each direction. The way back from that has the taps of each repeated place, one place further, turn by turn.

// All sizes count the padding, but `inside`, the columns of C that are none; rows and depth are multiples of 16.
struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, bias: u32, decoupled: u32,
    // The first window; the map; the windows of an image, and the place of the first tap of the first.
    first: u32, images: u32, height: u32, width: u32, down: u32, right: u32, step: u32, top: u32, left: u32,
    // The taps, and the columns of each, a multiple of four.
    taps_down: u32, taps_right: u32, channels: u32, sign: u32,
    // How often a place of the map is repeated in each direction, and after how many taps they begin anew, a place further.
    zoom: u32, turn_down: u32, turn_right: u32,
    // Of a gradient to the map, which is made phase by phase: the places of this phase, and which taps reach them.
    made_rows: u32, made_end: u32, made_height: u32, made_width: u32, phase: u32, phase_top: u32, phase_left: u32,
    tap_top: u32, tap_left: u32, kernel_right: u32, tap_channels: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
