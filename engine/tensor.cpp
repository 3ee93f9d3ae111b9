#include "engine/tensor.h"

#include "engine/error.h"

namespace affuse {

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  if (dims.size() > dims_.size()) throw Error("a shape has at most four dimensions");
  for (const std::int64_t d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}

std::int64_t Shape::count() const {
  std::int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= (*this)[i];
  return product;
}

std::string Shape::text() const {
  std::string out;
  for (int i = 0; i < rank_; ++i) out += (i > 0 ? "x" : "") + std::to_string((*this)[i]);
  return out;
}

Shape Shape::batched(std::int64_t n) const {
  if (rank_ == 4) throw Error("a shape of rank 4 has no room for a batch dimension");
  Shape out;
  out.rank_ = rank_ + 1;
  out.dims_[0] = n;
  for (int i = 0; i < rank_; ++i) out.dims_[static_cast<std::size_t>(i) + 1] = (*this)[i];
  return out;
}

std::string name_of(Layout layout) {
  switch (layout) {
    case Layout::plain:
      return "plain";
    case Layout::nhwc:
      return "nhwc";
    case Layout::blocked8:
      return "nChw8c";
    case Layout::blocked16:
      return "nChw16c";
    case Layout::opaque:
      return "opaque";
  }
  return "?";
}

TensorDesc TensorDesc::dense(Shape shape, DType dtype, Layout layout) {
  const auto bytes = static_cast<std::size_t>(shape.count()) * size_of(dtype);
  return TensorDesc{shape, dtype, layout, bytes};
}

}  // namespace affuse
