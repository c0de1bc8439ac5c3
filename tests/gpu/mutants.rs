//! Broken kernels: each is the shipped text with one edit, which the check of kernels must notice.
//! So these tests test that check.
//!
//! A mutant runs through the cases of the check one by one, the small ones first, until one fails;
//! only the dispatches of its kernel run. The shipped text must pass every case that was needed.

use std::sync::OnceLock;

use super::mutants_of_balance as balance;
use super::mutants_of_mixes as mixes;

use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::kernels::tuning::{Class, Tuning};
use tandem::kernels::{KERNELS, Kernel, by_name};
use tandem::measure::doctor;
use tandem::measure::doctor::{Case, Verdict};

/// What is wrong, the text in the module, the text that replaces it.
pub type Mutant = (&'static str, &'static str, &'static str);

const MUTANTS: &[(&str, &[Mutant])] = &[
    ("gather_rows", GATHER_ROWS),
    ("gather_images", GATHER_IMAGES),
    ("dense_forward", DENSE_FORWARD),
    ("dense_backward_input", DENSE_BACKWARD_INPUT),
    ("dense_backward_weight", DENSE_BACKWARD_WEIGHT),
    ("dense_forward_direct", DENSE_FORWARD_DIRECT),
    ("dense_backward_input_direct", DENSE_BACKWARD_INPUT_DIRECT),
    ("dense_backward_weight_direct", DENSE_BACKWARD_WEIGHT_DIRECT),
    ("heads_cross_entropy", HEADS_CROSS_ENTROPY),
    ("gather_rows_direct", GATHER_ROWS_DIRECT),
    ("soft_sharing_direct", SOFT_SHARING_DIRECT),
    ("reduce_metrics_direct", REDUCE_METRICS_DIRECT),
    ("adam_direct", ADAM_DIRECT),
    ("gather_cells", GATHER_CELLS),
    ("link_cells", LINK_CELLS),
    ("embedding_backward", EMBEDDING_BACKWARD),
    ("label_sums", LABEL_SUMS),
    ("softmax_cross_entropy", SOFTMAX_CROSS_ENTROPY),
    ("pointwise_losses", POINTWISE_LOSSES),
    ("soft_sharing", SOFT_SHARING),
    ("agreement", AGREEMENT),
    ("gradient_norm", GRADIENT_NORM),
    ("reduce_metrics", REDUCE_METRICS),
    ("adam", ADAM),
    ("sum_shards", SUM_SHARDS),
    ("sgd", SGD),
    ("gradient_norm_direct", GRADIENT_NORM_DIRECT),
    ("sgd_direct", SGD_DIRECT),
    ("gate_forward", mixes::GATE_FORWARD),
    ("mix_forward", mixes::MIX_FORWARD),
    ("mix_dots", mixes::MIX_DOTS),
    ("gate_backward", mixes::GATE_BACKWARD),
    ("mix_backward", mixes::MIX_BACKWARD),
    ("task_products", balance::TASK_PRODUCTS),
    ("task_products_direct", balance::TASK_PRODUCTS_DIRECT),
    ("row_products", balance::ROW_PRODUCTS),
    ("row_products_direct", balance::ROW_PRODUCTS_DIRECT),
    ("combine_deltas_direct", balance::COMBINE_DELTAS_DIRECT),
    ("combine_gradients_direct", balance::COMBINE_GRADIENTS_DIRECT),
    ("task_gramian", balance::TASK_GRAMIAN),
    ("task_losses", balance::TASK_LOSSES),
    ("combine_deltas", balance::COMBINE_DELTAS),
    ("combine_gradients", balance::COMBINE_GRADIENTS),
    ("drop_deltas", balance::DROP_DELTAS),
    ("drop_gradients", balance::DROP_GRADIENTS),
    ("gradient_memory", balance::GRADIENT_MEMORY),
    ("parameter_change", balance::PARAMETER_CHANGE),
    ("copy_numbers", balance::COPY_NUMBERS),
    ("loss_weights", balance::LOSS_WEIGHTS),
    ("cone_projection", balance::CONE_PROJECTION),
    ("cone_projection_direct", balance::CONE_PROJECTION_DIRECT),
    ("pairwise_projection", balance::PAIRWISE_PROJECTION),
    ("spectral_weights", balance::SPECTRAL_WEIGHTS),
    ("spectral_weights_direct", balance::SPECTRAL_WEIGHTS_DIRECT),
    ("bargaining", balance::BARGAINING),
    ("bargaining_direct", balance::BARGAINING_DIRECT),
    ("conflict_averse", balance::CONFLICT_AVERSE),
    ("constant_backward", mixes::CONSTANT_BACKWARD),
];

const GATHER_ROWS: &[Mutant] = &[
    ("the scale of bytes is forgotten", "& 0xffu) * params.scale", "& 0xffu)"),
    ("bytes of a word in the wrong order", "(index & 3u) * 8u", "(3u - (index & 3u)) * 8u"),
    ("the order of the epoch is ignored", "row = order[row];", "row = min(order[row], row);"),
    (
        "rows past the end of the batch are filled",
        "let here = place < step.rows && row",
        "let here = row",
    ),
    (
        "a later segment overwrites the first one",
        "if (!here && params.fill == 1u)",
        "if (!here && params.fill == 2u)",
    ),
    (
        "a segment is read from its start",
        "let local = row - params.segment_first;",
        "let local = row;",
    ),
    ("every chunk reads the first rows", "let place = params.chunk_first + r;", "let place = r;"),
];

const GATHER_IMAGES: &[Mutant] = &[
    ("the scale of bytes is forgotten", "& 0xffu) * params.scale", "& 0xffu)"),
    ("the order of the epoch is ignored", "row = order[row];", "row = min(order[row], row);"),
    (
        "rows past the end of the batch are filled",
        "let here = place < step.rows && row",
        "let here = row",
    ),
    (
        "a later segment overwrites the first one",
        "if (!here && params.fill == 1u)",
        "if (!here && params.fill == 2u)",
    ),
    (
        "a segment is read from its start",
        "let local = row - params.segment_first;",
        "let local = row;",
    ),
    (
        "every chunk draws as the first one",
        "let moved = move_of(place);",
        "let moved = move_of(r);",
    ),
    ("all steps draw alike", "hash(place, IMAGE, step.key_low", "hash(place, IMAGE, 0u"),
    ("images move the other way", "i32(y) - moved.x", "i32(y) + moved.x"),
    ("images move down and not up", " - i32(params.shift);", ";"),
    ("images move one pixel less", "2u * params.shift + 1u", "2u * params.shift"),
    (
        "what leaves comes in again",
        "u32(i32(x) - moved.y)",
        "(u32(i32(x) - moved.y) + params.width) % params.width",
    ),
    ("every image is mirrored", "params.flip * (drawn >> 31u)", "params.flip"),
    (
        "a mirror is a pixel off",
        "from_x = params.width - 1u - from_x;",
        "from_x = params.width - max(from_x, 1u);",
    ),
    ("a square is a pixel higher", "y - corner.x < params.erase", "y - corner.x <= params.erase"),
    ("every image has a square", "(drawn & min(params.erase, 1u))", "min(params.erase, 1u)"),
    (
        "a square does not reach the edge",
        "params.width - params.erase + 1u",
        "params.width - params.erase",
    ),
    (
        "all numbers of a pixel are its first",
        "params.channels + c % params.channels",
        "params.channels",
    ),
    ("a second span is forgotten", "let begin = (group.x % blocks) * SPAN;", "let begin = 0u;"),
];

const DENSE_FORWARD: &[Mutant] = &[
    ("the last input is missing", "k >= layer.inputs", "k + 1u >= layer.inputs"),
    (
        "the last of four inputs is missing",
        "FOUR < vec4(layer.inputs - k)",
        "FOUR + 1u < vec4(layer.inputs - k)",
    ),
    ("the last inputs of a tile are missing", "k < STEPS; k++", "k + 1u < STEPS; k++"),
    (
        "fours begin anywhere",
        "let whole_x = ((layer.inputs | layer.x) & 3u) == 0u;",
        "let whole_x = true;",
    ),
    (
        "a tile has a row less",
        "r < ROWS_EACH; r++) {\n                    let a",
        "r + 1u < ROWS_EACH; r++) {\n                    let a",
    ),
    ("the bias is forgotten", "let z = sum + ", "let z = sum + 0.0 * "),
    ("earlier chains are forgotten", "totals[i] += sums[i]", "totals[i] = sums[i]"),
    (
        "weights are transposed",
        "let place = layer.weight + output * layer.inputs + k;",
        "let place = layer.weight + k * layer.outputs + output;",
    ),
    ("a row is missing", "if (row >= params.rows ||", "if (row + 1u >= params.rows ||"),
    (
        "dropout does not scale the slope",
        "value * layer.dropout_scale",
        "vec2(value.x * layer.dropout_scale, value.y)",
    ),
    ("dropout in evaluations", "if (DROPOUT)", "if (DROPOUT || layer.dropout_threshold > 0u)"),
    ("every activation is relu", "activate(ACTIVATION, z)", "activate(0u, z)"),
    ("every chunk drops the same units", "params.chunk_first + row,", "row,"),
    ("another hash", "v = v ^ (v >> vec4(16u));", "v = v ^ (v >> vec4(15u));"),
    (
        "the slope of relu is its value",
        "select(vec2(0.0, 0.0), vec2(z, 1.0), z > 0.0)",
        "select(vec2(0.0, 0.0), vec2(z, z), z > 0.0)",
    ),
    ("the slope of tanh forgets a square", "vec2(y, 1.0 - y * y)", "vec2(y, 1.0 - y)"),
    (
        "the slope of gelu forgets its second term",
        "vec2(z * area, area + z * density)",
        "vec2(z * area, area)",
    ),
    ("the slope of silu is that of the sigmoid", "s * (1.0 + z * (1.0 - s))", "s * (1.0 - s)"),
];

const DENSE_BACKWARD_INPUT: &[Mutant] = &[
    (
        "the slope is forgotten",
        "value *= slope[at / 4u][at % 4u]",
        "value *= max(slope[at / 4u][at % 4u], 1.0)",
    ),
    ("earlier chains are forgotten", "totals[i] += sums[i]", "totals[i] = sums[i]"),
    (
        "the second source is skipped",
        "s < destination.sources; s++",
        "s < min(destination.sources, 1u); s++",
    ),
    ("hidden sources are read among the logits", "arena == LOGITS)", "arena <= LOGITS)"),
    ("learned inputs have slopes", "if (SLOPES && last)", "if (last)"),
    ("the last output is missing", "k >= layer.outputs", "k + 1u >= layer.outputs"),
    (
        "the last of four outputs is missing",
        "FOUR < vec4(layer.outputs - k)",
        "FOUR + 1u < vec4(layer.outputs - k)",
    ),
    (
        "fours of weights begin anywhere",
        "let whole_w = ((layer.inputs | layer.weight) & 3u) == 0u;",
        "let whole_w = true;",
    ),
    (
        "weights are transposed",
        "let place = layer.weight + k * layer.inputs + input;",
        "let place = layer.weight + input * layer.outputs + k;",
    ),
];

const DENSE_BACKWARD_WEIGHT: &[Mutant] = &[
    ("the bias is not summed", "bias += d_tile", "bias = d_tile"),
    ("later chunks overwrite", "params.accumulate == 1u ||", "params.accumulate == 2u ||"),
    ("earlier chains are forgotten", "totals[i] += sums[i]", "totals[i] = sums[i]"),
    ("earlier chains of the bias are forgotten", "biases += bias", "biases = bias"),
    ("the last row is missing", "row >= params.rows", "row + 1u >= params.rows"),
    ("odd and even activations are exchanged", "is_odd == 1u)", "is_odd == 0u)"),
    (
        "fours of deltas begin anywhere",
        "let whole_d = ((layer.outputs | layer.delta) & 3u) == 0u;",
        "let whole_d = true;",
    ),
    (
        "fours of inputs begin anywhere",
        "let whole_x = ((layer.inputs | layer.x) & 3u) == 0u;",
        "let whole_x = true;",
    ),
    (
        "gradients are stored transposed",
        "store(layer.weight + output * layer.inputs + input + c,",
        "store(layer.weight + (input + c) * layer.outputs + output,",
    ),
];

const DENSE_FORWARD_DIRECT: &[Mutant] = &[
    (
        "the last inputs are missing",
        "base < layer.inputs; base +=",
        "base + 8u < layer.inputs; base +=",
    ),
    ("the bias is forgotten", " += bias;", " += 0.0 * bias;"),
    ("a column reads its neighbour's weights", "c0 * layer.inputs", "c1 * layer.inputs"),
    ("a row reads another row's input", "subgroupShuffle(a0.x, 1u)", "subgroupShuffle(a0.x, 2u)"),
    ("an input is taken for its neighbour", "subgroupShuffle(a1.y, ", "subgroupShuffle(a1.x, "),
    ("inputs beyond the end count", "let is_step = vec4(base)", "let is_step = vec4(0u * base)"),
    ("an odd place is read as an even one", "(element & 1u) == 1u", "(element & 1u) == 2u"),
    (
        "dropout does not scale the slope",
        "value * layer.dropout_scale",
        "vec2(value.x * layer.dropout_scale, value.y)",
    ),
    ("dropout in evaluations", "if (!DROPOUT)", "if (layer.dropout_threshold == 0u)"),
    ("every chunk drops the same units", "params.chunk_first + row,", "row,"),
    ("logits have slopes", "layer.slope == NONE)", "layer.slope != NONE)"),
    ("relu has a slope below zero", "select(vec4<f32>(), vec4(1.0), z > vec4<f32>())", "vec4(1.0)"),
    (
        "relu lets pass what is below zero",
        "return select(vec4<f32>(), z, z > vec4<f32>());",
        "return z;",
    ),
    ("a row of whole vec4s is stored as another one", "= short_value(s1);", "= short_value(s2);"),
    ("a slope of whole vec4s is that of another row", "= short_slope(s1);", "= short_slope(s2);"),
    (
        "a row of whole logits is stored as another one",
        "1u * layer.outputs) >> 2u] = s1;",
        "1u * layer.outputs) >> 2u] = s2;",
    ),
];

const DENSE_BACKWARD_INPUT_DIRECT: &[Mutant] = &[
    (
        "the slope is doubled where rows are whole vec4s",
        "four_slope(first_slope",
        "2.0 * four_slope(first_slope",
    ),
    (
        "the second source is skipped",
        "s < destination.sources; s++",
        "s < min(destination.sources, 1u); s++",
    ),
    (
        "the last outputs are missing",
        "base < layer.outputs; base +=",
        "base + 8u < layer.outputs; base +=",
    ),
    ("a row reads another row's delta", "subgroupShuffle(a0.x, 1u)", "subgroupShuffle(a0.x, 2u)"),
    ("an output is taken for its neighbour", "subgroupShuffle(a1.y, ", "subgroupShuffle(a1.x, "),
    (
        "a unit reads its neighbour's slope",
        "one_slope(first_slope\n                    + place)",
        "one_slope(first_slope + place + 1u)",
    ),
    (
        "hidden sources are read among the logits",
        "layer.delta_arena != LOGITS;",
        "layer.delta_arena == LOGITS;",
    ),
    ("learned inputs have slopes", ", SLOPES)", ", true)"),
];

const DENSE_BACKWARD_WEIGHT_DIRECT: &[Mutant] = &[
    ("all units share one bias", "store(layer.bias + ", "store(layer.bias + 0u * "),
    ("later chunks overwrite", "if (params.accumulate == 1u)", "if (params.accumulate == 2u)"),
    ("the last rows are missing", "base < batch; base +=", "base + 8u < batch; base +="),
    ("an output takes another's delta", "subgroupShuffle(a0.x, 1u)", "subgroupShuffle(a0.x, 2u)"),
    ("the bias forgets what came before", "        t += a0", "        t = a0"),
    ("the bias takes a step twice", "subgroupShuffle(a0, (lane + 4u) & 7u)", "a0"),
    ("a column tile without sums writes biases", "column_tile == 0u && lane", "lane"),
    ("rows beyond the end count", "select(vec4<f32>(), ", "select(vec4<f32>(1.0), "),
    (
        "layers of the even arena read the odd one",
        "layer.delta_arena == 0u",
        "layer.delta_arena == 1u",
    ),
];

const SOFTMAX_CROSS_ENTROPY: &[Mutant] = &[
    ("the task's weight is forgotten", "head.weight * norm", "norm"),
    (
        "the mean is a sum",
        "var inverse = step.inverse_rows;",
        "var inverse = 1.0 / step.inverse_rows;",
    ),
    (
        "the counted labels are ignored",
        "inverse = partials[head.inverse];",
        "inverse = step.inverse_rows;",
    ),
    (
        "the weight of the row is ignored",
        "if (params.weighted == 1u)",
        "if (params.weighted == 2u)",
    ),
    (
        "a row takes the weight of another one",
        "labels[(row + 1u) * params.cells - 1u]",
        "labels[params.cells - 1u]",
    ),
    ("every head reads the first label", "params.cells + head.cell", "params.cells"),
    (
        "off by one class",
        "c < head.outputs; c++) {\n        if (c != best)",
        "c + 1u < head.outputs; c++) {\n        if (c != best)",
    ),
    (
        "the last class has no gradient",
        "c < head.outputs; c++) {\n            var d",
        "c + 1u < head.outputs; c++) {\n            var d",
    ),
    ("the label's sign", "d -= scale;", "d += scale;"),
    (
        "rows without a label are trained on",
        "select(0.0, of_row * inverse, labelled)",
        "of_row * inverse",
    ),
    (
        "class 1 never wins",
        "for (var c = 1u; c < head.outputs; c++)",
        "for (var c = 2u; c < head.outputs; c++)",
    ),
    (
        "the exponential loses a term",
        "let r = (t - n * 0.693359375) + n * 2.12194440e-4;",
        "let r = t - n * 0.693359375;",
    ),
    ("hits are counted among the losses", "partials[params.hits + ", "partials[params.loss + "),
    (
        "classes have the weight of the first",
        "class_weights[head.weights + label]",
        "class_weights[head.weights]",
    ),
    ("weights of another head", "class_weights[head.weights + label]", "class_weights[label]"),
    ("the label keeps what smoothing takes", "(1.0 - head.smoothing) * weight_of", "weight_of"),
    ("smoothing leaves the label out", "total += t;", "total += select(t, 0.0, c == at);"),
    ("smoothing has no part in the loss", "loss += t * (log_sum", "loss += 0.0 * (log_sum"),
    ("smoothing ignores class weights", "let t = spread * weight_of(head, c);", "let t = spread;"),
    (
        "smoothing ignores class weights in the gradient",
        "var target_share = spread * weight_of(head, c);",
        "var target_share = spread;",
    ),
    (
        "smoothing is spread over one class too few",
        "head.smoothing / f32(head.outputs)",
        "head.smoothing / f32(head.outputs - 1u)",
    ),
    ("the label is no target", "target_share += own;", "target_share += 0.0;"),
    ("the focal loss forgets its own slope", "* (power / q) * loss", "* 0.0"),
    ("the focal slope of the label's logit", "off = -q;", "off = q;"),
    ("the focal slope takes q for p", "pull = head.gamma * p *", "pull = head.gamma * q *"),
    ("gamma is one", "exponential(head.gamma * logarithm(q))", "q"),
    (
        "the focal loss is not smaller",
        "select(0.0, power * loss, labelled)",
        "select(0.0, loss, labelled)",
    ),
    ("the loss is not that of the mean", "= norm * loss;", "= inverse * loss;"),
];

const POINTWISE_LOSSES: &[Mutant] = &[
    ("the task's weight is forgotten", "head.weight * (of_row * inverse)", "of_row * inverse"),
    (
        "the mean over rows is a sum",
        "step.inverse_rows * head.share",
        "head.share / step.inverse_rows",
    ),
    ("the mean over columns is a sum", "step.inverse_rows * head.share", "step.inverse_rows"),
    (
        "the counted labels are ignored",
        "inverse = partials[head.inverse];",
        "inverse = step.inverse_rows * head.share;",
    ),
    (
        "the weight of the row is ignored",
        "if (params.weighted == 1u)",
        "if (params.weighted == 2u)",
    ),
    (
        "the weight of the row has no part in the gradient",
        "(of_row * inverse), label",
        "inverse, label",
    ),
    (
        "the weight of the row has no part in the loss",
        "select(0.0, of_row * inverse,\n        any_label)",
        "select(0.0, inverse, any_label)",
    ),
    ("heads of classes are not left alone", "|| head.kind == MULTICLASS", ""),
    ("the last output is missing", "k < head.outputs; k++", "k + 1u < head.outputs; k++"),
    ("all outputs read the first label", "head.cell + k]", "head.cell]"),
    ("cells without a label are trained on", "any_label = true;", "any_label = true; } {"),
    (
        "the first positive weight for all",
        "class_weights[head.weights + k]",
        "class_weights[head.weights]",
    ),
    ("negatives have the weight of positives", "select(1.0, weight, positive)", "weight"),
    ("positives weigh one", "select(1.0, weight, positive)", "1.0"),
    ("the label's sign", "let u = select(-z, z, positive);", "let u = select(z, -z, positive);"),
    ("the slope's sign", "select(-slope, slope, positive)", "slope"),
    ("a confident mistake costs nothing", "max(-u, 0.0) + ", ""),
    ("p is taken for q", "select(1.0, small, u > 0.0) / ", "select(small, 1.0, u > 0.0) / "),
    ("gamma is one", "exponential(gamma * logarithm(q))", "q"),
    ("the focal loss forgets its own slope", "gamma * (1.0 - q) * nll)", "0.0 * nll)"),
    ("the focal loss is not smaller", "vec2(power * nll,", "vec2(nll,"),
    ("every logit is a hit for a positive", "(z > 0.0) == (label == 1u)", "label == 1u"),
    ("hits are those of the last output", "hits += select", "hits = select"),
    ("hits are counted among the losses", "partials[params.hits + ", "partials[params.loss + "),
    ("the loss is that of the last output", "loss += found.x;", "loss = found.x;"),
    ("squared loses its two", "vec2(e * e, 2.0 * e)", "vec2(e * e, e)"),
    ("absolute forgets the sign", "vec2(abs(e), sign(e))", "vec2(abs(e), 1.0)"),
    (
        "a loss is infinite",
        "vec2(abs(e), sign(e))",
        "vec2(abs(e) / f32(params.weighted / 2u), sign(e))",
    ),
    ("huber is never linear", "if (abs(e) <= parameter)", "if (abs(e) >= 0.0)"),
    ("huber is always linear", "if (abs(e) <= parameter)", "if (abs(e) < 0.0)"),
    ("huber has a step", "(abs(e) - 0.5 * parameter)", "abs(e)"),
    ("the other quantile", "if (e > 0.0)", "if (e < 0.0)"),
    (
        "the quantile's slope below",
        "select(0.0, -parameter, e < 0.0)",
        "select(0.0, parameter, e < 0.0)",
    ),
    ("the median for any quantile", "(1.0 - parameter) * e, 1.0 - parameter", "0.5 * e, 0.5"),
    ("poisson forgets the label", "vec2(rate - y * z, rate - y)", "vec2(rate - y * z, rate)"),
    (
        "poisson forgets the label in the loss",
        "vec2(rate - y * z, rate - y)",
        "vec2(rate, rate - y)",
    ),
    ("poisson is not per unit of the mean", "parameter * vec2(rate", "vec2(rate"),
];

const LABEL_SUMS: &[Mutant] = &[
    ("the order of the epoch is ignored", "row = order[row];", "row = min(order[row], row);"),
    ("rows of the epoch's start", "var row = step.first + i;", "var row = i;"),
    (
        "rows past the end of the batch count",
        "i < step.rows; i += 64u",
        "i < step.rows + 3u; i += 64u",
    ),
    ("rows from 64 on are missing", "i < step.rows; i += 64u", "i < min(step.rows, 64u); i += 64u"),
    (
        "a segment is read from its start",
        "(row - params.segment_first) * params.cells",
        "row * params.cells",
    ),
    ("rows of other segments count", "row - params.segment_first >= params.segment_rows", "false"),
    ("the weight of the row is ignored", "params.weighted == 1u", "params.weighted == 2u"),
    (
        "the first label is taken for the weight",
        "data_labels[words + params.cells - 1u]",
        "data_labels[words]",
    ),
    ("every head reads the first label", "words + head.cell + c", "words + c"),
    ("the last column is missing", "c < head.cells; c++", "c + 1u < max(head.cells, 2u); c++"),
    ("cells without a label count", "if (label != NONE)", "if (true)"),
    ("class weights are ignored", "head.kind == MULTICLASS &&", "head.kind != MULTICLASS &&"),
    (
        "classes have the weight of the first",
        "class_weights[head.weights + label]",
        "class_weights[head.weights]",
    ),
    ("the number is weighted", "number += 1.0;", "number += of_row;"),
    ("half of the lanes are lost", "var half = 32u; half > 0u", "var half = 16u; half > 0u"),
    ("later segments overwrite", "params.accumulate == 1u", "params.accumulate == 2u"),
    (
        "later segments overwrite the number",
        "select(numbers[0], partials[place + params.tasks]\n        + numbers[0], again)",
        "numbers[0]",
    ),
    (
        "the inverse is that of the number",
        "1.0 / max(total, 1e-30)",
        "1.0 / max(partials[place + params.tasks], 1e-30)",
    ),
    (
        "the inverse is that of one segment",
        "1.0 / max(total, 1e-30)",
        "1.0 / max(weights[0], 1e-30)",
    ),
];

const GATHER_CELLS: &[Mutant] = &[
    ("the order of the epoch is ignored", "row = order[row];", "row = min(order[row], row);"),
    (
        "rows past the end of the batch are filled",
        "let there = place < step.rows;",
        "let there = true;",
    ),
    ("a later segment overwrites the first one", "params.fill == 1u);", "params.fill == 2u);"),
    (
        "a segment is read from its start",
        "row + spread.offset - params.segment_first, what",
        "row + spread.offset, what",
    ),
    ("every chunk reads the first rows", "let place = params.chunk_first + r;", "let place = r;"),
    (
        "labels stay where there is no row",
        "select(NONE, data_labels[local * params.tasks + t],\n                what == HERE)",
        "data_labels[local * params.tasks + t]",
    ),
    ("the last label is missing", "t < params.tasks && what", "t + 1u < params.tasks && what"),
    (
        "numbers are left where there is no row",
        "select(0.0, bitcast<f32>(data[words + i]), what == HERE)",
        "bitcast<f32>(data[words + i])",
    ),
    ("columns read the first cell", "params.slots + spread.slot", "params.slots"),
    ("columns write the first inputs", "params.width + spread.input", "params.width"),
    ("numbers are codes", "if (spread.kind == NUMBERS)", "if (spread.kind == KEPT)"),
    ("codes are numbers", "if (spread.kind == NUMBERS)", "if (spread.kind <= ONE_HOT)"),
    (
        "inputs are not cleared",
        "inputs[first + i] = 0.0;",
        "inputs[first + i] = inputs[first + i];",
    ),
    (
        "codes of rows that are not there",
        "return select(NONE, data[place], what == HERE);",
        "return data[place];",
    ),
    (
        "a cell without a code is one of the next column",
        "if (code < spread.width)",
        "if (what == HERE)",
    ),
    ("only the first code counts", "i < spread.slots; i++", "i < min(spread.slots, 1u); i++"),
    (
        "a code twice is a code once",
        "inputs[first + code] += spread.scale",
        "inputs[first + code] = spread.scale",
    ),
    ("codes add one", "+= spread.scale", "+= 1.0"),
    ("vectors are not scaled", "return sum * spread.scale;", "return sum;"),
    ("all vectors are whole fours", "if (WHOLE)", "if (true)"),
    ("all codes have the first vector", "spread.weight + code * spread.stride", "spread.weight"),
    ("cells without a code have a vector", "if (code < spread.values)", "if (true)"),
    (
        "codes are kept in the place of the first row",
        "spread.input + (r * spread.places",
        "spread.input + (0u * spread.places",
    ),
    (
        "the neighbour behind is the one before",
        "let local = row + offset - params.segment_first;",
        "let local = row - offset - params.segment_first;",
    ),
    ("a sentence has no end", "(span >> 16u) >= 0u - offset", "true"),
    ("a sentence has no beginning", "select((span & 0xffffu) >= offset", "select(true"),
    ("the ends are exchanged", "offset >= 0x80000000u);", "offset < 0x80000000u);"),
    ("beyond the end is nothing", "return spread.beyond;", "return NONE;"),
    (
        "beyond the data is nothing",
        "select(NOWHERE, BEYOND, WINDOWS",
        "select(NOWHERE, NOWHERE, WINDOWS",
    ),
    (
        "all places keep the codes of the first",
        "found(row, there, spread.offset + p);",
        "found(row, there, spread.offset);",
    ),
    (
        "all places are kept in one",
        "(r * spread.places + p) * spread.slots",
        "r * spread.places * spread.slots",
    ),
];

const LINK_CELLS: &[Mutant] = &[
    ("the first cells are missing", "turn <= blocks", "turn < blocks"),
    ("rows have one cell", "params.rows * table.slots", "params.rows"),
    (
        "cells of a block are not tied",
        "if (has_vector && after < BLOCK)",
        "if (has_vector && after < 1u)",
    ),
    (
        "what comes after the block is lost",
        "link = later(table, code, base + BLOCK, cells);",
        "link = NONE;",
    ),
    (
        "what an earlier step left is believed",
        "cell < cells && codes[table.codes + min(cell, cells - 1u)] == code",
        "cell < cells",
    ),
    ("a chain goes back", "cell >= end && cell < cells", "cell < cells"),
    (
        "chains begin with the last of a block",
        "if (has_vector && before == 0u)",
        "if (has_vector && after == BLOCK)",
    ),
    ("cells without a vector begin chains", "if (has_vector && before == 0u)", "if (before == 0u)"),
    ("cells without a vector are tied", "if (has_vector && after < BLOCK)", "if (after < BLOCK)"),
    ("columns share their cells", "next[table.codes + cell] = link", "next[cell] = link"),
    ("columns share their values", "first[table.first + code] = cell", "first[code] = cell"),
];

const EMBEDDING_BACKWARD: &[Mutant] = &[
    (
        "vectors without a cell keep what they had",
        "if (head == NONE && params.accumulate == 1u)",
        "if (head == NONE)",
    ),
    ("what an earlier step left is believed", "== value)", ">= 0u)"),
    (
        "only the first cell counts",
        "cell = max(next[table.codes + cell], cell + 1u);",
        "cell = max(next[table.codes + cell], cells);",
    ),
    (
        "all places of a window have the inputs of the first",
        "cell % table.slots / table.place * table.width",
        "0u * table.place",
    ),
    ("every cell is a row", "cell / table.slots * params.width", "cell * params.width"),
    ("all columns have the first inputs", "let input = table.input + cell", "let input = cell"),
    ("four numbers stand for all", "+ input + quad;", "+ input;"),
    ("the scale is forgotten", "sum * table.scale", "sum"),
    ("later chunks overwrite", "if (params.accumulate == 1u)", "if (params.accumulate == 2u)"),
    ("all vectors are whole fours", "if (WHOLE)", "if (true)"),
    (
        "all vectors are of the first column",
        "embeddings[middle].tile <= tile",
        "embeddings[middle].tile > tile",
    ),
    (
        "the last number of a vector is missing",
        "min(4u, table.width - quad)",
        "min(4u, table.width - quad - 1u)",
    ),
    ("the last vector is missing", "value >= table.values", "value + 1u >= table.values"),
];

const SOFT_SHARING: &[Mutant] = &[
    ("the half is forgotten", "value = 0.5 * difference", "value = difference"),
    ("the second head's sign", "-pair.strength * difference", "pair.strength * difference"),
    (
        "the strength is forgotten",
        "pair.flag_first, pair.strength * difference",
        "pair.flag_first, difference",
    ),
    ("evaluations write gradients", "if (params.gradient == 1u)", "if (params.gradient <= 1u)"),
    (
        "the second pair is skipped",
        "min(params.pairs, arrayLength(&shared_pairs))",
        "min(params.pairs, 1u)",
    ),
];

const AGREEMENT: &[Mutant] = &[
    ("the mean is a sum", "pair.strength * step.inverse_rows", "pair.strength"),
    ("the strength is forgotten", "pair.strength * step.inverse_rows", "step.inverse_rows"),
    ("the mean term is forgotten", "(t.z - mean_a)", "t.z"),
    ("the other head's mean term", "(t.w - mean_b)", "(t.w - mean_a)"),
    ("the half is forgotten", "g = 0.5 * select", "g = select"),
    (
        "rows past the end of the batch count",
        "select(0.0, mean_a + mean_b, inside)",
        "mean_a + mean_b",
    ),
    (
        "every chunk ends where the batch does",
        "params.chunk_first + row < step.rows",
        "row < step.rows",
    ),
    ("the second pair is skipped", "i < params.pairs; i++", "i < min(params.pairs, 1u); i++"),
    ("one logit is that of the first class", "0.0, one && c == 0u)", "0.0, one && c == 1u)"),
    ("one logit counts for both classes", "0.0, one && c == 0u)", "0.0, false)"),
    (
        "the gradient of one logit is that of the first class",
        "if (!one_a || c == 1u)",
        "if (!one_a || c == 0u)",
    ),
    ("the second head's gradient of one logit", "if (!one_b || c == 1u)", "if (!one_b || c == 0u)"),
    ("both heads are of one logit", "(pair.one & 1u) != 0u", "pair.one != 0u"),
    (
        "rows of one logit lie as far apart as those of two",
        "select(pair.classes, 1u, one_b)",
        "pair.classes",
    ),
];

const GRADIENT_NORM: &[Mutant] = &[
    ("the square is forgotten", "gradients[i] * gradients[i]", "gradients[i]"),
    ("the last gradients are missing", "i < params.count; i +=", "i + 64u < params.count; i +="),
    ("half of the lanes are lost", "var half = 32u; half > 0u", "var half = 16u; half > 0u"),
];

const SUM_SHARDS: &[Mutant] = &[
    ("nothing is added", "params.add == 1u", "params.add == 2u"),
    ("all is added", "params.add == 1u", "params.add < 2u"),
    ("the source begins elsewhere", "source[source_at + i]", "source[i]"),
    ("the target begins elsewhere", "sums[target_at + i] = select", "sums[i] = select"),
    ("the row of a source is the first", "step.slot * params.source_stride", "0u"),
    ("the row of a target is the first", "step.slot * params.target_stride", "0u"),
    ("the last number is forgotten", "i < params.count", "i + 1u < params.count"),
];

const REDUCE_METRICS: &[Mutant] = &[
    ("the mean is a sum", " * select(1.0, step.inverse_rows, metric.mean == 1u)", ""),
    ("sums are means", "select(1.0, step.inverse_rows, metric.mean == 1u)", "step.inverse_rows"),
    ("later chunks overwrite", "params.accumulate == 1u", "params.accumulate == 2u"),
    ("every step writes the first row", "step.slot * params.stride + 1u", "1u"),
    ("partials from 64 on are missing", "i < count; i += 64u", "i < min(count, 64u); i += 64u"),
    ("the stamp is not the step", "f32(step.number & 0xffffffu)", "f32(step.slot)"),
];

const ADAM: &[Mutant] = &[
    ("the factor on the learning rate is forgotten", "factor * step.", "step."),
    ("the first moment's correction is ignored", "step.step_size * m", "step.learning_rate * m"),
    ("the second moment's correction is ignored", "sqrt(v) * step.root_correction", "sqrt(v)"),
    (
        "eps under the root",
        "sqrt(v) * step.root_correction + params.eps",
        "sqrt(v + params.eps) * step.root_correction",
    ),
    ("the square is forgotten", "params.one_minus_beta2 * g * g", "params.one_minus_beta2 * g"),
    ("one beta for both", "params.beta2 * second_moment[i]", "params.beta1 * second_moment[i]"),
    ("the decay's sign", "g += ", "g -= "),
    (
        "half of the decoupled decay",
        "theta -= factor * step.learning_rate * ",
        "theta -= 0.5 * factor * step.learning_rate * ",
    ),
    ("decay is always decoupled", "if (params.decoupled == 1u)", "if (params.decoupled <= 1u)"),
    ("no clipping", "gradients[i] * clip_factor()", "gradients[i] * max(clip_factor(), 1.0)"),
    (
        "the norm of another step",
        "metrics[step.slot * params.stride + params.norm_metric]",
        "metrics[params.norm_metric]",
    ),
];

const SGD: &[Mutant] = &[
    ("the factor on the learning rate is forgotten", "factor * step.", "step."),
    ("nesterov is ignored", "params.nesterov == 1u", "params.nesterov == 2u"),
    ("always nesterov", "params.nesterov == 1u", "params.nesterov <= 1u"),
    ("momentum is forgotten", "let m = params.momentum * first_moment[i] + g;", "let m = g;"),
    ("nesterov without momentum's factor", "g + params.momentum * m", "g + m"),
    ("the decay's sign", "clip_factor() + ", "clip_factor() - "),
    ("no clipping", "gradients[i] * clip_factor()", "gradients[i] * max(clip_factor(), 1.0)"),
];

const GRADIENT_NORM_DIRECT: &[Mutant] = &[
    ("the square is forgotten", "a * a", "a"),
    ("the second half of a share is missing", "low + high", "low"),
    (
        "the last gradients are missing",
        "first < params.count; first +=",
        "first + 64u < params.count; first +=",
    ),
    ("half of the lanes are lost", "(lane + 4u) & 7u", "lane"),
    ("half of the components are lost", "(sums.x + sums.z)", "(sums.x + sums.x)"),
];

const SGD_DIRECT: &[Mutant] = &[
    (
        "blocks take the first one's factor",
        "subgroupShuffle(rates.y, turn & 6u)",
        "subgroupShuffle(rates.y, 0u)",
    ),
    ("the factor on the learning rate is forgotten", "factor * step.", "step."),
    ("nesterov is ignored", "params.nesterov == 1u", "params.nesterov == 2u"),
    ("always nesterov", "params.nesterov == 1u", "params.nesterov <= 1u"),
    ("momentum is forgotten", "let m = params.momentum * textureLoad", "let m = 0.0 * textureLoad"),
    ("nesterov without momentum's factor", "g + params.momentum * m", "g + m"),
    ("the decay's sign", "* clip + ", "* clip - "),
    (
        "no clipping",
        "textureLoad(gradients, texel) * clip",
        "textureLoad(gradients, texel) * max(clip, 1.0)",
    ),
    (
        "blocks take the first one's decay",
        "subgroupShuffle(rates.x, turn & 6u)",
        "subgroupShuffle(rates.x, 0u)",
    ),
    (
        "the norm of another step",
        "metrics[step.slot * params.stride + params.norm_metric]",
        "metrics[params.norm_metric]",
    ),
];

const HEADS_CROSS_ENTROPY: &[Mutant] = &[
    ("the bias is forgotten", "+= vec2(subgroupShuffle(bias", "+= 0.0 * vec2(subgroupShuffle(bias"),
    (
        "the task's weight is forgotten",
        "heads[task].weight * step.inverse_rows",
        "step.inverse_rows",
    ),
    (
        "the mean is a sum",
        "heads[task].weight * step.inverse_rows",
        "heads[task].weight / step.inverse_rows",
    ),
    (
        "rows without a label are trained on",
        "let is_labelled = label < vec2(layer.outputs);",
        "let is_labelled = vec2(true);",
    ),
    (
        "a loss where there is no label",
        "(log_sum + (peak - chosen)), is_labelled)",
        "(log_sum + (peak - chosen)), vec2(true))",
    ),
    ("the label's sign", " - select(vec2<f32>(), scale, ", " + select(vec2<f32>(), scale, "),
    ("the largest class counts twice", "(best != vec2(3u)) & ", ""),
    (
        "classes beyond the last have a share",
        "(best != vec2(11u)) & vec2(11u < layer.outputs)",
        "(best != vec2(11u))",
    ),
    ("class 1 never wins", "(z1 > peak) & ", "(z1 > peak) & (z1 < peak) & "),
    ("labels of the second half are those of the first", "labels[r1 *", "labels[r0 *"),
    ("hits are counted among the losses", "partials[params.hits + ", "partials[params.loss + "),
    ("the second row takes the first one's input", "vec2(a0.x, a1.x)", "vec2(a0.x, a0.x)"),
    (
        "an input is taken for its neighbour",
        "vec2(subgroupShuffle(w.y, 1u)), x_y",
        "vec2(subgroupShuffle(w.x, 1u)), x_y",
    ),
    (
        "a class takes another one's weights",
        "subgroupShuffle(w.x, 1u) * x_x",
        "subgroupShuffle(w.x, 2u) * x_x",
    ),
    (
        "the last inputs are missing",
        "base < layer.inputs; base +=",
        "base + 8u < layer.inputs; base +=",
    ),
    ("inputs beyond the end count", "let is_step = vec4(base)", "let is_step = vec4(0u * base)"),
    (
        "the last class has no gradient",
        "if (is_row.x && 1u < layer.outputs) {\n            logits_delta",
        "if (is_row.x && 2u < layer.outputs) {\n            logits_delta",
    ),
    (
        "logits of the second row are those of the first",
        ".y;\n        }\n    }\n",
        ".x;\n        }\n    }\n",
    ),
    ("the loss forgets the label", "(peak - chosen)", "peak"),
];

const GATHER_ROWS_DIRECT: &[Mutant] = &[
    ("the scale of bytes is forgotten", "& vec4(0xffu)) * params.scale", "& vec4(0xffu))"),
    ("the scale of single bytes is forgotten", "& 0xffu) * params.scale", "& 0xffu)"),
    ("bytes of a word in the wrong order", "vec4(0u, 8u, 16u, 24u)", "vec4(24u, 16u, 8u, 0u)"),
    ("the order of the epoch is ignored", "row = order[row];", "row = min(order[row], row);"),
    (
        "rows past the end of the batch are filled",
        "let here = place < step.rows && row",
        "let here = row",
    ),
    (
        "a later segment overwrites the first one",
        "(here || params.fill == 0u)",
        "(here || params.fill < 2u)",
    ),
    (
        "a segment is read from its start",
        "select(0u, row - params.segment_first, here)",
        "select(0u, row, here)",
    ),
    ("every chunk reads the first rows", "let place = params.chunk_first + r;", "let place = r;"),
    ("all rows of a tile are the first", "subgroupShuffle(local, i)", "subgroupShuffle(local, 0u)"),
    (
        "rows that are not here keep their inputs",
        "select(begin, end, state > 1u)",
        "select(begin, end, here)",
    ),
    ("the last row of a tile is missing", "i < min(ROWS, ", "i < min(ROWS - 1u, "),
    (
        "every row has the label of the first",
        "labels[r * params.tasks + c] = label",
        "labels[r * params.tasks + c] = subgroupShuffle(label, 0u)",
    ),
];

const SOFT_SHARING_DIRECT: &[Mutant] = &[
    ("the half is forgotten", "return 0.5 * difference", "return difference"),
    ("the second head's sign", "-pair.strength * difference", "pair.strength * difference"),
    (
        "the strength is forgotten",
        "pair.flag_first, pair.strength * difference",
        "pair.flag_first, difference",
    ),
    ("evaluations write gradients", "if (params.gradient == 1u)", "if (params.gradient <= 1u)"),
    (
        "the second pair is skipped",
        "min(params.pairs, arrayLength(&shared_pairs))",
        "min(params.pairs, 1u)",
    ),
    ("half of a group is lost", "sums += square(pair, e + 32u);", ""),
    ("a step of the tree is lost", "sums += subgroupShuffle(sums, (lane + 2u) & 7u);", ""),
];

const REDUCE_METRICS_DIRECT: &[Mutant] = &[
    ("the mean is a sum", " * select(1.0, step.inverse_rows,\n        metric.mean == 1u)", ""),
    (
        "sums are means",
        "select(1.0, step.inverse_rows,\n        metric.mean == 1u)",
        "step.inverse_rows",
    ),
    ("later chunks overwrite", "params.accumulate == 1u", "params.accumulate == 2u"),
    ("every step writes the first row", "step.slot * params.stride + 1u", "1u"),
    (
        "partials from 64 on are missing",
        "base < count; base += 64u",
        "base < min(count, 64u); base += 64u",
    ),
    ("partials beyond the end count", "place < vec4(count)", "place < vec4(count + 1u)"),
    ("the second half counts beyond the end", "place + 32u < vec4(count)", "place < vec4(count)"),
    ("the stamp is not the step", "f32(step.number & 0xffffffu)", "f32(step.slot)"),
];

const ADAM_DIRECT: &[Mutant] = &[
    (
        "blocks take the first one's factor",
        "subgroupShuffle(rates.y, turn & 6u)",
        "subgroupShuffle(rates.y, 0u)",
    ),
    ("the factor on the learning rate is forgotten", "factor * step.", "step."),
    ("the first moment's correction is ignored", "step.step_size * m", "step.learning_rate * m"),
    ("the second moment's correction is ignored", "sqrt(v) * step.root_correction", "sqrt(v)"),
    ("the square is forgotten", "params.one_minus_beta2 * g * g", "params.one_minus_beta2 * g"),
    ("one beta for both", "params.beta2 * textureLoad", "params.beta1 * textureLoad"),
    ("the decay's sign", "g += lambda", "g -= lambda"),
    (
        "half of the decoupled decay",
        "theta -= factor * step.learning_rate * ",
        "theta -= 0.5 * factor * step.learning_rate * ",
    ),
    ("decay is always decoupled", "if (params.decoupled == 1u)", "if (params.decoupled <= 1u)"),
    (
        "no clipping",
        "textureLoad(gradients, texel) * clip",
        "textureLoad(gradients, texel) * max(clip, 1.0)",
    ),
    (
        "blocks take the first one's decay",
        "subgroupShuffle(rates.x, turn & 6u)",
        "subgroupShuffle(rates.x, 0u)",
    ),
    (
        "the norm of another step",
        "metrics[step.slot * params.stride + params.norm_metric]",
        "metrics[params.norm_metric]",
    ),
];

/// The device of all tests in this file. Mutants may break it, so other files do not use it.
fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| crate::common::open(&Wish::default()))
}

