// The texts of errors: kernel, block, and who waits where.
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/cuda/emulation/language.h"
#include "kernels/cuda/emulation/machine.h"

namespace affuse::emulation {
namespace {

/// "... [with auto Kernel = ns::kernel<4>; A = {...}]" -> "ns::kernel<4>".
std::string kernel_text() {
  std::string_view name = machine.name;
  constexpr std::string_view before = "Kernel = ";
  if (const auto i = name.find(before); i != std::string_view::npos) {
    name.remove_prefix(i + before.size());
    name = name.substr(0, name.find("; A = "));
  }
  return std::string(name);
}

std::string hexadecimal(unsigned x) {
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[x >> shift & 15u];
  return out;
}

std::string thread_text(const CudaThread& t) {
  switch (t.state) {
    case ThreadState::ready:
      return "run";
    case ThreadState::at_barrier:
      return "wait at the barrier in " + site_text(t.site);
    case ThreadState::in_warp:
      return "wait in a collective of mask 0x" + hexadecimal(t.request.mask) + " in " +
             site_text(t.site);
    case ThreadState::done:
      return "have returned";
  }
  return "?";
}

}  // namespace

std::string block_text() {
  return kernel_text() + ", block (" + std::to_string(blockIdx.x) + "," +
         std::to_string(blockIdx.y) + "," + std::to_string(blockIdx.z) + "): ";
}

std::string site_text(const Site& site) {
  const std::string_view file = site.file_name();
  return std::string(file.substr(file.rfind('/') + 1)) + ":" + std::to_string(site.line()) + " (" +
         site.function_name() + ")";
}

std::string threads_text() {
  std::map<std::string, std::pair<unsigned, unsigned>> groups;  // -> first thread, number
  for (unsigned i = 0; i < machine.threads; ++i)
    ++groups.try_emplace(thread_text(machine.thread(i)), i, 0u).first->second.second;
  std::string out;
  for (const auto& [text, group] : groups)
    out += (out.empty() ? "" : "; ") + std::to_string(group.second) + " thread(s) from thread " +
           std::to_string(group.first) + " on " + text;
  return out;
}

bool same_site(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

}  // namespace affuse::emulation
