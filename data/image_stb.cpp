// stb_image and stb_image_write, fenced in: memory on a budget, assertions as exceptions, and only
// for PNG and BMP files whose structure was checked before.
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "data/image_codecs.h"

namespace affuse {
namespace {

/// The memory that stb_image holds during one call on this thread. Blocks are zeroed, since stb
/// copies bytes it never wrote when a deflate stream uses the reserved distances. What is left at
/// the end (an error, an exception) is freed with the arena.
class StbArena {
 public:
  explicit StbArena(std::size_t budget) : budget_(budget) { current = this; }
  StbArena(const StbArena&) = delete;
  StbArena& operator=(const StbArena&) = delete;
  ~StbArena() { current = nullptr; }

  void* allocate(std::size_t size) {
    size = std::max<std::size_t>(size, 1);
    if (size > budget_ - used_) {
      exceeded_ = true;
      return nullptr;
    }
    Block block{{std::calloc(size, 1), &std::free}, size};
    if (!block.memory) return nullptr;
    used_ += size;
    blocks_.push_back(std::move(block));
    return blocks_.back().memory.get();
  }

  void* reallocate(void* old, std::size_t old_size, std::size_t size) {
    void* fresh = allocate(size);
    if (fresh != nullptr && old != nullptr) {
      std::memcpy(fresh, old, std::min(old_size, size));
      release(old);
    }
    return fresh;
  }

  void release(void* memory) {
    const auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                    [&](const Block& b) { return b.memory.get() == memory; });
    if (memory == nullptr || found == blocks_.end()) return;
    used_ -= found->size;
    blocks_.erase(found);
  }

  bool exceeded() const { return exceeded_; }

  static thread_local StbArena* current;

 private:
  struct Block {
    std::unique_ptr<void, decltype(&std::free)> memory;
    std::size_t size;
  };
  std::vector<Block> blocks_;
  std::size_t budget_, used_ = 0;
  bool exceeded_ = false;
};

thread_local StbArena* StbArena::current = nullptr;

[[noreturn]] void stb_assertion(const char* condition) {
  throw DataError(fmt::format("stb_image stopped at an internal check: {}", condition));
}

}  // namespace
}  // namespace affuse

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_ASSERT(x) ((x) ? static_cast<void>(0) : affuse::stb_assertion(#x))
#define STBI_MALLOC(size) affuse::StbArena::current->allocate(size)
#define STBI_REALLOC_SIZED(p, old_size, size) \
  affuse::StbArena::current->reallocate(p, old_size, size)
#define STBI_FREE(p) affuse::StbArena::current->release(p)
// Inlined, stb's reader of callbacks (unused here) looks as if it read unset members.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <stb_image.h>
#pragma GCC diagnostic pop
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
// One byte more, so that an empty allocation is no null pointer.
#define STBIW_MALLOC(size) std::malloc((size) + 1)
#define STBIW_REALLOC(p, size) std::realloc(p, (size) + 1)
#define STBIW_FREE(p) std::free(p)
#include <stb_image_write.h>

namespace affuse {
namespace {

void append(void* context, void* data, int size) {
  auto& out = *static_cast<std::vector<std::uint8_t>*>(context);
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

const char* failure_reason(const StbArena& arena) {
  if (arena.exceeded()) return "its data is longer than its header says";
  const char* reason = stbi_failure_reason();
  return reason != nullptr ? reason : "its data is damaged";
}

}  // namespace

Image decode_with_stb(Bytes bytes, const std::string& name, std::size_t budget) {
  if (bytes.size() > INT_MAX) refuse_image(name, "the file is larger than 2 GiB");
  StbArena arena(budget);
  stbi__g_failure_reason = nullptr;  // stb keeps the last image's, and has failures without one
  int width = 0, height = 0, channels = 0;
  const stbi_uc* pixels = stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()),
                                                &width, &height, &channels, STBI_rgb);
  if (pixels == nullptr) refuse_image(name, std::string("bad image: ") + failure_reason(arena));
  const std::size_t size = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
  return {width, height, {pixels, pixels + size}};
}

std::vector<std::uint8_t> encode_png(const Image& image) {
  check_image(image);
  if (image.rgb.size() > INT_MAX / 2)
    throw Error(fmt::format("{} x {} pixels are too many for a PNG", image.width, image.height));
  std::vector<std::uint8_t> out;
  if (stbi_write_png_to_func(append, &out, image.width, image.height, 3, image.rgb.data(),
                             image.width * 3) == 0)
    throw Error("cannot encode a PNG: out of memory");
  return out;
}

}  // namespace affuse
