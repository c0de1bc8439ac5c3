// Appended to the kernels of software adapters, before the prelude. Such an adapter fetches a texel of four numbers in a few vector
// instructions, where a load from a storage buffer is a loop over lanes with a stalled store for every number; so these kernels read their
// operands from mirrors: textures of MIRROR_WIDTH texels a row that hold what the buffer of the same name holds.

const MIRROR_WIDTH = 1024u; // texels of a row; the host knows it as MIRROR_ROW

// The four numbers that begin at an element, a multiple of four.
fn four(mirror: texture_storage_2d<rgba32float, read>, element: u32) -> vec4<f32> {
    let texel = element >> 2u;
    return textureLoad(mirror, vec2(texel % MIRROR_WIDTH, texel / MIRROR_WIDTH));
}

// The four numbers that begin at any element.
fn any_four(mirror: texture_storage_2d<rgba32float, read>, element: u32) -> vec4<f32> {
    let low = four(mirror, element);
    let high = four(mirror, element + 4u);
    let odd = select(low, vec4(low.yzw, high.x), (element & 1u) == 1u);
    let next = select(vec2(high.x, high.y), vec2(high.y, high.z), (element & 1u) == 1u);
    return select(odd, vec4(odd.zw, next), (element & 2u) == 2u);
}

fn one(mirror: texture_storage_2d<rgba32float, read>, element: u32) -> f32 {
    return four(mirror, element)[element & 3u];
}

fn four_words(mirror: texture_storage_2d<rgba32uint, read>, element: u32) -> vec4<u32> {
    let texel = element >> 2u;
    return textureLoad(mirror, vec2(texel % MIRROR_WIDTH, texel / MIRROR_WIDTH));
}

fn one_word(mirror: texture_storage_2d<rgba32uint, read>, element: u32) -> u32 {
    return four_words(mirror, element)[element & 3u];
}

// Entry `i` of a table of layers.
fn dense_at(table: texture_storage_2d<rgba32uint, read>, i: u32) -> Dense {
    let a = four_words(table, 20u * i);
    let b = four_words(table, 20u * i + 4u);
    let c = four_words(table, 20u * i + 8u);
    let d = four_words(table, 20u * i + 12u);
    let e = four_words(table, 20u * i + 16u);
    return Dense(
        a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z, bitcast<f32>(c.w), d.x, d.y, d.z, d.w, e.x, e.y, e.z, e.w,
    );
}
