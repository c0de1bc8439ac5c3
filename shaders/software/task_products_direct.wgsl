// products[region, slice, pair, 4 a + b] = Σ over the elements of a slice of g_i · h_j / D
//
// For software adapters, in place of `balance/task_products.wgsl`: gradients are read from their
// mirror, eight of every 64 quads per lane, without workgroup memory.

struct Params {
    rows: u32,         // rows of the chunk
    // the group: regions [first_region, first_region + regions)
    first_region: u32,
    regions: u32,
    tasks: u32,
    slices: u32,       // workgroups that share a pair of a region
    products: u32,     // the first product of the group
    eps: f32,          // ε of Adam
    apart: u32,        // places of h behind those of g
}

struct Region {
    first: u32,     // the first of its places: one element per task, or NONE
    width: u32,     // elements, or elements per row
    by_row: u32,    // 1: of each row
    parameter: u32, // first element among the parameters
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> regions: array<Region>;
@group(0) @binding(3) var<storage, read> places: array<u32>;
@group(0) @binding(4) var planes: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var others: texture_storage_2d<rgba32float, read>;
@group(0) @binding(6) var second_moment: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var<storage, read_write> products: array<f32>;

// D: 0 one, 1 that of Adam, 2 the root of what is kept of each task
override METRIC: u32 = 0u;
override TASKS: u32 = 128u;  // tasks that are compared
override APART: bool = false; // whether h lies elsewhere than g

const FOUR = vec4(0u, 1u, 2u, 3u);

// Where a gradient of a task begins, or NONE.
fn place_of(first: u32, task: u32) -> u32 {
    return select(NONE, places[first + min(task, TASKS - 1u)], task < TASKS);
}

// Four elements of a gradient, zeros beyond the end of the region.
fn four(place: u32, quad: u32, length: u32) -> vec4<f32> {
    let found = textureLoad(planes, texel_of(select(place, 0u, place == NONE) + 4u * quad));
    return select(vec4<f32>(), found, 4u * quad + FOUR < vec4(select(length, 0u, place == NONE)));
}

// Four elements of h.
fn four_others(place: u32, quad: u32, length: u32) -> vec4<f32> {
    if (!APART) {
        return four(place, quad, length);
    }
    let is_there = place != NONE;
    let found = textureLoad(others, texel_of(select(0u, place, is_there) + 4u * quad));
    return select(vec4<f32>(), found, FOUR + 4u * quad < vec4(select(0u, length, is_there)));
}

// 1 over the root of the squares that are kept of a task.
fn inverse_of(place: u32, quad: u32) -> vec4<f32> {
    let at = texel_of(select(place, 0u, place == NONE) + 4u * quad);
    return 1.0 / sqrt(textureLoad(second_moment, at) + params.eps);
}

// Σ over the lanes.
fn over_lanes(value: vec4<f32>, lane: u32) -> vec4<f32> {
    var sum = value;
    sum += subgroupShuffle(sum, (lane + 4u) & 7u);
    sum += subgroupShuffle(sum, (lane + 2u) & 7u);
    sum += subgroupShuffle(sum, (lane + 1u) & 7u);
    return sum;
}

@compute @workgroup_size(8)
fn task_products_direct(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let region = regions[params.first_region + group.z];
    let blocks = (TASKS + 3u) / 4u;
    var first = 0u;
    var rest = group.x;
    while (rest >= blocks - first) {
        rest -= blocks - first;
        first++;
    }
    let second = first + rest;
    let length = select(region.width, region.width * params.rows, region.by_row == 1u);
    let a0 = place_of(region.first, 4u * first);
    let a1 = place_of(region.first, 4u * first + 1u);
    let a2 = place_of(region.first, 4u * first + 2u);
    let a3 = place_of(region.first, 4u * first + 3u);
    let b0 = place_of(region.first + params.apart, 4u * second);
    let b1 = place_of(region.first + params.apart, 4u * second + 1u);
    let b2 = place_of(region.first + params.apart, 4u * second + 2u);
    let b3 = place_of(region.first + params.apart, 4u * second + 3u);
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var run = group.y * 64u; 4u * run < length; run += params.slices * 64u) {
        for (var turn = 0u; turn < 8u; turn++) {
            let quad = run + 8u * turn + lane;
            var inverse = vec4(1.0);
            if (METRIC == 1u) {
                let v = textureLoad(second_moment, texel_of(region.parameter + 4u * quad));
                inverse = 1.0 / (sqrt(v) * step.root_correction + params.eps);
            }
            var x2 = vec4<f32>();
            var x3 = vec4<f32>();
            let x0 = four(a0, quad, length);
            let x1 = four(a1, quad, length);
            if (TASKS > 2u) {
                x2 = four(a2, quad, length);
                x3 = four(a3, quad, length);
            }
            var b = mat4x4<f32>(x0, x1, x2, x3);
            if (TASKS > 4u || APART) {
                b = mat4x4<f32>(four_others(b0, quad, length), four_others(b1, quad, length),
                    four_others(b2, quad, length), four_others(b3, quad, length));
            }
            if (METRIC == 2u) {
                sum0 += (x0 * inverse_of(a0, quad)) * b;
                sum1 += (x1 * inverse_of(a1, quad)) * b;
                sum2 += (x2 * inverse_of(a2, quad)) * b;
                sum3 += (x3 * inverse_of(a3, quad)) * b;
            } else {
                sum0 += (x0 * inverse) * b;
                sum1 += (x1 * inverse) * b;
                if (TASKS > 2u) {
                    sum2 += (x2 * inverse) * b;
                    sum3 += (x3 * inverse) * b;
                }
            }
        }
    }
    sum0 = over_lanes(sum0, lane);
    sum1 = over_lanes(sum1, lane);
    sum2 = over_lanes(sum2, lane);
    sum3 = over_lanes(sum3, lane);
    // Lane l stores the products 2 l and 2 l + 1.
    let low = select(sum0, sum1, lane >= 2u);
    let high = select(sum2, sum3, lane >= 6u);
    let row = select(low, high, lane >= 4u);
    let pair = select(row.xy, row.zw, (lane & 1u) == 1u);
    let part = (group.z * params.slices + group.y) * groups.x + group.x;
    let place = params.products + 16u * part + 2u * lane;
    products[place] = pair.x;
    products[place + 1u] = pair.y;
}
