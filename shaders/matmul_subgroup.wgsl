const TILE_M: u32 = 1u; const TILE_N: u32 = 1u;
