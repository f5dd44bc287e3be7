"""Parity is of the code that users run: compiled with XLA's own settings, unlike the other tests."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
