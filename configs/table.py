"""How a paper's table is written down: Table, Row, Scale.

A table's file also finds configs/measures.py and configs/claims.py here. The file has the paper's
numbers; results.csv beside it has ours.
"""

import dataclasses
import math
import re
from collections.abc import Mapping

from ml_collections import ConfigDict

from configs import base
from configs.claims import Alike, Better, Claim, Lower, Monotone, Ordered, Solves  # noqa: F401
from configs.measures import AtBest, AtLeast, Measure, Steps, Stopped, Until  # noqa: F401
from train import escapes
from train.errors import BadInput

LONGEST = 200  # bytes of a row's folder; file systems take 255, including what is added to it


def folder_of(name: str) -> str:
    """A row's name as the name of its run's folder."""
    return re.sub(r"[^\w.=+-]+", "_", name)


def _check_name(what: str, name: str) -> None:
    """Raises ValueError for a name that the command line or a file system cannot take."""
    if not name.isprintable() or name != name.strip() or "," in name or "/" in name:
        raise ValueError(f"{what}: {name!r} must be one line of text without , and / in it")
    if folder_of(name) in ("", ".", "..") or len(folder_of(name).encode()) > LONGEST:
        raise ValueError(
            f"{what}: {escapes.shortened(name, 40)!r} is no name of a folder: it must be of 1 to "
            f"{LONGEST} bytes, and not . or .."
        )


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a paper's table: its changes, and what the paper printed (in the table's measure).

    name: one line of text without , and /, which also names the folder of its run.
    of: an earlier row that it continues: it has that row's changes below its own, and that row's
    last checkpoint and log. With other data.views it only evaluates; with more optim.steps it
    trains further. `scripts.sweep` hands the checkpoint over: as a run of its own, python -m train
    --config=TABLE.py:SCALE/ROW, it begins at step 0.
    """

    name: str
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    paper: float | str | None = None
    # in the paper's network, at the scale "paper", where the paper prints or implies it
    parameters: int | None = None
    of: str | None = None


@dataclasses.dataclass(frozen=True)
class Scale:
    """A size at which the table can be run: the paper's, or a smaller one.

    rows: row -> changes that only this scale needs, such as another depth. without: rows that do
    not run at it; rows that continue them do not run either. about: data, size and schedule in a
    line.
    """

    about: str
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    rows: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()
    seeds: int = 3


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or figure of a paper.

    title: paper, table and reference. says: what it is about, in a line or two.
    """

    title: str
    measure: Measure
    rows: tuple[Row, ...]
    scales: Mapping[str, Scale]
    claims: tuple[Claim, ...] = ()
    base: Mapping[str, object] = dataclasses.field(default_factory=dict)
    better: str = "lower"  # or "higher": the direction of the measure
    # the metric of metrics.jsonl that is drawn against the step; None: the measure's metric
    curve: str | None = None
    figures: tuple[str, ...] = ()  # more figures, from scripts.table_figure.FIGURES
    says: str = ""

    def __post_init__(self):
        names = [row.name for row in self.rows]
        unknown = {row for claim in self.claims for row in claim.rows()}
        unknown |= {row for scale in self.scales.values() for row in (*scale.rows, *scale.without)}
        unknown -= set(names)
        unknown |= {row.of for k, row in enumerate(self.rows) if row.of and row.of not in names[:k]}
        if unknown or len(set(names)) < len(names):
            raise ValueError(
                f"rows: {sorted(unknown) or names} must be different names of rows, before their "
                "use"
            )
        folders = {}
        for name in names:
            _check_name("rows", name)
            folder = folder_of(name).casefold()  # some file systems ignore case
            other = folders.setdefault(folder, name)
            if other != name:
                raise ValueError(
                    f"rows: {other!r} and {name!r} would share the folder {folder_of(name)!r}; "
                    "rename one"
                )
        for scale in self.scales:
            _check_name("scales", scale)
            if folder_of(scale) != scale:
                raise ValueError(
                    f"scales: {scale!r} must be of letters, digits and . _ = + -, as a folder is"
                )
        if self.better not in ("lower", "higher"):
            raise ValueError(f"better: {self.better!r} must be 'lower' or 'higher'")
        for claim in self.claims:
            own = claim.measure is not None and not claim.of_steps(self)
            if self.better == "higher" and own:
                raise ValueError(
                    f"claims: {claim.says!r} has a measure of its own; better='higher' is of the "
                    "table's alone"
                )
            if isinstance(claim, Solves) and math.isinf(claim.level) and not claim.of_steps(self):
                raise ValueError(
                    f"claims: {claim.says!r} needs a level, as its measure is no number of steps"
                )
        of_all = (
            self.base,
            *(c for s in self.scales.values() for c in (s.changes, *s.rows.values())),
        )
        if any("seeds" in changes for changes in (*of_all, *(row.changes for row in self.rows))):
            raise ValueError("seeds: are of a scale, Scale(..., seeds=N), not of its changes")
        if isinstance(self.measure, Stopped) and not self.curve:
            raise ValueError(
                "curve: a table that is measured by the stop has no metric of its own to draw; "
                "name one"
            )

    @property
    def metrics(self) -> set[str]:
        """Metrics of metrics.jsonl, such as "test/error", that the table reads.

        For its measures, its claims and its figure.
        """
        found = {m if isinstance(m, str) else getattr(m, "metric", None) for m in self.measures}
        return {
            name
            for name in (
                *found,
                *(m.by for m in self.measures if isinstance(m, AtBest)),
                self.curve,
            )
            if name
        }

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The table's measure, and those of its claims."""
        return tuple(
            dict.fromkeys(
                [self.measure, *(m for claim in self.claims for m in claim.measures(self))]
            )
        )

    def row(self, name: str) -> Row:
        """The row of that name. Raises BadInput if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise BadInput(
            f"row: unknown {name!r}; choose from {', '.join(row.name for row in self.rows)}"
        )

    def scale(self, name: str) -> Scale:
        """The scale of that name. Raises BadInput if there is none."""
        if name not in self.scales:
            raise BadInput(f"scale: unknown {name!r}; choose from {', '.join(self.scales)}")
        return self.scales[name]

    def config(self, row: str, scale: str) -> ConfigDict:
        """The locked config of a row.

        The defaults, changed by the base, the scale, the row, and the scale's changes of the row.
        Raises BadInput for a row that the scale does not have.
        """
        chosen, changes = self.scale(scale), {**self.base, **self.scale(scale).changes}
        if row not in self.names(scale):
            raise BadInput(
                f"row: {self.row(row).name!r} is not run at scale {scale!r}; choose from "
                f"{', '.join(self.names(scale))}"
            )
        for name in self.line(row):
            changes |= {**self.row(name).changes, **chosen.rows.get(name, {})}
        return base.override(base.get_config(), {"seeds": tuple(range(chosen.seeds)), **changes})

    def line(self, row: str) -> list[str]:
        """The rows that a row continues, from the one that begins at step 0, and the row itself."""
        before = self.row(row).of
        return [*(self.line(before) if before else []), row]

    def names(self, scale: str) -> list[str]:
        """The rows that run at a scale, in order."""
        without = set(self.scale(scale).without)
        return [row.name for row in self.rows if not without & set(self.line(row.name))]

    def get_config(self, argument: str = "") -> ConfigDict:
        """The config of "SCALE/ROW", a single run: python -m train --config=TABLE.py:small/ROW."""
        scale, _, row = argument.partition("/")
        return self.config(row, scale)
