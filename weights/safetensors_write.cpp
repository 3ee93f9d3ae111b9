// The writer of safetensors files.
#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/text.h"
#include "weights/safetensors.h"
#include "weights/utf8.h"

namespace affuse {
namespace {

[[noreturn]] void refuse_size() {
  throw WeightsError(fmt::format("safetensors: the header to be written is above {} bytes",
                                 max_safetensors_header));
}

/// Text as a JSON string.
std::string json_string(const std::string& text) {
  if (text.size() > max_safetensors_header) refuse_size();
  if (invalid_utf8(text))
    throw WeightsError("safetensors: a name or a metadata string to be written is not UTF-8");
  return nlohmann::json(text).dump();
}

std::size_t checked_bytes(const SafetensorsEntry& tensor) {
  if (const auto bytes = safetensors_bytes(tensor.dtype, tensor.shape)) return *bytes;
  throw WeightsError(fmt::format("safetensors: tensor {}: cannot be written as {} {}",
                                 in_quotes(tensor.name), in_quotes(tensor.dtype),
                                 shape_text(tensor.shape)));
}

std::string header_json(std::span<const SafetensorsEntry> tensors, const Metadata& metadata) {
  std::string json = "{";
  const auto separate = [&json] {
    if (json.back() != '{') json += ',';
  };
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      separate();
      json += json_string(key) + ":" + json_string(value);
    }
    json += '}';
  }
  std::set<std::string_view> names;
  std::size_t begin = 0;
  for (const SafetensorsEntry& tensor : tensors) {
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second)
      throw WeightsError(fmt::format("safetensors: tensor {}: the name is reserved or used twice",
                                     in_quotes(tensor.name)));
    std::size_t end;
    if (__builtin_add_overflow(begin, checked_bytes(tensor), &end))
      throw WeightsError("safetensors: the tensors to be written overflow 64 bits");
    separate();
    json +=
        fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})",
                    json_string(tensor.name), tensor.dtype, shape_text(tensor.shape), begin, end);
    begin = end;
  }
  return json + "}";
}

}  // namespace

void sort_for_safetensors(std::vector<SafetensorsEntry>& tensors) {
  const auto rank = [](const SafetensorsEntry& t) {
    return std::tuple(8 - safetensors_dtype_size(t.dtype).value_or(0), std::string_view(t.name));
  };
  std::sort(tensors.begin(), tensors.end(),
            [rank](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

std::string safetensors_header(std::span<const SafetensorsEntry> tensors, const Metadata& metadata,
                               SafetensorsAlignment alignment) {
  std::string json = header_json(tensors, metadata);
  const auto step = static_cast<std::size_t>(alignment);
  const std::size_t start = (8 + json.size() + step - 1) / step * step;
  json.resize(start - 8, ' ');
  if (json.size() > max_safetensors_header) refuse_size();
  std::string header(8, '\0');
  const std::uint64_t length = json.size();
  std::memcpy(header.data(), &length, 8);
  return header + json;
}

void write_safetensors(const std::string& path, std::vector<SafetensorsEntry> tensors,
                       const Metadata& metadata, SafetensorsAlignment alignment,
                       const std::string& keep) {
  for (const SafetensorsEntry& tensor : tensors)
    if (checked_bytes(tensor) != tensor.bytes.size())
      throw WeightsError(fmt::format("{}: tensor {}: {} {} needs {} bytes, got {}", path,
                                     in_quotes(tensor.name), tensor.dtype, shape_text(tensor.shape),
                                     checked_bytes(tensor), tensor.bytes.size()));
  sort_for_safetensors(tensors);
  const std::string header = safetensors_header(tensors, metadata, alignment);
  write_file_atomic(
      path,
      [&](const ByteSink& sink) {
        sink({reinterpret_cast<const std::uint8_t*>(header.data()), header.size()});
        for (const SafetensorsEntry& tensor : tensors) sink(tensor.bytes);
      },
      keep);
}

}  // namespace affuse
