"""What a trained Seq2Seq makes of a text: the best outputs, their log-probabilities, alignments.

python -m scripts.transduce --workdir=DIR "canon" [MORE ...]
python -m scripts.transduce --workdir=DIR < words.txt          one a line; also --file=words.txt
python -m scripts.transduce --workdir=DIR --temperature=0.8 --best=3 "canon"     draws outputs
python -m scripts.transduce --workdir=DIR --alignment=canon.png "canon"
python -m scripts.transduce --workdir=DIR --evaluate=test      error rates and BLEU of a split
    --errors=FILE.csv writes the errors of each length with it; --against=1 compares the scores with
    those of greedy decodes

Each output is a line of columns separated by tabs: the number of its text, the text, the output,
and its log-probability unless it was drawn. An empty text has an empty output, so with --best=1
line n of the output belongs to line n of the file. Inside a column a tab is written \\t.
All seeds of a run, and of several workdirs separated by commas, decode together (an ensemble of one
kind of network and vocabulary).
"""

import csv
import io
import math
import sys

import numpy as np

from scripts.transducer import Transducer
from train import escapes, paths, run_flags
from train.data import text_lines
from train.errors import BadInput, Parser, exit_with, reason, writing_in
from train.log import write_whole
from train.report import png

COLDEST = 1e-6  # temperature: logits divided by it must stay finite
ROUNDING = 1e-4  # nats by which an output's scores differ between searches of different sizes


