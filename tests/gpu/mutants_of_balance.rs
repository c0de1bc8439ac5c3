//! Mutants of the kernels of balancing.

use super::mutants::Mutant;

pub const TASK_PRODUCTS: &[Mutant] = &[
    ("h is g", "if (!APART) {", "if (true) {"),
    ("the second block is the first", "let second = first + rest;", "let second = first;"),
    (
        "all regions are the first",
        "regions[params.first_region + group.z]",
        "regions[params.first_region]",
    ),
    (
        "the tail is not masked",
        "4u * quad + FOUR < vec4(length)",
        "4u * quad + FOUR < vec4(length + 4u)",
    ),
    (
        "rows are forgotten",
        "region.width * params.rows, region.by_row",
        "region.width, region.by_row",
    ),
    ("a lane is left out of the tree", "half > 0u", "half > 1u"),
    ("tasks without a place are read", "if (place == NONE) {", "if (place == NONE - 1u) {"),
    ("Adam's ε is forgotten", "+ params.eps)", ")"),
    ("no root of the second moment", "sqrt(v) * step", "v * step"),
    ("no root of the squares", "return sqrt(second_moment[", "return (second_moment["),
    ("transposed", "found[4u * i + j]", "found[4u * j + i]"),
];

pub const TASK_GRAMIAN: &[Mutant] = &[
    (
        "a part is left out",
        "part < params.regions * params.slices",
        "part + 1u < params.regions * params.slices",
    ),
    ("later chunks overwrite", "sum + gramian[base + e], params", "sum, params"),
    ("no symmetry", "let j = max(", "let j = min("),
    ("the norm is not inverted", "s = 1.0 / sqrt(square);", "s = sqrt(square);"),
    ("the loss is not inverted", "s = s / gramian", "s = s * gramian"),
    ("one factor alone", " * factor(e % params.tasks)", ""),
    ("the scales of other tasks", "+ count + task] = factor(task)", "+ count + task] = factor(0u)"),
    ("matrices in one place", "+ group.x * count;", ";"),
];

pub const TASK_LOSSES: &[Mutant] = &[
    ("all tasks have the losses of the first", "+ group.x * params.capacity + row", "+ row"),
    ("the first rows alone", "row += 64u", "row += 64000u"),
    ("a half of the lanes", "half > 0u", "half > 1u"),
    ("later chunks overwrite", "sums[0] + gramian[place], params", "sums[0], params"),
];

pub const COMBINE_DELTAS: &[Mutant] = &[
    ("weights of the first task", "params.weights + term.weight", "params.weights"),
    ("planes of no task are weighed", "sum += value;", "sum += partials[params.weights] * value;"),
    ("no slope", "sum *= slope[at / 4u][at % 4u];", "sum *= 0.9 + 0.0 * slope[at / 4u][at % 4u];"),
    ("the first plane alone", "t < node.terms", "t < min(node.terms, 1u)"),
    (
        "all nodes are the first",
        "combinations[params.first + group.y]",
        "combinations[params.first]",
    ),
];

pub const COMBINE_GRADIENTS: &[Mutant] = &[
    ("weights of the first task", "partials[params.weights + t]", "partials[params.weights]"),
    ("gradients of the first task", "(t * params.stride + run.place)", "(run.place)"),
    ("the last task is forgotten", "t < params.tasks", "t + 1u < params.tasks"),
    ("the first run alone", "let at = run.parameter / 4u + i;", "let at = i;"),
    ("couplings are lost", "sum = gradients[at];", "sum = vec4<f32>();"),
];

pub const DROP_DELTAS: &[Mutant] = &[
    (
        "always the positive ones",
        "let positive = sum + size >",
        "let positive = sum + size + 1e9 >",
    ),
    ("the other sign", "(value > 0.0) == positive", "(value > 0.0) != positive"),
    ("nothing leaks", "params.leak * value", "0.0 * value"),
    (
        "no slope",
        "kept *= slope[at / 4u][at % 4u];",
        "kept *= 0.9 + 0.0 * slope[at / 4u][at % 4u];",
    ),
    ("one number for all elements", "step.key_high, element,", "step.key_high, 0u,"),
];

pub const DROP_GRADIENTS: &[Mutant] = &[
    (
        "always the positive ones",
        "let positive = sum + size >",
        "let positive = sum + size + 1e9 >",
    ),
    ("the other sign", "(value > 0.0) == positive", "(value > 0.0) != positive"),
    ("nothing leaks", "select(params.leak, 1.0", "select(0.0, 1.0"),
    ("couplings are lost", "kept = gradients[run.parameter + i];", ""),
    ("one number for all elements", "run.parameter + i, 0xc0000000u", "0u, 0xc0000000u"),
];

