"""Reports say what was run and what held, and refuse what they cannot judge."""

import collections
import dataclasses
import pathlib
import shutil

import pytest
from tiny_table import TINY

from configs import load
from configs.table import Better, Row, Scale, Table
from scripts import paper_index, paper_pages, sweep, table_figure, table_runs
from scripts import report as report_script
from train.errors import BadInput


def test_a_report_says_what_held_what_was_not_run_and_is_the_same_again(tiny, tmp_path):
    sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=slow,fast"])
    report_script.main([str(tiny), f"--workdir={tmp_path / 'runs'}"])
    page = (tiny.parent / "README.md").read_text()
    assert "| slow | 1.0 |" in page and "| fastest |  | - | not run |" in page
    assert "Scale `paper` (never run): not run." in page and "| fast is faster | **" in page
    results = (tiny.parent / "results.csv").read_text()
    shutil.rmtree(tmp_path / "runs" / "small" / "fast")  # what was entered stays, in its place
    report_script.main([str(tiny), f"--workdir={tmp_path / 'runs'}"])
    assert (tiny.parent / "results.csv").read_text() == results
    assert (tiny.parent / "README.md").read_text() == page == paper_pages.page(tiny.parent)
    assert (tiny.parent / "table_small.png").read_bytes()[:4] == b"\x89PNG"


def test_a_claim_about_rows_that_a_scale_leaves_out_says_so_and_one_about_rows_to_come_says_that():
    claims = (Better("a is better", row="a", than="b"), Better("c is better", row="c", than="b"))
    t = Table(
        title="t",
        measure="m",
        rows=(Row("a"), Row("b"), Row("c")),
        claims=claims,
        scales={"s": Scale("", without=("c",))},
    )
    verdicts = paper_pages.verdicts(t, [], pathlib.Path("t.py"), "s")
    assert [(v.word, v.evidence) for v in verdicts] == [
        ("not run", "no run of a, b"),
        ("not at this scale", "left out: c"),
    ]


def test_a_row_that_the_table_no_longer_has_leaves_the_results_and_those_of_another_table_stay(
    tiny,
):
    table = load.load_table(str(tiny))[1]
    more = dataclasses.replace(table, rows=(*table.rows, Row("gone")))
    numbers = dict(seed="0", value="1", parameters="2", run_seconds="3")
    for path, row in ((tiny.with_name("another.py"), "gone"), (tiny, "gone"), (tiny, "slow")):
        table_runs.enter(path, more, [numbers | dict(table=path.stem, scale="small", row=row)])
    table_runs.enter(tiny, table, [numbers | dict(table="table", scale="small", row="fast")])
    assert [(r["table"], r["row"]) for r in table_runs.read(tiny.parent)] == [
        ("another", "gone"),
        ("table", "slow"),
        ("table", "fast"),
    ]


def test_a_report_leaves_a_readme_of_another_alone_and_runs_no_other_file_of_the_folder(
    tiny, tmp_path
):
    (tiny.parent / "analyse.py").write_text("raise SystemExit('it was run')")
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    sweep.main([*arguments, "--rows=slow"])
    (tiny.parent / "README.md").write_text("my notes\n")
    with pytest.raises(
        BadInput,
        match="README.md: is not one that this command wrote; move table.py to a folder of its own",
    ):
        report_script.main(arguments)
    assert (tiny.parent / "README.md").read_text() == "my notes\n" and not (
        tiny.parent / "results.csv"
    ).exists()
    (tiny.parent / "README.md").unlink()
    assert report_script.main(arguments) == 0 == report_script.main(arguments)


def test_a_row_that_has_changed_since_it_was_run_is_not_reported(tiny, tmp_path):
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    sweep.main([*arguments, "--rows=slow", "--seeds=2"])
    report_script.main(arguments)
    before = (tiny.parent / "results.csv").read_text()
    tiny.write_text(TINY.replace("0.001", "0.002"))
    with pytest.raises(
        BadInput, match=r"holds a run of another config \(optim.lr was 0.001, is 0.002\)"
    ):
        report_script.main(arguments)
    assert (tiny.parent / "results.csv").read_text() == before


def test_a_row_that_was_judged_otherwise_is_not_reported_and_a_sweep_says_so(tiny, tmp_path):
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    sweep.main([*arguments, "--rows=slow", "--seeds=2"])
    # a claim is in steps until a level of the log
    for key, value in (("eval.ensemble", 2), ("log.every", 30)):
        tiny.write_text(
            TINY.replace('"log.every": 10, ', "").replace("base={", f'base={{"{key}": {value}, ')
        )
        for command in (report_script.main, lambda a: sweep.main([*a, "--rows=slow", "--seeds=2"])):
            with pytest.raises(BadInput, match=f"holds a run of another config .*{key} was"):
                command(arguments)
    tiny.write_text(TINY.replace("base={", 'base={"checkpoint.keep": 2, '))
    assert report_script.main(arguments) == 0


def test_a_report_writes_nothing_where_one_of_its_scales_cannot_be_read(tiny, tmp_path):
    tiny.write_text(
        TINY.replace('paper=Scale("never run")', 'paper=Scale("again", {"optim.lr": 0.2})')
    )
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    for scale in ("small", "paper"):
        sweep.main([*arguments, "--rows=slow", "--seeds=2", f"--scale={scale}"])
    (tmp_path / "runs" / "paper" / "slow" / "result.json").write_text("{}")
    with pytest.raises(BadInput):
        report_script.main(arguments)
    assert [path.name for path in tiny.parent.iterdir() if path.suffix != ".py"] == []