/// The cases that use a kernel, reduced to its dispatches, cheap ones first. There are none if this
/// adapter cannot run the kernel.
fn cases_of(kernel: &Kernel) -> Vec<Case> {
    let uses = |case: &Case| case.built.program.schedules.iter().any(|s| !s.dispatches.is_empty());
    let mut tunings = doctor::tunings(gpu());
    // A kernel that software adapters replace by another one occurs more often without that
    // replacement.
    tunings.sort_by_key(|tuning| tuning.direct != kernel.direct);
    for tuning in tunings {
        let mut cases = doctor::cases(&tuning).unwrap();
        for schedule in cases.iter_mut().flat_map(|case| &mut case.built.program.schedules) {
            schedule.dispatches.retain(|d| d.kernel.name == kernel.name);
        }
        cases.retain(uses);
        if !cases.is_empty() {
            cases.sort_by_key(cost);
            return cases;
        }
    }
    Vec::new()
}

fn cost(case: &Case) -> u64 {
    let flop = |s: &tandem::schedule::Schedule| s.dispatches.iter().map(|d| d.flop).sum::<u64>();
    case.built.program.bytes() + case.built.program.schedules.iter().map(flop).sum::<u64>()
}

/// What the check reports for a kernel with this text in one case.
fn failure(kernel: &'static Kernel, case: &Case, text: &str) -> Option<String> {
    let mut verdicts = [Verdict { kernel, dispatches: 0, elements: 0, worst: 0.0, failure: None }];
    let checked = doctor::check_case(gpu(), case, |_| text.to_owned(), &mut verdicts);
    checked.unwrap_or_else(|e| panic!("{}, {}: {e:#}\n{text}", kernel.name, case.name));
    assert!(verdicts[0].dispatches > 0);
    verdicts[0].failure.take()
}

