// A tile of 32 × 32 sums by cooperative matrices of 8 × 8, for subgroups of 8 lanes.
enable f16;
enable wgpu_cooperative_matrix;

const SIZE = 8u;
const LANES = 8u;
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;
