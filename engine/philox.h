// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11). A draw is a pure function of
// (seed, purpose, a, b), so results do not depend on threads, order or interruptions.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/host_device.h"

namespace affuse {

/// What a random stream is for; keeps the streams of one seed apart. Append only: the numbers are
/// part of reproducibility.
enum class Purpose : std::uint32_t {
  init = 1,
  shuffle = 2,
  augment = 3,
  noise = 4,
  label_model = 5,
  split = 6,
  synth = 7,
  test = 8,
  mixup = 9,
  holdout = 10,
};

struct Philox4 {
  std::uint32_t v[4];
};

/// Ten rounds of Philox4x32 on counter (c0..c3) under key (k0, k1).
AFFUSE_HD Philox4 philox4x32(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3,
                             std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const auto hi0 = static_cast<std::uint32_t>(p0 >> 32), lo0 = static_cast<std::uint32_t>(p0);
    const auto hi1 = static_cast<std::uint32_t>(p1 >> 32), lo1 = static_cast<std::uint32_t>(p1);
    c0 = hi1 ^ c1 ^ k0;
    c1 = lo1;
    c2 = hi0 ^ c3 ^ k1;
    c3 = lo0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Philox4{{c0, c1, c2, c3}};
}

/// A stream of draws for one (seed, purpose, a, b), for example (seed, augment, epoch, sample).
class Philox {
 public:
  Philox(std::uint64_t seed, Purpose purpose, std::uint32_t a = 0, std::uint32_t b = 0)
      : k0_(static_cast<std::uint32_t>(seed)),
        k1_(static_cast<std::uint32_t>(seed >> 32)),
        c1_(static_cast<std::uint32_t>(purpose)),
        c2_(a),
        c3_(b) {}

  /// 32 uniform bits.
  std::uint32_t bits() {
    if (used_ == 4) {
      block_ = philox4x32(c0_++, c1_, c2_, c3_, k0_, k1_);
      used_ = 0;
    }
    return block_.v[used_++];
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform() {
    const std::uint64_t high = bits() >> 5, low = bits() >> 6;
    return (static_cast<double>(high) * 67108864.0 + static_cast<double>(low)) * 0x1p-53;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Uniform integer in [0, n), n >= 1, without bias (Lemire's multiply and reject).
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t m = std::uint64_t{bits()} * n;
    if (static_cast<std::uint32_t>(m) < n) {
      const std::uint32_t threshold = (0u - n) % n;
      while (static_cast<std::uint32_t>(m) < threshold) m = std::uint64_t{bits()} * n;
    }
    return static_cast<std::uint32_t>(m >> 32);
  }

  /// Standard normal (Box-Muller, one of the pair kept for the next call).
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double u = 1.0 - uniform(), angle = 6.283185307179586476925 * uniform();
    const double radius = std::sqrt(-2.0 * std::log(u));
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }
  double normal(double mean, double std) { return mean + std * normal(); }

 private:
  std::uint32_t k0_, k1_, c0_ = 0, c1_, c2_, c3_;
  Philox4 block_{};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace affuse
