// y = act(x · wᵀ + b), slope = dy/dz, with dropout inside both; z itself is tested for non-finite values.
//
// A group of layers in one dispatch: workgroup (i, j) computes 32 rows × 32 outputs of the layer that column tile i falls into. Each
// of 64 invocations holds 4 × 4 sums; operands go through workgroup memory, 16 inputs at a time; products are
// added four by four in ascending order, which keeps long sums within their bound.

struct Params {
    rows: u32,          // rows of the chunk
    chunk_first: u32,   // first row of the chunk within the batch
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;                  // [rows, I]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;            // [rows, O] and slopes [rows, O]
@group(0) @binding(6) var<storage, read_write> flags: array<atomic<u32>>;

override ACTIVATION: u32 = 0u;   // of all layers of the group; codes are those of `activate`
override DROPOUT: bool = false;  // whether any layer of the group drops units in this step

const TILE = 32u;
const DEPTH = 16u;
const STRIDE = 33u; // of a row in workgroup memory: odd, against bank conflicts

var<workgroup> x_tile: array<f32, 528>; // [DEPTH, STRIDE]
var<workgroup> w_tile: array<f32, 528>;

fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

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

fn store(layer: Dense, row: u32, column: u32, sum: f32) {
    if (row >= params.rows || column >= layer.outputs) {
        return;
    }
    let z = sum + parameters[layer.bias + column];
    if (!is_finite(z)) {
        raise(layer.z_flag);
    }
    let place = layer.y + row * layer.outputs + column;
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

fn four(first: u32) -> vec4<f32> {
    return vec4(w_tile[first], w_tile[first + 1u], w_tile[first + 2u], w_tile[first + 3u]);
}

@compute @workgroup_size(64)
fn dense_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let layer = layers[layer_of(group.x)];
    let row_tile = group.y * TILE;
    let column_tile = (group.x - layer.forward_tile) * TILE;
    // Loading: invocation `lane` brings 8 neighbouring inputs of one row of each operand.
    let line = lane / 2u;
    let start = (lane % 2u) * 8u;
    let x_line = layer.x + (row_tile + line) * layer.inputs;
    let w_line = layer.weight + (column_tile + line) * layer.inputs;
    let x_inside = row_tile + line < params.rows;
    let w_inside = column_tile + line < layer.outputs;
    let row = (lane / 8u) * 4u;
    let column = (lane % 8u) * 4u;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var base = 0u; base < layer.inputs; base += DEPTH) {
        for (var i = 0u; i < 8u; i++) {
            let k = start + i;
            let inside = base + k < layer.inputs;
            var a = 0.0;
            var b = 0.0;
            if (inside && x_inside) {
                a = x[x_line + base + k];
            }
            if (inside && w_inside) {
                b = parameters[w_line + base + k];
            }
            x_tile[k * STRIDE + line] = a;
            w_tile[k * STRIDE + line] = b;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 4u) {
            let p0 = (k + 0u) * STRIDE + row;
            let p1 = (k + 1u) * STRIDE + row;
            let p2 = (k + 2u) * STRIDE + row;
            let p3 = (k + 3u) * STRIDE + row;
            let b0 = four((k + 0u) * STRIDE + column);
            let b1 = four((k + 1u) * STRIDE + column);
            let b2 = four((k + 2u) * STRIDE + column);
            let b3 = four((k + 3u) * STRIDE + column);
            sum0 += x_tile[p0] * b0 + x_tile[p1] * b1 + x_tile[p2] * b2 + x_tile[p3] * b3;
            sum1 += x_tile[p0 + 1u] * b0 + x_tile[p1 + 1u] * b1 + x_tile[p2 + 1u] * b2 + x_tile[p3 + 1u] * b3;
            sum2 += x_tile[p0 + 2u] * b0 + x_tile[p1 + 2u] * b1 + x_tile[p2 + 2u] * b2 + x_tile[p3 + 2u] * b3;
            sum3 += x_tile[p0 + 3u] * b0 + x_tile[p1 + 3u] * b1 + x_tile[p2 + 3u] * b2 + x_tile[p3 + 3u] * b3;
        }
        workgroupBarrier();
    }
    for (var c = 0u; c < 4u; c++) {
        store(layer, row_tile + row, column_tile + column + c, sum0[c]);
        store(layer, row_tile + row + 1u, column_tile + column + c, sum1[c]);
        store(layer, row_tile + row + 2u, column_tile + column + c, sum2[c]);
        store(layer, row_tile + row + 3u, column_tile + column + c, sum3[c]);
    }
}
