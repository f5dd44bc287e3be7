"""Whole runs, in real processes: train, be asked again, be refused, show the result."""

import contextlib
import json
import os
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from etils import epath
from helpers import VOWELS, train

from configs import load
from scripts import generate, sweep, table_runs, transduce
from train import log
from train.__main__ import main
from train.checkpoint import sealed
from train.errors import BadInput
from train.resumption import same_config


def test_the_first_lines_say_what_runs_where_on_what(finished):
    workdir, done = finished
    lines = done.stdout.splitlines()
    assert lines[0].startswith("config  lstm_japanese_vowels: 120 steps of 30 examples, seeds 0, 1")
    assert lines[1].startswith("device  cpu x 2 of 2, dividing the batch")
    assert "japanese_vowels, embedded" in lines[2] and "270 train, 370 test" in lines[2]
    assert "20,297 parameters" in lines[3]  # 4 * 64 * (12 + 64 + 1) + 9 * 65
    assert lines[4] == f"run     {workdir}: starting fresh"


def test_the_result_holds_every_number_that_a_table_needs(finished):
    result = json.loads((finished[0] / "result.json").read_text())
    error = result["metrics"]["test/error"]
    assert result["metric"] == "test/error" and error["n"] == 2
    assert error["mean"] == pytest.approx(np.mean(error["per_seed"]))
    assert error["std"] == pytest.approx(np.std(error["per_seed"], ddof=1))
    assert error["mean"] < 15
    assert (result["steps"], result["seeds"], result["device"]["count"]) == (120, [0, 1], 2)
    assert (
        result["data"]["examples"] == {"train": 270, "test": 370}
        and len(result["data"]["digest"]) == 64
    )
    assert {"jax", "flax", "python"} <= result["versions"].keys() and result["seconds"] > 0


def test_the_same_command_again_shows_the_result_and_trains_nothing(finished):
    before = sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*"))
    again = train(*VOWELS, f"--workdir={finished[0]}")
    assert again.returncode == 0 and "is done" in again.stdout and "test/error" in again.stdout
    assert sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*")) == before


def test_eval_only_gives_the_metrics_of_the_result_and_writes_nothing(finished):
    before = sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*"))
    shown = train(*VOWELS, f"--workdir={finished[0]}", "--eval_only")
    error = json.loads((finished[0] / "result.json").read_text())["metrics"]["test/error"][
        "per_seed"
    ]
    assert shown.returncode == 0 and f"test/error         {log.summary(error)}" in shown.stdout
    assert sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*")) == before


def test_eval_only_of_a_folder_without_a_run_exits_with_2(tmp_path):
    shown = train(*VOWELS, f"--workdir={tmp_path / 'none'}", "--eval_only")
    assert (
        shown.returncode == 2 and shown.stderr.count("\n") == 1 and "no checkpoints" in shown.stderr
    )
    assert not (tmp_path / "none").exists()


def test_a_changed_config_is_refused_with_the_keys_that_differ(finished):
    refused = train(
        *VOWELS, "--config.optim.lr=0.5", "--config.log.every=7", f"--workdir={finished[0]}"
    )
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "optim.lr was 0.005, is 0.5" in refused.stderr and "log.every" not in refused.stderr


@pytest.mark.parametrize(
    ("file", "changes", "refused"),
    [
        ("configs/lstm_adding.py", {"parallel.seeds": "vmap", "parallel.devices": 1}, None),
        ("configs/lstm_adding.py", {"steps_per_dispatch": 7, "optim.skip_nonfinite": True}, None),
        ("configs/lstm_adding.py", {"eval.every": 7, "log.every": 7, "checkpoint.every": 7, "checkpoint.keep": 9}, None),
        ("configs/cnn_imagenet.py", {"data.workers": 2}, None),
        *(
            ("configs/lstm_adding.py", {key: value}, key)
            for key, value in {
                "data.batch_size": 7, "model.hidden": 7, "seeds": (7,), "dtype": "bfloat16", "optim.steps": 7, "optim.lr": 0.7,
            }.items()
        ),
    ],
)  # fmt: skip
def test_what_is_learned_belongs_to_a_run_and_how_it_is_computed_and_shown_does_not(
    tmp_path, file, changes, refused
):
    (tmp_path / "config.json").write_text(load.as_json(load.load(file)[1]))
    with (
        pytest.raises(BadInput, match=rf"another config \({refused} was ")
        if refused
        else contextlib.nullcontext()
    ):
        same_config(tmp_path, load.load(file, changes)[1])


