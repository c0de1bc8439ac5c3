// inputs[r, y, x, k] = data[order[first + r], y − dy, x′ − dx, k] · scale, or 0
// labels[r, t] = data_labels[order[first + r], t]
//
// In place of `gather_rows.wgsl` in training steps that change their images. A row draws its
// changes from the key of the step and its place in the batch: dy and dx from −shift to shift, with
// one chance in two whether left and right change places, and with one chance in two a square of
// `erase` pixels that becomes zero. Mirrored first, then moved, then erased; what comes in at the
// edge is zero.
//
// A workgroup copies 512 numbers of a row. Rows past the end of the batch, and segments, are as in
// `gather_rows.wgsl`.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    height: u32,        // of an image, in pixels
    width: u32,
    channels: u32,      // numbers of a pixel
    tasks: u32,
    target_x: u32,      // offset of the inputs in their arena
    segment_first: u32, // data rows [segment_first, segment_first + segment_rows) lie in `data`
    segment_rows: u32,
    shuffled: u32,      // 1: rows by `order`; 0: rows as they lie
    scale: f32,         // factor on bytes
    fill: u32,          // 1: leave rows of other segments alone
    shift: u32,         // images move by up to this many pixels
    flip: u32,          // 1: left and right may change places
    erase: u32,         // side of the square that may be erased; 0: none
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> data: array<u32>;              // [N, H, W, C] bytes
@group(0) @binding(3) var<storage, read> data_labels: array<u32>;       // [N, T]
@group(0) @binding(4) var<storage, read> order: array<u32>;             // [N]
@group(0) @binding(5) var<storage, read_write> inputs: array<f32>;      // [rows, H, W, C]
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;      // [rows, T]

const SPAN = 512u;
// The hash of dropout has no such rows.
const IMAGE = 0x80000000u;

// The corner of the square of a row that has none: no pixel is behind it.
const NOWHERE = 0x7fffffffu;

// A whole number from 0 to n − 1, n at most 2^15, from the lowest 16 bits of a hash.
fn below(bits: u32, n: u32) -> u32 {
    return ((bits & 0xffffu) * n) >> 16u;
}

// Down and right, by how many pixels the image at a place of the batch moves.
fn move_of(place: u32) -> vec2<i32> {
    let drawn = hash(place, IMAGE, step.key_low, step.key_high);
    let reach = 2u * params.shift + 1u;
    return vec2(i32(below(drawn, reach)), i32(below(drawn >> 16u, reach))) - i32(params.shift);
}

// Whether it is mirrored (bit 0), and whether it has a square (bit 1).
fn chances_of(place: u32) -> u32 {
    let drawn = hash(place, IMAGE + 1u, step.key_low, step.key_high);
    return params.flip * (drawn >> 31u) + 2u * (drawn & min(params.erase, 1u));
}

// The top and the left of its square.
fn corner_of(place: u32) -> vec2<u32> {
    let drawn = hash(place, IMAGE + 2u, step.key_low, step.key_high);
    let top = below(drawn, params.height - params.erase + 1u);
    return vec2(top, below(drawn >> 16u, params.width - params.erase + 1u));
}

// A number of the image of a row of the segment, changed.
fn changed(local: u32, c: u32, moved: vec2<i32>, chances: u32, corner: vec2<u32>) -> f32 {
    let pixel = c / params.channels;
    let y = pixel / params.width;
    let x = pixel % params.width;
    if (y - corner.x < params.erase && x - corner.y < params.erase) {
        return 0.0;
    }
    let from_y = u32(i32(y) - moved.x);
    var from_x = u32(i32(x) - moved.y);
    if (from_y >= params.height || from_x >= params.width) {
        return 0.0;
    }
    if ((chances & 1u) == 1u) {
        from_x = params.width - 1u - from_x;
    }
    let from_pixel = (local * params.height + from_y) * params.width + from_x;
    let index = from_pixel * params.channels + c % params.channels;
    return f32((data[index >> 2u] >> ((index & 3u) * 8u)) & 0xffu) * params.scale;
}

@compute @workgroup_size(64)
fn gather_images(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let numbers = params.height * params.width * params.channels;
    let blocks = (max(numbers, params.tasks) + SPAN - 1u) / SPAN;
    let begin = (group.x % blocks) * SPAN;
    let r = group.x / blocks + group.y * (65535u / blocks);
    if (r >= params.rows) {
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
    let moved = move_of(place);
    let chances = chances_of(place);
    let corner = select(vec2(NOWHERE), corner_of(place), (chances & 2u) == 2u);
    for (var c = begin + lane; c < min(begin + SPAN, numbers); c += 64u) {
        var x = 0.0;
        if (here) {
            x = changed(local, c, moved, chances, corner);
        }
        inputs[params.target_x + r * numbers + c] = x;
    }
    for (var c = begin + lane; c < min(begin + SPAN, params.tasks); c += 64u) {
        var label = NONE;
        if (here) {
            label = data_labels[local * params.tasks + c];
        }
        labels[r * params.tasks + c] = label;
    }
}
