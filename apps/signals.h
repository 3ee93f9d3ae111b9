// Signals that ask a run to stop: they set a flag, nothing else.
#pragma once

namespace affuse {

/// Catches SIGINT, SIGTERM, SIGUSR1 and SIGHUP once; a second one of them leaves at once. Those
/// that are ignored already (nohup) stay ignored.
void catch_signals();

/// The signal that arrived, or 0.
int caught_signal();

}  // namespace affuse
