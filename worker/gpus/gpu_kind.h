// From what a driver calls a GPU to the word that price books and job files have for it.
#pragma once

#include <string>
#include <string_view>

namespace overwinter::worker::gpus {

// "NVIDIA H100 80GB HBM3" → "H100", "Tesla V100-SXM2-16GB" → "V100", "NVIDIA GeForce RTX 4090" →
// "RTX4090", "NVIDIA RTX A6000" → "A6000", "NVIDIA RTX 6000 Ada Generation" → "RTX6000Ada": makers,
// lines, sizes and forms are left out. Letters and digits alone, at most 40; "gpu" where a name
// gives no word.
[[nodiscard]] std::string gpu_kind(std::string_view name);

}  // namespace overwinter::worker::gpus
