// State dicts to and from safetensors, and their check against a model.
#include "weights/state_dict.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/text.h"

namespace affuse {
namespace {

bool is_counter(const std::string& name) {
  constexpr std::string_view suffix = "num_batches_tracked";
  return name.ends_with(suffix) &&
         (name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.');
}

/// Appends "2 missing (a, b)" to a list of such clauses.
void append_clause(std::string& text, const std::vector<std::string>& items,
                   std::string_view kind) {
  constexpr std::size_t shown = 3;
  if (items.empty()) return;
  text += fmt::format("{}{} {} (", text.empty() ? "" : "; ", items.size(), kind);
  for (std::size_t i = 0; i < std::min(shown, items.size()); ++i)
    text += (i == 0 ? "" : ", ") + items[i];
  text += items.size() > shown ? ", ...)" : ")";
}

}  // namespace

StateDict to_state_dict(const SafetensorsFile& file) {
  StateDict tensors;
  for (const SafetensorsEntry& entry : file.entries()) {
    Tensor tensor{entry.shape, {}, {}, !entry.dtype.starts_with('F') && entry.dtype != "BF16"};
    if (tensor.is_integer)
      tensor.integers = file.integers(entry.name);
    else
      tensor.values = file.floats(entry.name);
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

std::vector<SafetensorsEntry> to_entries(const StateDict& tensors) {
  std::vector<SafetensorsEntry> entries;
  entries.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors)
    entries.push_back({name, tensor.is_integer ? "I64" : "F32", tensor.shape,
                       tensor.is_integer ? bytes_of(tensor.integers) : bytes_of(tensor.values)});
  return entries;
}

Weights read_weights(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  return {to_state_dict(file), file.metadata()};
}

void write_weights(const std::string& path, const Weights& weights, const std::string& keep) {
  write_safetensors(path, to_entries(weights.tensors), weights.metadata, SafetensorsAlignment::word,
                    keep);
}

std::string Mismatch::text() const {
  std::string text;
  append_clause(text, missing, "missing");
  append_clause(text, unexpected, "unexpected");
  append_clause(text, wrong_shape, "of the wrong shape");
  return text;
}

Mismatch compare(const StateDict& tensors, const ExpectedShapes& expected) {
  Mismatch mismatch;
  for (const auto& [name, shape] : expected) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!is_counter(name)) mismatch.missing.push_back(in_quotes(name));
    } else if (found->second.shape != shape) {
      mismatch.wrong_shape.push_back(fmt::format("{} is {}, the model has {}", in_quotes(name),
                                                 shape_text(found->second.shape),
                                                 shape_text(shape)));
    } else if (found->second.is_integer != is_counter(name)) {
      mismatch.wrong_shape.push_back(
          fmt::format("{} holds {}", in_quotes(name), is_counter(name) ? "floats" : "integers"));
    }
  }
  for (const auto& [name, tensor] : tensors)
    if (!expected.contains(name) && !is_counter(name))
      mismatch.unexpected.push_back(in_quotes(name));
  return mismatch;
}

void check_state_dict(const StateDict& tensors, const ExpectedShapes& expected,
                      const std::string& file) {
  const Mismatch mismatch = compare(tensors, expected);
  if (!mismatch.empty())
    throw WeightsError(fmt::format("{}: does not fit the model: {}", file, mismatch.text()));
}

}  // namespace affuse
