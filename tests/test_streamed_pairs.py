"""Streamed sentence pairs: every pair in its place, whatever the workers and hosts, and a config
that trains on them."""

import functools

import helpers
import numpy as np
import pytest
from folders import prepare_tfds_text
from helpers import same

from train.data import DATASETS
from train.data.source import permutation
from train.tasks import EOS

BATCH, MOST = 12, 6
PAIRS = [
    dict(en=f"{'so ' * (n % 3)}the cat sees {n}", fr=f"le chat en voit {n}") for n in range(50)
]
PAIRS[7:9] = [dict(en="one " * (MOST + 1), fr="un"), dict(en="One.", fr=" ")]  # too long, empty
CONFIG = "configs/seq2seq_wmt14.py"
SMALL = {
    "data.batch_size": BATCH,
    "data.limit": 40,
    "data.max_length": MOST,
    "eval.batch_size": 4,
    "model.hidden": 8,
    "model.embedding": 4,
    "optim.steps": 9,
    "log.every": 3,
    "eval.every": 9,
    "checkpoint.every": 9,
    "steps_per_dispatch": 2,
}
taken = functools.partial(helpers.taken, rows=(0, BATCH), batch_size=BATCH)
FLAGS = [f"--config.{key}={value}" for key, value in SMALL.items()]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """wmt14_translate/fr-en of TFDS with 50 training pairs, of which 48 fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        yield prepare_tfds_text(
            "wmt14_translate/fr-en", dict(train=PAIRS, validation=PAIRS[:4], test=PAIRS[9:15])
        )


def pairs(**options):
    return DATASETS["wmt14_translate"](**dict(streamed=True, limit=50, max_length=MOST) | options)


@pytest.mark.parametrize("reverse", [False, True])
def test_an_epoch_has_each_pair_once_in_the_order_of_the_seed_and_those_that_do_not_fit_leave_their_rows_empty(
    folder, reverse
):
    data = pairs(seed=3, reverse=reverse)
    source, target = data.vocabularies["source"], data.vocabularies["target"]
    found = {
        name: x.reshape(-1, *x.shape[2:])[:50] for name, x in taken(data.train, steps=5).items()
    }
    stored = data.train.stream.read.records(permutation(3, 0, 50))
    for example, *row, length in zip(
        stored, found["source"], found["target"], found["source_length"], strict=True
    ):
        english, french = (example[language].decode() for language in ("en", "fr"))
        if "one" in english.lower():
            assert length == 0 and not np.any(row[0]) and not np.any(row[1])
            continue
        words = source.decode(row[0][:length])
        assert (words.split()[::-1] if reverse else words.split()) == english.split()
        assert (
            target.decode(row[1]) == french
            and (row[1] == EOS).sum() == 1
            and not row[0][length:].any()
        )
    assert (found["source_length"] == 0).sum() == 2 and data.examples == dict(
        train=50, validation=4, test=6
    )


def test_0_1_and_4_worker_processes_and_4_hosts_give_the_same_batches():
    whole = taken(pairs().train, 1, 3)
    for workers in (1, 4):
        assert same(taken(pairs(workers=workers).train, 1, 3), whole)
    parts = [taken(pairs().train, 1, 3, rows=(3 * host, 3 * host + 3)) for host in range(4)]
    assert same({k: np.concatenate([part[k] for part in parts], axis=1) for k in whole}, whole)


def test_a_pair_that_does_not_fit_changes_nothing_that_is_learned():
    e = helpers.build(
        CONFIG,
        **{key.replace(".", "__"): value for key, value in SMALL.items()},
        parallel__devices=2,
    )
    curve, program, carry = helpers.losses(e, 5)
    assert np.isfinite(curve).all()
    carry, _ = program.train(program.start(program.state(carry)), 0, 2)
    assert int(program.fetch(program.take_sums(carry)[1])["tokens"][0]) == sum(
        len(example["fr"].split()) + 1
        for example in map(
            decoded, e.dataset.train.stream.read.records(permutation(0, 0, 50)[: 2 * BATCH])
        )
        if "one" not in example["en"].lower()
    )
    program.close()


def decoded(example) -> dict[str, str]:
    return {language: text.decode() for language, text in example.items()}


def test_two_hosts_train_by_the_config_as_one_does_and_neither_imports_tensorflow(folder, tmp_path):
    two = helpers.pod(2, f"--config={CONFIG}", *FLAGS, f"--workdir={tmp_path / 'two'}")
    arguments = [f"--config={CONFIG}", *FLAGS, f"--workdir={tmp_path / 'one'}"]
    script = f"import sys; from train import __main__ as c; c.main({arguments})"
    alone = helpers.python("-c", f"{script}; print('tensorflow' in sys.modules)", devices=2)
    assert alone.returncode == 0 and alone.stdout.endswith("False\n"), alone.stderr
    for host in two:
        _, errors = host.communicate()
        assert host.returncode == 0, errors
    helpers.assert_same_records(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(workers=-1), "workers: -1 must be at least 0"),
        (dict(workers=2, streamed=False), "workers: 2 needs streamed=true"),
        (dict(seed=2, streamed=False), "seed: 2 needs streamed=true"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(options, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        pairs(**options)