def test_how_often_the_metric_of_a_stop_is_looked_at_belongs_to_the_config(tmp_path):
    config = load.load("configs/lstm_adding.py", {"stop.metric": "train/mse"})[1]
    (tmp_path / "config.json").write_text(load.as_json(config))
    with config.unlocked():
        config.log.every, config.eval.every, config.checkpoint.every = 7, 7, 7
    with pytest.raises(
        BadInput,
        match=r"another config \(checkpoint.every was \d+, is 7; log.every was \d+, is 7\)",
    ):
        same_config(tmp_path, config)


def test_a_run_that_is_done_says_that_it_was_judged_by_other_keys(finished):
    workdir, _ = finished
    again = train(*VOWELS, f"--workdir={workdir}", "--config.eval.ensemble=2")
    assert again.returncode == 0
    assert (
        "judged as it was then (eval.ensemble was 1, is 2); --eval_only judges anew" in again.stdout
    )


def test_metrics_are_in_jsonl_tensorboard_and_a_picture(finished):
    records = log.read(epath.Path(finished[0]))
    assert [r["step"] for r in records if r["split"] == "test"] == [40, 80, 120]
    assert [r["step"] for r in records if r["split"] == "train"] == [20, 40, 60, 80, 100, 120]
    assert all(len(r["loss"]) == 2 for r in records)
    assert list((finished[0] / "tensorboard").glob("events*"))
    assert (finished[0] / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_from_before_a_key_existed_goes_on_where_the_key_has_its_default_and_is_refused_elsewhere(
    tmp_path,
):
    _, config = load.load("configs/lstm_japanese_vowels.py")
    before = json.loads(config.to_json())
    del before["schedule"]["warmup_factor"], before["model"]["residual"]
    (tmp_path / "config.json").write_text(json.dumps(before))
    same_config(tmp_path, config)
    config.model.residual = True
    with pytest.raises(BadInput, match="model.residual was false, is true"):
        same_config(tmp_path, config)


def test_the_config_lies_beside_the_checkpoints_and_can_be_read_back(finished):
    config = json.loads((finished[0] / "config.json").read_text())
    assert (
        config["optim"]["steps"] == 120
        and config["model"]["name"] == "sequence_readout"
        and config["seeds"] == [0, 1]
    )


def test_other_data_under_a_run_is_refused(tmp_path, finished):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished[0], copy], check=True)
    (copy / "result.json").unlink()
    for meta in copy.glob("checkpoints/*/meta/metadata"):
        notes = json.loads(meta.read_text())
        del notes["seal"]
        meta.write_text(json.dumps(sealed(notes | {"data": "0" + notes["data"]})))
    refused = train(*VOWELS, f"--workdir={copy}")
    assert refused.returncode == 2 and "was trained on other data" in refused.stderr


def test_training_never_imports_tensorflow_torch_or_a_plotting_library_early(tmp_path):
    program = """
import sys
from train import __main__, loop
run = loop.run
def watched(*arguments, **options):
    print("PLOTTING", "matplotlib" in sys.modules)
    return run(*arguments, **options)
loop.run = watched
__main__.main(sys.argv[1:])
print("FORBIDDEN", [m for m in ("tensorflow", "torch", "tensorflow_datasets", "clu") if m in sys.modules])
"""
    arguments = [*VOWELS, "--config.optim.steps=20", f"--workdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert (
        "PLOTTING False" in done.stdout and "FORBIDDEN []" in done.stdout and done.returncode == 0
    ), done.stderr


@pytest.mark.parametrize(("switch", "kept"), [("true", True), ("false", False)])
def test_compiled_programs_are_kept_in_the_users_cache_folder_unless_switched_off(
    tmp_path, switch, kept
):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= dict(
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        JAX_ENABLE_COMPILATION_CACHE=switch,
        JAX_PLATFORMS="cpu",
    )
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        "--config.optim.steps=20",
        f"--workdir={tmp_path / 'run'}",
    ]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert any(tmp_path.glob("cache/canon/xla/*")) == kept


def test_a_workdir_that_cannot_be_made_exits_with_2_and_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    refused = train(*VOWELS, f"--workdir={tmp_path / 'file' / 'run'}")
    assert (
        refused.returncode == 2
        and refused.stderr.count("\n") == 1
        and "cannot write" in refused.stderr
    )


