// inputs[r, c] = data[order[first + r], c] · scale
// labels[r, t] = data_labels[order[first + r], t]
//
// One invocation per element of the wider of the two. Rows past the end of the batch become zeros
// without labels, so that no other kernel needs to know how long a batch is. A data set larger than
// one binding lies in segments of rows, with one dispatch each: the first overwrites all rows,
// later ones fill in the rows of their segments.

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
@group(0) @binding(2) var<storage, read> data: array<u32>;
@group(0) @binding(3) var<storage, read> data_labels: array<u32>;       // [N, T]
@group(0) @binding(4) var<storage, read> order: array<u32>;             // [N]
@group(0) @binding(5) var<storage, read_write> inputs: array<f32>;      // [rows, I]
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;      // [rows, T]

// A feature of the data set: bits of an f32, or a byte times the scale.
fn feature(index: u32) -> f32 {
    if (params.bytes == 0u) {
        return bitcast<f32>(data[index]);
    }
    let word = data[index >> 2u];
    return f32((word >> ((index & 3u) * 8u)) & 0xffu) * params.scale;
}

@compute @workgroup_size(64)
fn gather_rows(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let span = max(params.width, params.tasks);
    let blocks = (span + 63u) / 64u;
    let c = (group.x % blocks) * 64u + lane;
    let r = group.x / blocks + group.y * (65535u / blocks);
    if (r >= params.rows || c >= span) {
        return;
    }
    let place = params.chunk_first + r;
    var row = step.first + place;
    if (place < step.rows && params.shuffled == 1u) {
        row = order[row];
    }
    let here = place < step.rows && row >= params.segment_first && row
        - params.segment_first < params.segment_rows;
    if (!here && params.fill == 1u) {
        return;
    }
    let local = row - params.segment_first;
    if (c < params.width) {
        var x = 0.0;
        if (here) {
            x = feature(local * params.width + c);
        }
        inputs[params.target_x + r * params.width + c] = x;
    }
    if (c < params.tasks) {
        var label = NONE;
        if (here) {
            label = data_labels[local * params.tasks + c];
        }
        labels[r * params.tasks + c] = label;
    }
}
