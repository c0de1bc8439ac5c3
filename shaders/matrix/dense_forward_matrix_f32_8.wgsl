// y = act(x · wᵀ + b),   slope = dy/dz,   both with dropout;   z = x · wᵀ + b is tested for values
// that are not finite
//
// For matrix units, in place of `dense_forward.wgsl`: operands are rounded to the type of the unit
// when they are written to workgroup memory, sums are f32, and the unit adds in an order of its
// own. A subgroup computes 2 × 2 matrices of the tile, which are stored through workgroup memory.
//
// Indices: rows are below params.rows, and inputs and outputs below those of the layer, or nothing
// is read or written. Tables are read at layers of the group, which has at least one. Places in
// workgroup memory are below the products of the constants.

enable wgpu_cooperative_matrix;

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;            // [rows, I]
// [rows, O] and slopes [rows, O]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // of all layers of the group; codes are those of `activate`
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

// The unit and what follows from it. The other units are generated from this file.
const SIDE = 8u;              // rows and columns of the matrices of the unit
alias Element = f32;          // an element of its operands
alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sums = coop_mat8x8<f32, C>;
const DEPTH = 32u;            // inner steps in workgroup memory

// invocations of a workgroup: at least four subgroups, of which each computes 2 × 2 matrices
override INVOCATIONS: u32 = 128u;

const ROWS = 4u * SIDE;
const COLUMNS = 4u * SIDE;
const STRIDE = DEPTH + 8u; // elements from line to line in workgroup memory

const FOUR = vec4(0u, 1u, 2u, 3u);

var<workgroup> x_tile: array<Element, ROWS * STRIDE>;
var<workgroup> w_tile: array<Element, COLUMNS * STRIDE>;
// One matrix of each subgroup.
var<workgroup> sums: array<f32, 4u * SIDE * SIDE>;

// Row and column within the tile of element `i` of the matrices in `sums`, each the first one of
// its subgroup.
fn place_of(i: u32) -> vec2<u32> {
    let subgroup = i / (SIDE * SIDE);
    let within = i % (SIDE * SIDE);
    return vec2(subgroup / 2u, subgroup % 2u) * 2u * SIDE + vec2(within / SIDE, within % SIDE);
}

// Raises a flag, and the latch, for a value that is not finite.
fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

