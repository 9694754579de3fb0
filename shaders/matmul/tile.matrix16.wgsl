// A tile of 64 × 64 sums by cooperative matrices of 16 × 16, for subgroups of 32 lanes.
enable f16;
enable wgpu_cooperative_matrix;

const SIZE = 16u;
const LANES = 32u;
alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias MatrixC = coop_mat16x16<f32, C>;
