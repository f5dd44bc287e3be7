"""A run is resumed as what it was: with its config, its records, and a word where its code is
another one."""

import json
import shutil

import pytest
from etils import epath
from helpers import VOWELS, build

from configs import load
from scripts import table_runs
from scripts.torture_runs import arrays_of, records_of, same
from train import history, log, report, resumption
from train.__main__ import main
from train.digests import sealed
from train.errors import BadInput

COMMAND = (
    *VOWELS,
    "--config.parallel.devices=1",
    "--config.schedule.name=constant",
    "--config.optim.steps=40",
    "--config.eval.every=20",
)
MADE_BY = dict(steps=40, code="a" * 64, git="b" * 40, file=None, jax="1.2", device="cpu")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run of 40 steps that is done."""
    workdir = tmp_path_factory.mktemp("resumption") / "short"
    assert main([*COMMAND, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def copied(short, tmp_path):
    shutil.copytree(short, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def unfinished(copied):
    """Killed before its last checkpoint."""
    (copied / "result.json").unlink()
    shutil.rmtree(copied / "checkpoints" / "40")
    return copied


def files(workdir):
    return {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file() and p.name != "lock"}


def refused(workdir, *changes) -> str:
    """The line that a command ends with which changes nothing in the workdir."""
    before = files(workdir)
    with pytest.raises(BadInput) as error:
        main([*COMMAND, *changes, f"--workdir={workdir}"])
    assert files(workdir) == before
    return str(error.value)


def test_a_finished_run_with_more_steps_trains_on_to_the_bits_of_one_that_had_them_from_the_start(
    copied, tmp_path, capsys
):
    longer = "--config.optim.steps=80"
    assert main([*COMMAND, longer, f"--workdir={copied}"]) == 0
    said = capsys.readouterr().out
    assert "changed from step 40 on: optim.steps was 40, is 80" in said
    assert "resuming at step 40" in said
    assert main([*COMMAND, longer, f"--workdir={tmp_path / 'whole'}"]) == 0
    assert same(arrays_of(copied)[1], arrays_of(tmp_path / "whole")[1])
    assert records_of(copied) == records_of(tmp_path / "whole")
    result = json.loads((copied / "result.json").read_text())
    assert result["steps"] == 80
    assert [(h["from"], h["steps"]) for h in result["history"]] == [(0, 40), (40, 80)]


def test_eval_only_of_a_chosen_checkpoint_gives_the_metrics_that_the_log_has_of_its_step(
    short, capsys
):
    before = files(short)
    assert main([*COMMAND, f"--workdir={short}", "--eval_only", "--checkpoint=20"]) == 0
    said = capsys.readouterr().out
    (record,) = (r for r in log.read(epath.Path(short)) if (r["step"], r["split"]) == (20, "test"))
    assert "step 20 of" in said and f"test/error         {log.summary(record['error'])}" in said
    assert files(short) == before


def test_a_checkpoint_is_chosen_for_an_evaluation_alone(short):
    assert "--checkpoint: needs --eval_only" in refused(short, "--checkpoint=best")


def test_a_run_of_fewer_steps_than_it_was_made_for_is_refused(copied):
    line = refused(copied, "--config.optim.steps=20")
    assert "optim.steps was 40, is 20, fewer than it was made for" in line


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_run_whose_schedule_spans_all_its_steps_is_not_made_longer(tmp_path, schedule):
    config, longer = (
        load.load("configs/lstm_adding.py", {"schedule.name": schedule, "optim.steps": n})[1]
        for n in (40, 80)
    )
    (tmp_path / "config.json").write_text(load.as_json(config))

    longest = build(optim__steps=80)
    with pytest.raises(BadInput, match=f"which changes schedule.name='{schedule}' from the first"):
        resumption.same_config(tmp_path, longer, experiment=longest)
    resumption.same_config(tmp_path, longer, experiment=longest, eval_only=True)


@pytest.mark.parametrize("state", ["copied", "unfinished"])
def test_another_learning_rate_is_refused_also_where_config_json_is_gone(state, request):
    workdir = request.getfixturevalue(state)
    (workdir / "config.json").unlink()
    assert "optim.lr was 0.005, is 0.5" in refused(workdir, "--config.optim.lr=0.5")


def test_a_config_json_that_was_edited_does_not_let_another_learning_rate_resume(unfinished):
    config = json.loads((unfinished / "config.json").read_text())
    config["optim"]["lr"] = 0.5
    (unfinished / "config.json").write_text(json.dumps(config))
    line = refused(unfinished, "--config.optim.lr=0.5")
    assert "the checkpoint of step 20 is of a run of another config" in line
    assert "optim.lr was 0.005, is 0.5" in line


def test_a_run_from_before_checkpoints_held_config_and_records_resumes(
    unfinished, short, monkeypatch, capsys
):
    metadata = unfinished / "checkpoints" / "20" / "meta" / "metadata"
    notes = json.loads(metadata.read_text())
    old = {key: notes[key] for key in ("seconds", "spent", "data", "step", "digest")}
    metadata.write_text(json.dumps(sealed(old)))
    (unfinished / "config.json").unlink()
    assert main([*COMMAND, f"--workdir={unfinished}"]) == 0
    assert "the config of this command is taken for that of the run" in capsys.readouterr().out
    assert same(arrays_of(unfinished)[1], arrays_of(short)[1])


@pytest.mark.parametrize("lost", ["half", "all", "one changed"])
def test_records_that_are_lost_before_the_checkpoint_are_noticed_before_anything_is_written(
    unfinished, lost
):
    file = unfinished / log.FILE
    lines = file.read_text().splitlines(keepends=True)
    assert json.loads(lines[0])["step"] == 20
    file.write_text(
        {
            "half": "".join(lines[1:]),
            "all": "",
            "one changed": "".join(lines).replace('"step": 20', '"step": 19', 1),
        }[lost]
    )
    line = refused(unfinished)
    assert "is not what it was when the checkpoint of step 20 was saved" in line
    assert "put it back as it was, or use another --workdir" in line


def test_records_after_the_checkpoint_may_be_lost_as_they_are_made_again(unfinished, short):
    file = unfinished / log.FILE
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    assert main([*COMMAND, f"--workdir={unfinished}"]) == 0
    assert records_of(unfinished) == records_of(short)


def test_a_verdict_is_not_computed_from_other_records_than_the_result_was(copied):
    result = report.read(epath.Path(copied))
    assert table_runs.values("test/error", copied, result).keys() == {0, 1}
    file = copied / log.FILE
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BadInput, match="metrics.jsonl is not what result.json was made of"):
        table_runs.values("test/error", copied, result)


def test_a_result_with_a_changed_number_is_refused(copied):
    file = copied / "result.json"
    result = json.loads(file.read_text())
    result["metrics"]["test/error"]["per_seed"][0] /= 2
    file.write_text(json.dumps(result))
    with pytest.raises(BadInput, match="is damaged .its contents do not match its digest"):
        report.read(epath.Path(copied))


def test_code_that_changed_between_sessions_is_said_in_the_log_and_in_the_result(
    unfinished, monkeypatch, capsys
):
    monkeypatch.setattr(history, "sources", lambda: "c" * 64)
    monkeypatch.setattr(history, "git_sha", lambda: "d" * 40)
    assert main([*COMMAND, f"--workdir={unfinished}"]) == 0
    said = capsys.readouterr().out
    assert said.count("from step 20 on: the code was ") == 2  # the log, and the result shown
    assert "is cccccccccccc (commit ddddddd)" in said
    result = json.loads((unfinished / "result.json").read_text())
    assert [h["from"] for h in result["history"]] == [0, 20]
    assert result["history"][1]["code"] == "c" * 64


def test_a_history_grows_only_where_something_differs_from_what_trained_last():
    first = history.extended([], 0, MADE_BY)
    assert history.extended(first, 20, MADE_BY | {"git": "e" * 40}) == first
    second = history.extended(first, 20, MADE_BY | {"jax": "1.3", "file": "f" * 64})
    assert [entry["from"] for entry in second] == [0, 20]
    assert history.changes(second) == [
        "from step 20 on: the config's file was part of the code, is ffffffffffff; jax was 1.2, "
        "is 1.3"
    ]
