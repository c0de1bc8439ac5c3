// Appended to the kernels of software adapters, before the prelude. Such an adapter fetches a texel
// of four numbers in a few vector instructions, where a load from a storage buffer is a loop over
// lanes with a stalled store for every number; so these kernels read their operands from mirrors:
// textures of MIRROR_WIDTH texels a row that hold what the buffer of the same name holds.
//
// No function takes a texture as an argument: naga does not translate that to MSL. A kernel has
// functions of its own for each mirror.

const MIRROR_WIDTH = 1024u; // texels of a row, as `kernels::MIRROR_WIDTH`

// The texel that holds an element.
fn texel_of(element: u32) -> vec2<u32> {
    let texel = element >> 2u;
    return vec2(texel % MIRROR_WIDTH, texel / MIRROR_WIDTH);
}

// The four numbers that begin at any element, of the texel that holds it and the next one.
fn four_of(low: vec4<f32>, high: vec4<f32>, element: u32) -> vec4<f32> {
    let odd = select(low, vec4(low.yzw, high.x), (element & 1u) == 1u);
    let next = select(vec2(high.x, high.y), vec2(high.y, high.z), (element & 1u) == 1u);
    return select(odd, vec4(odd.zw, next), (element & 2u) == 2u);
}

// A line of the table of layers, from its five texels.
fn dense_of(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>, e: vec4<u32>) -> Dense {
    return Dense(
        a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z, bitcast<f32>(c.w), d.x, d.y, d.z,
            d.w, e.x, e.y, e.z, e.w,
    );
}
