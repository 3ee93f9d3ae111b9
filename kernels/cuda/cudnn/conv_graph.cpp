// Tensors, the convolution and the operation of a graph with one node.
#include "kernels/cuda/cudnn/conv_graph.h"

#include <array>
#include <string>

#include "engine/error.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

cudnnDataType_t data_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      throw DeviceError("there are no convolutions in " + std::string(name_of(type)));
  }
}

// Dimensions are named n, c, h, w; in memory the channels are innermost. For weights n is the
// output and c the input channel, which makes it KRSC.
Descriptor tensor(std::int64_t id, DType type, std::int64_t n, std::int64_t c, std::int64_t h,
                  std::int64_t w) {
  Descriptor out(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  out.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(type))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::array{n, c, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::array{c * h * w, std::int64_t{1}, c * w, c})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kConvAlignment)
      .finalize();
  return out;
}

Descriptor convolution(const ConvProblem& p) {
  const std::array<std::int64_t, 2> ones{1, 1}, strides{p.stride, p.stride}, pads{p.pad, p.pad};
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  Descriptor out(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  out.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, ones)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pads)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, pads)
      .finalize();
  return out;
}

// The three directions are one operation under different names.
struct Names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};

Names names_of(ConvKind kind) {
  switch (kind) {
    case ConvKind::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvKind::data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvKind::weights:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

}  // namespace

Descriptor conv_graph(const ConvProblem& p, cudnnHandle_t handle) {
  const Names names = names_of(p.kind);
  const Descriptor x = tensor(uid::x, p.type, p.n, p.in, p.h, p.w);
  const Descriptor w = tensor(uid::w, p.type, p.out, p.in, p.kernel, p.kernel);
  const Descriptor y = tensor(uid::y, p.type, p.n, p.out, p.out_h(), p.out_w());
  const Descriptor conv = convolution(p);
  Descriptor operation(names.type);
  operation.set(names.x, x)
      .set(names.w, w)
      .set(names.y, y)
      .set(names.convolution, conv)
      .set(names.alpha, 1.0f)
      .set(names.beta, 0.0f)
      .finalize();
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  if (handle != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  graph.finalize();
  return graph;
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
