#include "worker/train/reference_model.h"

#include <algorithm>

#include "worker/kernels/train_reference.h"

namespace overwinter::worker {

using Values = std::vector<double>;

double reference_gpt_loss(const plan::TrainShape& shape, const ReferenceTensors& tensors,
                          const std::vector<std::int32_t>& tokens,
                          const std::vector<std::int32_t>& targets) {
  const std::size_t rows = tokens.size();
  const std::size_t c = shape.width;
  const std::size_t t = shape.context;
  Values x(rows * c);
  reference::embed(tokens.data(), tensors[0].data(), tensors[1].data(), rows, t, c, x.data());
  Values normed(rows * c);
  Values y(rows * c);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const Values* p = &tensors[2 + 12 * layer];
    reference::layer_norm(x.data(), p[0].data(), p[1].data(), rows, c, normed.data());
    Values qkv(rows * 3 * c);
    reference::linear(normed.data(), p[2].data(), p[3].data(), rows, c, 3 * c, qkv.data());
    Values attended(rows * c);
    for (std::size_t at = 0; at < rows; at += t)
      reference::attention(qkv.data() + at * 3 * c, t, shape.heads, c, attended.data() + at * c);
    reference::linear(attended.data(), p[4].data(), p[5].data(), rows, c, c, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    reference::layer_norm(x.data(), p[6].data(), p[7].data(), rows, c, normed.data());
    Values hidden(rows * 4 * c);
    reference::linear(normed.data(), p[8].data(), p[9].data(), rows, c, 4 * c, hidden.data());
    for (double& v : hidden) v = reference::gelu(v);
    reference::linear(hidden.data(), p[10].data(), p[11].data(), rows, 4 * c, c, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  const std::size_t last = tensors.size();
  reference::layer_norm(x.data(), tensors[last - 2].data(), tensors[last - 1].data(), rows, c,
                        normed.data());
  Values logits(rows * shape.vocabulary, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t v = 0; v < shape.vocabulary; ++v) {
      for (std::size_t j = 0; j < c; ++j)
        logits[r * shape.vocabulary + v] += normed[r * c + j] * tensors[0][v * c + j];
    }
  }
  return reference::cross_entropy(logits.data(), targets.data(), rows, shape.vocabulary) /
         static_cast<double>(rows);
}

double reference_dense_loss(const plan::TrainShape& shape, const ReferenceTensors& tensors,
                            const std::vector<double>& x, const std::vector<std::int32_t>& classes,
                            const std::vector<double>& targets) {
  Values layer = x;
  const std::size_t rows = x.size() / shape.widths.front();
  for (std::size_t i = 0; i + 1 < shape.widths.size(); ++i) {
    const std::size_t in = shape.widths[i];
    const std::size_t out = shape.widths[i + 1];
    Values y(rows * out);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        double sum = tensors[2 * i + 1][o];
        for (std::size_t j = 0; j < in; ++j) sum += layer[r * in + j] * tensors[2 * i][o * in + j];
        y[r * out + o] = i + 2 < shape.widths.size() ? std::max(sum, 0.0) : sum;
      }
    }
    layer = std::move(y);
  }
  if (shape.classes)
    return reference::cross_entropy(layer.data(), classes.data(), rows, shape.widths.back()) /
           static_cast<double>(rows);
  return reference::squared_error(layer.data(), targets.data(), layer.size()) /
         static_cast<double>(layer.size());
}

}  // namespace overwinter::worker
