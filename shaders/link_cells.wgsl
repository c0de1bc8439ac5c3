// next[i]  = the next cell of the batch that holds the code of cell i, or NONE
// first[v] = the first cell of the batch that holds code v
//
// With these `embedding_backward` finds the cells of a code in ascending order. One workgroup per
// learned column. It works off the cells, row by row, in blocks from the last to the first: `first`
// then names the first cell after the block. Nobody clears `first`: an entry that an earlier step
// left counts only if its cell comes after the block and holds the code, and in this case it was
// written in this step. Codes without a vector are not linked.

struct Params {
    rows: u32, // rows of the chunk
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
@group(0) @binding(1) var<storage, read> embeddings: array<Embedding>;
@group(0) @binding(2) var<storage, read> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<u32>;
@group(0) @binding(4) var<storage, read_write> first: array<u32>;

const BLOCK = 32u;

var<workgroup> block: array<u32, BLOCK>;

// The first cell after the block that holds a code, or NONE.
fn later(table: Embedding, code: u32, end: u32, cells: u32) -> u32 {
    let cell = first[table.first + code];
    if (cell >= end && cell < cells && codes[table.codes + min(cell, cells - 1u)] == code) {
        return cell;
    }
    return NONE;
}

@compute @workgroup_size(BLOCK)
fn link_cells(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let table = embeddings[group.x];
    let cells = params.rows * table.slots;
    let blocks = (cells + BLOCK - 1u) / BLOCK;
    for (var turn = 1u; turn <= blocks; turn++) {
        let base = (blocks - turn) * BLOCK;
        let cell = base + lane;
        let code = select(NONE, codes[table.codes + min(cell, cells - 1u)], cell < cells);
        let has_vector = code < table.values;
        block[lane] = code;
        workgroupBarrier();
        var after = lane + 1u;
        while (after < BLOCK && block[min(after, BLOCK - 1u)] != code) {
            after++;
        }
        var before = lane;
        while (before > 0u && block[max(before, 1u) - 1u] != code) {
            before--;
        }
        var link = NONE;
        if (has_vector && after < BLOCK) {
            link = base + after;
        } else if (has_vector) {
            link = later(table, code, base + BLOCK, cells);
        }
        if (cell < cells) {
            next[table.codes + cell] = link;
        }
        storageBarrier();
        workgroupBarrier();
        if (has_vector && before == 0u) {
            first[table.first + code] = cell;
        }
        storageBarrier();
        workgroupBarrier();
    }
}