/// The text with the edit made in one place, once for each place, because a kernel may have a
/// branch for some shapes only. Where there are many places, as in unrolled sums, all are edited at
/// once.
fn edited(text: &str, from: &str, to: &str) -> Vec<String> {
    let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
    if places.len() > 6 {
        return vec![text.replace(from, to)];
    }
    places
        .into_iter()
        .map(|at| format!("{}{to}{}", &text[..at], &text[at + from.len()..]))
        .collect()
}

/// Asserts that every mutant of a kernel is noticed by a case that the shipped text passes.
fn check(name: &str) {
    let kernel = by_name(name).unwrap();
    let (_, mutants) = MUTANTS.iter().find(|(n, _)| *n == name).unwrap();
    let cases = cases_of(kernel);
    if cases.is_empty() {
        assert!(kernel.direct, "{name}: no case uses it");
        println!("{name}: not on this adapter: no subgroups of 8 lanes");
        return;
    }
    let shipped = kernel.module();
    let (mut needed, mut survivors) = (vec![false; cases.len()], Vec::new());
    for (what, from, to) in *mutants {
        let texts = edited(&shipped, from, to);
        assert!(!texts.is_empty(), "{name}: {what}: the text \"{from}\" is not there any more");
        for (place, text) in texts.iter().enumerate() {
            match cases.iter().position(|case| failure(kernel, case, text).is_some()) {
                Some(number) => needed[number] = true,
                None => survivors.push(format!("{what} (place {} of {})", place + 1, texts.len())),
            }
        }
    }
    for (case, _) in cases.iter().zip(&needed).filter(|(_, needed)| **needed) {
        assert_eq!(failure(kernel, case, &shipped), None, "{name} as shipped, {}", case.name);
    }
    assert!(survivors.is_empty(), "{name}: no case notices: {}", survivors.join("; "));
}

