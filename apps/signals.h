// Signals that ask a run to stop: they set a flag, nothing else.
#pragma once

namespace affuse {

/// Catches SIGINT, SIGTERM and SIGUSR1 once; a second one of them leaves at once.
void catch_signals();

/// The signal that arrived, or 0.
int caught_signal();

}  // namespace affuse
