// products[r, s] = 1 + Σ over the inputs of x[r] · x[s]
//
// How alike two rows are for the layers that read x, whose biases read a 1: the product of the
// weight gradients δᵀx and εᵀx of two tasks is the sum over r and s of products[r, s] δ[r] · ε[s].
// One grid plane per matrix of rows, one workgroup per tile; DEPTH inputs at a time are added up
// and then added, in ascending order.

struct Params {
    rows: u32,    // rows of the chunk
    first: u32,   // the group: sources [first, first + planes of the grid)
}

struct RowSource {
    x: u32,        // [rows, inputs] in an activation arena
    inputs: u32,
    products: u32, // [rows, rows]
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sources: array<RowSource>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> products: array<f32>;

const TILE = 16u;   // rows and columns of a tile
const DEPTH = 16u;  // inputs in workgroup memory
const STRIDE = DEPTH + 1u;

var<workgroup> left: array<f32, TILE * STRIDE>;
var<workgroup> right: array<f32, TILE * STRIDE>;

// An element of a row, 0 behind the last row or the last input.
fn element(source: RowSource, row: u32, input: u32) -> f32 {
    if (row >= params.rows || input >= source.inputs) {
        return 0.0;
    }
    return x[source.x + row * source.inputs + input];
}

@compute @workgroup_size(64)
fn row_products(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let source = sources[params.first + group.z];
    // Each invocation has two rows and two columns, eight apart.
    let row = lane / 8u;
    let column = lane % 8u;
    var sums: array<f32, 4>;
    for (var first = 0u; first < source.inputs; first += DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i += 64u) {
            let place = (i / DEPTH) * STRIDE + i % DEPTH;
            left[place] = element(source, group.y * TILE + i / DEPTH, first + i % DEPTH);
            right[place] = element(source, group.x * TILE + i / DEPTH, first + i % DEPTH);
        }
        workgroupBarrier();
        var part: array<f32, 4>;
        for (var i = 0u; i < DEPTH; i++) {
            let a = vec2(left[row * STRIDE + i], left[(row + 8u) * STRIDE + i]);
            let b = vec2(right[column * STRIDE + i], right[(column + 8u) * STRIDE + i]);
            part[0] += a.x * b.x;
            part[1] += a.x * b.y;
            part[2] += a.y * b.x;
            part[3] += a.y * b.y;
        }
        for (var i = 0u; i < 4u; i++) {
            sums[i] += part[i];
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let r = group.y * TILE + row + 8u * (i / 2u);
        let s = group.x * TILE + column + 8u * (i % 2u);
        if (r < params.rows && s < params.rows) {
            products[source.products + r * params.rows + s] = 1.0 + sums[i];
        }
    }
}
