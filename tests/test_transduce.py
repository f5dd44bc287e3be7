"""A trained network asked from its workdir: outputs, alignments, error rates, drawn text; and
refusals in one line."""

import csv
import io
import json

import helpers
import numpy as np
import pytest

from scripts import generate, length_figure, prepare_data, transduce, transducer, weights
from train import __main__ as command
from train.data import DATASETS, texts
from train.errors import BadInput
from train.tasks import EOS

TINY = [
    "--config.model.hidden=8",
    "--config.optim.steps=2",
    "--config.schedule.warmup=0",
    "--config.seeds=0,1",
]
CMUDICT = [
    "--config=configs/seq2seq_cmudict.py",
    "--config.data.buckets=1",
    "--config.model.embedding=8",
]
CMUDICT += ["--config.data.reverse=true"]
KJV = ["--config=configs/lm_kjv.py", "--config.data.vocabulary=char", "--config.data.window=10"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The workdirs of a Seq2Seq and of a language model, hardly trained."""
    folder = tmp_path_factory.mktemp("runs")
    for name, flags in dict(seq2seq=CMUDICT, language_model=KJV).items():
        cadences = [f"--config.{what}.every=2" for what in ("eval", "log", "checkpoint")]
        done = helpers.train(*flags, *TINY, *cadences, f"--workdir={folder / name}")
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.txt").write_text(done.stdout)
    return folder


def test_each_text_has_its_best_outputs_in_order_whatever_else_is_asked(runs, capsys):
    workdir = f"--workdir={runs / 'seq2seq'}"
    assert transduce.main([workdir, "canon", "a", "--best=3", "--beams=4"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [["1", "canon"]] * 3 + [["2", "a"]] * 3
    scores = [float(score) for *_, score in lines]
    assert scores[:3] == sorted(scores[:3], reverse=True) and scores[0] < 0
    transduce.main([workdir, "a", "--beams=4"])
    assert capsys.readouterr().out.splitlines() == ["\t".join(["1", *lines[3][1:]])]


def test_a_network_in_bfloat16_is_asked_in_bfloat16_and_one_of_places_takes_its_longest_word_and_no_longer(
    tmp_path, capsys
):
    flags = [
        "--config.dtype=bfloat16",
        "--config.model.attention=location",
        "--config.model.max_source=34",
    ]
    assert command.main([*CMUDICT, *TINY, *flags, f"--workdir={tmp_path}"]) == 0
    network = transducer.Transducer([str(tmp_path)])
    assert network.model.dtype == "bfloat16"
    assert transduce.main([f"--workdir={tmp_path}", "a" * 34, "--beams=1"]) == 0
    with pytest.raises(BadInput, match="has 35 symbols, the network has attention for 34"):
        transduce.main([f"--workdir={tmp_path}", "a" * 35])


def test_outputs_are_drawn_the_same_for_the_same_seed_and_without_temperature_they_are_the_greedy_ones(
    runs, capsys
):
    def said(*flags):
        assert transduce.main([f"--workdir={runs / 'seq2seq'}", "canon", "a", *flags]) == 0
        return [tuple(line.split("\t")[1:3]) for line in capsys.readouterr().out.splitlines()]

    first = said("--temperature=1", "--best=2", "--seed=1")
    assert [text for text, _ in first] == ["canon"] * 2 + ["a"] * 2 and first[0] != first[1]
    assert (
        first
        == said("--temperature=1", "--best=2", "--seed=1")
        != said("--temperature=1", "--best=2", "--seed=2")
    )
    assert said("--temperature=1e-6") == said("--beams=1")


def test_texts_come_from_a_file_too_and_an_alignment_is_drawn_in_the_order_the_network_reads(
    runs, capsys, tmp_path
):
    (tmp_path / "words.txt").write_text("canon\n\n")
    png = tmp_path / "alignment.png"
    transduce.main(
        [f"--workdir={runs / 'seq2seq'}", f"--file={tmp_path / 'words.txt'}", f"--alignment={png}"]
    )
    assert capsys.readouterr().out.startswith("1\tcanon\t") and png.read_bytes()[:4] == b"\x89PNG"
    found = transduce.Transducer([str(runs / "seq2seq")])
    weights, source, target = found.alignment(
        *found.encode(["canon"]), found.target.encode("K AE N")
    )
    assert (source, target) == (list("nonac"), ["K", "AE", "N", "<eos>"])
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("flags", [["--beams=2"], ["--temperature=1"], ["--best=2"]])
def test_the_outputs_of_a_file_stand_on_the_lines_of_their_inputs_whatever_is_in_these(
    runs, capfd, tmp_path, flags
):
    texts = ["canon", "", "a\tb", "  ", "a\u2028b\x0cc\x85d", "abc"]
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(texts).encode())
    assert (
        transduce.main([f"--workdir={runs / 'seq2seq'}", f"--file={tmp_path}/in.txt", *flags]) == 0
    )
    lines = [line.split("\t") for line in capfd.readouterr().out.removesuffix("\n").split("\n")]
    asked = [(str(n + 1), text.replace("\t", "\\t")) for n, text in enumerate(texts)]
    times = [2 if text.strip() and "--best=2" in flags else 1 for text in texts]
    assert [tuple(line[:2]) for line in lines] == [
        pair for pair, n in zip(asked, times, strict=True) for _ in range(n)
    ]
    assert len(set(map(len, lines))) == 1 and {
        line[2] for line in lines if not line[1].strip()
    } == {""}


def test_a_byte_order_mark_changes_no_output(runs, capsys, monkeypatch):
    said = []
    for mark in (b"", b"\xef\xbb\xbf"):
        stdin = io.TextIOWrapper(io.BytesIO(mark + b"canon"), encoding="ascii")
        monkeypatch.setattr("sys.stdin", stdin)
        assert transduce.main([f"--workdir={runs / 'seq2seq'}", "--beams=2"]) == 0
        said.append(capsys.readouterr())
    assert said[0] == said[1] and not said[0].err


def test_what_is_right_scores_no_errors_and_100_bleu_and_what_is_wrong_does_not(runs, monkeypatch):
    found = transduce.Transducer([str(runs / "seq2seq")])
    assert len(transduce.Transducer([str(runs / "seq2seq")] * 2).variables) == 2 * len(
        found.variables
    )
    options = {key: value for key, value in found.data.items() if key not in ("name", "batch_size")}
    first = [
        [int(n) for n in of[0] if n > EOS]
        for of in DATASETS["cmudict"](**options).evals["test"].arrays["references"]
    ]
    for wrong in (False, True):
        answers = [row[:-1] if wrong and k % 2 else row for k, row in enumerate(first)]
        monkeypatch.setattr(
            found,
            "decode",
            lambda rows, *_, answers=answers: [[(row, 0.0)] for row in answers[: len(rows)]],
        )
        lines, _ = transduce.evaluate(found, "test", 50, 1, 0.0)
        assert ("  0.00%" in lines[1], lines[2].split()[2] == ("50.00%" if wrong else "0.00%")) == (
            not wrong,
            True,
        )
        assert ("BLEU            100.00" in lines[3]) != wrong


def test_error_rates_of_a_split_are_those_that_training_found_and_are_tabled_by_length(
    runs, capsys, tmp_path
):
    said = (runs / "seq2seq.txt").read_text()
    first = next(line for line in said.splitlines() if line.startswith("test/token_error"))
    per_seed = [float(v) for v in first.split("(")[1].rstrip(")").split(",")]
    found = transduce.Transducer([str(runs / "seq2seq")])
    found.variables = found.variables[:1]  # the run evaluates each seed alone
    lines, table = transduce.evaluate(found, "test", None, 1, 0.0)
    error = 100 * sum(row["edits"] for row in table) / sum(row["tokens"] for row in table)
    assert (
        error == pytest.approx(per_seed[0], rel=2e-3)
        and sum(row["sources"] for row in table) == 6255
    )
    assert "tok:none" in lines[3] and f"{error:.2f}%" in lines[1]
    path = tmp_path / "errors.csv"
    with path.open("w") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    length_figure.main([str(tmp_path / "lengths.png"), f"$_$ tiny={path}"])
    assert (tmp_path / "lengths.png").read_bytes()[:4] == b"\x89PNG"
    _, errors, _ = length_figure.points(str(path))
    assert min(errors) <= error <= max(errors)
    # too few sources for a point of their own
    path.write_text("length,sources,edits,tokens\n4,10,2,40\n5,1,1,5\n")
    assert length_figure.points(str(path))[:2] == ([45 / 11], [pytest.approx(100 * 3 / 45)])
    path.write_text("length,sources,edits,tokens\n4,10,2,0\n")
    with pytest.raises(BadInput, match="no table of errors by length"):
        length_figure.points(str(path))


def test_unknown_words_stay_one_word_in_the_error_rates_of_a_split(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "load", helpers.or_a_little_text(texts.load))
    flags = [
        "--config=configs/seq2seq_kjv_reina_valera.py",
        "--config.data.vocabulary=word",
        "--config.data.size=3",
    ]
    flags += [
        "--config.model.embedding=8",
        "--config.eval.every=2",
        "--config.seeds=0",
        "--config.parallel.devices=1",
    ]
    assert command.main([*flags, *TINY[:3], f"--workdir={tmp_path / 'run'}"]) == 0
    trained = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"][
        "test/token_error"
    ]["per_seed"]
    lines, table = transduce.evaluate(
        transduce.Transducer([str(tmp_path / "run")]), "test", None, 1, 0.0
    )
    # "And it was so ."
    assert f"{trained[0]:.2f}%" in lines[1] and [row["length"] for row in table] == [5]


def test_a_wide_search_is_said_to_score_as_high_as_a_narrow_one_more_often_than_the_other_way_round(
    runs,
):
    found = transduce.Transducer([str(runs / "seq2seq")])
    lines = [
        transduce.evaluate(found, "test", 64, beams, 0.0, against)[0][-1]
        for beams, against in ((5, 1), (1, 5), (5, 5))
    ]
    assert lines[0].startswith("beam 5 scores at least as high as beam 1 on ") and lines[
        0
    ].endswith("% of 64 sources")
    wide, narrow, same = (float(line.split(" on ")[1].split("%")[0]) for line in lines)
    assert narrow < wide <= same == 100


def test_a_run_says_a_few_of_its_decodes_in_its_log_and_a_reversed_source_as_it_was_written(runs):
    lines = [
        line.split(None, 1)[1]
        for line in (runs / "seq2seq.txt").read_text().splitlines()
        if line.startswith("sample")
    ]
    assert len(lines) == 3 and all(line.endswith(")") for line in lines)
    assert {line.split(" -> ")[0] for line in lines} <= {
        word.split("\t")[0] for word in texts.load("cmudict")[0]
    }


def test_text_is_drawn_from_a_language_model_the_same_for_the_same_seed_and_from_token_to_token(
    runs, capsys
):
    texts = []
    config = json.loads((runs / "language_model" / "config.json").read_text())
    config["model"]["carried"] = False
    (runs / "anew").mkdir()
    for path in (runs / "language_model").iterdir():
        (runs / "anew" / path.name).symlink_to(path)
    (runs / "anew" / "config.json").unlink()
    (runs / "anew" / "config.json").write_text(json.dumps(config))
    for run, *flags in (
        ["language_model"],
        ["anew"],
        ["language_model", "--seed=1"],
        ["language_model", "--temperature=0"],
    ):
        assert (
            generate.main([f"--workdir={runs / run}", "--prompt=In the", "--tokens=20", *flags])
            == 0
        )
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2] and all(text.startswith("In the") for text in texts)
    assert len(set(texts[3][len("In the") :])) < len(set(texts[0]))


def test_letters_that_a_run_does_not_know_are_named_in_one_line_beside_the_output_and_others_are_not(
    runs, capsys
):
    for of, flags, names in (
        (transduce, ["CaNON", "a"], "'C', 'N', 'O'"),
        (transduce, ["canon"], ""),
        (generate, ["--prompt=In Ж", "--tokens=1"], "'Ж'"),
    ):
        of.main(
            [f"--workdir={runs / ('seq2seq' if of is transduce else 'language_model')}", *flags]
        )
        said = capsys.readouterr()
        line = f": the vocabulary does not have {names}; the network reads <unk> there\n"
        assert said.out and (
            said.err == f"python -m {of.__name__}{line}" if names else not said.err
        )


@pytest.mark.parametrize(
    ("command", "flags", "says"),
    [
        (transduce, ["--workdir={}/nothing", "a"], "no run with a readable config.json"),
        (transduce, ["--workdir={}/language_model", "a"], "holds a language_model, not a seq2seq"),
        (transduce, ["--workdir={}/seq2seq", "--best=6", "a"], "--best: 6 is outside [1, 5]"),
        (
            transduce,
            ["--workdir={}/seq2seq", "--alignment=x.png", "a", "b"],
            "--alignment: draws one text, not 2",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--alignment=x.txt", "a"],
            "--alignment: x.txt is drawn as a PNG; name a .png",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--alignment=foo://x.png", "a"],
            "--alignment: foo://x.png: unknown 'foo://'",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--evaluate=tset"],
            "unknown split 'tset'; choose from validation, test",
        ),
        (transduce, ["--workdir={}/seq2seq", "--file=nothing"], "nothing cannot be read"),
        (transduce, ["--workdir={}/seq2seq", "--errors=x.csv", "a"], "--errors: needs --evaluate"),
        (transduce, ["--workdir={}/seq2seq", "--against=1", "a"], "--against: needs --evaluate"),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1", "--best=101", "a"],
            "--best: 101 is outside [1, 100]",
        ),
        (transduce, ["--workdir={}/seq2seq", "--seed=1", "a"], "--seed: needs --temperature"),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=0", "a"],
            "--temperature: 0.0 must be at least 1e-06",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1e-50", "a"],
            "--temperature: 1e-50 must be at least 1e-06",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1", f"--seed={2**40}", "a"],
            "--seed: 1099511627776 is outside [0, ",
        ),
        (transduce, ["--workdir={}/seq2seq", "--evaluate=test", "--errors={}"], " is a folder"),
        (
            transduce,
            ["--workdir={}/seq2seq", "--file={}/latin"],
            "/latin: line 1 is not UTF-8",
        ),
        (
            generate,
            ["--workdir={}/language_model", f"--seed={2**40}"],
            "--seed from 0 to 2**31 - 1",
        ),
        (
            generate,
            ["--workdir={}/language_model", "--temperature=1e-50"],
            "--temperature: 1e-50 must be 0, or at least 1e-06",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1", "--evaluate=test"],
            "--temperature: does not go with --evaluate",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1", "--beams=5", "a"],
            "--temperature: does not go with --beams",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--temperature=1", "--length_norm=0", "a"],
            "does not go with --length_norm",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--evaluate=test", "a"],
            "--evaluate: does not go with a TEXT",
        ),
        (
            transduce,
            ["--workdir={}/seq2seq", "--evaluate=test", "--best=2"],
            "--evaluate: does not go with --best",
        ),
        (transduce, ["--workdir={}/seq2seq", "--file=x", "a"], "--file: does not go with a TEXT"),
        (transduce, ["--workdir={}/seq2seq", "--limit=3", "a"], "--limit: needs --evaluate"),
        (
            transduce,
            ["--workdir={}/seq2seq", "--evaluate=test", "--limit=0"],
            "--limit: 0 is outside [1, inf]",
        ),
        (
            generate,
            ["--workdir={}/seq2seq"],
            "holds a seq2seq; what is needed is a language_model of text",
        ),
        (
            generate,
            ["--workdir={}/language_model", "--tokens=0"],
            "--tokens and --samples must be from 1",
        ),
        (
            generate,
            ["--workdir={}/language_model", "--temperature=0", "--samples=2"],
            "--temperature=0: is no draw",
        ),
        (
            weights,
            ["torch.nn/LSTM", "{}/seq2seq", "x.npz", "--reverse"],
            "is one stack of layers, not a run's network",
        ),
        (prepare_data, ["kjv_reina_valera", "--origin=tfds"], "comes from its package alone"),
        (
            prepare_data,
            ["fashion_mnist", "--check", "--origin=tfds"],
            "--check: looks at what is prepared",
        ),
        (
            prepare_data,
            ["imagenet2012", "--tfrecord=x", "--manual_dir=y"],
            "--manual_dir and --tfrecord: one or the other",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(runs, command, flags, says):
    (runs / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(BadInput) as error:
        command.main([flag.format(runs) for flag in flags])
    assert says in str(error.value) and "\n" not in str(error.value)
