"""What a run reports: on the terminal, in metrics.jsonl and on TensorBoard.

Only process 0 writes.
"""

import contextlib
import errno
import math
import os
import tempfile

import jax
import numpy as np
import rich.console
import rich.progress
from etils import epath

from train import documents, records
from train.board import Board
from train.digests import Lines
from train.errors import BadInput, NotWritten, writing_in

FILE = "metrics.jsonl"
OF_THE_RUN = ("examples_per_s",)  # numbers of the run, not one per seed


def nan_to_none(value):
    """JSON has no NaN and no infinity: null stands for both."""
    if isinstance(value, dict):
        return {k: nan_to_none(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_none(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(workdir: epath.Path) -> list[dict]:
    """The records of a run: {"step", "split", metric: [one value per seed], ...}.

    A last line cut short by a kill is left out. Raises BadInput where another line is damaged.
    """
    file, records = workdir / FILE, []
    lines = file.read_bytes().split(b"\n") if file.exists() else [b""]
    for number, line in enumerate(lines[:-1], 1):
        try:
            record = documents.parse(line)
            records.append(dict(record, step=int(record["step"]), split=str(record["split"])))
            metrics = {
                key: value
                for key, value in record.items()
                if key not in ("step", "split", *OF_THE_RUN)
            }
            if not all(
                isinstance(value, list) and all(map(_is_number, value))
                for value in metrics.values()
            ):
                raise ValueError("a metric is no list of numbers")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadInput(
                f"--workdir: line {number} of {file} is damaged; delete it, or use another "
                "--workdir"
            ) from None
    return records


def _is_number(value) -> bool:
    return value is None or isinstance(value, int | float)


def follow_no_link(path: str, flags: int) -> int:
    """An `opener`: links, and pipes without a reader, raise OSError instead of waiting."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def write_whole(path: epath.Path, contents: str | bytes, part: str = ".part") -> None:
    """Writes all of a file or nothing of it.

    It replaces a link, and leaves the link's target as it was. part: the ending of the name of the
    file that is written first. Raises OSError.
    """
    contents = contents.encode() if isinstance(contents, str) else contents
    if "://" in str(path):  # an object is written whole or not at all
        path.write_bytes(contents)
        return
    first = path.parent / (path.name + part)
    if os.path.exists(path) and not os.path.isfile(path):  # a device, or a link to one
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    first.unlink(missing_ok=True)
    try:
        with open(first, "xb") as file:  # does not follow a link either
            file.write(contents)
        first.replace(path)
    except OSError:  # frees the room that it takes
        first.unlink(missing_ok=True)
        raise


class _Console(rich.console.Console):
    def on_broken_pipe(self):
        # re-raises the BrokenPipeError for errors.exit_with; rich would end with 1, silently
        raise


class Log:
    """The log of a run. Use it in a `with`.

    resumed_at: the file drops the records that the run will make again; with `evaluates` also the
    evaluation of that step.
    """

    def __init__(self, workdir: epath.Path, *, steps: int, resumed_at: int, evaluates: bool = True):
        self.workdir = workdir
        self._writes = jax.process_index() == 0
        self._console = _Console(highlight=False, soft_wrap=True, quiet=not self._writes)
        self._file, self._local = workdir / FILE, "://" not in str(workdir)
        self.records = []  # those from before
        self._lines, self._digest = [], Lines()
        # of the last evaluation: its step, and the digest of the records before it
        self._evaluated = None, None
        self._steps = steps
        self._board = self._away = None
        if self._writes:
            self.records = records.before(read(workdir), resumed_at, evaluates)
            for record in self.records:
                self._add(record)
            write_whole(self._file, "".join(self._lines))
            self._events = workdir / "tensorboard"
            self._away = None if self._local else tempfile.TemporaryDirectory()
            self._board = Board(
                epath.Path(self._away.name) if self._away else self._events, resumed_at
            )
            for record in self.records:  # the board hides this step in older files
                if record["step"] == resumed_at:
                    self._show(record)
        columns = rich.progress
        self._progress = columns.Progress(
            columns.BarColumn(bar_width=24),
            columns.TextColumn("{task.completed:,}/{task.total:,} steps  {task.fields[now]}"),
            columns.TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._bar = self._progress.add_task("", total=steps, completed=resumed_at, now="compiling")

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, kind, *_):
        self._progress.stop()
        # the full disk or missing bucket has already been reported
        with contextlib.suppress(*([OSError, NotWritten] if kind else [])):
            if kind is None or not issubclass(kind, NotWritten):
                self.flush()
            if self._board:
                self._board.close()
        if self._away:
            self._away.cleanup()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def progress(self, step: int) -> None:
        self._progress.update(self._bar, completed=step)

    def record(self, step: int, split: str, metrics: dict[str, np.ndarray], **extra: float) -> None:
        """Adds a record. metrics: [S] each, one value per seed. extra: numbers of the whole run.

        A seed that is done does not train, so it has no lr and counts in no mean of training.
        """
        if not self._writes:
            return
        values = {name: np.asarray(value, np.float64).tolist() for name, value in metrics.items()}
        record = nan_to_none(dict(step=step, split=split, **values, **extra))
        line = self._add(record)
        if self._local:
            with open(self._file, "a", opener=follow_no_link) as file:
                file.write(line)
        training = ~np.isnan(metrics["lr"]) if "lr" in metrics else slice(None)
        metrics = {name: value[training] for name, value in metrics.items() if value[training].size}
        self._show(record)
        shown = "  ".join(
            f"{name} {summary(value)}"
            for name, value in metrics.items()
            if name not in ("lr", "grad_norm")
        )
        shown += "".join(
            f"  {value:,.0f} {name.replace('_per_', '/')}" for name, value in extra.items()
        )
        self.say(f"step {step:>{len(str(self._steps))}}  {split:<5}  {shown}")
        if split == "train":
            self._progress.update(self._bar, now=shown)

    def _show(self, record: dict) -> None:
        """Shows on the board the mean over the seeds that train."""
        step, split = record["step"], record["split"]
        values = {
            name: np.asarray(value, np.float64)  # None becomes NaN
            for name, value in record.items()
            if name not in ("step", "split")
        }
        training = ~np.isnan(values["lr"]) if "lr" in values else slice(None)
        for name, value in values.items():
            value = value[training] if value.ndim else value
            if value.size:
                self._board.add(f"{split}/{name}", float(value.mean()), step)

    def _add(self, record: dict) -> str:
        """Adds a record and returns its line."""
        if record["split"] != "train" and record["step"] != self._evaluated[0]:
            self._evaluated = record["step"], self._digest.now()
        line = records.line(record)
        self._lines.append(line)
        self._digest.add(line)
        return line

    def up_to(self, step: int) -> dict:
        """What a checkpoint of `step`, the last one recorded, stores about the records.

        The digest of all records, and of those before the evaluation of that step.
        """
        now, (evaluated, unevaluated) = self._digest.now(), self._evaluated
        return {"all": now, "unevaluated": unevaluated if evaluated == step else now}

    def flush(self) -> None:
        """Makes the records durable, before a checkpoint that depends on them."""
        if self._writes:
            self._board.flush()
            if self._local:
                with open(self._file, "a", opener=follow_no_link) as file:
                    os.fsync(file.fileno())
                return
            with writing_in(self.workdir):  # object stores cannot append
                write_whole(self._file, "".join(self._lines))
                for file in self._board.folder.iterdir():
                    (self._events / file.name).write_bytes(file.read_bytes())


def summary(values) -> str:
    """'8.61' for one seed, '8.61 +- 0.12' for several (sample standard deviation)."""
    values = np.asarray(values, np.float64)
    digits = 4 if abs(values.mean()) < 1 else 2
    spread = f" +- {values.std(ddof=1):.{digits}f}" if values.size > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
