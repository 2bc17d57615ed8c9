// The tables of strassen_passes.cpp, one pair a file, each compiled for its instruction set.
// Internal to this room.
#pragma once

#include "worker/kernels/strassen_passes.h"

namespace overwinter::worker {

extern const StrassenPasses<float> kStrassenBaselineFp32;
extern const StrassenPasses<double> kStrassenBaselineFp64;
extern const StrassenPasses<float> kStrassenAvx2Fp32;
extern const StrassenPasses<double> kStrassenAvx2Fp64;
extern const StrassenPasses<float> kStrassenAvx512Fp32;
extern const StrassenPasses<double> kStrassenAvx512Fp64;

}  // namespace overwinter::worker
