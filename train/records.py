"""The records of a run, as log.read gives them.

Which of them stay when the run resumes, whether any is lost or changed, and the scores of its
checkpoints.
"""

import json

import numpy as np

from train.digests import Lines
from train.errors import BadInput


def digest(records: list[dict]) -> dict:
    """{"count", "digest"} of some records, as a checkpoint and result.json hold it."""
    return Lines(map(line, records)).now()


def line(record: dict) -> str:
    return json.dumps(record) + "\n"


def before(records: list[dict], step: int, evaluates: bool) -> list[dict]:
    """The records that stay when a run resumes at `step`.

    evaluates: whether the evaluation of that step is repeated.
    """
    return [
        r
        for r in records
        if r["step"] < step or (r["step"] == step and (r["split"] == "train" or not evaluates))
    ]


def check(file, records: list[dict], step: int, evaluates: bool, expected: dict | None) -> None:
    """Raises BadInput where records that stay when a run resumes at `step` are lost or changed.

    expected: what Log.up_to gave when the checkpoint was saved; None for an older checkpoint.
    """
    records = before(records, step, evaluates)
    whole = expected and expected["unevaluated" if evaluates else "all"]
    if whole and digest(records) != whole:
        raise BadInput(
            f"--workdir: {file} is not what it was when the checkpoint of step {step:,} "
            f"was saved ({counts(records, whole)}); put it back as it was, or use another "
            "--workdir"
        )


def counts(records: list[dict], whole: dict) -> str:
    """Describes how records differ from those whose `digest` is `whole`."""
    if len(records) == whole["count"]:
        return "a record has changed"
    return f"{len(records):,} records, {whole['count']:,} then"


def scores(records: list[dict], split: str, metric: str) -> dict[int, float]:
    """{step: mean over seeds} of a split's metric; a mean that is not finite becomes NaN."""
    rows = (r for r in records if r["split"] == split and metric in r)
    return {r["step"]: mean(r[metric]) for r in rows}


def mean(values) -> float:
    """The mean over seeds. None, which JSON has instead of NaN, makes it NaN."""
    return float(np.mean(np.asarray(values, np.float64)))
