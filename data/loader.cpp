// A ring of batches that workers fill a few rows at a time, in order.
#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse {
namespace {

/// Rows that a worker takes at once: short enough that all workers share one batch.
constexpr std::size_t kPiece = 8;
/// Between two looks at `interrupted`.
constexpr auto kPatience = std::chrono::milliseconds(20);

void check(const LoaderOptions& options, std::size_t samples, std::size_t classes,
           std::size_t targets) {
  if (options.image_size < 1) throw ConfigError("the image size must be at least 1");
  if (options.workers < 1) throw ConfigError("the loader needs at least 1 worker");
  if (options.prefetch < 1) throw ConfigError("the loader must prefetch at least 1 batch");
  if (targets != 0 && targets != samples * classes) {
    throw ConfigError(
        fmt::format("{} soft targets for {} samples of {} classes", targets, samples, classes));
  }
  const ImageCache* images = options.images.get();
  if (images == nullptr) return;
  if (images->samples() != samples || images->size() != options.image_size) {
    throw ConfigError(fmt::format("an image cache of {} images of {} px for {} samples of {} px",
                                  images->samples(), images->size(), samples, options.image_size));
  }
}

/// Sizes the buffers (without new memory once they are large enough) and clears padding.
void shape_batch(Batch& batch, const LoaderOptions& options, std::size_t classes,
                 std::span<const std::uint32_t> samples, std::size_t number) {
  const std::size_t n = options.batch / options.share.size, valid = samples.size();
  const auto side = static_cast<std::size_t>(options.image_size);
  const std::size_t pixels = side * side * 3;
  batch.n = n;
  batch.valid = valid;
  batch.number = number;
  batch.image_size = options.image_size;
  batch.classes = static_cast<int>(classes);
  batch.indices.assign(samples.begin(), samples.end());
  batch.images.resize(n * pixels);
  std::fill(batch.images.begin() + static_cast<std::ptrdiff_t>(valid * pixels), batch.images.end(),
            std::uint8_t{0});
  batch.augment.assign(n, math::identity_augment());
  batch.labels.assign(n, -1);
  batch.va.assign(n * 2, 0.0f);
  batch.has_va.assign(n, 0);
  batch.q.assign(n * classes, 0.0f);
}

}  // namespace

Loader::Loader(const Manifest& manifest, const LoaderOptions& options, std::vector<float> targets)
    : manifest_(manifest),
      options_(options),
      targets_(std::move(targets)),
      sampler_(manifest.samples.size(), options.batch, options.shuffle, options.seed,
               options.drop_last, options.share) {
  check(options_, manifest_.samples.size(), manifest_.classes.size(), targets_.size());
  slots_ = std::vector<Slot>(options_.prefetch);
  try {
    for (int i = 0; i < options_.workers; ++i) workers_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

Loader::~Loader() { stop(); }

void Loader::stop() {
  cancelled_ = true;
  const std::scoped_lock lock(mutex_);
  stopping_ = true;
  work_.notify_all();
}

void Loader::start_epoch(std::uint32_t epoch, std::size_t first_batch) {
  if (first_batch > batches()) {
    throw ConfigError(fmt::format("batch {} of an epoch of {}", first_batch, batches()));
  }
  std::unique_lock lock(mutex_);
  claiming_ = opened_;  // nothing more to claim
  cancelled_ = true;
  ready_.wait(lock, [this] { return busy_ == 0; });
  cancelled_ = false;
  epoch_ = epoch;
  sampler_.start_epoch(epoch);
  head_ = claiming_ = opened_ = first_batch;
  while (opened_ < batches() && opened_ - head_ < slots_.size()) open_slot(opened_++);
  work_.notify_all();
}

bool Loader::next(Batch& batch) {
  std::unique_lock lock(mutex_);
  if (head_ == opened_) return false;
  Slot& slot = slot_of(head_);
  const auto interrupted = [this] { return options_.interrupted && options_.interrupted(); };
  // A share without samples is finished from the start, but not before a worker has passed it.
  const auto filled = [&] { return claiming_ > head_ && slot.finished == slot.samples.size(); };
  do {
    if (interrupted()) return false;
  } while (!ready_.wait_for(lock, kPatience, filled));
  if (slot.error) std::rethrow_exception(slot.error);
  std::swap(batch, slot.batch);
  ++head_;
  if (opened_ < batches()) {
    open_slot(opened_++);
    work_.notify_all();
  }
  return true;
}

void Loader::open_slot(std::size_t number) {
  Slot& slot = slot_of(number);
  slot.samples = sampler_.batch(number);
  slot.claimed = slot.finished = 0;
  slot.error = nullptr;
  shape_batch(slot.batch, options_, manifest_.classes.size(), slot.samples, number);
  slot.batch.all = sampler_.count(number);
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || claiming_ < opened_; });
    if (stopping_) return;
    Slot& slot = slot_of(claiming_);
    const std::size_t begin = slot.claimed, end = std::min(slot.samples.size(), begin + kPiece);
    slot.claimed = end;
    if (end == slot.samples.size()) ++claiming_;
    ++busy_;
    lock.unlock();

    std::size_t row = begin;
    const std::exception_ptr error = fill_rows(slot, begin, end, row);

    lock.lock();
    --busy_;
    if (error && (!slot.error || row < slot.error_row)) {
      slot.error = error;
      slot.error_row = row;
    }
    slot.finished += end - begin;
    if (busy_ == 0 || slot.finished == slot.samples.size()) ready_.notify_all();
  }
}

/// Fills rows [begin, end); stops at an error, which it returns with its row, or when cancelled.
std::exception_ptr Loader::fill_rows(Slot& slot, std::size_t begin, std::size_t end,
                                     std::size_t& row) {
  try {
    for (row = begin; row < end && !cancelled_; ++row) {
      fill_row(slot.batch, row, slot.samples[row]);
    }
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

void Loader::fill_row(Batch& batch, std::size_t row, std::uint32_t index) {
  const Sample& sample = manifest_.samples[index];
  const std::size_t pixels = batch.images.size() / batch.n;
  const auto image = std::span(batch.images).subspan(row * pixels, pixels);
  ImageCache* cached = options_.images.get();
  if (cached == nullptr || !cached->read(index, image)) {
    load_square(manifest_.full_path(sample), options_.image_size, options_.limits, image);
    if (cached != nullptr) cached->store(index, image);
  }
  batch.augment[row] =
      draw_augment(options_.augment, options_.image_size, options_.seed, epoch_, index);
  batch.labels[row] = sample.label;
  if (sample.has_va()) {
    batch.has_va[row] = 1;
    batch.va[2 * row] = static_cast<float>(sample.valence);
    batch.va[2 * row + 1] = static_cast<float>(sample.arousal);
  }
  const std::size_t classes = manifest_.classes.size();
  if (!targets_.empty()) std::copy_n(&targets_[index * classes], classes, &batch.q[row * classes]);
}

}  // namespace affuse
