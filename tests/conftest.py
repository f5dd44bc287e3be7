"""Eight host devices, the embedded data, and a compile cache: set before jax starts, and inherited by real processes."""

import os
import tempfile

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_TRACEBACK_FILTERING"] = "off"  # else JAX adds lines of its own to what a module raises
os.environ["CANON_DATA"] = os.path.join(tempfile.gettempdir(), "canon-tests-have-no-prepared-data")
os.environ["TFDS_DATA_DIR"] = os.environ["CANON_DATA"]

from train.__main__ import prepare_jax

prepare_jax()
