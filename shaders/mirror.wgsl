// Appended to the kernels of software adapters, before the prelude.
//
// A software adapter fetches a texel of four numbers by a few vector instructions, while it loads
// from a storage buffer by a loop over lanes, with a stalled store for each number. So these
// kernels read their operands from mirrors: textures with MIRROR_WIDTH texels per row and the
// contents of the buffer of the same name.
//
// No function takes a texture as an argument, since naga cannot translate that to MSL. A kernel has
// functions of its own for each of its mirrors.

const MIRROR_WIDTH = 1024u; // texels of a row, as `kernels::MIRROR_WIDTH`

// The texel that holds an element.
fn texel_of(element: u32) -> vec2<u32> {
    let texel = element >> 2u;
    return vec2(texel % MIRROR_WIDTH, texel / MIRROR_WIDTH);
}

// The four numbers from any element on; `low` is the texel that holds it, `high` the next one.
fn four_of(low: vec4<f32>, high: vec4<f32>, element: u32) -> vec4<f32> {
    let odd = select(low, vec4(low.yzw, high.x), (element & 1u) == 1u);
    let next = select(vec2(high.x, high.y), vec2(high.y, high.z), (element & 1u) == 1u);
    return select(odd, vec4(odd.zw, next), (element & 2u) == 2u);
}

// A layer of the table of layers, from its five texels.
fn dense_of(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>, e: vec4<u32>) -> Dense {
    return Dense(
        a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z, bitcast<f32>(c.w), d.x, d.y, d.z,
            d.w, e.x, e.y, e.z, e.w,
    );
}
