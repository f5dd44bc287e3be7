"""The records of a run, as log.read gives them: which stay where it resumes, whether they are those
that were written, and what a checkpoint scores by them."""

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
    """Those that stay where a run resumes at `step`; with `evaluates` it makes the evaluation of
    that step again."""
    return [
        r
        for r in records
        if r["step"] < step or (r["step"] == step and (r["split"] == "train" or not evaluates))
    ]


def check(file, records: list[dict], step: int, evaluates: bool, expected: dict | None) -> None:
    """Looks at the records in a file, those that stay where a run resumes at `step`. expected: what
    Log.up_to gave when the checkpoint was saved, None for one from before it was stored. Raises
    BadInput where records are lost or changed."""
    records = before(records, step, evaluates)
    whole = expected and expected["unevaluated" if evaluates else "all"]
    if whole and digest(records) != whole:
        raise BadInput(
            f"--workdir: {file} is not what it was when the checkpoint of step {step:,} "
            f"was saved ({counts(records, whole)}); put it back as it was, or use another "
            "--workdir"
        )


def counts(records: list[dict], whole: dict) -> str:
    """How records differ from those whose `digest` is `whole`."""
    if len(records) == whole["count"]:
        return "a record has changed"
    return f"{len(records):,} records, {whole['count']:,} then"


def scores(records: list[dict], split: str, metric: str) -> dict[int, float]:
    """{step: mean over seeds} of a metric of a split; what is not finite is NaN."""
    found = (r for r in records if r["split"] == split and metric in r)
    return {r["step"]: mean(r[metric]) for r in found}


def mean(values) -> float:
    """Over seeds."""
    return float(np.mean(np.asarray(values, np.float64)))  # None, as JSON has it, is no number
