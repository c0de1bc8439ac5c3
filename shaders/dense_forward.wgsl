// y = act(x · wᵀ + b),   slope = dy/dz,   both with dropout;   z = x · wᵀ + b is tested for values
// that are not finite
//
// One dispatch computes a group of layers: workgroup (i, j) computes ROWS × COLUMNS outputs of the
// layer that column tile i belongs to, in registers. Operands pass through workgroup memory, four
// inputs of a line in a vec4; the lines of an invocation are DOWN and ACROSS apart, so that
// neighbours read and write neighbouring places. Products are added in ascending order in chains of
// multiply-adds (`chain_of`) whatever the shape of the tile: long sums keep within their bound, and
// all shapes give the same bits (a zero's sign left aside).
//
// Indices: rows are below params.rows, and inputs and outputs below those of the layer, or nothing
// is read or written. Tables are read at layers of the group, which has at least one. Places in
// workgroup memory are below the products of the constants.

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
override FOURS: bool = false;    // whether terms are added by fours (`with_four`)

// The shape of the tile. The other shapes are in tiles/, generated from this file.
const ROWS_EACH = 4u;    // rows per invocation
const COLUMNS_EACH = 4u; // columns per invocation
const DOWN = 8u;         // invocations of a workgroup below one another
const ACROSS = 8u;       // invocations of a workgroup side by side
const DEPTH = 16u;       // inner steps in workgroup memory

const ROWS = DOWN * ROWS_EACH;
const COLUMNS = ACROSS * COLUMNS_EACH;
const INVOCATIONS = DOWN * ACROSS;
const STEPS = DEPTH / 4u; // groups of four inner steps
// Whether registers also hold the sums of earlier chains; else they wait in the places of the
// results.
const KEPT = ROWS_EACH * COLUMNS_EACH <= 16u;
// vec4s from line to line in workgroup memory, odd against bank conflicts
const STRIDE = STEPS + 1u;
const_assert DEPTH % 8u == 0u && ROWS * STEPS % INVOCATIONS == 0u
    && COLUMNS * STEPS % INVOCATIONS == 0u;

const FOUR = vec4(0u, 1u, 2u, 3u);

var<workgroup> x_tile: array<vec4<f32>, ROWS * STRIDE>;
var<workgroup> w_tile: array<vec4<f32>, COLUMNS * STRIDE>;

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

// Stores the sums of an invocation, whose first row and column are given.
fn store_sums(layer: Dense, row: u32, column: u32, sums: array<f32, ROWS_EACH * COLUMNS_EACH>,
    first: bool, last: bool) {
    for (var r = 0u; r < ROWS_EACH; r++) {
        for (var c = 0u; c < COLUMNS_EACH; c++) {
            store(layer, row + r * DOWN, column + c * ACROSS, sums[r * COLUMNS_EACH + c], first,
                last);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn dense_forward(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * ROWS;
    let column_tile = (group.x - layer.forward_tile) * COLUMNS;
    let whole_x = ((layer.inputs | layer.x) & 3u) == 0u;
    let whole_w = ((layer.inputs | layer.weight) & 3u) == 0u;
    let row = lane / ACROSS;
    let column = lane % ACROSS;
    var sums: array<f32, ROWS_EACH * COLUMNS_EACH>;
    var totals: array<f32, ROWS_EACH * COLUMNS_EACH>;
    let chain = chain_of(layer.inputs, FOURS);
    for (var begin = 0u; begin < layer.inputs; begin += chain) {
        let end = min(begin + chain, layer.inputs);
        sums = array<f32, ROWS_EACH * COLUMNS_EACH>();
        for (var base = begin; base < end; base += DEPTH) {
            for (var i = lane; i < ROWS * STEPS; i += INVOCATIONS) {
                x_tile[i / STEPS * STRIDE + i % STEPS] = four_inputs(layer, row_tile + i / STEPS,
                    base + 4u * (i % STEPS), whole_x);
            }
            for (var i = lane; i < COLUMNS * STEPS; i += INVOCATIONS) {
                w_tile[i / STEPS * STRIDE + i % STEPS] = four_weights(layer,
                    column_tile + i / STEPS, base + 4u * (i % STEPS), whole_w);
            }
            workgroupBarrier();
            for (var k = 0u; k < STEPS; k++) {
                var b: array<vec4<f32>, COLUMNS_EACH>;
                for (var c = 0u; c < COLUMNS_EACH; c++) {
                    b[c] = w_tile[(c * ACROSS + column) * STRIDE + k];
                }
                for (var r = 0u; r < ROWS_EACH; r++) {
                    let a = x_tile[(r * DOWN + row) * STRIDE + k];
                    for (var c = 0u; c < COLUMNS_EACH; c++) {
                        let s = r * COLUMNS_EACH + c;
                        sums[s] = with_four(sums[s], a, b[c], FOURS);
                    }
                }
            }
            workgroupBarrier();
        }
        if (FOURS || KEPT) {
            for (var i = 0u; i < ROWS_EACH * COLUMNS_EACH; i++) {
                totals[i] += sums[i];
            }
        } else {
            store_sums(layer, row_tile + row, column_tile + column, sums, begin == 0u,
                end == layer.inputs);
        }
    }
    if (FOURS || KEPT) {
        store_sums(layer, row_tile + row, column_tile + column, totals, true, true);
    }
}
