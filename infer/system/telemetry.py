"""Nothing that this project calls reports to its makers what was called.

In: nothing. Out: the environment of this process, and of those that it starts, says so.

    send_nothing()  # before the library is imported
"""

import os

SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def send_nothing() -> None:
    """To be called before a library that counts its users is imported."""
    os.environ.update(SETTINGS)
