#include "apps/trainer/memory_budget.h"

#include <unistd.h>

namespace affuse {

std::uint64_t image_cache_budget() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || size <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size) / 4;
}

}  // namespace affuse