def draw(weights: np.ndarray, source: list[str], target: list[str]) -> bytes:
    """A PNG of an alignment, as in figure 3 of Bahdanau et al. 2014.

    The source runs across, the output down; white is 1.
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(1.2 + 0.32 * len(source), 1.0 + 0.32 * len(target)), layout="constrained"
    )
    axes = figure.subplots()
    source, target = (list(map(escapes.figure, symbols)) for symbols in (source, target))
    axes.imshow(weights, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks(range(len(source)), source, rotation=90 if max(map(len, source)) > 2 else 0)
    axes.set_yticks(range(len(target)), target)
    axes.xaxis.tick_top()
    return png(figure, dpi=150)


def evaluate(
    transducer: Transducer,
    split: str,
    limit: int | None,
    beams: int,
    length_norm: float,
    against=None,
):
    """(lines to print, rows for a CSV of the error by length).

    Raises BadInput for an unknown split.

    against: beams of a second search, or None; a line says on which share of the sources the first
    one scores at least as high, up to rounding.
    """
    import jax

    from train import trained
    from train.data.buckets import padded
    from train.data.vocabulary import SPECIAL
    from train.tasks import UNK, nearest_reference

    try:
        import sacrebleu
    except ImportError:
        raise BadInput(
            "--evaluate: BLEU needs sacrebleu; pip install -e '.[mt]' -c constraints.txt"
        ) from None
    dataset = trained.dataset(transducer.run)
    if split not in dataset.evals:
        raise BadInput(
            f"--evaluate: unknown split {split!r}; choose from {', '.join(dataset.evals)}"
        )
    arrays = dataset.evals[split].arrays
    rows = [row[:n] for row, n in zip(arrays["source"], arrays["source_length"], strict=True)][
        :limit
    ]
    outputs, scores = zip(
        *(best[0] for best in transducer.decode(rows, beams, length_norm)), strict=True
    )
    references = arrays["references"][: len(rows)]
    edits, lengths = map(np.asarray, jax.jit(nearest_reference)(padded(outputs), references))
    texts = [transducer.target.decode(output) for output in outputs]
    # a reference's word outside the vocabulary is never right
    unknown = SPECIAL[UNK], "<other>"
    answers = [
        [transducer.target.decode(row).replace(*unknown) for row in of if row.any()]
        for of in references
    ]
    most = max(map(len, answers))
    columns = [[of[i] if i < len(of) else None for of in answers] for i in range(most)]
    # force: no warning about tokenized text, which this is
    bleu = sacrebleu.metrics.BLEU(tokenize="none", force=True)
    score = bleu.corpus_score(texts, columns)
    error = 100 * edits.sum() / max(lengths.sum(), 1)
    summary = [
        f"{split}: {len(rows):,} sources, beam {beams}, length norm {length_norm:g}, networks "
        f"{len(transducer.variables)}",
        f"token error     {error:.2f}%  ({edits.sum():,} edits to the nearest reference, "
        f"{lengths.sum():,} tokens)",
        f"sequence error  {100 * (edits > 0).mean():.2f}%",
        f"BLEU            {score.score:.2f}  ({bleu.get_signature()})",
    ]
    if against:
        others = [best[0][1] for best in transducer.decode(rows, against, length_norm)]
        share = 100 * (np.array(scores) >= np.array(others) - ROUNDING).mean()
        summary.append(
            f"beam {beams} scores at least as high as beam {against} on {share:.1f}% of "
            f"{len(rows):,} sources"
        )
    sizes = np.array(list(map(len, rows)))
    table = [
        dict(
            length=int(n),
            sources=int((sizes == n).sum()),
            edits=int(edits[sizes == n].sum()),
            tokens=int(lengths[sizes == n].sum()),
        )
        for n in np.unique(sizes)
    ]
    return summary, table


def _texts(flags) -> list[str]:
    """The texts of the command line, or the lines of --file or of standard input.

    Raises BadInput.
    """
    for text in flags.texts:
        text_lines.require_utf8(text, "TEXT")
    if flags.texts:
        return flags.texts
    where = f"--file: {flags.file}" if flags.file else "standard input"
    try:
        contents = flags.file.read_bytes() if flags.file else sys.stdin.buffer.read()
    except OSError as error:
        raise BadInput(f"{where} cannot be read ({reason(error)})") from None
    return text_lines.decode(contents, where)


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.transduce", __doc__)
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="what to transduce; standard input, if none"
    )
    parser.add_argument(
        "--workdir", required=True, metavar="DIR[,DIR...]", help="of a finished or running training"
    )
    parser.add_argument("--file", metavar="FILE", help="texts, one a line")
    parser.add_argument(
        "--beams", type=int, help="hypotheses that are followed; 1 is greedy (default 5)"
    )
    parser.add_argument(
        "--best", type=int, help="outputs to show of each text, at most --beams (default 1)"
    )
    parser.add_argument(
        "--length_norm",
        type=float,
        help="alpha of Wu et al. 2016; 0: the log-probability (default 0)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="draw --best outputs; 1: by the network's probabilities",
    )
    parser.add_argument("--seed", type=int, help="of --temperature: other draws (default 0)")
    parser.add_argument(
        "--alignment", metavar="FILE.png", help="draw where the network looked, for one text"
    )
    parser.add_argument(
        "--evaluate", metavar="SPLIT", help="error rates on a split of the run's data"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="of --evaluate: the first N sources alone"
    )
    parser.add_argument(
        "--errors",
        metavar="FILE.csv",
        help="of --evaluate: edits and tokens for each length of the source",
    )
    parser.add_argument(
        "--against",
        type=int,
        metavar="BEAMS",
        help="of --evaluate: compare the scores with this many",
    )
    run_flags.add(parser)
    flags = parser.parse_args(arguments)
    _check(flags)
    beams, best, length_norm = flags.beams or 5, flags.best or 1, flags.length_norm or 0.0
    from train.__main__ import prepare_jax

    prepare_jax()
    from train import layout

    layout.available_devices()
    transducer = Transducer(paths.runs_of(flags.workdir), **run_flags.chosen(flags))
    if flags.evaluate:
        summary, table = evaluate(
            transducer, flags.evaluate, flags.limit, beams, length_norm, flags.against
        )
        print("\n".join(summary))
        if flags.errors:
            text = io.StringIO()
            writer = csv.DictWriter(text, table[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
            with writing_in(flags.errors, after=""):
                write_whole(flags.errors, text.getvalue())
        return 0
    texts = _texts(flags)
    full = {number: text.strip() for number, text in enumerate(texts) if text.strip()}
    if not full:
        raise BadInput("no text; give one, or --file=FILE, or standard input")
    if flags.alignment and len(full) > 1:
        raise BadInput(f"--alignment: draws one text, not {len(full)}")
    if lacking := transducer.source.lacking(full.values()):
        print(f"{parser.prog}: {lacking}", file=sys.stderr)
    sources, in_words = transducer.encode([*full.values()]), transducer.target.decode
    if flags.temperature is not None:
        repeated = [row for row in sources for _ in range(best)]
        drawn = map(in_words, transducer.sample(repeated, flags.temperature, flags.seed or 0))
        answers = [[(next(drawn),) for _ in range(best)] for _ in sources]
        nothing = [("",)]
    else:
        found = transducer.decode(sources, beams, length_norm)
        answers = [
            [(in_words(output), f"{score:.3f}") for output, score in outputs[:best]]
            for outputs in found
        ]
        nothing = [("", "")]
    answers = dict(zip(full, answers, strict=True))
    for number, text in enumerate(texts):
        for columns in answers.get(number) or nothing:
            print(text_lines.record(str(number + 1), text, *columns))
    if flags.alignment:
        drawn = draw(*transducer.alignment(sources[0], found[0][0][0]))
        with writing_in(flags.alignment, after=""):
            write_whole(flags.alignment, drawn)
    return 0


# flag -> the flag it needs
OF = {"seed": "temperature", "limit": "evaluate", "errors": "evaluate", "against": "evaluate"}
APART = {  # flag -> the flags that mean nothing beside it
    # a draw follows no hypotheses and is not the best output
    "temperature": ("beams", "length_norm", "evaluate", "alignment"),
    "evaluate": ("texts", "file", "best", "alignment"),
    "file": ("texts",),
}


def _check(flags) -> None:
    """Raises BadInput for numbers out of range, and for flags that do not go together."""
    given = {name: value for name, value in vars(flags).items() if value not in (None, [])}
    for flag, needed in OF.items():
        if flag in given and needed not in given:
            raise BadInput(f"--{flag}: needs --{needed}")
    for flag, others in APART.items():
        for other in others if flag in given else ():
            if other in given:
                raise BadInput(
                    f"--{flag}: does not go with "
                    f"{'a TEXT' if other == 'texts' else f'--{other}'}; leave one out"
                )
    most = 100 if "temperature" in given else given.get("beams", 5)
    ranges = dict(
        beams=(1, 100), best=(1, most), against=(1, 100), limit=(1, math.inf), seed=(0, 2**31 - 1)
    )
    for flag, (low, high) in ranges.items():
        if not low <= given.get(flag, low) <= high:
            raise BadInput(f"--{flag}: {given[flag]} is outside [{low}, {high}]")
    if not COLDEST <= given.get("temperature", 1) < math.inf:
        raise BadInput(
            f"--temperature: {flags.temperature} must be at least {COLDEST}; --beams=1 is the "
            "limit of 0"
        )
    if not 0 <= given.get("length_norm", 0) < math.inf:
        raise BadInput(f"--length_norm: {flags.length_norm} must be at least 0")
    for flag in ("errors", "alignment"):
        if flag not in given:
            continue
        file = paths.path_of(given[flag], f"--{flag}")
        setattr(flags, flag, file)
        if not file.parent.is_dir() or file.is_dir():
            raise BadInput(
                f"--{flag}: "
                f"{f'{file} is a folder' if file.is_dir() else f'there is no folder {file.parent}'}"
            )
    if "file" in given:
        flags.file = paths.file_of(flags.file, "--file")
    if not given.get("alignment", ".png").lower().endswith(".png"):
        raise BadInput(f"--alignment: {given['alignment']} is drawn as a PNG; name a .png")


if __name__ == "__main__":
    exit_with(main, "python -m scripts.transduce")
