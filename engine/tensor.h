// Shapes, descriptions and views of tensors. A view owns nothing.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "engine/dtype.h"

namespace affuse {

/// Up to four dimensions, outermost first: [N, C, H, W], [N, C] or [C].
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  /// Product of the dimensions; 1 for rank 0.
  std::int64_t count() const;
  /// "64x3x7x7".
  std::string text() const;
  /// The same shape with a batch dimension in front.
  Shape batched(std::int64_t n) const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, 4> dims_{};
  int rank_ = 0;
};

/// How the elements lie in memory. `opaque` is a vendor's own order that only the backend reads.
enum class Layout : std::uint8_t { plain, nhwc, blocked8, blocked16, opaque };

std::string name_of(Layout layout);

/// What a tensor is, without its address. `bytes` counts padding.
struct TensorDesc {
  Shape shape;
  DType dtype = DType::f32;
  Layout layout = Layout::plain;
  std::size_t bytes = 0;

  /// A description whose bytes are exactly its elements.
  static TensorDesc dense(Shape shape, DType dtype, Layout layout = Layout::plain);
};

/// A description and an address.
struct TensorView {
  TensorDesc desc;
  void* data = nullptr;
};

}  // namespace affuse
