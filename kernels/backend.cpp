#include "kernels/backend.h"

namespace affuse {

std::string name_of(Mode mode) {
  switch (mode) {
    case Mode::train:
      return "train";
    case Mode::eval:
      return "eval";
    case Mode::statistics:
      return "statistics";
    case Mode::average:
      return "average";
    case Mode::heads:
      return "heads";
  }
  return "?";
}

std::string name_of(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return "fp32";
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp16:
      return "fp16";
  }
  return "?";
}

}  // namespace affuse
