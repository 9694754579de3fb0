// C = Aᵀ B, as in dw = dyᵀ x: the terms of a sum are the rows of A, whose columns are C's rows, and the rows of B.

const A_ALONG = false;
const B_ALONG = false;
