#include "engine/program.h"

#include <utility>

#include "engine/error.h"

namespace affuse {

BufferId Program::add(std::string buffer_name, TensorDesc desc, Life life) {
  buffers.push_back({std::move(buffer_name), desc, life});
  return static_cast<BufferId>(buffers.size()) - 1;
}

BufferId Program::find(const std::string& buffer_name) const {
  for (std::size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].name == buffer_name) return static_cast<BufferId>(i);
  throw Error("program " + name + " has no buffer " + buffer_name);
}

double Program::bytes(const Step& step) const {
  const auto sum = [this](const std::vector<BufferId>& ids) {
    double total = 0;
    for (const BufferId id : ids) {
      const Buffer& b = buffers[static_cast<std::size_t>(id)];
      if (b.life != Life::external) total += static_cast<double>(b.desc.bytes);
    }
    return total;
  };
  return sum(step.reads) + sum(step.writes) + 2 * sum(step.accumulates) + step.parameter_bytes;
}

double Program::flops() const {
  double total = 0;
  for (const Step& s : steps) total += s.flops;
  return total;
}

}  // namespace affuse
