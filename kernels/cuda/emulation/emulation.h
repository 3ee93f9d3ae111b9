// CUDA on the CPU, for tests: a .cu file compiled by g++ includes this through kernels/cuda/gpu.h.
#pragma once
#include "kernels/cuda/emulation/atomics.h"
#include "kernels/cuda/emulation/collectives.h"
#include "kernels/cuda/emulation/intrinsics.h"
#include "kernels/cuda/emulation/language.h"
#include "kernels/cuda/emulation/launch.h"
#include "kernels/cuda/emulation/vector_types.h"
