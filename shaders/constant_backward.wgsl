// gradient of learned numbers that are equal for all rows: dθ = Σ over the rows of dz
//
// A workgroup sums one number. A lane sums every 64th row, and the lanes are summed by a tree of
// fixed shape.

struct Params {
    rows: u32,       // rows of the chunk
    // the group: constants [first, first + constants)
    first: u32,
    constants: u32,
    accumulate: u32, // 1: added to the gradients of earlier chunks
}

struct Constant {
    values: u32,
    delta: u32,    // [rows, values] among the gradients of logits
    gradient: u32, // [values]
    flag: u32,     // flag of gradients that are not finite
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> constants: array<Constant>;
@group(0) @binding(3) var<storage, read> logits_delta: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(5) var<storage, read_write> flags: array<atomic<u32>>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn constant_backward(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let constant = constants[params.first + group.y];
    // The same for the whole workgroup, so that its barriers are met by all.
    if (group.x >= constant.values) {
        return;
    }
    var sum = 0.0;
    for (var row = lane; row < params.rows; row += 64u) {
        sum += logits_delta[constant.delta + row * constant.values + group.x];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        let place = constant.gradient + group.x;
        var value = sums[0];
        if (params.accumulate == 1u) {
            value += gradients[place];
        }
        if (!is_finite(value)) {
            atomicMin(&flags[0], step.number);
            atomicMin(&flags[constant.flag], step.number);
        }
        gradients[place] = value;
    }
}