def test_a_row_that_trains_again_is_not_drawn_before_it_is_done_nor_is_one_that_a_scale_leaves_out(
    tiny, tmp_path, monkeypatch
):
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    sweep.main([*arguments, "--seeds=2"])
    report_script.main(arguments)
    (tmp_path / "runs" / "small" / "slow" / "result.json").unlink()
    tiny.write_text(TINY.replace('Scale("a toy")', 'Scale("a toy", without=("fastest",))'))
    drawn = {}
    monkeypatch.setattr(
        table_figure,
        "draw",
        lambda file, table, scale, ours, runs: drawn.update(ours=set(ours), runs=set(runs)),
    )
    report_script.main(arguments)
    assert drawn == dict(ours={"slow", "fast"}, runs={"fast"})
    assert "| fastest |  | - | - |" in (tiny.parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"optim.lr": 0.3', '"data.T": 7', "row fastest: data.T: 7 must be an even number"),
        (
            '"train/mse", 0.3',
            '"train/msee", 0.3',
            "row slow has no metric 'train/msee'; choose from train/loss, train/mse, test/loss",
        ),
        ("base={", 'curve="test/typo", base={', "row slow has no metric 'test/typo'"),
        (
            "base={",
            'figures=("typo",), base={',
            "figures: unknown 'typo'; choose from dendrogram, length",
        ),
        ("base={", 'better="smaller", base={', "better: 'smaller' must be 'lower' or 'higher'"),
        (
            'Row("fast",',
            'Row("slow?"), Row("slow!"), Row("fast",',
            "'slow?' and 'slow!' would share the folder 'slow_'",
        ),
        (
            "base={",
            'base={"seeds": (1, 2), ',
            "seeds: are of a scale, Scale(..., seeds=N), not of its changes",
        ),
        (
            "claims=(Better(",
            'claims=(Solves("it does", row="slow"), Better(',
            "'it does' needs a level, as its measure is no number",
        ),
        (
            "claims=(Better(",
            'better="higher", claims=(Better("no", row="fast", than="slow", measure="train/mse"), '
            "Better(",
            "'no' has a measure of its own",
        ),
    ],
)
def test_a_table_that_cannot_be_run_or_judged_is_refused_before_any_row_trains(
    tiny, tmp_path, old, new, words
):
    tiny.write_text(TINY.replace(old, new))
    with pytest.raises(BadInput) as error:
        sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}"])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("column", ["seed", "value", "parameters", "run_seconds"])
def test_a_results_csv_with_a_word_where_a_number_must_be_is_refused_by_name(tiny, column):
    numbers = dict(seed="0", value=">1", parameters="2", run_seconds="3")
    line = numbers | dict(table="table", scale="small", row="fast")
    table = load.load_table(str(tiny))[1]
    table_runs.enter(tiny, table, [line])
    table_runs.read(tiny.parent)
    table_runs.enter(tiny, table, [line | {column: "x | y"}])
    with pytest.raises(BadInput, match=r"results.csv: is damaged \(.*x \| y"):
        table_runs.read(tiny.parent)


def test_a_table_beside_results_of_another_kind_is_told_to_move(tiny):
    (tiny.parent / "results.csv").write_text("command,data\n")
    with pytest.raises(
        BadInput,
        match="results.csv: is not of tables, its columns are command, data; move TABLE.py "
        "elsewhere",
    ):
        sweep.main([str(tiny), "--dry_run"])


def test_a_report_updates_the_index_over_all_papers_also_when_named_from_within_a_folder(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(paper_pages, "PAPERS", tmp_path)
    monkeypatch.chdir(tiny.parent)
    sweep.main(["table.py", f"--workdir={tmp_path / 'runs'}", "--rows=slow"])
    report_script.main(["table.py", f"--workdir={tmp_path / 'runs'}"])
    index = (tmp_path / "README.md").read_text()
    assert index.endswith(f"| no verdict (1 of 3 rows) |\n{paper_index.END}")


def test_the_index_keeps_its_own_words_and_counts_each_table_at_its_largest_scale(tmp_path):
    index = paper_index.index(paper_pages.PAPERS)
    assert index == (paper_pages.PAPERS / "README.md").read_text()
    (tmp_path / "README.md").write_text(
        f"my words\n{paper_index.BEGIN}old{paper_index.END}\nmore\n"
    )
    index = paper_index.index(tmp_path)
    assert index.startswith("my words\n") and index.endswith("\nmore\n") and "old" not in index


def test_a_score_is_a_sentence():
    counts = collections.Counter({"held": 7, "not held": 2, "undecided": 1, "not at this scale": 3})
    assert paper_pages.sentence(counts) == "7 of 10 claims held, 2 did not, 1 is undecided"
    assert paper_pages.sentence(collections.Counter(held=2)) == "2 of 2 claims held"


def test_each_folder_of_papers_has_a_page_that_names_its_papers():
    for folder in paper_index.folders(paper_pages.PAPERS):
        title, _, rest = (folder / "README.md").read_text().partition("\n")
        assert title != f"# {folder.name}" and ("](https://" in rest or "<https://" in rest)


def test_a_report_of_a_table_without_runs_is_refused_with_the_command_that_makes_them(
    tiny, tmp_path
):
    with pytest.raises(BadInput, match="no finished run in .*; python -m scripts.sweep"):
        report_script.main([str(tiny), f"--workdir={tmp_path / 'nowhere'}"])
    assert not (tiny.parent / "results.csv").exists() and not (tiny.parent / "README.md").exists()
