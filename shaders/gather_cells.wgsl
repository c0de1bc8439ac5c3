// inputs[r, c] = input c made of the cells of data row order[first + r]
// labels[r, t] = data_labels[order[first + r], t]
//
// For tables with categories. One invocation per row and line of the table of columns, and one more
// per row for its labels. The lines by their kinds:
//
// NUMBERS    copies the slots of a column to as many inputs
// ONE_HOT    makes `width` inputs: zeros, to which each code of the slots adds `scale` at its place
// VECTOR     makes four inputs: `scale` times the sum of four numbers of the vectors of the codes
// KEPT       keeps the codes of the batch for the backward pass
//
// Where rows are the tokens of sentences, a line may be about a row some places before or behind:
// `offset` is its distance. Beyond the ends of the sentence its slots hold the code `beyond`, or no
// numbers. A slot says for each row how many rows of its sentence come before it (the lower 16
// bits) and behind it (the upper ones).
//
// So the data set holds one u32 per category, and one-hot rows exist for the batch alone. Rows past
// the end of the batch become zeros without labels and codes. Segments are worked off as in
// `gather_rows.wgsl`.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    width: u32,         // inputs of a row
    slots: u32,         // cells of a data row
    columns: u32,
    tasks: u32,         // labels of a row, its weight included
    target_x: u32,      // offset of the inputs in their arena
    segment_first: u32, // data rows [segment_first, segment_first + segment_rows) lie in `data`
    segment_rows: u32,
    shuffled: u32,      // 1: rows by `order`; 0: rows as they lie
    fill: u32,          // 1: leave rows of other segments alone
    span: u32,          // the slot with the place of a row in its sentence, or NONE
}

struct Spread {
    slot: u32,    // first cell in a row
    slots: u32,
    input: u32,   // first input
    width: u32,
    kind: u32,    // NUMBERS, ONE_HOT, VECTOR, KEPT
    scale: f32,   // the number that a code adds, or the factor on its vector
    values: u32,  // VECTOR: number of codes that have a vector
    weight: u32,  // VECTOR: first number of the first vector in the parameters
    stride: u32,  // VECTOR: numbers from one vector to the next
    offset: u32,  // rows from the row of the batch to that of the cells, modulo 2³²
    places: u32,  // KEPT: rows whose codes are kept, from the one at `offset` on
    beyond: u32,  // the code beyond the ends of a sentence, or NONE
}

const NUMBERS = 0u; // bits of f32
const ONE_HOT = 1u;
const VECTOR = 2u;
const KEPT = 3u;    // `input` is the first of the codes of its column

// Whether there are lines of the last two kinds: code that is masked out takes time on software
// adapters.
override VECTORS: bool = false;
// Whether vectors begin and end at multiples of four numbers.
override WHOLE: bool = false;
// Whether there are lines about other rows of a sentence.
override WINDOWS: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> spreads: array<Spread>;        // [columns]
@group(0) @binding(3) var<storage, read> data: array<u32>;              // [N, slots]
@group(0) @binding(4) var<storage, read> data_labels: array<u32>;       // [N, T]
@group(0) @binding(5) var<storage, read> order: array<u32>;             // [N]
// [values, stride] per learned column
@group(0) @binding(6) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> inputs: array<f32>;      // [rows, I]
@group(0) @binding(8) var<storage, read_write> labels: array<u32>;      // [rows, T]
// [rows, slots] per learned column
@group(0) @binding(9) var<storage, read_write> codes: array<u32>;

// What a line finds at its row: cells; the end of the sentence; no row, behind the batch; or
// another segment, whose dispatch writes it.
const HERE = 0u;
const BEYOND = 1u;
const NOWHERE = 2u;
const ELSEWHERE = 3u;

