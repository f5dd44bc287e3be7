"""Layout: which devices train, and whether they divide the batch or the seeds."""

import dataclasses
import os

import jax

from train import hosts
from train.errors import BadInput, reason

AXIS = "devices"
SEEDS = {  # parallel.seeds -> (what the devices divide, how the seeds of one device run)
    "map": ("batch", "map"),  # one after the other, each over all devices
    "vmap": ("batch", "vmap"),  # as one batched program over all devices
    "devices": ("seeds", "map"),  # each device has its own seeds, one after the other
    "devices+vmap": ("seeds", "vmap"),  # each device has its own seeds, as one batched program
}
# parameters per example of the batch above which one CPU device was faster than two:
# scripts.bench cnn
HEAVY = 1_000_000


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices, and what each of them holds."""

    # of all processes, equally many of each, in the order of the processes
    devices: tuple[jax.Device, ...]
    seeds: str  # one of SEEDS

    @property
    def own(self) -> slice:
        """Which of the devices belong to this process."""
        each = len(self.devices) // jax.process_count()
        return slice(each * jax.process_index(), each * (jax.process_index() + 1))

    @property
    def axis(self) -> str | None:
        """The name of the axis that the batch is divided over, if it is.

        None for one device: a sum over one device costs a copy of its terms.
        """
        return AXIS if SEEDS[self.seeds][0] == "batch" and len(self.devices) > 1 else None


def available_devices() -> list[jax.Device]:
    """The devices of all processes; the first call starts JAX.

    Raises BadInput where JAX finds none.
    """
    try:
        return jax.devices()
    # an assertion where JAX knows the platform but its package is missing
    except (RuntimeError, AssertionError) as error:
        hosts.blame(error)
        # without JAX's advice in brackets
        why = reason(error).partition(" (")[0] if str(error) else "no package for it is installed"
        platforms = os.environ.get("JAX_PLATFORMS", "")
        names = (
            ("JAX_PLATFORMS", "XLA_FLAGS") if "cpu" in (platforms or "cpu") else ("JAX_PLATFORMS",)
        )
        given = " and ".join(
            f"{name}={os.environ[name]!r}" for name in names if os.environ.get(name)
        )
        raise BadInput(
            f"JAX finds no device with {given or 'JAX_PLATFORMS unset'}: {why}; unset it, or set "
            "another"
        ) from None


def choose_devices(devices: int | None, seeds: str, *, batch_size: int, n_seeds: int) -> Layout:
    """The given number of devices, or the most that divide the work evenly.

    Each process gives equally many. Raises BadInput where the devices cannot divide the work.
    """
    available, processes = available_devices(), jax.process_count()
    of_process = [[d for d in available if d.process_index == p] for p in range(processes)]
    if len({len(own) for own in of_process}) > 1:
        counts = ", ".join(f"process {p} has {len(own)}" for p, own in enumerate(of_process))
        raise BadInput(
            f"parallel.devices: processes must have equal numbers of devices, but {counts}"
        )
    work, name = (
        (batch_size, "data.batch_size")
        if SEEDS[seeds][0] == "batch"
        else (n_seeds, "the number of seeds")
    )
    fitting = [d for d in range(processes, len(available) + 1, processes) if work % d == 0]
    count = devices or max(fitting, default=len(available))
    if count > len(available):
        raise BadInput(
            f"parallel.devices: {count}, but there are {len(available)} "
            f"({available[0].device_kind})"
        )
    if count not in fitting:
        of_all = f" of {processes} processes" if processes > 1 else ""
        raise BadInput(
            f"parallel.devices: {name} {work} does not divide over {count} devices{of_all}; "
            f"{fitting or 'none'} do"
        )
    return Layout(tuple(d for own in of_process for d in own[: count // processes]), seeds)


def is_heavy(layout: Layout, parameters: int, batch_size: int) -> bool:
    """Whether dividing the batch over a CPU's devices costs more than it gains.

    Each device holds and updates all parameters.
    """
    if not layout.axis or layout.devices[0].platform != "cpu" or jax.process_count() > 1:
        return False
    return parameters > HEAVY * batch_size
