"""Settings of the whole suite: kernels compile at their first call, so examples have no deadline."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "statespace",
    deadline=None,
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("statespace")