// The layer that a tile belongs to.
fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (layers[middle].forward_tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// Stores the sum of a chain, added to those of earlier chains; after the last one an output of a
// layer: bias, activation, slope and dropout.
fn store(layer: Dense, row: u32, column: u32, chain: f32, first: bool, last: bool) {
    if (row >= params.rows || column >= layer.outputs) {
        return;
    }
    let place = layer.y + row * layer.outputs + column;
    var sum = chain;
    if (!first) {
        sum = y[place] + chain;
    }
    if (!last) {
        y[place] = sum;
        return;
    }
    let bias = layer.bias + column;
    let z = sum + parameters[bias / 4u][bias % 4u];
    if (!is_finite(z)) {
        raise(layer.z_flag);
    }
    if (layer.slope == NONE) {
        y[place] = z;
        return;
    }
    var value = activate(ACTIVATION, z);
    if (DROPOUT) {
        let h = hash(column, params.chunk_first + row, layer.layer ^ step.key_low, step.key_high);
        value = select(value * layer.dropout_scale, vec2(0.0, 0.0), h < layer.dropout_threshold);
    }
    y[place] = value.x;
    y[layer.slope + row * layer.outputs + column] = value.y;
}

// Four inputs of a row from `k` on, zeros beyond the end; `whole` says that they begin at a
// multiple of four.
fn four_inputs(layer: Dense, row: u32, k: u32, whole: bool) -> vec4<f32> {
    if (row >= params.rows || k >= layer.inputs) {
        return vec4<f32>();
    }
    let place = layer.x + row * layer.inputs + k;
    if (whole) {
        return x[place / 4u];
    }
    let p = place + min(FOUR, vec4(layer.inputs - 1u - k));
    let found = vec4(x[p.x / 4u][p.x % 4u], x[p.y / 4u][p.y % 4u], x[p.z / 4u][p.z % 4u],
        x[p.w / 4u][p.w % 4u]);
    return select(vec4<f32>(), found, FOUR < vec4(layer.inputs - k));
}

// Four weights of an output from `k` on, in the same way.
fn four_weights(layer: Dense, output: u32, k: u32, whole: bool) -> vec4<f32> {
    if (output >= layer.outputs || k >= layer.inputs) {
        return vec4<f32>();
    }
    let place = layer.weight + output * layer.inputs + k;
    if (whole) {
        return parameters[place / 4u];
    }
    let p = place + min(FOUR, vec4(layer.inputs - 1u - k));
    let low = vec2(parameters[p.x / 4u][p.x % 4u], parameters[p.y / 4u][p.y % 4u]);
    let high = vec2(parameters[p.z / 4u][p.z % 4u], parameters[p.w / 4u][p.w % 4u]);
    return select(vec4<f32>(), vec4(low, high), FOUR < vec4(layer.inputs - k));
}

// Stores the elements of the matrices in `sums`.
fn store_all(layer: Dense, row: u32, column: u32, lane: u32) {
    for (var i = lane; i < 4u * SIDE * SIDE; i += INVOCATIONS) {
        let place = place_of(i);
        store(layer, row + place.x, column + place.y, sums[i], true, true);
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_forward_matrix_f32_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) id: u32,
) {
    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
    let whole_x = ((layer.inputs | layer.x) & 3u) == 0u;
    let whole_w = ((layer.inputs | layer.weight) & 3u) == 0u;
    // Where subgroups have fewer lanes than they may have, there are more than four: the others
    // repeat what the first four do.
    let subgroup = id % 4u;
    var sums_00 = Sums();
    var sums_01 = Sums();
    var sums_10 = Sums();
    var sums_11 = Sums();
    let top = subgroup / 2u * 2u * SIDE;
    let left = subgroup % 2u * 2u * SIDE;
    for (var base = 0u; base < layer.inputs; base += DEPTH) {
        for (var i = lane; i < ROWS * DEPTH / 4u; i += INVOCATIONS) {
            let line = i / (DEPTH / 4u);
            let k = 4u * (i % (DEPTH / 4u));
            let of_x = four_inputs(layer, row_tile + line, base + k, whole_x);
            let of_w = four_weights(layer, column_tile + line, base + k, whole_w);
            for (var c = 0u; c < 4u; c++) {
                x_tile[line * STRIDE + k + c] = Element(of_x[c]);
                w_tile[line * STRIDE + k + c] = Element(of_w[c]);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += SIDE) {
            let a_0 = coopLoadT<Left>(&x_tile[top * STRIDE + k], STRIDE);
            let a_1 = coopLoadT<Left>(&x_tile[(top + SIDE) * STRIDE + k], STRIDE);
            let b_0 = coopLoad<Right>(&w_tile[left * STRIDE + k], STRIDE);
            let b_1 = coopLoad<Right>(&w_tile[(left + SIDE) * STRIDE + k], STRIDE);
            sums_00 = coopMultiplyAdd(a_0, b_0, sums_00);
            sums_01 = coopMultiplyAdd(a_0, b_1, sums_01);
            sums_10 = coopMultiplyAdd(a_1, b_0, sums_10);
            sums_11 = coopMultiplyAdd(a_1, b_1, sums_11);
        }
        workgroupBarrier();
    }
    coopStoreT(sums_00, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, row_tile + 0u * SIDE, column_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_01, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, row_tile + 0u * SIDE, column_tile + 1u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_10, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, row_tile + 1u * SIDE, column_tile + 0u * SIDE, lane);
    workgroupBarrier();
    coopStoreT(sums_11, &sums[subgroup * SIDE * SIDE], SIDE);
    workgroupBarrier();
    store_all(layer, row_tile + 1u * SIDE, column_tile + 1u * SIDE, lane);
    workgroupBarrier();
}
