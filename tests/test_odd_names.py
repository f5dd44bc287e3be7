"""Odd names of rows, scales and claims, and odd words in a stranger's result: shown as they are in
pages, figures and on a terminal, or refused before anything runs."""

import csv
import io

import hypothesis
import markdown_it
import matplotlib.figure
import pytest
from hypothesis import strategies as st
from test_report import result

from configs.table import Better, Row, Scale, Table
from scripts import length_figure, paper_pages, table_figure, transduce
from scripts import report as script
from train import escapes, report
from train.report import origin

ODD = ("a | b", "lr $10^{-3$", "_a", "it's $5 or $x_{", r"\alpha \| `x", "<b>*b*<br> [c](d) &amp;")
ODD += ("数据", "~~x~~ ![y](z)", "a" * 150)
TEXT = st.text("\\`*_[]<>|&$~#!():;-=+ab1 \n\t\0\x1bé", max_size=30)
READER = markdown_it.MarkdownIt("commonmark").enable("table")


def table(rows=("a", "b"), scales=("small",), title="t", says="c", measure="test/mse", **changes):
    claims = (Better(says, row=rows[0], than=rows[-1]),) if len(rows) > 1 else ()
    scales = {scale: Scale("tiny | small", {}, seeds=2) for scale in scales}
    rows = tuple(Row(name) for name in rows)
    base = {"model.name": "sequence_readout", "data.name": "adding", "task.name": "regress"}
    plain = dict(title=title, measure=measure, base=base, rows=rows, claims=claims, scales=scales)
    return Table(**(plain | changes))


def cells(page: str) -> list[list[str]]:
    """The text of each cell of each row of the tables in a page; code in ``. Fails where something
    else than text and code is in one."""
    rows, tokens = [], READER.parse(page)
    for k, token in enumerate(tokens):
        assert token.type not in ("html_block", "code_block"), token.content
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            parts = [t for t in tokens[k + 1].children if t.content or t.type != "text"]
            kinds = {t.type for t in parts} - {"strong_open", "strong_close"}
            assert kinds <= {"text", "text_special", "code_inline"}, kinds
            marks = {"code_inline": "`"}
            rows[-1].append("".join(marks.get(t.type, "") + t.content for t in parts))
    return rows


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a\nb", "a\0", "\x1b[31m", "\u202ea", "a/b", "a,b", " a", "é" * 101],
)
def test_a_row_whose_name_is_no_line_of_text_or_no_folder_is_refused(name):
    with pytest.raises(ValueError, match="^rows: ") as error:
        table(rows=(name, "b"))
    line = str(error.value)
    assert line.isprintable() and len(line) < 400


@pytest.mark.parametrize("scale", ["", ".", "..", "a/b", "two words", "a|b", "a\nb"])
def test_a_scale_whose_name_is_no_folder_is_refused(scale):
    with pytest.raises(ValueError, match="^scales: "):
        table(scales=("small", scale))


def test_rows_that_differ_in_their_case_alone_are_refused_as_some_file_systems_ignore_it():
    with pytest.raises(ValueError, match="'ReLU' and 'relu' would share the folder 'relu'"):
        table(rows=("ReLU", "relu"))


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
@hypothesis.given(TEXT, TEXT)
def test_any_text_is_one_cell_of_markdown_that_shows_it_as_it_is(name, other):
    plain = [escapes.plain(name), escapes.plain(other)]
    head = "| one | two |\n|---|---|\n"
    line = f"| x{escapes.markdown(name)} | y{escapes.markdown(other)}. |\n"
    assert cells(head + line)[1] == [f"x{plain[0]}", f"y{plain[1]}."]
    line = f"| {escapes.code('c' + name)} | {escapes.code(other + '`')} |\n"
    assert cells(head + line)[1] == [
        "`" + escapes.plain("c" + name),
        "`" + escapes.plain(other + "`"),
    ]


@hypothesis.settings(max_examples=40, deadline=None, derandomize=True, database=None)
@hypothesis.given(TEXT)
@hypothesis.example("$x$")
@hypothesis.example("_x")
def test_any_text_stands_in_a_figure_as_it_is_and_in_its_legend(name):
    axes = matplotlib.figure.Figure().subplots()
    axes.plot([1, 2], label=escapes.figure(f"{name}."))
    (text,) = axes.legend().get_texts()
    shown, is_formula = text._preprocess_math(text.get_text())
    assert shown.removeprefix("\u200b") == escapes.plain(f"{name}.") and not is_formula


