"""Checkpoints: Orbax, asynchronous, numpy in and numpy out.

A digest of the arrays is verified on restore.
"""

import contextlib
import dataclasses
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping

import absl.logging
import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from train import buckets, documents
from train.digests import opened, sealed
from train.errors import BadInput, NotRead, NotWritten, reason
from train.metrics import Sums
from train.state import TrainState


def flatten(state: TrainState, sums: Sums) -> dict[str, np.ndarray]:
    """{'params/C1/kernel': leaf, ..., 'sums/loss': leaf, ...}, in the order of the leaves."""
    leaves = [
        leaf
        for tree in (state, {"sums": sums})
        for leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    ]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 over the names, dtypes, shapes and bytes."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        h.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        h.update(np.ascontiguousarray(arrays[name]).tobytes())
    return h.hexdigest()


class _Late:
    """A sys.unraisablehook that silences late answers of TensorStore.

    Where one array of a checkpoint cannot be read, the answers for the others come when nothing
    waits for them any more, and each would print a traceback.
    """

    def __init__(self, before):
        self._before = before._before if isinstance(before, _Late) else before

    def __call__(self, unraisable) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            self._before(unraisable)


@dataclasses.dataclass
class OneStep(checkpoint_managers.PreservationPolicy):
    """Keeps the checkpoint of one step, if there is one."""

    step: int | None = None

    def should_preserve(self, checkpoints, *, context):
        return [info.step == self.step for info in checkpoints]


@dataclasses.dataclass
class Best(checkpoint_managers.PreservationPolicy):
    """Keeps the checkpoint with the lowest score, of {step: score}."""

    scores: dict[int, float]

    def should_preserve(self, checkpoints, *, context):
        lowest = best([info.step for info in checkpoints], self.scores)
        return [info.step == lowest for info in checkpoints]


def best(steps: Iterable[int], scores: Mapping[int, float]) -> int | None:
    """The step with the lowest score, of {step: score}; scores that are not finite do not count."""
    finite = (step for step in steps if np.isfinite(scores.get(step, np.nan)))
    return min(finite, key=scores.get, default=None)


