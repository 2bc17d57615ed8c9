// Rows of numbers from storage to fp32 and back, as common/base/narrow.h converts one (its slow
// twin: the same bits, at any instruction set). `from` and `to` do not overlap; any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/narrow.h"

namespace overwinter::worker {

void widen(const BFloat16* from, std::size_t count, float* to);
void widen(const Float16* from, std::size_t count, float* to);
void widen(const std::int8_t* from, std::size_t count, float* to);  // exact
void narrow(const float* from, std::size_t count, BFloat16* to);
void narrow(const float* from, std::size_t count, Float16* to);

}  // namespace overwinter::worker
