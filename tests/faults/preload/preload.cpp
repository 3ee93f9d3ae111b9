// The preloaded library's orders, from the environment.
#include <cstdlib>
#include <sstream>

#include "tests/faults/calls/fault.h"

namespace {

/// AFFUSE_FAULT_ROOT and AFFUSE_FAULT_LOG as in Plan; AFFUSE_FAULTS: "CALL NTH ERRNO NAME" each,
/// separated by line breaks.
[[gnu::constructor]] void begin() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  affuse::faults::Plan plan{variable("AFFUSE_FAULT_ROOT"), variable("AFFUSE_FAULT_LOG"), {}};
  if (plan.root.empty()) return;
  std::istringstream faults(variable("AFFUSE_FAULTS"));
  affuse::faults::Fault fault;
  while (faults >> fault.call >> fault.nth >> fault.error >> fault.name)
    plan.faults.push_back(fault);
  affuse::faults::arm(plan);
}

}  // namespace
