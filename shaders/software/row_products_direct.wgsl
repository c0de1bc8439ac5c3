// products[r, s] = 1 + Σ over the inputs of x[r] · x[s]
//
// For software adapters, in place of `balance/row_products.wgsl`: x is read from its mirror,
// without workgroup memory. A lane holds four columns of the eight rows of its tile; lanes pass
// the rows on.

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
@group(0) @binding(2) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> products: array<f32>;

override ALIGNED: bool = false; // whether rows begin and end with whole fours

const FOUR = vec4(0u, 1u, 2u, 3u);

fn four_x(element: u32) -> vec4<f32> {
    return textureLoad(x, texel_of(element));
}

// Four inputs of a row, zeros behind the last.
fn four_inputs(source: RowSource, row: u32, input: u32) -> vec4<f32> {
    let element = source.x + min(row, params.rows - 1u) * source.inputs + input;
    if (ALIGNED) {
        return four_x(element);
    }
    let found = four_of(four_x(element), four_x(element + 4u), element);
    return select(vec4<f32>(), found, input + FOUR < vec4(source.inputs));
}

// The sums of a row for four columns, with four inputs more.
fn added(sums: vec4<f32>, row: vec4<f32>, columns: mat4x4<f32>) -> vec4<f32> {
    return sums + columns * row;
}

fn store(source: RowSource, row: u32, column: u32, sums: vec4<f32>) {
    let place = source.products + row * params.rows + column;
    for (var i = 0u; i < 4u; i++) {
        if (row < params.rows && column + i < params.rows) {
            products[place + i] = 1.0 + sums[i];
        }
    }
}

@compute @workgroup_size(8)
fn row_products_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let source = sources[params.first + group.z];
    let row = 8u * group.y;
    let column = 32u * group.x + 4u * lane;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    var sum4 = vec4<f32>();
    var sum5 = vec4<f32>();
    var sum6 = vec4<f32>();
    var sum7 = vec4<f32>();
    for (var input = 0u; input < source.inputs; input += 4u) {
        let own = four_inputs(source, row + lane, input);
        let columns = transpose(mat4x4<f32>(four_inputs(source, column, input),
            four_inputs(source, column + 1u, input), four_inputs(source, column + 2u, input),
            four_inputs(source, column + 3u, input)));
        sum0 = added(sum0, subgroupShuffle(own, 0u), columns);
        sum1 = added(sum1, subgroupShuffle(own, 1u), columns);
        sum2 = added(sum2, subgroupShuffle(own, 2u), columns);
        sum3 = added(sum3, subgroupShuffle(own, 3u), columns);
        sum4 = added(sum4, subgroupShuffle(own, 4u), columns);
        sum5 = added(sum5, subgroupShuffle(own, 5u), columns);
        sum6 = added(sum6, subgroupShuffle(own, 6u), columns);
        sum7 = added(sum7, subgroupShuffle(own, 7u), columns);
    }
    store(source, row, column, sum0);
    store(source, row + 1u, column, sum1);
    store(source, row + 2u, column, sum2);
    store(source, row + 3u, column, sum3);
    store(source, row + 4u, column, sum4);
    store(source, row + 5u, column, sum5);
    store(source, row + 6u, column, sum6);
    store(source, row + 7u, column, sum7);
}
