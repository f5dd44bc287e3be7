"""JSON that a stranger wrote: each file of it that cannot be taken is refused in one line with its
name."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from etils import epath
from test_report import result

import architectures
from train import documents, escapes, lock, log, report, resumption, trained
from train.data import files
from train.data.vocabulary import SPECIAL, Vocabulary
from train.errors import BadInput

ODD = {  # a JSON text -> what is said of it
    "[" * 100_000 + "]" * 100_000: "nested deeper than 20 levels",
    '{"a": ' * 25 + "1" + "}" * 25: "nested deeper than 20 levels",
    '{"a": NaN}': "NaN is not a number of JSON",
    '{"a": [-Infinity]}': "-Infinity is not a number of JSON",
    '{"a": 1e999}': "the number 1e999 is not finite",
    '{"a": %s}' % ("9" * 5000): "the number 99999999999999999999999… does not fit into 64 bits",
    '{"a": 9223372036854775808}': "the number 9223372036854775808 does not fit into 64 bits",
}
READERS = {  # a file -> what reads it in a folder
    "config.json": lambda folder: trained.load(folder, print),
    "config.json ": resumption.config_of,
    "result.json": report.read,
    "metrics.jsonl": log.read,
    "words.vocabulary.json": lambda folder: trained._vocabulary(folder / "words.vocabulary.json"),
    "lm1b/1.0.0/dataset_info.json": lambda folder: files.tfds_version("lm1b"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("text", ODD, ids=list(ODD.values()))
def test_a_file_of_a_stranger_with_numbers_or_depth_beyond_all_bounds_is_refused_by_name(
    tmp_path, monkeypatch, name, text
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    file = epath.Path(tmp_path / name.strip())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")
    with pytest.raises(BadInput) as error:
        READERS[name](epath.Path(tmp_path))
    line = str(error.value)
    assert "\n" not in line and len(line) < 400
    assert str(tmp_path) in line and (ODD[text] in line or "is damaged; delete" in line)


@pytest.mark.parametrize("text", ODD, ids=list(ODD.values()))
def test_a_lock_that_is_odd_is_held_by_another_process(text):
    assert lock._holder(text.encode()) == "another process"


def test_what_json_may_hold_is_read():
    text = '{"a": [1, -9223372036854775807, 2.5e-300, null, true, "\\u00e4\\n"]}'
    assert documents.parse(text) == dict(a=[1, 1 - 2**63, 2.5e-300, None, True, "ä\n"])
    assert documents.parse('{"a": ' * 19 + "[]" + "}" * 19)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(command=["python"]), "command"),
        (dict(metric="test/none"), "test/none"),
        (dict(seeds=[0, "1"]), "seeds"),
        (dict(seeds="ab"), "seeds"),
        (dict(seeds=[]), ""),
        (dict(stopped=[None]), "stopped"),
        (dict(steps=1.5), "steps"),
        (dict(parameters="7 | 8"), "parameters"),
        (dict(finished="yesterday"), "yesterday"),
        (dict(seconds="long"), ""),
        (dict(metrics={"test/error": dict(per_seed=["<b>"])}), ""),
        (dict(device=None), ""),
        (dict(data=dict(examples=dict(train="many"))), ""),
        (dict(versions=dict(jax="1", python=3)), "Python"),
    ],
)
def test_a_result_with_a_value_of_another_kind_is_refused_by_name(tmp_path, changes, says):
    workdir = epath.Path(tmp_path)
    (workdir / "result.json").write_text(json.dumps(result()))
    assert report.read(workdir) == result()
    (workdir / "result.json").write_text(json.dumps(result() | changes))
    with pytest.raises(BadInput, match=f"result.json is damaged .*{says}") as error:
        report.read(workdir)
    assert "\n" not in str(error.value)


SEQ2SEQ = dict(name="seq2seq", hidden=4, embedding=3, attention="additive")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(model=dict(SEQ2SEQ, name="bert")), "model.name='bert' is not of this code"),
        (dict(model=dict(SEQ2SEQ, name=["seq2seq"])), "config.json"),
        (dict(model=[1]), "config.json"),
        (dict(model=dict(SEQ2SEQ, hidden="many")), "model.hidden: 'many' is a str"),
        (dict(model=dict(SEQ2SEQ, hidden={"a": 1})), "model.hidden"),
        (dict(model=dict(SEQ2SEQ, hidden=10**12)), "model.hidden: 1000000000000 must be below"),
        (dict(model=dict(SEQ2SEQ, frob=1)), "model.frob: is not a key of model.name='seq2seq'"),
        (dict(dtype="object"), "dtype: unknown 'object'"),
        (dict(dtype=5), "dtype"),
        (dict(seeds=3), "config.json"),
        (dict(data="kjv"), "config.json"),
    ],
)
def test_a_config_of_a_stranger_that_names_no_network_of_ours_is_refused(tmp_path, changes, says):
    config = dict(model=SEQ2SEQ, data=dict(name="cmudict"), seeds=[0])
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="no checkpoint"):  # so the config alone is sound
        trained.load(epath.Path(tmp_path), print)
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(BadInput, match=re.escape(says)) as error:
        trained.load(epath.Path(tmp_path), print)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "symbols", "says"),
    [
        (dict(hidden=5), 9, "the checkpoint's params/"),
        (dict(hidden=10**8), 9, "the checkpoint's params/"),
        (dict(), 8, "params/source_embedding/embedding has shape (9, 3), config.json and the voca"),
        (dict(layers=2), 9, "has shape None"),
        (dict(cell="rnn"), 9, "of no network (cell: unknown 'rnn'; choose from elman"),
        (dict(attention="none"), 9, "the checkpoint's params/"),
    ],
)
def test_a_config_that_does_not_fit_its_checkpoint_is_refused_with_the_array(
    options, symbols, says
):
    plain = dict(hidden=4, embedding=3, attention="additive", dtype=np.dtype("float32"))
    inputs = dict(source=np.zeros([1, 1], np.int32), target=np.zeros([1, 1], int))
    model = architectures.build("seq2seq", outputs=7, symbols=9, **plain)
    variables = jax.eval_shape(
        lambda key: model.init(key, inputs, np.ones([1, 1], bool), train=False), jax.random.key(0)
    )
    blank = {key: {} for key in trained.Trained._fields}
    run = trained.Trained(**blank)._replace(
        workdir="run", model="seq2seq", options=plain, variables=[variables]
    )
    assert trained.network(run, inputs, outputs=7, symbols=9) == model
    with pytest.raises(BadInput, match=re.escape(says)) as error:
        run = run._replace(options=plain | options)
        trained.network(run, inputs, outputs=7, symbols=symbols)
    assert str(error.value).startswith("run: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "task", [{}, dict(task=3), dict(task=dict(name="x")), dict(task=dict(name=[])), dict(task={})]
)
def test_the_best_checkpoint_of_a_config_without_a_task_of_ours_is_refused(task):
    assert trained._metric(dict(task=dict(name="classify"))) == "error"
    with pytest.raises(ValueError, match="config.json has no task that could be judged"):
        trained._metric(task)


@pytest.mark.parametrize(
    "changes", [dict(symbols=[*SPECIAL, 1]), dict(symbols=[*SPECIAL, []]), dict(merges=[[1, 2]])]
)
def test_a_vocabulary_of_anything_but_text_is_refused(changes):
    plain = dataclasses.asdict(Vocabulary.build(["a b"], "symbol"))
    assert Vocabulary.from_json(json.dumps(plain)).symbols == (*SPECIAL, "a", "b")
    with pytest.raises(BadInput, match="the vocabulary is damaged"):
        Vocabulary.from_json(json.dumps(plain | changes))


def test_a_line_of_an_error_has_no_control_characters():
    assert escapes.plain("a\x1b[31m\tb\0\nc\u202ed\udce9 ä") == r"a\x1b[31m b\x00 c\u202ed\udce9 ä"