/// Large tiles leave the sums of earlier chains in the places of the results.
#[test]
fn large_tiles_notice_what_happens_to_earlier_chains() {
    let edits = [
        ("dense_forward_64x64", "sum = y[place] + chain;", "sum = chain;"),
        ("dense_forward_64x64", "if (!last) {", "if (false) {"),
        (
            "dense_backward_input_64x64",
            "value = delta[destination.delta + place] + chain;",
            "value = chain;",
        ),
        ("dense_backward_input_64x64", "SLOPES && last", "SLOPES"),
        ("dense_backward_weight_64x64", "== 1u || !first", "== 1u"),
    ];
    for (name, from, to) in edits {
        let kernel = by_name(name).unwrap();
        let cases = cases_of(kernel);
        let shipped = kernel.module();
        assert_eq!(shipped.matches(from).count(), 1, "{name}: {from}");
        let text = shipped.replace(from, to);
        let case = cases.iter().find(|case| failure(kernel, case, &text).is_some());
        let case = case.unwrap_or_else(|| panic!("{name}: no case notices {to}"));
        assert_eq!(failure(kernel, case, &shipped), None, "{name} as shipped, {}", case.name);
    }
}

/// Layers of a group that take what another layer of the group should take: separate networks are
/// the case where all of them read, and are read, apart.
#[test]
fn separate_networks_notice_what_is_exchanged_between_them() {
    let tuning = Tuning::new(Class::Discrete, gpu().tuning().binding_bytes, false);
    let exchanged = [
        (
            "dense_forward",
            "let place = layer.x + row",
            "let place = layers[params.first_layer].x + row",
        ),
        (
            "dense_backward_input",
            "var reader = destination.first_source;",
            "var reader = destinations[params.first_destination].first_source;",
        ),
        (
            "dense_backward_weight",
            "let place = layer.x + row",
            "let place = layers[params.layers - 1u].x + row",
        ),
    ];
    for (name, from, to) in exchanged {
        let kernel = by_name(name).unwrap();
        let cases = doctor::cases(&tuning).unwrap().into_iter();
        let mut case = cases.into_iter().find(|case| case.name == "separate networks").unwrap();
        for schedule in &mut case.built.program.schedules {
            schedule.dispatches.retain(|d| d.kernel.name == name);
        }
        let shipped = kernel.module();
        assert_eq!(shipped.matches(from).count(), 1, "{name}: {from}");
        assert_eq!(failure(kernel, &case, &shipped), None, "{name} as shipped");
        assert!(failure(kernel, &case, &shipped.replace(from, to)).is_some(), "{name}: {to}");
    }
}

