// GPUs known from their data sheets: enough to plan a program for one that is not there.
#pragma once
#include <cstddef>
#include <string>

namespace affuse {

struct DescribedDevice {
  std::string name;         ///< "sm90"
  std::string title;        ///< "NVIDIA H100 80GB HBM3"
  std::string json;         ///< device properties as cuDNN writes them
  int architecture;         ///< 90: compute capability 9.0
  std::size_t memory;       ///< bytes
  double bytes_per_second;  ///< what streaming kernels reach
  /// FLOP/s that large products reach, by the type of the factors; 0: not supported.
  double fp16_flops, bf16_flops, tf32_flops, fp32_flops;
};

/// "sm75", "sm80", "sm90"; nullptr: unknown. The object lives as long as the process.
const DescribedDevice* find_described_device(const std::string& name);

}  // namespace affuse
