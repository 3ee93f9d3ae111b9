// `affuse info`: devices, versions and, for a configuration, the program and its memory.
#pragma once
#include <string>
#include <vector>

namespace affuse {

struct InfoOptions {
  std::string config;                  ///< file; empty: devices and versions only
  std::vector<std::string> overrides;  ///< key.path=value
  std::string plan_for;                ///< a GPU that is not there; see described_device()
};

/// Returns the exit status; failures are thrown.
int run_info(const InfoOptions& options);

}  // namespace affuse
