// dw[v] = scale · Σ over the cells that hold code v: the deltas of their rows at the inputs of the
// column, and of the place in the window where the column has one
//
// A scatter without atomics: one invocation per vector follows the links of `link_cells` from cell
// to cell, in ascending order, once for each four numbers of the vector. Vectors that no cell of
// the batch names get zeros. Later chunks of a batch add.

struct Params {
    rows: u32,       // rows of the chunk
    embeddings: u32,
    delta: u32,      // [rows, width] in the arena of deltas
    width: u32,      // learned inputs per row
    accumulate: u32, // 0: the first chunk overwrites; 1: later chunks add
    shift: u32,      // added to the places of vectors, modulo 2³², where gradients lie elsewhere
}

struct Embedding {
    values: u32, // number of vectors
    width: u32,  // numbers per vector
    weight: u32, // [values, width] in parameters and gradients
    input: u32,  // first input
    slots: u32,  // cells per row
    place: u32,  // cells of a row that have the same inputs; the next ones have those behind
    scale: f32,  // factor on the sum of the vectors of a row
    codes: u32,  // [rows, slots] in `codes` and `next`
    first: u32,  // [values] in `first`
    flag: u32,   // flag of gradients that are not finite
    tile: u32,   // workgroups of `embedding_backward` before this embedding
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> embeddings: array<Embedding>;
@group(0) @binding(3) var<storage, read> codes: array<u32>;
@group(0) @binding(4) var<storage, read> next: array<u32>;
@group(0) @binding(5) var<storage, read> first: array<u32>;
@group(0) @binding(6) var<storage, read> delta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> flags: array<atomic<u32>>;

// Whether vectors and deltas begin and end at multiples of four numbers.
override WHOLE: bool = false;

// Raises a flag, and the latch, for a value that is not finite.
fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

// The embedding that a tile belongs to.
fn table_of(tile: u32) -> u32 {
    var low = 0u;
    var high = params.embeddings;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (embeddings[middle].tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first cell that holds a code, or NONE where the entry was left by an earlier step.
fn first_cell(table: Embedding, value: u32, cells: u32) -> u32 {
    let cell = first[table.first + value];
    if (cell < cells && codes[table.codes + min(cell, cells - 1u)] == value) {
        return cell;
    }
    return NONE;
}

// Stores up to four sums, added to those of earlier chunks; whether all are finite.
fn store(place: u32, numbers: u32, sum: vec4<f32>) -> bool {
    var value = sum;
    if (WHOLE) {
        if (params.accumulate == 1u) {
            value += gradients[place / 4u];
        }
        gradients[place / 4u] = value;
        return is_finite(value.x) && is_finite(value.y) && is_finite(value.z) && is_finite(value.w);
    }
    var finite = true;
    for (var p = place; p < place + numbers; p++) {
        let d = p - place;
        if (params.accumulate == 1u) {
            value[d] += gradients[p / 4u][p % 4u];
        }
        gradients[p / 4u][p % 4u] = value[d];
        finite = finite && is_finite(value[d]);
    }
    return finite;
}

@compute @workgroup_size(64)
fn embedding_backward(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let tile = group.x + group.y * 65535u;
    let table = embeddings[table_of(tile)];
    let value = (tile - table.tile) * 64u + lane;
    if (value >= table.values) {
        return;
    }
    let cells = params.rows * table.slots;
    let head = first_cell(table, value, cells);
    if (head == NONE && params.accumulate == 1u) {
        return;
    }
    var finite = true;
    for (var quad = 0u; quad < table.width; quad += 4u) {
        let numbers = min(4u, table.width - quad);
        var sum = vec4<f32>();
        var cell = head;
        while (cell < cells) {
            let input = table.input + cell % table.slots / table.place * table.width;
            let place = params.delta + cell / table.slots * params.width + input + quad;
            if (WHOLE) {
                sum += delta[place / 4u];
            } else {
                for (var p = place; p < place + numbers; p++) {
                    sum[p - place] += delta[p / 4u][p % 4u];
                }
            }
            // Links ascend, so the loop ends.
            cell = max(next[table.codes + cell], cell + 1u);
        }
        let place = table.weight + params.shift + value * table.width + quad;
        finite = store(place, numbers, sum * table.scale)
            && finite;
    }
    if (!finite) {
        raise(table.flag);
    }
}