/// The other shapes of a kernel have the same text except for constants; another test makes sure of
/// that.
#[test]
fn every_kernel_has_mutants() {
    let own: Vec<_> =
        KERNELS.iter().filter(|k| k.name == k.twin || k.name.ends_with("_direct")).collect();
    for kernel in &own {
        assert!(
            MUTANTS.iter().any(|(name, mutants)| *name == kernel.name && !mutants.is_empty()),
            "{}",
            kernel.name
        );
    }
    assert_eq!(MUTANTS.len(), own.len());
}

#[test]
fn gather_rows() {
    check("gather_rows");
}

#[test]
fn link_cells() {
    check("link_cells");
}

#[test]
fn embedding_backward() {
    check("embedding_backward");
}

#[test]
fn dense_forward() {
    check("dense_forward");
}

#[test]
fn dense_backward_input() {
    check("dense_backward_input");
}

#[test]
fn dense_backward_weight() {
    check("dense_backward_weight");
}

#[test]
fn dense_forward_direct() {
    check("dense_forward_direct");
}

#[test]
fn dense_backward_input_direct() {
    check("dense_backward_input_direct");
}

#[test]
fn dense_backward_weight_direct() {
    check("dense_backward_weight_direct");
}

#[test]
fn softmax_cross_entropy() {
    check("softmax_cross_entropy");
}

