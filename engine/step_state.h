// Everything that changes from step to step. On CUDA it lies in device memory, so that one captured
// graph serves every step.
#pragma once
#include <cstdint>

namespace affuse {

/// Written by the trainer before a step; the loss fields and found_inf are written by the step.
struct StepState {
  std::int64_t step = 0;       ///< optimiser steps done, this one included (from 1, as in Adam)
  std::int32_t epoch = 0;      ///< from 0
  std::int32_t valid = 0;      ///< real samples in the batch; the rest is padding
  float lr = 0;                ///< learning rate of this step
  float loss_scale = 1;        ///< dynamic loss scale (fp16); 1 otherwise
  float share = 1;             ///< of this rank in the global batch; scales its gradients
  float bn_momentum = 0.1f;    ///< weight of this batch in the running statistics
  float mix = 1;               ///< mixup: a sample's own share of its blend, in [0, 1]; 1: no blend
  std::int32_t averaged = 0;   ///< models already in the SWA average
  std::int32_t found_inf = 0;  ///< 1: a loss or gradient was not finite, the update was skipped
  double loss = 0;             ///< Eq. 9
  double loss_ce = 0;          ///< Eq. 6, without its coefficient
  double loss_cs = 0;          ///< Eq. 7, without its coefficient
  double loss_l2 = 0;          ///< Eq. 8, without its coefficient
};

}  // namespace affuse
