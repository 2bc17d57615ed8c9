#include "common/plan/train_shape.h"

#include <algorithm>
#include <limits>

namespace overwinter::plan {
namespace {

Status refuse(std::string message, const std::string& field, std::string hint = {}) {
  return error(Code::kInvalidArgument, std::move(message),
               "workload.train.model" + (field.empty() ? "" : "." + field), std::move(hint));
}

Status check_size(std::uint64_t value, std::uint64_t most, const std::string& what,
                  const std::string& field) {
  if (value == 0) return refuse("The model has no " + what + ".", field);
  if (value > most)
    return refuse("The model's " + what + ": " + std::to_string(value) + "; the most is " +
                      std::to_string(most) + ".",
                  field);
  return Status::success();
}

Status check_total(const TrainShape& shape) {
  double total = 0;
  for (const TrainTensor& tensor : train_tensors(shape)) {
    double elements = 1;
    for (const std::uint64_t size : tensor.shape) elements *= static_cast<double>(size);
    total += elements;
  }
  if (total > static_cast<double>(kTrainParametersMax))
    return refuse("The model has more than " + std::to_string(kTrainParametersMax) + " parameters.",
                  shape.kind == TrainKind::kGpt ? "gpt" : "mlp");
  return Status::success();
}

Result<TrainShape> gpt_shape(const v1::GptSpec& spec, const DataFacts& data) {
  if (!data.text) return fail(refuse("A gpt learns from text; the data are rows.", "gpt"));
  if (!spec.vocabulary().empty() && spec.vocabulary() != "bytes")
    return fail(refuse("The vocabulary \"" + spec.vocabulary() + "\" is unknown; there is: bytes.",
                       "gpt.vocabulary"));
  TrainShape shape;
  shape.layers = spec.layers();
  shape.heads = spec.heads();
  shape.width = spec.width();
  shape.context = spec.context();
  shape.vocabulary = data.vocabulary;
  for (const Status& status :
       {check_size(shape.layers, kTrainLayersMax, "layers", "gpt.layers"),
        check_size(shape.heads, kTrainWidthMax, "heads", "gpt.heads"),
        check_size(shape.width, kTrainWidthMax, "width", "gpt.width"),
        check_size(shape.context, kTrainWidthMax, "context", "gpt.context"),
        check_size(shape.vocabulary, kTrainWidthMax, "vocabulary", "gpt.vocabulary")}) {
    if (!status.ok()) return fail(status);
  }
  if (shape.width % shape.heads != 0)
    return fail(refuse("A width of " + std::to_string(shape.width) + " does not divide into " +
                           std::to_string(shape.heads) + " heads.",
                       "gpt.heads"));
  if (data.samples < shape.context + 1)
    return fail(refuse("The text has " + std::to_string(data.samples) +
                           " bytes, which is too short for a context of " +
                           std::to_string(shape.context) + ".",
                       "gpt.context", "Take a shorter context or more text."));
  if (Status total = check_total(shape); !total.ok()) return fail(total);
  return shape;
}

Result<TrainShape> mlp_shape(const v1::MlpSpec& spec, const DataFacts& data) {
  TrainShape shape;
  shape.kind = TrainKind::kDense;
  if (spec.layers_size() < 2)
    return fail(refuse("An mlp needs at least two widths: inputs and outputs.", "mlp.layers"));
  if (static_cast<std::uint64_t>(spec.layers_size()) > kTrainLayersMax)
    return fail(
        refuse("An mlp has at most " + std::to_string(kTrainLayersMax) + " layers.", "mlp.layers"));
  for (const std::uint32_t width : spec.layers()) {
    if (Status s = check_size(width, kTrainWidthMax, "layer width", "mlp.layers"); !s.ok())
      return fail(s);
    shape.widths.push_back(width);
  }
  if (shape.widths.front() != data.inputs)
    return fail(refuse("The mlp takes " + std::to_string(shape.widths.front()) +
                           " inputs, but the data have " + std::to_string(data.inputs) + ".",
                       "mlp.layers"));
  // Whole numbers in one column are classes for an mlp with several outputs, else values.
  shape.classes = data.classes && shape.widths.back() > 1;
  const bool fits =
      shape.classes ? data.outputs <= shape.widths.back() : data.outputs == shape.widths.back();
  const bool one_value = data.classes && shape.widths.back() == 1;
  if (!fits && !one_value)
    return fail(refuse("The mlp gives " + std::to_string(shape.widths.back()) +
                           " outputs, but the data have " + std::to_string(data.outputs) +
                           (shape.classes ? " classes." : " target columns."),
                       "mlp.layers"));
  if (Status total = check_total(shape); !total.ok()) return fail(total);
  return shape;
}

Result<TrainShape> one_layer(const DataFacts& data, bool classes) {
  const std::string field = classes ? "logistic" : "linear";
  TrainShape shape;
  shape.kind = TrainKind::kDense;
  shape.classes = classes;
  if (classes && !data.classes)
    return fail(refuse("A logistic model needs classes as targets: whole numbers from 0 on.", field,
                       "For other values take linear or mlp."));
  // Whole numbers are values like others for a linear model: one column.
  const std::uint64_t outputs = classes ? data.outputs : (data.classes ? 1 : data.outputs);
  shape.widths = {data.inputs, outputs};
  for (const auto& [size, what] :
       {std::pair{data.inputs, "inputs in its data"}, std::pair{outputs, "targets in its data"}}) {
    if (Status s = check_size(size, kTrainWidthMax, what, field); !s.ok()) return fail(s);
  }
  if (Status total = check_total(shape); !total.ok()) return fail(total);
  return shape;
}

}  // namespace

std::uint64_t TrainTensor::elements() const {
  std::uint64_t n = 1;
  for (const std::uint64_t size : shape) n *= size;
  return n;
}

Result<TrainShape> train_shape(const v1::ModelSpec& model, const DataFacts& data) {
  if (model.has_gpt()) return gpt_shape(model.gpt(), data);
  if (data.text && model.model_case() != v1::ModelSpec::MODEL_NOT_SET)
    return fail(refuse("Text is for a gpt; this model learns from rows (npy or csv).", ""));
  if (model.has_mlp()) return mlp_shape(model.mlp(), data);
  if (model.has_linear()) return one_layer(data, false);
  if (model.has_logistic()) return one_layer(data, true);
  return fail(refuse("No model is given; there are: gpt, mlp, linear, logistic.", ""));
}

std::vector<TrainTensor> train_tensors(const TrainShape& shape) {
  std::vector<TrainTensor> all;
  const auto add = [&](std::string name, std::vector<std::uint64_t> sizes) {
    all.push_back({std::move(name), std::move(sizes), true});
  };
  if (shape.kind == TrainKind::kDense) {
    for (std::size_t i = 0; i + 1 < shape.widths.size(); ++i) {
      const std::string layer = "layers." + std::to_string(i);
      add(layer + ".weight", {shape.widths[i + 1], shape.widths[i]});
      add(layer + ".bias", {shape.widths[i + 1]});
    }
    return all;
  }
  const std::uint64_t c = shape.width;
  add("wte.weight", {shape.vocabulary, c});
  add("wpe.weight", {shape.context, c});
  for (std::uint64_t i = 0; i < shape.layers; ++i) {
    const std::string h = "h." + std::to_string(i);
    add(h + ".ln_1.weight", {c});
    add(h + ".ln_1.bias", {c});
    add(h + ".attn.c_attn.weight", {c, 3 * c});
    add(h + ".attn.c_attn.bias", {3 * c});
    add(h + ".attn.c_proj.weight", {c, c});
    add(h + ".attn.c_proj.bias", {c});
    add(h + ".ln_2.weight", {c});
    add(h + ".ln_2.bias", {c});
    add(h + ".mlp.c_fc.weight", {c, 4 * c});
    add(h + ".mlp.c_fc.bias", {4 * c});
    add(h + ".mlp.c_proj.weight", {4 * c, c});
    add(h + ".mlp.c_proj.bias", {c});
  }
  add("ln_f.weight", {c});
  add("ln_f.bias", {c});
  return all;
}

bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Status freeze_tensors(std::span<const std::string> patterns, std::vector<TrainTensor>& tensors) {
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (TrainTensor& tensor : tensors) {
      if (!matches_pattern(pattern, tensor.name)) continue;
      tensor.trainable = false;
      any = true;
    }
    if (!any)
      return error(Code::kInvalidArgument, "No parameter is named by the pattern " + pattern + ".",
                   "workload.train.freeze",
                   "Names are like " + tensors.front().name + " and " + tensors.back().name + ".");
  }
  if (std::ranges::none_of(tensors, [](const TrainTensor& t) { return t.trainable; }))
    return error(Code::kInvalidArgument, "Everything is frozen; nothing is left to train.",
                 "workload.train.freeze");
  return Status::success();
}

std::uint64_t train_parameters(std::span<const TrainTensor> tensors) {
  std::uint64_t total = 0;
  for (const TrainTensor& tensor : tensors) total += tensor.elements();
  return total;
}

double train_flops(const TrainShape& shape, std::uint64_t samples) {
  const auto n = [](std::uint64_t v) { return static_cast<double>(v); };
  if (shape.kind == TrainKind::kDense) {
    double each = 0;
    for (std::size_t i = 0; i + 1 < shape.widths.size(); ++i)
      each += n(shape.widths[i]) * n(shape.widths[i + 1]);
    return 6 * each * n(samples);
  }
  const double c = n(shape.width);
  const double linear = n(shape.layers) * 12 * c * c + n(shape.vocabulary) * c;
  const double attention = n(shape.layers) * c * n(shape.context);  // half of 2 T C
  return 6 * (linear + attention) * n(samples) * n(shape.context);
}

}  // namespace overwinter::plan
