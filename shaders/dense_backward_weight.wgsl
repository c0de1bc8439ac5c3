// dw = deltaᵀ · x,   db = column sums of delta
//
// All layers of the network in one dispatch: a workgroup computes 32 outputs × 32 inputs of the layer that its tile falls into, 16 rows
// of the batch at a time in ascending order. The workgroups of a layer's first column of tiles sum the bias gradient as well, from the
// deltas that they hold anyway. Gradients are tested for non-finite values as they are stored.

struct Params {
    rows: u32,          // rows of the chunk
    first_layer: u32,   // the group: layers [first_layer, first_layer + layers)
    layers: u32,
    tiles: u32,         // of all layers together
    accumulate: u32,    // 0: the first chunk overwrites; 1: later ones add
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> layers: array<Dense>;
@group(0) @binding(3) var<storage, read> even: array<f32>;           // activations [rows, I]
@group(0) @binding(4) var<storage, read> odd: array<f32>;
@group(0) @binding(5) var<storage, read> even_delta: array<f32>;     // deltas [rows, O]
@group(0) @binding(6) var<storage, read> odd_delta: array<f32>;
@group(0) @binding(7) var<storage, read> logits_delta: array<f32>;   // [rows, C] a head
@group(0) @binding(8) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(9) var<storage, read_write> flags: array<atomic<u32>>;

const TILE = 32u;
const DEPTH = 16u;
const STRIDE = 33u;

var<workgroup> d_tile: array<f32, 528>; // [DEPTH, STRIDE]
var<workgroup> x_tile: array<f32, 528>;

fn raise(flag: u32) {
    atomicMin(&flags[0], step.number);
    atomicMin(&flags[flag], step.number);
}

fn layer_of(tile: u32) -> u32 {
    var low = params.first_layer;
    var high = params.first_layer + params.layers;
    while (high - low > 1u) {
        let middle = (low + high) / 2u;
        if (layers[middle].weight_tile <= tile) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

fn activation(is_odd: u32, index: u32) -> f32 {
    if (is_odd == 1u) {
        return odd[index];
    }
    return even[index];
}

fn delta(arena: u32, index: u32) -> f32 {
    switch arena {
        case 0u: {
            return even_delta[index];
        }
        case 1u: {
            return odd_delta[index];
        }
        default: {
            return logits_delta[index];
        }
    }
}

fn store(place: u32, flag: u32, sum: f32) {
    var value = sum;
    if (params.accumulate == 1u) {
        value = gradients[place] + sum;
    }
    if (!is_finite(value)) {
        raise(flag);
    }
    gradients[place] = value;
}

fn store_row(layer: Dense, output: u32, input: u32, sums: vec4<f32>) {
    if (output >= layer.outputs) {
        return;
    }
    for (var c = 0u; c < 4u; c++) {
        if (input + c < layer.inputs) {
            store(layer.weight + output * layer.inputs + input + c, layer.gradient_flag, sums[c]);
        }
    }
}

fn four_deltas(first: u32) -> vec4<f32> {
    return vec4(d_tile[first], d_tile[first + 1u], d_tile[first + 2u], d_tile[first + 3u]);
}

fn four_inputs(first: u32) -> vec4<f32> {
    return vec4(x_tile[first], x_tile[first + 1u], x_tile[first + 2u], x_tile[first + 3u]);
}

@compute @workgroup_size(64)
fn dense_backward_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) {
        return;
    }
    let layer = layers[layer_of(tile)];
    let input_tiles = (layer.inputs + TILE - 1u) / TILE;
    let local = tile - layer.weight_tile;
    let output_tile = (local / input_tiles) * TILE;
    let input_tile = (local % input_tiles) * TILE;
    // Loading: invocation `lane` brings 8 neighbours of one row of each operand.
    let line = lane / 4u;
    let start = (lane % 4u) * 8u;
    let row = (lane / 8u) * 4u;
    let column = (lane % 8u) * 4u;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    var bias = vec4<f32>();
    for (var base = 0u; base < params.rows; base += DEPTH) {
        let b = base + line;
        for (var i = 0u; i < 8u; i++) {
            let o = output_tile + start + i;
            let c = input_tile + start + i;
            var d = 0.0;
            var x = 0.0;
            if (b < params.rows && o < layer.outputs) {
                d = delta(layer.delta_arena, layer.delta + b * layer.outputs + o);
            }
            if (b < params.rows && c < layer.inputs) {
                x = activation(layer.x_odd, layer.x + b * layer.inputs + c);
            }
            d_tile[line * STRIDE + start + i] = d;
            x_tile[line * STRIDE + start + i] = x;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += 4u) {
            let d0 = four_deltas((k + 0u) * STRIDE + row);
            let x0 = four_inputs((k + 0u) * STRIDE + column);
            let d1 = four_deltas((k + 1u) * STRIDE + row);
            let x1 = four_inputs((k + 1u) * STRIDE + column);
            let d2 = four_deltas((k + 2u) * STRIDE + row);
            let x2 = four_inputs((k + 2u) * STRIDE + column);
            let d3 = four_deltas((k + 3u) * STRIDE + row);
            let x3 = four_inputs((k + 3u) * STRIDE + column);
            sum0 += d0.x * x0 + d1.x * x1 + d2.x * x2 + d3.x * x3;
            sum1 += d0.y * x0 + d1.y * x1 + d2.y * x2 + d3.y * x3;
            sum2 += d0.z * x0 + d1.z * x1 + d2.z * x2 + d3.z * x3;
            sum3 += d0.w * x0 + d1.w * x1 + d2.w * x2 + d3.w * x3;
            bias += d0 + d1 + d2 + d3;
        }
        workgroupBarrier();
    }
    store_row(layer, output_tile + row, input_tile + column, sum0);
    store_row(layer, output_tile + row + 1u, input_tile + column, sum1);
    store_row(layer, output_tile + row + 2u, input_tile + column, sum2);
    store_row(layer, output_tile + row + 3u, input_tile + column, sum3);
    if (input_tile == 0u && column == 0u) {
        for (var c = 0u; c < 4u; c++) {
            if (output_tile + row + c < layer.outputs) {
                store(layer.bias + output_tile + row + c, layer.gradient_flag, bias[c]);
            }
        }
    }
}
