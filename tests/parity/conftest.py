"""Parity is of the code that users run: compiled with XLA's own settings, unlike the other
tests."""

import importlib.util
import os

if importlib.util.find_spec("torch"):  # else nothing here runs
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