pub const PARAMETER_CHANGE: &[Mutant] = &[
    ("no difference", "value - task_gradients[place]", "value"),
    ("the other difference", "value - task_gradients[place]", "task_gradients[place] - value"),
    ("parameters of another place", "run.parameter / 4u + quad", "quad + 1u"),
];

pub const COPY_NUMBERS: &[Mutant] = &[
    ("another place", "source[params.first + i]", "source[params.first]"),
    ("the last number is forgotten", "i < params.count", "i + 1u < params.count"),
];

pub const GRADIENT_MEMORY: &[Mutant] = &[
    ("no squares", "next = kept + g * g;", "next = kept + g;"),
    ("squares of this step", "next = kept + g * g;", "next = g * g;"),
    ("no average", "keep * kept + (1.0 - keep) * (g", "(g"),
    ("no logarithm", "(g / max(loss, 1e-8))", "g"),
    ("a constant share", "-params.power * logarithm", "0.0 * logarithm"),
    ("all tasks are the first", "group.y * (params.stride / 4u) + i;", "i;"),
];

pub const LOSS_WEIGHTS: &[Mutant] = &[
    ("excess without its start", "params.a * square(t) / start", "params.a * square(t)"),
    ("excess forgets weights", "logarithm(max(state(0u, t), 1e-30)) + gain", "gain"),
    ("lengths are not equal", "weight = sqrt(most / square(t));", "weight = most / square(t);"),
    ("tasks without labels take part", "return !COUNTED ||", "return true ||"),
    ("the logarithm of two", "weight = 1.0 / floored_loss(t);", "weight = 2.0 / floored_loss(t);"),
    ("the sum of the logarithms", "let mean = sum / k;", "let mean = sum;"),
    ("no half", "weight = 0.5 * inverse;", "weight = inverse;"),
    ("upwards", "0.5 * (1.0 - inverse * loss(t))", "-0.5 * (1.0 - inverse * loss(t))"),
    ("another slope", "weight * loss(t) - 1.0", "weight * loss(t)"),
    ("no first moment", "params.beta1 * m + params.one_minus_beta1 * gradient", "gradient"),
    ("no momentum", "let moved = params.beta1 * m + gradient;", "let moved = gradient;"),
    ("no root", "sqrt(second) * root", "second * root"),
    ("no temperature", "ratio / params.a", "ratio"),
    ("the epoch before is the last", "ratio = last / before;", "ratio = before / last;"),
    ("softmax of sum 1", "softmax_weights(k);", "softmax_weights(1.0);"),
    (
        "all have the first number",
        "hash(step.key_low, step.key_high, task, 0xa0000000u",
        "hash(step.key_low, step.key_high, 0u, 0xa0000000u",
    ),
    ("no ideal shares", "preferences[t] / sum * loss(t)", "loss(t)"),
    ("famo without losses", "(loss(t) + 1e-8) / sum;", "sum;"),
    ("famo's fall is a rise", "z * (fall(t) - mean)", "z * (mean - fall(t))"),
    ("famo without decay", " + params.b * state(1u, t), size", ", size"),
    ("gradnorm's sign", "sign(norm - wanted)", "sign(wanted - norm)"),
    ("gradnorm wants nothing", "mean * exponential(params.a", "0.0 * exponential(params.a"),
    ("gradnorm without its sum", "next_balance[t] * k / sum", "next_balance[t]"),
];

pub const CONE_PROJECTION: &[Mutant] = &[
    ("no ridge", "select(params.a, 1.0, !(scale(i) > 0.0))", "select(0.5, 1.0, !(scale(i) > 0.0))"),
    (
        "the constants of the first program",
        "return element(i, program, unit) * u;",
        "return element(i, 0u, unit) * u;",
    ),
    (
        "the constants of one task",
        "sum += element(i, j, unit) * u;",
        "sum = element(i, j, unit) * u;",
    ),
    ("the hull is not scaled back", "weight * share(t, unit)", "weight"),
    ("nothing is pivoted", "if (p == k) {", "if (p <= k) {"),
    ("a pivot keeps its sign", "-q * inverse;", "q * inverse;"),
    ("weights without their mean", "weight += u;", ""),
    ("the hull's weights do not add up to 1", " / max(total, 1e-30)", ""),
    ("no scale", "weight *= scale(t);", ""),
];