def test_a_run_with_ensembles_ends_with_the_results_of_these_and_eval_only_gives_them_again(
    tmp_path, capsys
):
    command = [
        *VOWELS,
        "--config.seeds=0,1,2,3",
        "--config.eval.ensemble=2",
        "--config.optim.steps=40",
    ]
    command += [f"--workdir={tmp_path / 'x'}"]
    assert main(command) == 0
    errors = json.loads((tmp_path / "x" / "result.json").read_text())["metrics"]["test/error"][
        "per_seed"
    ]
    assert len(errors) == 2
    capsys.readouterr()
    assert main([*command, "--eval_only"]) == 0
    shown = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("test/error")
    )
    assert log.summary(errors) in shown


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("JAX_PLATFORMS", "abacus", "Unable to initialize backend 'abacus'"),
        (
            "XLA_FLAGS",
            "--xla_force_host_platform_device_count=0",
            "Unable to initialize backend 'cpu'",
        ),
    ],
)
def test_a_command_without_a_device_ends_with_2_and_one_line_that_names_the_variable(
    tmp_path, variable, value, says
):
    done = train(*VOWELS, f"--workdir={tmp_path / 'run'}", **{variable: value})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert (
        "JAX finds no device with " in done.stderr
        and f"{variable}='{value}': {says}" in done.stderr
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("of", [generate, transduce])
def test_a_platform_that_jax_knows_without_its_package_is_refused_too_by_who_asks_a_run(
    of, monkeypatch
):
    def none():
        raise AssertionError  # as JAX 0.10 does for JAX_PLATFORMS=cuda without CUDA's plug-in

    monkeypatch.setattr(jax, "devices", none)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(
        BadInput,
        match="JAX finds no device with JAX_PLATFORMS='cuda': no package for it is installed",
    ):
        of.main(["--workdir=run", *(["canon"] if of is transduce else [])])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no 'seeds'"),
        ("[]", "a list where an object must be"),
        ('{"seeds": 3}', "int"),
        ("{", "Expecting"),
        ("\xff", "utf-8"),
    ],
)
def test_a_result_that_is_damaged_is_refused_with_its_name_in_training_and_in_a_sweep(
    tmp_path, text, says
):
    table = "configs/papers/lstm1997/temporal_order.py"
    row = load.load_table(table)[1].rows[0].name
    file = tmp_path / "small" / table_runs.folder_of(row) / "result.json"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="latin-1")
    for of, arguments in (
        (main, [*VOWELS, f"--workdir={file.parent}"]),
        (sweep.main, [table, f"--workdir={tmp_path}", f"--rows={row}"]),
    ):
        with pytest.raises(
            BadInput,
            match=rf"--workdir: {tmp_path}/.*/result.json is damaged \(.*{says}.*\); delete it",
        ):
            of(arguments)


def test_a_typo_exits_with_2_and_one_line_and_no_workdir(tmp_path):
    refused = train(VOWELS[0], "--config.optim.lrr=1", f"--workdir={tmp_path / 'x'}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "python -m train: unknown key 'optim.lrr'; did you mean 'optim.lr'?\n"
    assert not (tmp_path / "x").exists()


def test_a_second_run_in_a_workdir_where_one_is_going_is_refused_and_the_first_goes_on(tmp_path):
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        f"--workdir={tmp_path}",
        "--config.optim.steps=100000",
    ]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while (
            not (tmp_path / "metrics.jsonl").exists()
            or not (tmp_path / "metrics.jsonl").read_text()
        ):
            assert first.poll() is None
            time.sleep(0.1)
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (
            second.returncode == 2
            and "another process is training in" in second.stderr
            and first.poll() is None
        )
    finally:
        first.kill()
        first.wait()


def test_a_network_that_no_memory_holds_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(BadInput, match="the state of all seeds takes .* GB, this machine has"):
        main([*VOWELS, "--config.model.hidden=1000000", f"--workdir={tmp_path}"])
    assert not [*(tmp_path / "checkpoints").iterdir()]


def test_a_step_that_does_not_fit_into_memory_ends_with_2_and_one_line():
    program = "from train.errors import exit_with\ndef main(_):\n    raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory')\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "exit_with(main, 'a command')"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith(
        "a command: out of memory (RESOURCE_EXHAUSTED"
    )
    assert done.stderr.count("\n") == 1


def test_a_run_that_a_metric_of_the_test_stops_can_be_judged_in_other_batches(tmp_path):
    command = [
        *VOWELS,
        "--config.optim.steps=20",
        "--config.stop.metric=test/error",
        f"--workdir={tmp_path}",
    ]
    assert main(command) == 0
    other = "--config.eval.batch_size=100"
    with pytest.raises(BadInput, match="holds a run of another config"):
        main([*command, other])
    assert main([*command, other, "--eval_only"]) == 0
