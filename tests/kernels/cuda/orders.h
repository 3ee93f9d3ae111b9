// Running a test of kernels in every order of threads and blocks that can be had.
#pragma once
#include <functional>

namespace affuse {

/// Under the emulation: f forward, in reverse and in three random orders; under ThreadSanitizer
/// once more, with blocks that no order binds, so that races between blocks show. On a GPU, which
/// takes its own order: a few times. Defined as allocate_on_device() is.
void for_each_order(const std::function<void()>& f);

}  // namespace affuse