def test_a_long_name_is_cut_in_a_figure():
    assert escapes.figure("a" * 61) == "a" * 59 + "…" and escapes.figure("a" * 60) == "a" * 60


@pytest.mark.filterwarnings("ignore:Glyph")
def test_figures_of_odd_names_are_drawn(tmp_path):
    odd = table(rows=ODD, title=" ".join(ODD))
    ours = {row.name: {0: 1.0, 1: 2.0} for row in odd.rows}
    table_figure.draw(tmp_path / "x.png", odd, "small", ours, {})
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    records = [dict(step=1, split=f"{name}_", loss=[1.0], error=[5.0]) for name in ODD]
    assert report.curves(records)[:4] == b"\x89PNG"
    symbols = list(ODD[:5])
    assert transduce.draw([[0.2] * 5] * 5, symbols, symbols)[:4] == b"\x89PNG"
    (tmp_path / "x.csv").write_text("length,sources,edits,tokens\n1,60,3,90\n")
    flags = [f"{name}={tmp_path / 'x.csv'}" for name in ODD]
    assert length_figure.main([str(tmp_path / "lengths.png"), *flags]) == 0


def lines(odd: Table, **changes) -> list[dict]:
    """Of results.csv, each row of a table with two seeds."""
    same = dict(table="pair", scale="small", measure=str(odd.measure), value="1.0", steps="2")
    same |= dict(parameters="3", run_seconds="1", command="c", data="d", device="cpu", jax="1")
    same |= dict(git="g", data_digest="x", finished="2026-01-01") | changes
    return [same | dict(row=row.name, seed=str(seed)) for row in odd.rows for seed in (0, 1)]


def test_a_page_of_odd_names_has_its_columns_and_a_command_that_a_shell_reads(tmp_path):
    odd = table(rows=ODD, title="pair | of `rows`\n# no", says="<better> | *than*")
    path = tmp_path / "my papers" / "it's (a) pair.py"
    section = paper_pages.section(path, odd, lines(odd, table=path.stem, device="<i> | x"))
    rows = cells(section)
    assert [row[0] for row in rows] == ["row", *ODD, "claim", "<better> | *than*"]
    assert {len(row) for row in rows} == {3, 2} and [len(row) for row in rows].count(2) == 2
    assert section.startswith("## pair | of `rows` # no\n".replace("|", r"\|").replace("`", r"\`"))
    assert f"""`python -m scripts.sweep '{tmp_path}/my papers/it'"'"'s (a) pair.py' --""" in section
    (path.parent).mkdir()
    (path.parent / paper_pages.figure_name(path, "small")).touch()
    section = paper_pages.section(path, odd, lines(odd, table=path.stem))
    (image,) = (
        token
        for block in READER.parse(section)
        for token in block.children or ()
        if token.type == "image"
    )
    assert image.attrs["src"] == "it%27s%20%28a%29%20pair_small.png"


@pytest.mark.parametrize(("measure", "percent"), [("test/mse", False), ("test/error", True)])
def test_a_page_says_that_errors_are_in_percent_where_it_has_some(
    tmp_path, monkeypatch, measure, percent
):
    odd = table(measure=measure)
    monkeypatch.setattr(paper_pages, "tables", lambda folder: [(tmp_path / "pair.py", odd)])
    assert ("Errors are in percent" in paper_pages.page(tmp_path)) == percent


def test_a_result_of_a_stranger_is_text_in_the_readme_and_on_the_terminal(tmp_path, capsys):
    odd = "x | <script>y</script> [a](b) `c` \x1b[2J\n| z"
    document = result() | dict(command=odd, metric="*a*/\x1berror", git=odd)
    document |= dict(metrics={"*a*/\x1berror": dict(per_seed=[1.0, 2.0])})
    document["device"]["kind"] = document["data"]["source"] = document["versions"]["jax"] = odd
    (tmp_path / "result.json").write_text(report.json.dumps(document))
    row = script.row(str(tmp_path))
    file = io.StringIO()
    writer = csv.DictWriter(file, script.COLUMNS)
    writer.writeheader()
    writer.writerow(row)
    (line,) = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    plain = escapes.plain(odd)
    _, shown = cells(script.block([line]))
    assert shown[0] == f"`{plain}" and shown[1].startswith(f"{plain}: 6,000 train")
    assert shown[2].startswith(r"*a*/\x1berror 1.50 +- 0.71%") and len(shown) == 5
    assert shown[4].startswith(f"{plain} x 2, 2 cores, jax {plain}, 2026-01-01, ")
    assert origin(document)["git"] == odd
    script.main([str(tmp_path)])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
