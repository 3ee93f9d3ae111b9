// A GPU's description from a file, for `affuse info --plan-for FILE.json`.
#pragma once
#include <string>

#include "kernels/described_device.h"

namespace affuse {

/// "sm75", "sm80" or "sm90", or a JSON file of cuDNN's device properties (deviceVer, deviceName,
/// multiProcessorCount, ...) beside which bytesPerSecond, fp16Flops, bf16Flops, tf32Flops and
/// fp32Flops may stand, for the floors. Throws ConfigError.
DescribedDevice described_device(const std::string& name_or_file);

}  // namespace affuse
