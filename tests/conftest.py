"""Eight host devices, the embedded data, and a compile cache: set before jax starts, and inherited
by real processes."""

import os
import tempfile

import pytest

# without LLVM's optimisation: most tests compile for seconds and run for milliseconds; real
# processes have flags of their own
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
os.environ["JAX_PLATFORMS"] = "cpu"
# else JAX adds lines of its own to what a module raises
os.environ["JAX_TRACEBACK_FILTERING"] = "off"
os.environ["CANON_DATA"] = os.path.join(tempfile.gettempdir(), "canon-tests-have-no-prepared-data")
os.environ["TFDS_DATA_DIR"] = os.environ["CANON_DATA"]

from train.__main__ import prepare_jax

prepare_jax()

import jax  # noqa: E402

# of memory: each compiled program keeps some, and at the kernel's limit, 65,530, the next one
# crashes
MAPPINGS = 20_000


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    maps = "/proc/self/maps"
    if os.path.exists(maps):
        with open(maps) as file:
            if sum(1 for _ in file) > MAPPINGS:
                jax.clear_caches()


def pytest_addoption(parser):
    parser.addoption(
        "--full",
        action="store_true",
        help="also the tests marked full: every network of every library, and real services",
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        for item in items:
            if "full" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="only with --full"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """An uninterrupted run."""
    from helpers import VOWELS, train

    workdir = tmp_path_factory.mktemp("runs") / "vowels"
    done = train(*VOWELS, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, done


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """Both sets, small, as TFDS prepares them; gives the arrays."""
    from folders import CIFAR, prepare_tfds

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANON_DATA", str(tmp_path_factory.mktemp("canon")))
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        for name, arrays in CIFAR.items():
            prepare_tfds(arrays, name, "3.0.2")
        yield CIFAR


@pytest.fixture
def tiny(tmp_path):
    """The file of a small table, in a folder of its own."""
    from tiny_table import TINY

    file = tmp_path / "tiny" / "table.py"
    file.parent.mkdir()
    file.write_text(TINY)
    return file