pub const CONE_PROJECTION_DIRECT: &[Mutant] = &[
    ("no ridge", "vec4(params.a), is_active", "vec4(0.5), is_active"),
    ("the constants of the first program", "rows[8u * program + lane] * u", "rows[lane] * u"),
    ("no coordinate descent", "sweep < 2u", "sweep < 0u"),
    ("no turn", "turn < TURNS", "turn < 0u"),
    ("no pivots", "turn < PIVOTS * TASKS", "turn < 0u"),
    ("unknowns stay zero", "signs = select(signs, -signs, is_pivot);", ""),
    (
        "a row is left out",
        "t1 = select(without(t1, four.y, row, is_pivot), pivot, p == 1u);",
        "t1 = t1;",
    ),
    ("weights without their mean", "total + u * mine", "total"),
    ("the hull's weights do not add up to 1", " / max(sum_of(parts, lane), 1e-30)", ""),
    ("no scale", "weights *= own_scales;", ""),
];

pub const PAIRWISE_PROJECTION: &[Mutant] = &[
    (
        "projected where there is no conflict",
        "} else if (inner < 0.0) {",
        "} else if (inner > 0.0) {",
    ),
    ("the norm of the wrong task", "change = -inner / other;", "change = -inner / square;"),
    ("no target", "let wanted = balance[place];", "let wanted = 0.0 * balance[place];"),
    ("targets stay", "(1.0 - params.a) * wanted + params.a * cosine", "wanted"),
    ("the square is not kept", "square + 2.0 * change * inner + change * change * other", "square"),
    ("in order", "work[order_at(i, r)] = work[order_at(i, j)];", ""),
    ("the first task alone", "sum += work[at(i, t)];", "sum = work[at(i, t)];"),
];

pub const SPECTRAL_WEIGHTS: &[Mutant] = &[
    ("no rotation of the vectors", "work[vector(i, p)] = c * v - s * w;", ""),
    ("half a sweep", "sweep < SWEEPS", "sweep < 1u"),
    (
        "the largest eigenvalue",
        "smallest = min(smallest, values[j]);",
        "smallest = sum + values[j];",
    ),
    ("the mean without its number", "return sum / f32(max(count, 1u));", "return sum;"),
    ("the upper median", "(count - 1u) / 2u", "count / 2u"),
    ("the sum, not the mean", "return 1.0 / active_tasks;", "return 1.0;"),
    ("equal norms", "return norm(i) / sqrt(unit);", "return 1.0;"),
    ("weights that do not add up to 1", "weight = select(weight / sum,", "weight = select(weight,"),
    ("units as they are", "* weight / norm(i)", "* weight"),
    ("another length", "sum / max(square, 1e-30)", "1.0 / max(square, 1e-30)"),
];

pub const SPECTRAL_WEIGHTS_DIRECT: &[Mutant] = &[
    ("no rotation of the vectors", "v0 = r.x * v - r.y * v1;", ""),
    ("columns stay where they are", "go_round();", ""),
    ("half a sweep", "sweep < SWEEPS", "sweep < 1u"),
    (
        "the largest eigenvalue",
        "smallest = min(smallest, values[j]);",
        "smallest = sum + values[j];",
    ),
    ("the mean without its number", "return sum / f32(max(count, 1u));", "return sum;"),
    ("the upper median", "(count - 1u) / 2u", "count / 2u"),
    ("the sum, not the mean", "var right_side = mine / active_tasks;", "var right_side = mine;"),
    ("equal norms", "right_side = norms * mine / sqrt(unit);", "right_side = mine;"),
    ("weights that do not add up to 1", "select(y / sum,", "select(y,"),
    ("units as they are", "* y * inverse_norms, square", "* y, square"),
    ("another length", "sum / max(square, 1e-30)", "1.0 / max(square, 1e-30)"),
];

pub const BARGAINING: &[Mutant] = &[
    ("one step", "turn < STEPS", "turn < 1u"),
    ("another power", "sum = power(roots[i], -inverse);", "sum = power(roots[i], -1.5 * inverse);"),
    ("no length", "factor = factor * params.a / length;", ""),
    ("no unit", "power(unit, -p / (1.0 + p))", "1.0"),
];

