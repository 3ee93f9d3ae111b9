#include "engine/arena.h"

#include <algorithm>
#include <numeric>

namespace affuse {
namespace {

std::size_t aligned(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

void find_lifetimes(const Program& program, std::vector<Placement>& placements) {
  const int last_step = std::max(0, static_cast<int>(program.steps.size()) - 1);
  std::vector<bool> seen(program.buffers.size(), false);
  for (int i = 0; i < static_cast<int>(program.steps.size()); ++i) {
    const Step& s = program.steps[static_cast<std::size_t>(i)];
    for (const auto* list : {&s.reads, &s.writes, &s.accumulates, &s.scratch})
      for (const BufferId id : *list) {
        const auto k = static_cast<std::size_t>(id);
        if (!seen[k]) placements[k].first = i;
        seen[k] = true;
        placements[k].last = i;
      }
  }
  for (std::size_t k = 0; k < placements.size(); ++k) {
    const Life life = program.buffers[k].life;
    placements[k].in_arena = life != Life::external && (seen[k] || life != Life::transient);
    if (life == Life::input || life == Life::held || !seen[k]) placements[k].first = 0;
    if (life == Life::output || life == Life::held || !seen[k]) placements[k].last = last_step;
  }
}

void find_peak(const Program& program, ArenaPlan& plan) {
  for (int i = 0; i < static_cast<int>(program.steps.size()); ++i) {
    std::size_t alive = 0;
    for (const Placement& p : plan.placements)
      if (p.in_arena && p.first <= i && i <= p.last) alive += p.bytes;
    if (alive > plan.peak) {
      plan.peak = alive;
      plan.peak_step = i;
    }
  }
}

}  // namespace

ArenaPlan place(const Program& program, std::size_t alignment) {
  ArenaPlan plan;
  plan.placements.resize(program.buffers.size());
  find_lifetimes(program, plan.placements);
  for (std::size_t k = 0; k < plan.placements.size(); ++k)
    plan.placements[k].bytes = aligned(program.buffers[k].desc.bytes, alignment);
  find_peak(program, plan);

  std::vector<std::size_t> order(program.buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return plan.placements[a].bytes > plan.placements[b].bytes;
  });
  std::vector<const Placement*> placed;  // sorted by offset
  for (const std::size_t k : order) {
    Placement& p = plan.placements[k];
    if (!p.in_arena) continue;
    std::size_t offset = 0;
    for (const Placement* q : placed) {
      if (q->last < p.first || p.last < q->first) continue;
      if (offset + p.bytes <= q->offset) break;
      offset = std::max(offset, q->offset + q->bytes);
    }
    p.offset = offset;
    plan.bytes = std::max(plan.bytes, offset + p.bytes);
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), &p,
                      [](const Placement* a, const Placement* b) { return a->offset < b->offset; }),
                  &p);
  }
  return plan;
}

}  // namespace affuse
