// inputs[r, c] = data[order[first + r], c] · scale
// labels[r, t] = data_labels[order[first + r], t]
//
// For software adapters, in place of `gather_rows.wgsl`: the data set is read from its mirror, four
// features per lane at a time; a workgroup is one subgroup and copies 1024 features of eight rows.
// Each lane looks up one of the rows; then all lanes copy one row after the other.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    width: u32,         // features of a row
    tasks: u32,
    target_x: u32,      // offset of the inputs in their arena
    segment_first: u32, // data rows [segment_first, segment_first + segment_rows) lie in `data`
    segment_rows: u32,
    shuffled: u32,      // 1: rows by `order`; 0: rows as they lie
    bytes: u32,         // 1: four u8 of `data` per u32; 0: bits of f32
    scale: f32,         // factor on bytes
    fill: u32,          // 1: leave rows of other segments alone
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
// [N, I] bytes or bits of f32
@group(0) @binding(2) var data: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read> data_labels: array<u32>;            // [N, T]
@group(0) @binding(4) var<storage, read> order: array<u32>;                  // [N]
@group(0) @binding(5) var<storage, read_write> inputs: array<vec4<f32>>;     // [rows, I]
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;           // [rows, T]

const SPAN = 1024u;
const ROWS = 8u;

// An element of the data set.
fn one_word(index: u32) -> u32 {
    return textureLoad(data, texel_of(index))[index & 3u];
}

// A feature of the data set: bits of an f32, or a byte times the scale.
fn feature(index: u32) -> f32 {
    if (params.bytes == 0u) {
        return bitcast<f32>(one_word(index));
    }
    return f32((one_word(index >> 2u) >> ((index & 3u) * 8u)) & 0xffu) * params.scale;
}

// Four features that are bytes, from a multiple of four on.
fn four_bytes(index: u32) -> vec4<f32> {
    let word = one_word(index >> 2u);
    return vec4<f32>((vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu)) * params.scale;
}

@compute @workgroup_size(8)
fn gather_rows_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let blocks = (max(params.width, params.tasks) + SPAN - 1u) / SPAN;
    let begin = (group.x % blocks) * SPAN;
    let row_tile = (group.x / blocks + group.y * (65535u / blocks)) * ROWS;
    let r = row_tile + lane;
    let place = params.chunk_first + r;
    var row = step.first + place;
    if (r < params.rows && place < step.rows && params.shuffled == 1u) {
        row = order[row];
    }
    let here = place < step.rows && row >= params.segment_first && row
        - params.segment_first < params.segment_rows;
    let writes = r < params.rows && (here || params.fill == 0u);
    let local = select(0u, row - params.segment_first, here);
    for (var c = begin; c < min(begin + SPAN, params.tasks); c++) {
        var label = NONE;
        if (here) {
            label = data_labels[local * params.tasks + c];
        }
        if (writes) {
            labels[r * params.tasks + c] = label;
        }
    }
    // The state of a row: bit 0 says that it lies in the segment, bit 1 that it is written.
    let state = u32(here) + 2u * u32(writes);
    let end = min(begin + SPAN, params.width);
    for (var i = 0u; i < min(ROWS, params.rows - min(row_tile, params.rows)); i++) {
        let source = subgroupShuffle(local, i) * params.width;
        let target_row = params.target_x + (row_tile + i) * params.width;
        copy(source, target_row, begin, end, lane, subgroupShuffle(state, i));
    }
}

// Copies features [begin, end) of a row, as its state says.
fn copy(source: u32, target_row: u32, begin: u32, end: u32, lane: u32, state: u32) {
    let here = (state & 1u) == 1u;
    let stop = select(begin, end, state > 1u);
    if (((params.width | params.target_x) & 3u) != 0u) {
        for (var c = begin + lane; c < stop; c += 8u) {
            inputs[(target_row + c) >> 2u][(target_row + c) & 3u] = select(0.0, feature(source
                + c), here);
        }
    } else if (params.bytes == 0u) {
        for (var c = begin + 4u * lane; c < stop; c += 32u) {
            inputs[(target_row + c) >> 2u] = select(vec4<f32>(),
                bitcast<vec4<f32>>(textureLoad(data, texel_of(source + c))), here);
        }
    } else {
        for (var c = begin + 4u * lane; c < stop; c += 32u) {
            inputs[(target_row + c) >> 2u] = select(vec4<f32>(), four_bytes(source + c), here);
        }
    }
}
