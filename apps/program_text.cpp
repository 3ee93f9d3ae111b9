#include "apps/program_text.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

namespace affuse {
namespace {

constexpr double kMebi = 1048576.0;

// The shape of the first buffer in the list that lies in the arena: what the step is about.
std::string shape_of(const Program& program, const std::vector<BufferId>& ids) {
  for (const BufferId id : ids) {
    const Buffer& b = program.buffers[static_cast<std::size_t>(id)];
    if (b.life != Life::external) return b.desc.shape.text();
  }
  return "parameters";
}

// Work memory that only this step uses (MB in the table): workspaces of libraries, partial sums.
double scratch_bytes(const Program& program, const Step& step) {
  double total = 0;
  for (const BufferId id : step.scratch)
    total += static_cast<double>(program.buffers[static_cast<std::size_t>(id)].desc.bytes);
  return total;
}

std::string shapes(const Program& program, const Step& step) {
  if (step.reads.empty() && step.writes.empty() && !step.accumulates.empty())
    return shape_of(program, step.accumulates) + " in place";
  const std::vector<BufferId>& out = step.writes.empty() ? step.accumulates : step.writes;
  return shape_of(program, step.reads) + " -> " + shape_of(program, out) +
         (step.accumulates.empty() ? "" : " +=");
}

}  // namespace

double floor_of(const Program& program, const Step& step, const Ceilings& ceilings) {
  const double memory = program.bytes(step) / ceilings.bytes_per_second;
  return ceilings.flops > 0 ? std::max(memory, step.flops / ceilings.flops) : memory;
}

double floor_of(const Program& program, const Ceilings& ceilings) {
  double total = 0;
  for (const Step& s : program.steps)
    if (!s.once) total += floor_of(program, s, ceilings);
  return total;
}

std::string program_text(const Program& program, const std::optional<Ceilings>& ceilings) {
  std::size_t engine_width = 14;
  for (const Step& s : program.steps) engine_width = std::max(engine_width, s.engine.size());
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{:>4}  {:<38} {:<{}} {:<38} {:>9} {:>9} {:>9}{}\n", "", program.name,
                 "runs on", engine_width, "shapes", "GFLOP", "MB", "scratch",
                 ceilings ? "  floor us" : "");
  double bytes = 0;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& s = program.steps[i];
    const std::string flops = s.flops > 0 ? fmt::format("{:.3f}", s.flops / 1e9) : "";
    const double scratch = scratch_bytes(program, s);
    fmt::format_to(out, "{:>4}  {:<38} {:<{}} {:<38} {:>9} {:>9.2f} {:>9}{}\n", i,
                   s.name + (s.once ? " (once)" : ""), s.engine, engine_width, shapes(program, s),
                   flops, program.bytes(s) / 1e6,
                   scratch > 0 ? fmt::format("{:.2f}", scratch / 1e6) : "",
                   ceilings ? fmt::format("{:>10.1f}", floor_of(program, s, *ceilings) * 1e6) : "");
    bytes += program.bytes(s);
  }
  fmt::format_to(
      out, "      {} steps, {:.2f} GFLOP, {:.2f} GB read and written{}\n", program.steps.size(),
      program.flops() / 1e9, bytes / 1e9,
      ceilings ? fmt::format("; floor {:.3f} ms", floor_of(program, *ceilings) * 1e3) : "");
  return text;
}

std::string memory_text(const Program& program, const ArenaPlan& plan, std::size_t rows) {
  std::vector<std::size_t> order(program.buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return !plan.placements[i].in_arena; });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return plan.placements[a].bytes > plan.placements[b].bytes;
  });
  std::string text;
  auto out = std::back_inserter(text);
  double all = 0;
  for (const std::size_t i : order) all += static_cast<double>(plan.placements[i].bytes);
  fmt::format_to(out, "      {:<44} {:<20} {:>5} {:>11} {:>11}  {}\n", "buffer", "shape", "type",
                 "offset MiB", "MiB", "steps");
  for (std::size_t k = 0; k < std::min(rows, order.size()); ++k) {
    const Buffer& b = program.buffers[order[k]];
    const Placement& p = plan.placements[order[k]];
    fmt::format_to(out, "      {:<44} {:<20} {:>5} {:>11.2f} {:>11.2f}  {}-{}\n", b.name,
                   b.desc.shape.text(), name_of(b.desc.dtype),
                   static_cast<double>(p.offset) / kMebi, static_cast<double>(p.bytes) / kMebi,
                   p.first, p.last);
  }
  if (order.size() > rows) fmt::format_to(out, "      ... and {} more\n", order.size() - rows);
  const std::string at = program.steps.empty()
                             ? std::string()
                             : program.steps[static_cast<std::size_t>(plan.peak_step)].name;
  fmt::format_to(out,
                 "      arena {:.1f} MiB for {} buffers of {:.1f} MiB; peak {:.1f} MiB alive at "
                 "step {} ({})\n",
                 static_cast<double>(plan.bytes) / kMebi, order.size(), all / kMebi,
                 static_cast<double>(plan.peak) / kMebi, plan.peak_step, at);
  return text;
}

}  // namespace affuse
