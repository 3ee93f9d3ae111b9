// Loads batches on background threads, delivers them in order.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "data/augment_draw.h"
#include "data/batch.h"
#include "data/image.h"
#include "data/image_cache.h"
#include "data/sample.h"
#include "data/sampler.h"

namespace affuse {

struct LoaderOptions {
  int image_size = 64;     ///< pixels; images are resized to a square
  std::size_t batch = 32;  ///< samples of a batch, of all ranks together
  Share share;             ///< the rank's part of every batch
  bool shuffle = true;
  std::uint64_t seed = 0;    ///< of the order and of the augmentation
  int workers = 1;           ///< threads that decode
  std::size_t prefetch = 2;  ///< batches ready or under way ahead of next()
  bool drop_last = false;    ///< leave out a short last batch instead of padding it
  AugmentSettings augment;   ///< draws; augment.enabled = false for validation
  ImageLimits limits;
  /// Decoded images, read where they are there and filled where not; may be shared by loaders of
  /// the same manifest. Null: every epoch decodes.
  std::shared_ptr<ImageCache> images;
  /// Asked by next() at first and while it waits; once it says true, next() gives no more batches.
  std::function<bool()> interrupted;
};

/// What a batch holds depends on (options, epoch, batch number) alone, not on threads or timing.
/// next() and start_epoch() are to be called from one thread.
class Loader {
 public:
  /// `manifest` must outlive the loader. `targets`: [N, K] soft targets (K = classes of the
  /// manifest), or empty. Throws ConfigError for unusable options or sizes.
  Loader(const Manifest& manifest, const LoaderOptions& options, std::vector<float> targets = {});
  /// Stops at once, also in the middle of an epoch.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Batches in an epoch.
  std::size_t batches() const { return sampler_.batches(); }

  /// Drops what is under way and begins `epoch` at a batch (a resumed run: not 0).
  void start_epoch(std::uint32_t epoch, std::size_t first_batch = 0);

  /// Swaps the next batch into `batch`, or returns false after the last, before the first
  /// start_epoch() and when interrupted. Rethrows the error of the batch's first unreadable sample,
  /// and goes on doing so until start_epoch().
  bool next(Batch& batch);

 private:
  /// A batch being filled. Workers write disjoint rows; all else is guarded by mutex_.
  struct Slot {
    Batch batch;
    std::span<const std::uint32_t> samples;
    std::size_t claimed = 0;   // rows handed to workers
    std::size_t finished = 0;  // rows done
    std::exception_ptr error;
    std::size_t error_row = 0;
  };

  void stop();
  void work();
  void open_slot(std::size_t number);
  std::exception_ptr fill_rows(Slot& slot, std::size_t begin, std::size_t end, std::size_t& row);
  void fill_row(Batch& batch, std::size_t row, std::uint32_t sample);
  Slot& slot_of(std::size_t number) { return slots_[number % slots_.size()]; }

  const Manifest& manifest_;
  const LoaderOptions options_;
  const std::vector<float> targets_;
  Sampler sampler_;
  std::uint32_t epoch_ = 0;

  std::mutex mutex_;
  std::condition_variable work_, ready_;
  std::vector<Slot> slots_;   // ring: batch b lies in slot b % size
  std::size_t head_ = 0;      // batch that next() gives
  std::size_t claiming_ = 0;  // batch whose rows are handed out
  std::size_t opened_ = 0;    // batches [head_, opened_) lie in slots
  std::size_t busy_ = 0;      // workers that fill rows now
  bool stopping_ = false;
  std::atomic<bool> cancelled_{false};  // workers give up between two rows

  std::vector<std::jthread> workers_;  // last: joined before anything above goes
};

}  // namespace affuse