// What there is `offset` rows behind a data row; `there` is whether the batch has the row.
fn found(row: u32, there: bool, offset: u32) -> u32 {
    let local = row + offset - params.segment_first;
    if (!there || local >= params.segment_rows) {
        let first = select(NOWHERE, BEYOND, WINDOWS && there && offset != 0u);
        return select(first, ELSEWHERE, params.fill == 1u);
    }
    if (WINDOWS && offset != 0u) {
        // The row of the cells says itself whether it lies in the sentence.
        let span = data[local * params.slots + params.span];
        let inside = select((span & 0xffffu) >= offset, (span >> 16u) >= 0u - offset,
            offset >= 0x80000000u);
        return select(BEYOND, HERE, inside);
    }
    return HERE;
}

// The code of a cell of a line.
fn code_of(spread: Spread, what: u32, place: u32) -> u32 {
    if (WINDOWS && what == BEYOND) {
        return spread.beyond;
    }
    return select(NONE, data[place], what == HERE);
}

// Four numbers of the sum of the vectors of the codes of a column, which begin at `words`.
fn vectors(spread: Spread, what: u32, words: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var i = 0u; i < spread.slots; i++) {
        let code = code_of(spread, what, words + i);
        if (code < spread.values) {
            let place = spread.weight + code * spread.stride;
            if (WHOLE) {
                sum += parameters[place / 4u];
            } else {
                for (var p = place; p < place + spread.width; p++) {
                    sum[p - place] += parameters[p / 4u][p % 4u];
                }
            }
        }
    }
    return sum * spread.scale;
}

@compute @workgroup_size(64)
fn gather_cells(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let blocks = (params.columns + 64u) / 64u;
    let c = (group.x % blocks) * 64u + lane;
    let r = group.x / blocks + group.y * (65535u / blocks);
    if (r >= params.rows || c > params.columns) {
        return;
    }
    let place = params.chunk_first + r;
    let there = place < step.rows;
    var row = step.first + place;
    if (there && params.shuffled == 1u) {
        row = order[row];
    }
    if (c == params.columns) {
        let what = found(row, there, 0u);
        let local = select(0u, row - params.segment_first, what == HERE);
        for (var t = 0u; t < params.tasks && what != ELSEWHERE; t++) {
            labels[r * params.tasks + t] = select(NONE, data_labels[local * params.tasks + t],
                what == HERE);
        }
        return;
    }
    let spread = spreads[c];
    if (VECTORS && spread.kind == KEPT) {
        for (var p = 0u; p < spread.places; p++) {
            let what = found(row, there, spread.offset + p);
            let local = select(0u, row + spread.offset + p - params.segment_first, what == HERE);
            let words = local * params.slots + spread.slot;
            let to = spread.input + (r * spread.places + p) * spread.slots;
            for (var i = 0u; i < spread.slots && what != ELSEWHERE; i++) {
                codes[to + i] = code_of(spread, what, words + i);
            }
        }
        return;
    }
    let what = found(row, there, spread.offset);
    if (what == ELSEWHERE) {
        return;
    }
    let local = select(0u, row + spread.offset - params.segment_first, what == HERE);
    let words = local * params.slots + spread.slot;
    let first = params.target_x + r * params.width + spread.input;
    if (VECTORS && spread.kind == VECTOR) {
        let sum = vectors(spread, what, words);
        if (WHOLE) {
            inputs[first] = sum.x;
            inputs[first + 1u] = sum.y;
            inputs[first + 2u] = sum.z;
            inputs[first + 3u] = sum.w;
        } else {
            for (var d = 0u; d < spread.width; d++) {
                inputs[first + d] = sum[d];
            }
        }
        return;
    }
    if (spread.kind == NUMBERS) {
        for (var i = 0u; i < spread.width; i++) {
            inputs[first + i] = select(0.0, bitcast<f32>(data[words + i]), what == HERE);
        }
        return;
    }
    for (var i = 0u; i < spread.width; i++) {
        inputs[first + i] = 0.0;
    }
    for (var i = 0u; i < spread.slots; i++) {
        let code = code_of(spread, what, words + i);
        if (code < spread.width) {
            inputs[first + code] += spread.scale;
        }
    }
}
