// matmul_images: what follows matmul_subgroup where A is images of which much is blank, sixteen pixels to a texel; k is a
// multiple of 16, and so is the byte at which A begins.
//
// Four pixels that none of a tile's 24 images has lit add nothing, and are passed over, which takes a loop: what stands behind a
// condition is computed whether it holds or not. Which are lit is found for sixteen at once: lanes load a texel of each of
// their images, and tell one another by a bit a word.
//
// Launched, costed and held to its oracle by kernels/src/matmul.rs.

const PIXELS: u32 = 16u;

@compute @workgroup_size(SUBGROUP)
fn images(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let own = own_part(tile, TILE_N, lane);
    let columns = own_columns(own);
    var sums = biases(own);
    var k = 0u;
    loop {
        var upper: vec4<u32>;
        var middle: vec4<u32>;
        var lower: vec4<u32>;
        var lit: u32;
        loop {
            upper = pixels_of(own, 0u, k, lane);
            middle = pixels_of(own, 8u, k, lane);
            lower = pixels_of(own, 16u, k, lane);
            lit = lit_words(upper | middle | lower);
            k += PIXELS;
            if lit != 0u || k >= size.z {
                break;
            }
        }
        // Once, too, where none is.
        loop {
            let word = lowest(lit);
            let y = block_of_b(own, columns, k - PIXELS + 4u * word);
            let a0 = shades(word_of(upper, word));
            sums[0] = multiply(sums[0], a0, 0u, y);
            sums[1] = multiply(sums[1], a0, 4u, y);
            let a1 = shades(word_of(middle, word));
            sums[2] = multiply(sums[2], a1, 0u, y);
            sums[3] = multiply(sums[3], a1, 4u, y);
            let a2 = shades(word_of(lower, word));
            sums[4] = multiply(sums[4], a2, 0u, y);
            sums[5] = multiply(sums[5], a2, 4u, y);
            lit &= lit - 1u;
            if lit == 0u {
                break;
            }
        }
        if k >= size.z {
            break;
        }
    }
    store_all(own, sums);
}

// Sixteen pixels, from `k` on, of the lane's image of the eight from `below` the tile's first on.
fn pixels_of(own: Own, below: u32, k: u32, lane: u32) -> vec4<u32> {
    let image = min(own.row + below + lane, size.x - 1u);
    return textureLoad(a, texel_of_four(own.from_a + (image * size.z + k) / 4u));
}

// A bit for each of four words: whether any lane's is not blank.
fn lit_words(own: vec4<u32>) -> u32 {
    let bits = select(vec4(0u), vec4(1u, 2u, 4u, 8u), own != vec4(0u));
    let lane = (bits.x | bits.y) | (bits.z | bits.w);
    return ((subgroupShuffle(lane, 0u) | subgroupShuffle(lane, 1u)) | (subgroupShuffle(lane, 2u) | subgroupShuffle(lane, 3u)))
        | ((subgroupShuffle(lane, 4u) | subgroupShuffle(lane, 5u)) | (subgroupShuffle(lane, 6u) | subgroupShuffle(lane, 7u)));
}

// The lowest of four bits that is set; 3 where none of the others is.
fn lowest(bits: u32) -> u32 {
    return select(select(select(3u, 2u, (bits & 4u) != 0u), 1u, (bits & 2u) != 0u), 0u, (bits & 1u) != 0u);
}

fn word_of(four: vec4<u32>, n: u32) -> u32 {
    let odd = (n & 1u) != 0u;
    return select(select(four.x, four.y, odd), select(four.z, four.w, odd), n > 1u);
}

// Four pixels as numbers from 0 to 1.
fn shades(pixels: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>((vec4(pixels) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u))) * (1.0 / 255.0);
}
