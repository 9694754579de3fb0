// A tile of 32 × 32 sums by four slices of 8 × 8 invocations, for results of few tiles whose sums have many terms.

const SIDE = 8u;
const SLICES = 4u;
