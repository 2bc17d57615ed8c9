// What a step of the worker's core put out, by kind.
#pragma once

#include <variant>
#include <vector>

#include "worker/core/output.h"

namespace overwinter::worker {

template <class T>
std::vector<T> all(const std::vector<Output>& out) {
  std::vector<T> found;
  for (const Output& o : out) {
    if (const T* t = std::get_if<T>(&o)) found.push_back(*t);
  }
  return found;
}

template <class T>
std::vector<T> reports(const std::vector<Output>& out) {
  std::vector<T> found;
  for (const SendReport& r : all<SendReport>(out)) {
    if (const T* t = std::get_if<T>(&r.report)) found.push_back(*t);
  }
  return found;
}

}  // namespace overwinter::worker
