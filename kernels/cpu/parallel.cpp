// The one place of our own kernels that starts OpenMP regions.
#include "kernels/cpu/parallel.h"

#include <atomic>

#include <omp.h>

namespace affuse::cpu {
namespace {

// ThreadSanitizer does not see libgomp's fork, barrier and join: this counter shows it the same
// order.
#if defined(__SANITIZE_THREAD__)
std::atomic<unsigned> order{0};
void show_order() { order.fetch_add(1, std::memory_order_acq_rel); }
#else
void show_order() {}
#endif

}  // namespace

int max_threads() { return omp_get_max_threads(); }

void set_threads(int n) { omp_set_num_threads(std::max(n, 1)); }

void Team::barrier() const {
  if (size == 1) return;
  show_order();
#pragma omp barrier
  show_order();
}

// no_sanitize: the arguments themselves pass through libgomp.
__attribute__((no_sanitize("thread"))) void run_team(bool wide, void (*body)(void*, Team),
                                                     void* context) {
  if (!wide || omp_get_max_threads() == 1) {
    body(context, Team{0, 1});
    return;
  }
  show_order();
#pragma omp parallel
  {
    show_order();
    body(context, Team{omp_get_thread_num(), omp_get_num_threads()});
    show_order();
  }
  show_order();
}

}  // namespace affuse::cpu
