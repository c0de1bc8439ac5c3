//! Mutants of the kernels of mixes and gates.

use super::mutants::Mutant;

pub const GATE_FORWARD: &[Mutant] = &[
    ("masks in one turn only", "gate.values; e += stride", "gate.values; e += stride * 4096u"),
    ("the sum of the softmax is forgotten", "logits[place + i] / sum", "logits[place + i]"),
    (
        "the softmax of half of each value",
        "logits[place + i] - largest)",
        "0.5 * (logits[place + i] - largest))",
    ),
    ("the last term is not in the sum", "sum += e;", "sum += select(0.0, e, i + 1u < terms);"),
    (
        "constants are read per row",
        "return parameters[gate.first + i];",
        "return parameters[gate.first + row + i];",
    ),
    (
        "all rows have the values of the first",
        "gate.first + row * gate.values + i",
        "gate.first + i",
    ),
    ("the smooth step is linear", "s * (1.5 - 2.0 * s * s) + 0.5", "s + 0.5"),
    ("the smooth step begins too late", "if (t <= -0.5 * gate.gamma)", "if (t <= 0.0)"),
    ("the smooth step ends too early", "if (t >= 0.5 * gate.gamma)", "if (t >= 0.0)"),
    (
        "bits in the wrong order",
        "((term >> bit) & 1u) == 1u",
        "((term >> (gate.bits - 1u - bit)) & 1u) == 1u",
    ),
    ("all selectors have the bits of the first", "selector * gate.bits + bit", "bit"),
    ("all selectors weigh alike", "entropy = 0.0;", "entropy = 0.0 * share(gate, row, 0u) + 0.5;"),
    (
        "the share of another selector",
        "let alpha = share(gate, row, s);",
        "let alpha = share(gate, row, 0u);",
    ),
    ("the entropy's sign", "entropy -= r", "entropy += r"),
    (
        "codes without a term are allowed",
        "!= 0u) {\n            entropy",
        "> gate.terms) {\n            entropy",
    ),
    ("the noise is the same for all terms", "hash(term, NONE", "hash(0u, NONE"),
    ("the noise is the same for all gates", "gate.number ^ step.key_low", "step.key_low"),
    ("the noise does not change", "step.key_high)", "0u)"),
    (
        "half of the noise",
        "return -logarithm(-logarithm(u));",
        "return -0.5 * logarithm(-logarithm(u));",
    ),
    ("the temperature does not fall", "exponential(gate.fall * step.progress)", "1.0"),
    ("the temperature begins at 1", "gate.inverse_from * exponential", "exponential"),
    (
        "noise where there should be none",
        "if (params.training == 1u) {",
        "if (params.training <= 1u) {",
    ),
    (
        "the smallest is chosen",
        "value(gate, row, i) > value(gate, row, best)",
        "value(gate, row, i) < value(gate, row, best)",
    ),
    ("the previous layer is not in the mask", "z += logits[gate.second + e];", "z += 0.0;"),
    (
        "the mask is the exponential",
        "logits[gate.weights + e] = 1.0 / (1.0 + exponential(-z));",
        "logits[gate.weights + e] = exponential(z);",
    ),
    ("means of one term", "gate.means + i * params.capacity + row", "gate.means + row"),
    ("all gates are the first", "gates[params.first_gate + id.y]", "gates[params.first_gate]"),
    (
        "the group begins with the first gate of all",
        "gates[params.first_gate + id.y]",
        "gates[id.y]",
    ),
    (
        "rows that are absent count",
        "return params.chunk_first + row < step.rows;",
        "return params.chunk_first <= step.rows;",
    ),
];

