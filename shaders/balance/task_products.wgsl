// products[region, slice, pair, 4 a + b] = Σ over the elements of a slice of g_i · h_j / D
//
// h is g, or another gradient of the task in a buffer of its own.
//
// Tasks come in blocks of four, and a pair is two blocks: i = 4 · first + a, j = 4 · second + b. D
// is 1, or √v · root_correction + ε with Adam's second moment v. A workgroup computes the 16
// products of a pair over every `slices`-th run of 64 quads of a region; the lanes are summed by a
// tree of fixed shape. A task without a place in a region has no gradient there.

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
@group(0) @binding(4) var<storage, read> planes: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> others: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> second_moment: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> products: array<f32>;

// D: 0 one, 1 that of Adam, 2 the root of what is kept of each task
override METRIC: u32 = 0u;
override APART: bool = false; // whether h lies elsewhere than g

const FOUR = vec4(0u, 1u, 2u, 3u);

var<workgroup> sums: array<f32, 1024>;

// Four elements of the gradient g of a task, zeros beyond the end of the region.
fn four(region: Region, task: u32, quad: u32, length: u32) -> vec4<f32> {
    if (task >= params.tasks) {
        return vec4<f32>();
    }
    let place = places[region.first + task];
    if (place == NONE) {
        return vec4<f32>();
    }
    return select(vec4<f32>(), planes[place / 4u + quad], 4u * quad + FOUR < vec4(length));
}

// Four elements of h.
fn four_others(region: Region, task: u32, quad: u32, length: u32) -> vec4<f32> {
    if (!APART) {
        return four(region, task, quad, length);
    }
    let place = places[region.first + params.apart + min(task, params.tasks - 1u)];
    let is_there = task < params.tasks && place != NONE;
    let found = others[select(0u, place, is_there) / 4u + quad];
    return select(vec4<f32>(), found, FOUR + 4u * quad < vec4(select(0u, length, is_there)));
}

// The root of the squares that are kept of a task.
fn root_of_squares(region: Region, task: u32, quad: u32) -> vec4<f32> {
    let place = places[region.first + min(task, params.tasks - 1u)];
    return sqrt(second_moment[select(place, 0u, place == NONE) / 4u + quad] + params.eps);
}

@compute @workgroup_size(64)
fn task_products(@builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32) {
    let region = regions[params.first_region + group.z];
    let blocks = (params.tasks + 3u) / 4u;
    // Pairs are numbered row by row: (0, 0), (0, 1), …, (1, 1), …
    var first = 0u;
    var rest = group.x;
    while (rest >= blocks - first) {
        rest -= blocks - first;
        first++;
    }
    let second = first + rest;
    let length = select(region.width, region.width * params.rows, region.by_row == 1u);
    var found: array<f32, 16>;
    for (var quad = group.y * 64u + lane; 4u * quad < length; quad += params.slices * 64u) {
        var a: array<vec4<f32>, 4>;
        for (var i = 0u; i < 4u; i++) {
            a[i] = four(region, 4u * first + i, quad, length);
            if (METRIC == 1u) {
                let v = second_moment[region.parameter / 4u + quad];
                a[i] = a[i] / (sqrt(v) * step.root_correction + params.eps);
            }
            if (METRIC == 2u) {
                a[i] = a[i] / root_of_squares(region, 4u * first + i, quad);
            }
        }
        for (var j = 0u; j < 4u; j++) {
            let b = four_others(region, 4u * second + j, quad, length);
            for (var i = 0u; i < 4u; i++) {
                found[4u * i + j] += dot(a[i], b);
            }
        }
    }
    for (var i = 0u; i < 16u; i++) {
        sums[64u * i + lane] = found[i];
    }
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) {
            for (var i = 0u; i < 16u; i++) {
                sums[64u * i + lane] += sums[64u * i + lane + half];
            }
        }
        workgroupBarrier();
    }
    if (lane < 16u) {
        let part = (group.z * params.slices + group.y) * groups.x + group.x;
        products[params.products + 16u * part + lane] = sums[64u * lane];
    }
}
