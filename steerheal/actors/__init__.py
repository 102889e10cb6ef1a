"""Ray: the actors that do the work, and the processes that ask for it.

What Ray reads from the environment when it is imported is set here, before any module of this package imports
it.
"""

import os

# A cluster of one machine listens on loopback alone, on Linux too. (That it asks for a token is Ray's
# default.)
if not os.environ.get("RAY_ADDRESS"):
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Tune: no logger callbacks, no Ctrl-C handler of its own, no snapshots, no long goodbyes; a process on a slow machine has
# time to end one trial before it takes the next.
os.environ |= {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "2",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",
}
