// The tables of train_kernels.cpp, one a file, each compiled for its instruction set. Internal to
// this room.
#pragma once

#include "worker/kernels/train_kernels.h"

namespace overwinter::worker {

extern const TrainKernels kBaselineKernels;
extern const TrainKernels kAvx2Kernels;
extern const TrainKernels kAvx512Kernels;

}  // namespace overwinter::worker