class Checkpoints:
    """The checkpoints of one workdir. Use it in a `with`: leaving waits for the last save.

    The checkpoint that a session began with stays until the session's first save has been read
    back. The folder may be a link, for example to a larger disk; a link inside it is never followed
    when something is deleted.

    scores: {step: lower is better}, filled by the caller; Orbax would forget those of an earlier
    session.
    """

    def __init__(self, folder: epath.Path, keep: int):
        """keep: how many of the latest checkpoints stay, besides the one with the lowest score."""
        self.scores, self._keep = {}, keep
        self._sound, self._read_back = OneStep(), False
        policy = checkpoint_managers.AnyPreservationPolicy(
            [checkpoint_managers.LatestN(keep), Best(self.scores), self._sound]
        )
        if str(folder).startswith("gs://"):
            buckets.prepare_orbax()
        # Orbax prints each traceback several times before it raises
        absl.logging.set_verbosity(absl.logging.FATAL)
        sys.unraisablehook = _Late(sys.unraisablehook)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # which prints them once more
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            create=True,
            num_deletion_threads=1,  # shutil refuses links; Orbax's own threads follow them
        )
        self._manager = ocp.CheckpointManager(folder, options=options)
        self._folder = folder
        self._sound.step = max(self.steps(), default=None)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and issubclass(kind, NotWritten):
            # the failure has been reported, and a bucket is not waited for again
            if "://" not in str(self._folder):
                with contextlib.suppress(Exception):
                    self._manager.close()
            return
        with self._writing():
            self._manager.wait_until_finished()
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self):
        """Turns an error of a save into NotWritten.

        Orbax raises any error of a save in the background from its next call; older checkpoints
        are deleted after a good one.
        """
        try:
            yield
        except Exception as error:
            raise NotWritten(
                f"cannot write a checkpoint in {self._folder} ({reason(error)}); {self._stay()}"
            ) from error

    def _stay(self) -> str:
        if "://" in str(self._folder):  # a bucket that does not answer is not asked again
            return "those before are as they were"
        whole = sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())
        return f"the one of step {whole[-1]:,} is as it was" if whole else "there is none yet"

    def wait(self) -> None:
        """Waits until the last save is on the disk."""
        with self._writing():
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def save(self, step: int, carry: tuple[TrainState, Sums], meta: dict) -> None:
        """Starts to write the state and the sums not yet logged, numpy leaves.

        meta: plain JSON. Raises NotWritten, also where the session's first save does not read back.
        """
        arrays = flatten(*carry)
        meta = meta | {"step": step, "digest": digest(arrays)}
        with self._writing():
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    meta=ocp.args.JsonSave(sealed(meta)),
                ),
            )
        if not saved:  # Orbax says no more than this, for example where a step is not the newest
            raise RuntimeError(f"Orbax did not save step {step} in {self._folder}")
        if not self._read_back:
            self.wait()
            try:
                if self._read(step)[1]["digest"] != meta["digest"]:
                    raise ValueError("it is another one")
            except Exception as error:  # any error, as in `arrays`
                raise NotWritten(
                    f"checkpoint {step} in {self._folder} was written, but does not read back "
                    f"({reason(error)}); those before it are as they were"
                ) from error
            self._read_back, self._sound.step = True, None
            steps = self.steps()
            with self._writing():  # deletes what stayed only for this save
                for before in {*steps[: -self._keep]} - {best(steps, self.scores)}:
                    self._manager.delete(before)

    def discard_after(self, step: int) -> None:
        """Deletes the checkpoints after `step`.

        They are broken and would keep new ones from being saved. Raises BadInput where one is a
        link.
        """
        # a bucket has no links, and its folder exists only once something is in it
        paths = () if "://" in str(self._folder) else self._folder.iterdir()
        links = sorted(path for path in paths if os.path.islink(path))
        if links:
            raise BadInput(
                f"--workdir: {links[0]} is a link, and old checkpoints are deleted; move it away, "
                f"or put in its place what it points to ({self._folder} may itself be a link)"
            )
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def restore(
        self, template: tuple[TrainState, Sums], warn, step: int | None = None
    ) -> tuple[tuple[TrainState, Sums], dict] | None:
        """((state, sums), meta with "step") of the newest sound checkpoint, or of `step`, or None.

        A checkpoint whose digest is wrong is skipped and reported through `warn(text)`. Raises
        ValueError when all are broken, when that of `step` is broken, or when a sound one does not
        have the template's names, shapes and dtypes; NotRead where one cannot be read for now.
        """
        found = self.arrays(warn, step)
        return found and (_fill(template, found[0]), found[1])

    def chosen(
        self, which: str, scores: Callable[[], tuple[str, dict[int, float]]], say
    ) -> int | None:
        """The step that --checkpoint=WHICH names: "latest" (None), "best", or a number.

        scores(): the name of a metric, and {step: lower is better}. say(text) reports which one is
        the best. Raises BadInput if there is no such checkpoint.
        """
        if which == "latest":
            return None
        steps = self.steps()
        if which == "best":
            metric, values = scores()
            step = best(steps, values)
            if step is None:
                raise BadInput(f"--checkpoint: none in {self._folder} has a finite {metric}")
            among = ", ".join(f"{s:,}" for s in steps)
            say(f"step {step:,} is the best checkpoint of {among}: {metric} {values[step]:.4g}")
            return step
        if not which.isdecimal() or int(which) not in steps:
            have = ", ".join(map(str, steps)) or "no checkpoint is there"
            raise BadInput(
                f"--checkpoint: no checkpoint {which!r} in {self._folder}; choose from latest, "
                f"best, {have}"
            )
        return int(which)

    def arrays(self, warn, step: int | None = None) -> tuple[dict[str, np.ndarray], dict] | None:
        """As `restore`, without a template: {'params/C1/kernel': [S, ...], ...}, and the meta."""
        wanted = step
        for step in reversed(self.steps() if wanted is None else [wanted]):
            try:
                arrays, meta = self._read(step)
            except Exception as error:  # Orbax raises many kinds, bare Exception among them
                text = " ".join(str(error).split())[:200]
                if (
                    isinstance(error, MemoryError | PermissionError)
                    or "Permission denied" in str(error)
                    or buckets.raised(error)
                ):
                    raise NotRead(
                        f"cannot read checkpoint {step} in {self._folder} now "
                        f"({text or type(error).__name__}); "
                        "it may be sound: try again, or delete its folder to go on from the one "
                        "before"
                    ) from error
                broken = f"checkpoint {step} in {self._folder} is broken ({text})"
                if wanted is not None:
                    raise ValueError(f"{broken}; choose another --checkpoint") from error
                warn(f"{broken}; falling back to the one before")
                continue
            self._sound.step = step
            return arrays, meta | {"step": step}
        if self.steps():
            raise ValueError(
                f"no checkpoint in {self._folder} is sound; move the folder away to start afresh"
            )
        return None

    def _read(self, step: int) -> tuple[dict[str, np.ndarray], dict]:
        """Raises ValueError where it is not what was saved, and any error of Orbax."""
        saved = self._manager.restore(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardRestore(), meta=ocp.args.JsonRestore()),
        )
        arrays = {name: np.asarray(leaf) for name, leaf in saved.state.items()}
        meta = opened(saved.meta)
        if digest(arrays) != meta["digest"]:
            raise ValueError("its contents do not match its digest")
        if meta.get("step", step) != step:
            raise ValueError(f"it is that of step {meta['step']}, moved")
        return arrays, meta


def newest_notes(folder: epath.Path) -> dict:
    """The meta of the newest checkpoint in a folder with a readable meta; {} if there is none.

    Arrays are not read.
    """
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    for step in sorted((int(name) for name in names if name.isdecimal()), reverse=True):
        # OSError also where the notes are not written yet
        with contextlib.suppress(OSError, ValueError):
            return opened(documents.read(folder / str(step) / "meta" / "metadata"))
    return {}


def _fill(template, arrays: dict[str, np.ndarray]):
    expected = {name: (leaf.shape, leaf.dtype) for name, leaf in flatten(*template).items()}
    found = {name: (leaf.shape, leaf.dtype) for name, leaf in arrays.items()}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        raise ValueError(
            f"the checkpoint does not fit this code: {wrong[0]} is {found.get(wrong[0])}, "
            f"expected {expected.get(wrong[0])}"
        )
    return jax.tree.unflatten(jax.tree.structure(template), [arrays[name] for name in expected])