pub const MIX_FORWARD: &[Mutant] = &[
    ("the last term is forgotten", "i < node.terms; i++", "i + 1u < node.terms; i++"),
    ("all terms are the first", "terms[node.first_term + i].x", "terms[node.first_term].x"),
    ("terms of the first mix", "terms[node.first_term + i].x", "terms[i].x"),
    (
        "weights of the first row",
        "node.weights + row * node.terms + term",
        "node.weights + row * 0u + term",
    ),
    (
        "weights of the first term",
        "node.weights + row * node.terms + term",
        "node.weights + row * node.terms + term * 0u",
    ),
    ("masks are forgotten", "if (node.is_mask == 1u)", "if (node.is_mask == 2u)"),
    ("masks of four are forgotten", "if (node.is_mask == 0u)", "if (node.is_mask <= 1u)"),
    ("the mask of the next value", "logits[p + 3u])", "logits[p + 2u])"),
    (
        "sums are halved",
        "node.is_mask == 1u) {\n        return 1.0;",
        "node.is_mask == 1u) {\n        return 0.5;",
    ),
    ("all mixes are the first", "mixes[params.first_mix + group.y]", "mixes[params.first_mix]"),
    (
        "the group begins with the first mix of all",
        "mixes[params.first_mix + group.y]",
        "mixes[group.y]",
    ),
    ("half of the values", "u < node.width; u +=", "u < node.width / 2u; u +="),
    ("the last token is not pooled", "i < rows; i++", "i + 1u < rows; i++"),
    ("the mean is a sum", "value / f32(rows), value", "value, value"),
    ("the mean is a maximum", "max(value, next), node.pool == 2u", "max(value, next), true"),
    ("the maximum is a sum", "max(value, next), node.pool == 2u", "value + next, true"),
    ("every row has its sentence", "(span & 0xffffu) == 0u", "span != NONE"),
    ("rows are shifted", "let first = row * node.width;", "let first = group.x * 8u * node.width;"),
];

pub const MIX_DOTS: &[Mutant] = &[
    ("half of the units", "u < node.width; u +=", "u < node.width / 2u; u +="),
    ("a lane is forgotten", "(sums[lane + 6u] + sums[lane + 7u])", "sums[lane + 6u]"),
    ("all terms are the first", "terms[node.first_term + i].x", "terms[node.first_term].x"),
    ("the delta of the first row", "node.delta + first + u", "node.delta + u"),
    ("the values of the first row", "term + first + u", "term + u"),
    ("all mixes are the first", "mixes[params.first_mix + group.y]", "mixes[params.first_mix]"),
    (
        "the group begins with the first mix of all",
        "mixes[params.first_mix + group.y]",
        "mixes[group.y]",
    ),
    (
        "masks have no gradient",
        "logits_delta[node.weights + first + u] = product;",
        "logits_delta[node.weights + first + u] = 0.0;",
    ),
    (
        "rows of the next workgroup",
        "let row = group.x * 8u + lane / 8u;",
        "let row = group.x * 4u + lane / 8u;",
    ),
];

pub const GATE_BACKWARD: &[Mutant] = &[
    ("masks in one turn only", "gate.values; e += stride", "gate.values; e += stride * 4096u"),
    (
        "the mean is forgotten",
        "* (logits_delta[weights + i] - mean)",
        "* logits_delta[weights + i]",
    ),
    ("the weight is forgotten", "coldness * logits[weights + i]", "coldness"),
    (
        "the last term is not in the mean",
        "i < gate.terms; i++) {\n        mean",
        "i + 1u < gate.terms; i++) {\n        mean",
    ),
    ("the temperature is forgotten", "if (gate.rule == GUMBEL)", "if (gate.rule == SELECT)"),
    ("the mask's slope", "w * (1.0 - w)", "w"),
    (
        "the previous layer gets nothing",
        "logits_delta[gate.second_delta + e] = dz;",
        "logits_delta[gate.second_delta + e] = 0.0;",
    ),
    ("the slope of the smooth step", "1.5 - 6.0 * s * s", "1.5 - 2.0 * s * s"),
    ("the share is forgotten", "let dr = alpha * logits_delta", "let dr = logits_delta"),
    ("the entropy is forgotten", "+ factor * of_entropy", "+ 0.0 * of_entropy"),
    ("the entropy is not a mean", "gate.entropy * step.inverse_rows", "gate.entropy"),
    ("half of the entropy's slope", "-logarithm(r) - (r - EPSILON) / r", "-logarithm(r)"),
    ("codes without a term are allowed", "- beyond;", "- 0.0 * beyond;"),
    ("all bits count as set", "select(-others, others, ((i >> bit) & 1u) == 1u)", "others"),
    ("the bit itself is in the product", "if (bit != without)", "if (bit < gate.bits)"),
    (
        "shares without their mean",
        "(share_gradient(gate, row, s) - mean)",
        "share_gradient(gate, row, s)",
    ),
    (
        "all selectors have the bits of the first",
        "gate.select + selector * gate.bits + bit",
        "gate.select + bit",
    ),
    ("all gates are the first", "gates[params.first_gate + id.y]", "gates[params.first_gate]"),
    (
        "the group begins with the first gate of all",
        "gates[params.first_gate + id.y]",
        "gates[id.y]",
    ),
    (
        "linear gates get half",
        "logits_delta[place + i] = logits_delta[weights + i];",
        "logits_delta[place + i] = 0.5 * logits_delta[weights + i];",
    ),
    (
        "rows that are absent have an entropy",
        "let is_present = params.chunk_first + row < step.rows;",
        "let is_present = params.chunk_first <= step.rows;",
    ),
];

