// The described GPUs. Properties are from data sheets and the CUDA programming guide; rates are
// what large kernels were published to reach, not the sheets' peaks.
#include "kernels/described_device.h"

#include <array>

namespace affuse {
namespace {

// What every GPU of these architectures has in common.
constexpr const char* kCommon =
    R"({"warpSize":32,"maxThreadsPerBlock":1024,"regsPerBlock":65536,"maxRegistersPerSM":65536,)"
    R"("maxSharedMemoryPerBlock":49152,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
    R"("cudaDeviceId":0,"driverVer":13000,"maxGridSize":[2147483647,65535,65535],)"
    R"("maxBlockSize":[1024,1024,64],)";

const std::array<DescribedDevice, 3>& devices() {
  static const std::array<DescribedDevice, 3> table{
      {{"sm75", "NVIDIA GeForce RTX 2070",
        std::string(kCommon) +
            R"("deviceVer":750,"deviceName":"NVIDIA GeForce RTX 2070","multiProcessorCount":36,)"
            R"("reservedSharedMemoryPerBlock":0,"maxSharedMemoryPerBlockOptin":65536,)"
            R"("maxCtasPerSM":16,"maxThreadsPerSM":1024,"totalGlobalMem":8361672704,)"
            R"("smClockRateKHz":1620000,"memClockRateKHz":7001000,"l2CacheSize":4194304})",
        75, 8361672704, 0.40e12, 28e12, 0, 0, 7e12},
       {"sm80", "NVIDIA A100-SXM4-80GB",
        std::string(kCommon) +
            R"("deviceVer":800,"deviceName":"NVIDIA A100-SXM4-80GB","multiProcessorCount":108,)"
            R"("reservedSharedMemoryPerBlock":1024,"maxSharedMemoryPerBlockOptin":166912,)"
            R"("maxCtasPerSM":32,"maxThreadsPerSM":2048,"totalGlobalMem":85031714816,)"
            R"("smClockRateKHz":1410000,"memClockRateKHz":1593000,"l2CacheSize":41943040})",
        80, 85031714816, 1.75e12, 270e12, 270e12, 135e12, 19.5e12},
       {"sm90", "NVIDIA H100 80GB HBM3",
        std::string(kCommon) +
            R"("deviceVer":900,"deviceName":"NVIDIA H100 80GB HBM3","multiProcessorCount":132,)"
            R"("reservedSharedMemoryPerBlock":1024,"maxSharedMemoryPerBlockOptin":232448,)"
            R"("maxCtasPerSM":32,"maxThreadsPerSM":2048,"totalGlobalMem":85028765696,)"
            R"("smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800})",
        90, 85028765696, 3.0e12, 798e12, 798e12, 380e12, 55e12}}};
  return table;
}

}  // namespace

const DescribedDevice* find_described_device(const std::string& name) {
  for (const DescribedDevice& device : devices())
    if (device.name == name) return &device;
  return nullptr;
}

}  // namespace affuse
