// A tile of 64 × 64 sums by 16 × 16 invocations, for results of many tiles.

const SIDE = 16u;
const SLICES = 1u;
