#include "apps/device_file.h"

#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = 1 << 20;

json read_object(const std::string& file) {
  json object;
  try {
    object = json::parse(read_text(file, kMaxFileBytes));
  } catch (const json::exception& e) {
    throw ConfigError(fmt::format("{}: no JSON: {}", file, e.what()));
  }
  if (!object.is_object())
    throw ConfigError(file + ": not an object of cuDNN's device properties (deviceVer, ...)");
  return object;
}

// Takes a positive number out of the object; 0 where it is not there.
double take_rate(json& object, const char* key, const std::string& file) {
  const auto it = object.find(key);
  if (it == object.end()) return 0;
  if (!it->is_number() || it->get<double>() <= 0)
    throw ConfigError(fmt::format("{}: {}: not a number above 0", file, key));
  const double rate = it->get<double>();
  object.erase(it);
  return rate;
}

std::int64_t whole(const json& object, const char* key, const std::string& file) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer() || it->get<std::int64_t>() <= 0)
    throw ConfigError(fmt::format("{}: {}: needs a whole number above 0", file, key));
  return it->get<std::int64_t>();
}

DescribedDevice from_file(const std::string& file) {
  json object = read_object(file);
  DescribedDevice d{};
  d.bytes_per_second = take_rate(object, "bytesPerSecond", file);
  d.fp16_flops = take_rate(object, "fp16Flops", file);
  d.bf16_flops = take_rate(object, "bf16Flops", file);
  d.tf32_flops = take_rate(object, "tf32Flops", file);
  d.fp32_flops = take_rate(object, "fp32Flops", file);
  d.architecture = static_cast<int>(whole(object, "deviceVer", file) / 10);
  d.memory = static_cast<std::size_t>(whole(object, "totalGlobalMem", file));
  d.name = fmt::format("sm{}", d.architecture);
  const auto title = object.find("deviceName");
  d.title = title != object.end() && title->is_string() ? title->get<std::string>() : file;
  d.json = object.dump();
  return d;
}

}  // namespace

DescribedDevice described_device(const std::string& name_or_file) {
  if (const DescribedDevice* known = find_described_device(name_or_file)) return *known;
  if (!std::filesystem::is_regular_file(name_or_file))
    throw ConfigError(fmt::format(
        "argument --plan-for: {} is neither sm75, sm80 or sm90 nor a JSON file of device "
        "properties",
        name_or_file));
  return from_file(name_or_file);
}

}  // namespace affuse
