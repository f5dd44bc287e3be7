"""Streamed photographs: the same for any hosts and workers, and what cannot be read is said in one
line."""

import json
import os
import signal
import subprocess
import sys
import time

import helpers
import numpy as np
import pytest
from folders import jpeg, photograph, prepare_photographs, prepare_tfds_text
from helpers import build, losses, same, taken

from configs.cnn_imagenet import FAMILIES
from train.data import DATASETS
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import Program

TRAIN, VALIDATION = 240, 67
CONFIG = "configs/cnn_fashion_mnist.py:model=resnet20"
SMALL = {
    "model.depth": 8,
    "model.width": 4,
    "data.name": "imagenet2012",
    "data.crop": 16,
    "data.jitter": (20, 40),
    "data.eval_side": 20,
    "data.batch_size": 40,
    "data.flip": True,
    "data.pca": 0.1,
    "eval.batch_size": 16,
    "steps_per_dispatch": 1,
    "optim.steps": 6,
    "eval.every": 6,
    "log.every": 3,
    "checkpoint.every": 6,
    "seeds": (0,),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """imagenet2012 of TFDS with 240 + 67 photographs of four classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        examples = [(jpeg(photograph(n)), n % 4) for n in range(TRAIN + VALIDATION)]
        yield prepare_photographs(dict(train=examples[:TRAIN], validation=examples[TRAIN:]))


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path


def experiment(**changes):
    return build(
        CONFIG, **{key.replace(".", "__"): value for key, value in SMALL.items()} | changes
    )


def photographs(**options):
    keys = ("crop", "jitter", "eval_side")
    return DATASETS["imagenet2012"](**{key: SMALL[f"data.{key}"] for key in keys} | options)


def refused(**changes) -> str:
    """The one line with which a run that reads one batch ends."""
    with pytest.raises(BadInput) as caught:
        e = experiment(**changes)
        taken(e.dataset.train)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_folder_is_imagenet_for_tfds_itself_which_needs_no_tensorflow_to_read_it(folder):
    script = """
import json, sys
import tensorflow_datasets as tfds
split = ["train[:10%]", "validation"]
some, records = tfds.data_source("imagenet2012", split=split, download=False, decoders=dict(image=tfds.decode.SkipDecoding()))
labels, name = [int(r["label"]) for r in records], records[3]["file_name"].decode()
print(json.dumps([len(some), labels, name, "tensorflow" in sys.modules]))
"""
    done = subprocess.check_output([sys.executable, "-c", script], text=True)
    some, labels, name, imported = json.loads(done)
    assert (some, len(labels), imported) == (TRAIN // 10, VALIDATION, False) and name.endswith(
        ".JPEG"
    )
    read = taken(photographs().evals["validation"], steps=2, training=False)["label"].reshape(-1)
    assert read[:VALIDATION].tolist() == labels


def test_0_1_and_4_worker_processes_give_the_same_batches(folder):
    # an epoch ends in the second
    batches = [taken(photographs(workers=workers).train, 5, 3) for workers in (0, 1, 4)]
    assert same(batches[0], batches[1]) and same(batches[0], batches[2])
    assert len(np.unique(batches[0]["image"].reshape(120, -1), axis=0)) == 120


def test_a_photograph_of_four_hosts_is_that_of_one(folder):
    source = photographs(pca=0.1).train
    parts = [taken(source, 2, 1, (10 * h, 10 * h + 10))["image"] for h in range(4)]
    assert np.array_equal(np.concatenate(parts, axis=1), taken(source, 2)["image"])


def test_8_devices_give_the_training_and_the_evaluation_of_1(folder):
    curves, totals = [], []
    for devices in (8, 1):
        curve, program, carry = losses(experiment(parallel__devices=devices), 4)
        totals.append(program.fetch(program.evaluate(carry, "validation")[1]))
        program.close()
        curves.append(curve)
    np.testing.assert_allclose(*curves, rtol=1e-5)
    for total in totals:
        assert total["count"] == VALIDATION
    np.testing.assert_allclose(totals[0]["loss"], totals[1]["loss"], rtol=1e-5)


def test_an_evaluation_that_is_stopped_before_its_first_batch_reads_nothing_and_the_next_one_is_whole(
    folder,
):
    e = experiment()
    program = Program(e)
    carry, sums = program.evaluate(program.start(fresh_state(e)), "validation", lambda: True)
    assert program.fetch(sums)["count"] == 0
    assert program.fetch(program.evaluate(carry, "validation")[1])["count"] == VALIDATION


@pytest.mark.parametrize("layout", ["map", "vmap", "devices"])
def test_a_seed_sees_in_a_group_the_photographs_that_it_sees_alone(folder, layout):
    alone, *_ = losses(experiment(seeds=(3,), parallel__seeds="map", parallel__devices=1), 2)
    group, *_ = losses(experiment(seeds=(0, 3), parallel__seeds=layout, parallel__devices=2), 2)
    np.testing.assert_allclose(group[:, 1], alone[:, 0], rtol=1e-5)


def test_several_steps_a_dispatch_and_a_resumption_give_the_same_bits(folder):
    _, program, carry = losses(experiment(), 5)
    whole = program.state(carry)
    e = experiment(steps_per_dispatch=3)
    program = Program(e)
    carry, _ = program.train(program.start(fresh_state(e)), 0, 3)
    resumed = Program(e)
    carry, _ = resumed.train(resumed.start(program.state(carry)), 3, 2)
    assert helpers.differ(whole.params, resumed.state(carry).params) == 0


def test_a_run_trains_evaluates_and_imports_no_tensorflow(folder, tmp_path):
    flags = [f"--config.{key}={str(value).strip('()')}" for key, value in SMALL.items()]
    script = f"import sys; from train import __main__ as c; c.main({[f'--config={CONFIG}', f'--workdir={tmp_path}', *flags]})\n"
    done = subprocess.run(
        [sys.executable, "-c", script + "print('tensorflow' in sys.modules)"],
        text=True,
        capture_output=True,
    )
    assert done.stdout.endswith("False\n"), done.stderr
    assert (
        "imagenet2012, tfds" in done.stdout
        and f"{TRAIN} train, {VALIDATION} validation" in done.stdout
    )
    assert "validation/error" in (tmp_path / "result.json").read_text()


def test_two_hosts_train_and_evaluate_as_one_does_on_as_many_devices(folder, tmp_path):
    flags = [
        f"--config={CONFIG}",
        *(f"--config.{key}={str(value).strip('()')}" for key, value in SMALL.items()),
    ]
    two = helpers.pod(2, *flags, f"--workdir={tmp_path / 'two'}")
    alone = helpers.train(*flags, f"--workdir={tmp_path / 'one'}")
    for host in two:
        _, errors = host.communicate()
        assert host.returncode == 0, errors
    assert alone.returncode == 0, alone.stderr
    helpers.assert_same_records(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_recipe_of_each_family_fits_its_network(folder, family):
    e = build(f"configs/cnn_imagenet.py:model={family}", eval__every=1)
    assert "among5" in e.shapes[3]["validation"]  # the papers' metric, top-5 error
    image = e.example_shapes()["input"].shape[1:]
    assert image == ((299, 299, 3) if family == "inception_v3" else (224, 224, 3))


def test_data_that_is_not_prepared_is_refused_with_the_command_that_prepares_it(empty):
    assert refused().endswith("run python -m scripts.prepare_data imagenet2012")


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


GOOD = [(jpeg(photograph(n)), n % 4) for n in range(3)]
DAMAGED = {
    "is truncated": ((truncated(GOOD[0][0]), 0), "cannot be decoded"),
    "is no image": ((b"GIF? no", 0), "cannot be decoded"),
    "has no label": ((GOOD[0][0], -1), "has label -1, must be from 0 to 999"),
}


@pytest.mark.parametrize("decoder", ["cv2", "pillow"])
@pytest.mark.parametrize("what", DAMAGED)
def test_a_photograph_is_refused_by_name_where_it(empty, what, decoder):
    if decoder == "cv2":
        pytest.importorskip("cv2")
    example, says = DAMAGED[what]
    directory = prepare_photographs(dict(train=[*GOOD, example], validation=GOOD))
    line = refused(data__decoder=decoder)
    assert str(directory) in line and "(n00000003.JPEG)" in line and says in line


def test_a_damaged_folder_is_refused_in_one_line_that_names_it(empty):
    directory = prepare_photographs(dict(train=GOOD, validation=GOOD))
    records = next(directory.glob("*train*"))
    for damage in (lambda: records.write_bytes(records.read_bytes()[:700]), records.unlink):
        damage()
        assert str(directory) in refused()


def test_a_folder_without_photographs_or_their_labels_is_refused(empty):
    prepare_tfds_text(
        "imagenet2012", dict(train=[dict(text="none")], validation=[dict(text="none")]), "5.1.0"
    )
    assert "imagenet2012 has no feature 'image' of kind Image, only text (Text)" in refused()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(data__jitter=()), "data.jitter: either jitter or area"),
        (dict(data__area=(0.1, 1.0)), "data.jitter: either jitter or area"),
        (
            dict(data__jitter=(), data__area=(0.1, 1.0), data__central=True),
            "data.central: does nothing with area",
        ),
        (dict(data__crop=0), "data.crop: 0 must be at least 1"),
        (dict(data__eval_side=0), "data.eval_side: 0 must be at least 1"),
        (dict(data__crop=50), "data.jitter: 20 is outside [50, "),
        (dict(data__jitter=(15, 60)), "data.jitter: 15 is outside [16, "),
        (dict(data__scale="mean_image"), "data.scale: unknown 'mean_image'; choose from unit"),
        (dict(data__decoder="jpeg"), "data.decoder: unknown 'jpeg'; choose from auto"),
        (dict(data__workers=-1), "data.workers: -1 must be at least 0"),
    ],
)
def test_a_key_that_cannot_work_is_refused_before_anything_is_read(empty, changes, says):
    assert refused(**changes).startswith(says)


def test_a_damaged_photograph_ends_a_run_with_workers_in_one_line_and_code_2(empty):
    prepare_photographs(dict(train=[*GOOD, DAMAGED["is truncated"][0]], validation=GOOD))
    flags = [f"--config.{key}={str(value).strip('()')}" for key, value in SMALL.items()]
    done = helpers.train(
        f"--config={CONFIG}", f"--workdir={empty / 'run'}", "--config.data.workers=2", *flags
    )
    last = done.stderr.strip().split("\n")[-1]
    assert done.returncode == 2 and "cannot be decoded" in last and "Traceback" not in done.stderr


READS = """
import sys, time
import test_photographs
from train.data.streamed import Reader
if __name__ == "__main__":
    reader = Reader(test_photographs.photographs(workers=2).train, 40, (0, 40), training=True)
    reader.take(0, 1, 1)
    import multiprocessing
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(600)
"""


def test_no_worker_outlives_a_process_that_is_killed(folder, tmp_path):
    (tmp_path / "reads.py").write_text(READS)
    paths = os.pathsep.join([os.getcwd(), os.path.dirname(__file__)])
    command = [sys.executable, str(tmp_path / "reads.py")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | dict(PYTHONPATH=paths)
    )
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGTERM)  # as a scheduler sends it to all processes of a job
    time.sleep(1)
    assert all(map(alive, workers))
    process.kill()
    process.wait()
    until = time.monotonic() + 120
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
