#include "apps/trainer/memory_budget.h"

#include <unistd.h>

namespace affuse {

std::uint64_t machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || size <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
}

std::uint64_t image_cache_budget() { return machine_memory() / 4; }

}  // namespace affuse