pub const MIX_BACKWARD: &[Mutant] = &[
    ("the slope is forgotten", "value *= slope[", "value *= 1.0 + 0.0 * slope["),
    (
        "what layers made is overwritten",
        "if (receiver.accumulate == 1u)",
        "if (receiver.accumulate == 2u)",
    ),
    ("always added", "if (receiver.accumulate == 1u)", "if (receiver.accumulate <= 1u)"),
    ("only the first mix", "i < receiver.shares; i++", "i < min(1u, receiver.shares); i++"),
    (
        "the weight of the first term",
        "node.weights + row * node.terms + term",
        "node.weights + row * node.terms + term * 0u",
    ),
    (
        "the weights of the first row",
        "node.weights + row * node.terms + term",
        "node.weights + row * 0u + term",
    ),
    ("masks are forgotten", "value *= logits[node.weights + place];", "value *= 1.0;"),
    ("masks of four are forgotten", "if (node.is_mask == 0u)", "if (node.is_mask <= 1u)"),
    ("the mask of the next value", "logits[p + 3u])", "logits[p + 2u])"),
    (
        "sums are halved",
        "node.is_mask == 1u) {\n        return 1.0;",
        "node.is_mask == 1u) {\n        return 0.5;",
    ),
    (
        "all receivers are the first",
        "receivers[params.first_receiver + group.y]",
        "receivers[params.first_receiver]",
    ),
    (
        "the group begins with the first receiver of all",
        "receivers[params.first_receiver + group.y]",
        "receivers[group.y]",
    ),
    ("the delta of its own row", "let first = row - (span & 0xffffu);", "let first = row;"),
    ("a mean is a sum", "return value / f32(rows);", "return value;"),
    ("a sentence ends with the row", "+ (span >> 16u) + 1u;", "+ 1u;"),
    ("the smallest gets it", "unit) <= x;", "unit) >= x;"),
    ("all rows get it", "value, is_best)", "value, true)"),
    ("rows before do not count", "i > first && is_best", "i > row && is_best"),
    ("rows behind do not count", "i < first + rows && is_best", "i < first && is_best"),
    ("rows behind the batch get some", "if (span == NONE)", "if (span == 0u)"),
    ("shares of the first receiver", "shares[receiver.first_share + i]", "shares[i]"),
    ("half of the values", "u < receiver.width; u +=", "u < receiver.width / 2u; u +="),
];

pub const CONSTANT_BACKWARD: &[Mutant] = &[
    ("only the first 64 rows", "row += 64u", "row += 64u + params.rows"),
    ("the first number for all", "row * constant.values + group.x", "row * constant.values"),
    (
        "a lane is forgotten",
        "sums[lane] += sums[lane + half];",
        "sums[lane] += select(sums[lane + half], 0.0, half == 1u);",
    ),
    (
        "earlier chunks are overwritten",
        "if (params.accumulate == 1u)",
        "if (params.accumulate == 2u)",
    ),
    ("always added", "if (params.accumulate == 1u)", "if (params.accumulate <= 1u)"),
    ("all constants are the first", "constants[params.first + group.y]", "constants[params.first]"),
];
