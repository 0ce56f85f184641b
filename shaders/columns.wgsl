// columns: what C's columns are, how long sums are, and where C is stored.
//
// Follows a matmul shader where it computes a product; where it computes a convolution, patches.wgsl has these functions.

// C is stored [n, m].
override TRANSPOSED: bool = false;

fn tile_of_set(tile: u32) -> u32 {
    return tile;
}

fn depth() -> u32 {
    return params.size.z;
}

fn first_term() -> u32 {
    return 0u;
}

fn has_place(column: u32) -> bool {
    return true;
}

fn stored_at(row: u32, column: u32, rows: u32, columns: u32) -> u32 {
    return select(row * columns + column, column * rows + row, TRANSPOSED);
}