#[test]
fn soft_sharing() {
    check("soft_sharing");
}

#[test]
fn agreement() {
    check("agreement");
}

#[test]
fn sum_shards() {
    check("sum_shards");
}

#[test]
fn gradient_norm() {
    check("gradient_norm");
}

#[test]
fn reduce_metrics() {
    check("reduce_metrics");
}

#[test]
fn adam() {
    check("adam");
}

#[test]
fn sgd() {
    check("sgd");
}

#[test]
fn heads_cross_entropy() {
    check("heads_cross_entropy");
}

#[test]
fn gather_images() {
    check("gather_images");
}

#[test]
fn gather_rows_direct() {
    check("gather_rows_direct");
}

#[test]
fn soft_sharing_direct() {
    check("soft_sharing_direct");
}

#[test]
fn reduce_metrics_direct() {
    check("reduce_metrics_direct");
}

#[test]
fn adam_direct() {
    check("adam_direct");
}

#[test]
fn gradient_norm_direct() {
    check("gradient_norm_direct");
}

#[test]
fn sgd_direct() {
    check("sgd_direct");
}

#[test]
fn pointwise_losses() {
    check("pointwise_losses");
}

#[test]
fn label_sums() {
    check("label_sums");
}

#[test]
fn gather_cells() {
    check("gather_cells");
}