pub const BARGAINING_DIRECT: &[Mutant] = &[
    ("one step", "turn < STEPS", "turn < 1u"),
    ("another power", "let powers = power(roots, -inverse);", "let powers = power(roots, -1.5);"),
    ("no length", "factor = factor * params.a / length;", ""),
    ("no unit", "power(vec4(unit), -p / (1.0 + p)).x", "1.0"),
    ("a row is left out", "t1 = select(without(t1, four.y, row, is_pivot), pivot, p == 1u);", ""),
    ("no sign", "column = row * inverse * signs;", "column = -row * inverse * signs;"),
];

pub const CONFLICT_AVERSE: &[Mutant] = &[
    ("the mean alone", "phi / norm * shares[i]", "0.0 * norm"),
    ("no radius", "params.a * sqrt(mean_square)", "sqrt(mean_square)"),
    ("a few turns", "turn < TURNS", "turn < 1u"),
    ("towards the steepest", "if (slope < least) {", "if (slope < least - 1e30) {"),
    ("half of each move", "shares[best] += moved;", "shares[best] += 0.5 * moved;"),
];

pub const ROW_PRODUCTS: &[Mutant] = &[
    ("no one for the bias", "= 1.0 + sums[i]", "= sums[i]"),
    ("the last input is missing", "input >= source.inputs", "input + 1u >= source.inputs"),
    ("all sources are the first", "sources[params.first + group.z]", "sources[group.z]"),
    ("the first tiles alone", "let r = group.y * TILE + row", "let r = group.x * TILE + row"),
    ("half a tile", "+ 8u * (i / 2u)", "+ 8u * (i % 2u)"),
    (
        "the first inputs alone",
        "first + i % DEPTH);\n            right",
        "i % DEPTH);\n            right",
    ),
];

pub const ROW_PRODUCTS_DIRECT: &[Mutant] = &[
    ("no one for the bias", "= 1.0 + sums[i]", "= sums[i]"),
    (
        "fours begin anywhere",
        "four_of(four_x(element), four_x(element + 4u), element)",
        "four_x(element)",
    ),
    (
        "inputs of the next row",
        "input + FOUR < vec4(source.inputs)",
        "input + FOUR < vec4(source.inputs + 4u)",
    ),
    ("a row twice", "subgroupShuffle(own, 3u)", "subgroupShuffle(own, 2u)"),
    ("the first tile of rows", "let row = 8u * group.y;", "let row = 0u;"),
    ("all sources are the first", "sources[params.first + group.z]", "sources[group.z]"),
];

pub const TASK_PRODUCTS_DIRECT: &[Mutant] = &[
    ("h is g", "if (!APART) {", "if (true) {"),
    ("h is g for few tasks", "TASKS > 4u || APART", "TASKS > 4u"),
    ("the second block is the first", "let second = first + rest;", "let second = first;"),
    (
        "all regions are the first",
        "regions[params.first_region + group.z]",
        "regions[params.first_region]",
    ),
    ("the tail is not masked", "vec4(select(length, 0u,", "vec4(select(length + 4u, 0u,"),
    ("a half of the lanes", "(lane + 4u) & 7u", "lane"),
    ("no root of the second moment", "sqrt(v) * step", "v * step"),
    ("squares of another task", "(x1 * inverse_of(a1, quad))", "(x1 * inverse_of(a0, quad))"),
    ("rows in another order", "lane >= 2u", "lane < 2u"),
    ("the last rows are the ones before", "lane >= 6u", "lane >= 600u"),
];

pub const COMBINE_DELTAS_DIRECT: &[Mutant] = &[
    ("planes of no task are weighed", "select(1.0, given, is_weighed)", "given"),
    ("all terms weigh as the first", "subgroupShuffle(brought, t)", "subgroupShuffle(brought, 0u)"),
    ("one plane", "subgroupShuffle(term.place, t)", "subgroupShuffle(term.place, 0u)"),
    ("no tail", "select(before, value, inside)", "value"),
    (
        "all nodes are the first",
        "combinations[params.first + group.y]",
        "combinations[params.first]",
    ),
];

pub const COMBINE_GRADIENTS_DIRECT: &[Mutant] = &[
    ("all tasks weigh as the first", "subgroupShuffle(brought, t)", "subgroupShuffle(brought, 0u)"),
    ("the gradients of the first task", "(base + t) * params.stride", "0u * params.stride"),
    ("couplings are lost", "value += gradients[at];", ""),
    (
        "the first run alone",
        "let at = (of_layers.parameter + element) / 4u;",
        "let at = element / 4u;",
    ),
];
