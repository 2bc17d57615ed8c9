// Slow, obvious twins of the operations in train_kernels.h, for float and double: one formula, one
// loop. Tests check their gradients by finite differences in double, and the fast ones against
// them. Arguments mean what they mean there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/kernels/train_kernels.h"

namespace overwinter::worker::reference {

template <class T>
void layer_norm(const T* x, const T* gain, const T* bias, std::size_t rows, std::size_t width,
                T* y);
template <class T>
void layer_norm_backward(const T* dy, const T* x, const T* gain, std::size_t rows,
                         std::size_t width, const T* carry, T* dx, T* dgain, T* dbias);

// y = x w + bias; x is rows x inputs, w is inputs x outputs. bias may be null.
template <class T>
void linear(const T* x, const T* w, const T* bias, std::size_t rows, std::size_t inputs,
            std::size_t outputs, T* y);
// dx is written, dw and dbias are added to; each may be null.
template <class T>
void linear_backward(const T* dy, const T* x, const T* w, std::size_t rows, std::size_t inputs,
                     std::size_t outputs, T* dx, T* dw, T* dbias);

template <class T>
T gelu(T x);
template <class T>
T gelu_slope(T x);

// One sequence of `tokens` rows; qkv is tokens x 3 width (queries, keys, values; heads side by side
// in each), y is tokens x width.
template <class T>
void attention(const T* qkv, std::size_t tokens, std::size_t heads, std::size_t width, T* y);
template <class T>
void attention_backward(const T* dy, const T* qkv, std::size_t tokens, std::size_t heads,
                        std::size_t width, T* dqkv);

template <class T>
T cross_entropy(const T* logits, const std::int32_t* targets, std::size_t rows,
                std::size_t classes);
template <class T>
void cross_entropy_backward(const T* logits, const std::int32_t* targets, std::size_t rows,
                            std::size_t classes, T weight, T* d);
template <class T>
T squared_error(const T* y, const T* targets, std::size_t count);

template <class T>
void embed(const std::int32_t* tokens, const T* wte, const T* wpe, std::size_t rows,
           std::size_t context, std::size_t width, T* y);
template <class T>
void embed_backward(const std::int32_t* tokens, const T* d, std::size_t rows, std::size_t context,
                    std::size_t width, T* wte, T* wpe);

// In double inside, whatever the step's floats are.
void adamw(double* weights, const double* gradients, double* first, double* second,
           std::size_t count, const AdamwStep& step);
void sgd(double* weights, const double* gradients, double* velocity, std::size_t count,
         const SgdStep& step);

}  // namespace overwinter::worker::reference