#[test]
fn gate_forward() {
    check("gate_forward");
}

#[test]
fn mix_forward() {
    check("mix_forward");
}

#[test]
fn mix_dots() {
    check("mix_dots");
}

#[test]
fn gate_backward() {
    check("gate_backward");
}

#[test]
fn mix_backward() {
    check("mix_backward");
}

#[test]
fn constant_backward() {
    check("constant_backward");
}

#[test]
fn task_products() {
    check("task_products");
}

#[test]
fn bargaining_direct() {
    check("bargaining_direct");
}

#[test]
fn row_products() {
    check("row_products");
}

#[test]
fn row_products_direct() {
    check("row_products_direct");
}

#[test]
fn task_gramian() {
    check("task_gramian");
}

#[test]
fn task_losses() {
    check("task_losses");
}

#[test]
fn combine_deltas() {
    check("combine_deltas");
}

#[test]
fn combine_gradients() {
    check("combine_gradients");
}

#[test]
fn drop_deltas() {
    check("drop_deltas");
}

#[test]
fn drop_gradients() {
    check("drop_gradients");
}

#[test]
fn parameter_change() {
    check("parameter_change");
}

#[test]
fn copy_numbers() {
    check("copy_numbers");
}

#[test]
fn loss_weights() {
    check("loss_weights");
}

#[test]
fn cone_projection() {
    check("cone_projection");
}

#[test]
fn cone_projection_direct() {
    check("cone_projection_direct");
}

#[test]
fn spectral_weights_direct() {
    check("spectral_weights_direct");
}

#[test]
fn pairwise_projection() {
    check("pairwise_projection");
}

#[test]
fn spectral_weights() {
    check("spectral_weights");
}

#[test]
fn bargaining() {
    check("bargaining");
}

#[test]
fn conflict_averse() {
    check("conflict_averse");
}

#[test]
fn task_products_direct() {
    check("task_products_direct");
}

#[test]
fn combine_deltas_direct() {
    check("combine_deltas_direct");
}

#[test]
fn combine_gradients_direct() {
    check("combine_gradients_direct");
}
