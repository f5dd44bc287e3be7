"""What a trained Seq2Seq makes of a text: the best outputs, their log-probabilities, and where it looked.

python -m scripts.transduce --workdir=DIR "canon" [MORE ...]
python -m scripts.transduce --workdir=DIR < words.txt          one a line; also --file=words.txt
python -m scripts.transduce --workdir=DIR --temperature=0.8 --best=3 "canon"     draws outputs instead of searching for the best
python -m scripts.transduce --workdir=DIR --alignment=canon.png "canon"
python -m scripts.transduce --workdir=DIR --evaluate=test      error rates and BLEU of a split
    --errors=FILE.csv writes the errors of each length with it; --against=1 compares the scores with those of greedy decodes
Several workdirs, by commas, are asked together (an ensemble of one kind of network and one vocabulary).
"""

import csv
import functools
import io
import sys

import numpy as np
from etils import epath

from train.errors import BadInput, Parser, exit_with
from train.log import write_whole

BATCH = 64  # texts decoded together
ROUNDING = 1e-4  # nats: the same output scores so much apart in searches of other sizes


class Transducer:
    """The networks of some runs, ready to be asked. Raises BadInput where they are not Seq2Seqs of one vocabulary."""

    def __init__(self, workdirs: list[str]):
        import architectures
        from train import trained

        runs = [trained.load(epath.Path(w).absolute(), lambda text: print(text, file=sys.stderr)) for w in workdirs]
        for workdir, run in zip(workdirs, runs, strict=True):
            if run.model != "seq2seq":
                raise BadInput(f"--workdir: {workdir} holds a {run.model}, not a seq2seq")
            if (run.options, run.vocabularies) != (runs[0].options, runs[0].vocabularies):
                raise BadInput(f"--workdir: {workdir} and {workdirs[0]} differ in the network or its vocabularies")
        self.data, vocabularies = runs[0].data, runs[0].vocabularies
        if not {"source", "target"} <= vocabularies.keys():
            raise BadInput(f"--workdir: {workdirs[0]} has no source.vocabulary.json and target.vocabulary.json")
        self.source, self.target = vocabularies["source"], vocabularies["target"]
        self.model = architectures.build("seq2seq", outputs=len(self.target), symbols=len(self.source), **runs[0].options)
        self.variables = tuple(variables for run in runs for variables in run.variables)

    def encoded(self, texts: list[str]):
        """int32 [N, S] and the mask; reversed where the run reads its source so. S is a multiple of 8, for few compilations."""
        from train.data.text import padded

        rows = [self.source.encode(text)[:: -1 if self.data.get("reverse") else 1] for text in texts]
        width = -(-max(map(len, [*rows, [0]])) // 8) * 8
        tokens = padded(rows, width)
        return tokens, np.arange(width) < np.array([len(row) for row in rows])[:, None]

    def decode(self, texts: list[str], beams: int, length_norm: float) -> list[list[tuple[str, float]]]:
        """For each text its best outputs with their scores, best first."""
        from architectures import decoding

        search = _compiled(decoding.beam_search, self.model, beams=beams, length_norm=length_norm)
        found = []
        for tokens, scores in self._in_batches(texts, lambda tokens, mask: search(self.variables, tokens, mask)):
            both = zip(tokens, scores, strict=True)
            found.append([(self.target.decode(row), float(score)) for row, score in both if np.isfinite(score)])
        return found

    def sample(self, texts: list[str], temperature: float, seed: int) -> list[str]:
        """For each text an output that is drawn, by its place among the texts and by `seed`."""
        import jax

        from architectures import decoding

        draw = _compiled(decoding.sample, self.model, temperature=temperature)
        key = iter(jax.random.split(jax.random.key(seed), -(-len(texts) // BATCH)))

        def batch(tokens, mask):
            return (draw(self.variables, tokens, mask, jax.random.split(next(key), len(tokens))),)

        return [self.target.decode(row) for (row,) in self._in_batches(texts, batch)]

    def _in_batches(self, texts: list[str], search):
        """For each text its rows of the arrays that search(tokens, mask) returns."""
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            filled = part + [""] * (BATCH - len(part) if len(texts) > BATCH else 0)  # one shape, one compilation
            yield from list(zip(*map(np.asarray, search(*self.encoded(filled))), strict=True))[: len(part)]

    def alignment(self, text: str, output: str):
        """The weights [T, S] of the first network for an output's tokens, and both sides' symbols. Raises BadInput for none."""
        from train.tasks import EOS

        if self.model.attention == "none":
            raise BadInput("--alignment: this network has no attention")
        tokens, mask = self.encoded([text])
        target = np.array([[*self.target.encode(output), EOS]], np.int32)
        inputs = dict(source=tokens, target=target)
        weights = self.model.apply(self.variables[0], inputs, mask, method="align")[0, :, : mask.sum()]
        names = [[v.symbols[n] for n in row] for v, row in ((self.source, tokens[0][mask[0]]), (self.target, target[0]))]
        return np.asarray(weights), *names


@functools.lru_cache
def _compiled(search, model, **options):
    import jax

    return jax.jit(functools.partial(search, model, **options))


def draw(weights: np.ndarray, source: list[str], target: list[str]) -> bytes:
    """A PNG of an alignment as in figure 3 of Bahdanau et al. 2014: the source across, the output down, white is 1."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(1.2 + 0.32 * len(source), 1.0 + 0.32 * len(target)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(weights, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks(range(len(source)), source, rotation=90 if max(map(len, source)) > 2 else 0)
    axes.set_yticks(range(len(target)), target)
    axes.xaxis.tick_top()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    return png.getvalue()


def evaluate(transducer: Transducer, split: str, limit: int | None, beams: int, length_norm: float, against=None):
    """(lines to print, rows for a CSV of the error by length). Raises BadInput for an unknown split.

    against: beams of a second search, or None; a line says on which share of the sources the first one scores at least as
    high, up to rounding.
    """
    import jax

    from train.data import DATASETS
    from train.data.text import padded
    from train.tasks import nearest_reference

    try:
        import sacrebleu
    except ImportError:
        raise BadInput("--evaluate: BLEU needs sacrebleu; pip install -e '.[mt]' -c constraints.txt") from None
    options = {key: value for key, value in transducer.data.items() if key not in ("name", "batch_size")}
    dataset = DATASETS[transducer.data["name"]](**options)
    if split not in dataset.evals:
        raise BadInput(f"--evaluate: unknown split {split!r}; have {', '.join(dataset.evals)}")
    arrays = dataset.evals[split].arrays
    rows = [row[:n] for row, n in zip(arrays["source"], arrays["source_length"], strict=True)][:limit]
    rows = [row[::-1] for row in rows] if transducer.data.get("reverse") else rows
    texts = [transducer.source.decode(row) for row in rows]
    outputs, scores = zip(*(best[0] for best in transducer.decode(texts, beams, length_norm)), strict=True)
    references = arrays["references"][: len(texts)]
    tokens = padded([transducer.target.encode(output) for output in outputs])
    edits, lengths = map(np.asarray, jax.jit(nearest_reference)(tokens, references))
    answers = [[transducer.target.decode(row) for row in of if row.any()] for of in references]
    most = max(map(len, answers))
    columns = [[of[i] if i < len(of) else None for of in answers] for i in range(most)]
    bleu = sacrebleu.metrics.BLEU(tokenize="none", force=True)  # force: no warning of tokens, which these are
    score = bleu.corpus_score(outputs, columns)
    error = 100 * edits.sum() / max(lengths.sum(), 1)
    lines = [
        f"{split}: {len(texts):,} sources, beam {beams}, length norm {length_norm:g}, networks {len(transducer.variables)}",
        f"token error     {error:.2f}%  ({edits.sum():,} edits to the nearest reference, {lengths.sum():,} tokens)",
        f"sequence error  {100 * (edits > 0).mean():.2f}%",
        f"BLEU            {score.score:.2f}  ({bleu.get_signature()})",
    ]
    if against:
        others = [best[0][1] for best in transducer.decode(texts, against, length_norm)]
        share = 100 * (np.array(scores) >= np.array(others) - ROUNDING).mean()
        lines.append(f"beam {beams} scores at least as high as beam {against} on {share:.1f}% of {len(texts):,} sources")
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
    return lines, table


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.transduce", __doc__)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="what to transduce; standard input, if none")
    parser.add_argument("--workdir", required=True, metavar="DIR[,DIR...]", help="of a finished or running training")
    parser.add_argument("--file", metavar="FILE", help="texts, one a line")
    parser.add_argument("--beams", type=int, default=5, help="hypotheses that are followed; 1 is greedy (default 5)")
    parser.add_argument("--best", type=int, default=1, help="outputs to show of each text, at most --beams (default 1)")
    parser.add_argument("--temperature", type=float, metavar="T", help="draw --best outputs; 1: by the network's probabilities")
    parser.add_argument("--seed", type=int, default=0, help="of --temperature: other draws (default 0)")
    parser.add_argument("--length_norm", type=float, default=0.0, help="alpha of Wu et al. 2016; 0: the log-probability")
    parser.add_argument("--alignment", metavar="FILE.png", help="draw where the network looked, for one text")
    parser.add_argument("--evaluate", metavar="SPLIT", help="error rates on a split of the run's data")
    parser.add_argument("--limit", type=int, metavar="N", help="of --evaluate: the first N sources alone")
    parser.add_argument("--errors", metavar="FILE.csv", help="of --evaluate: edits and tokens for each length of the source")
    parser.add_argument("--against", type=int, metavar="BEAMS", help="of --evaluate: compare the scores with this many")
    flags = parser.parse_args(arguments)
    draws = flags.temperature is not None
    if not 1 <= flags.beams <= 100:
        raise BadInput(f"--beams: {flags.beams} must be from 1 to 100")
    if not 1 <= flags.best <= (100 if draws else flags.beams):
        raise BadInput(f"--best: {flags.best} must be from 1 to {'100' if draws else f'--beams={flags.beams}'}")
    if flags.seed and not draws:
        raise BadInput("--seed: needs --temperature")
    if draws and not 0 < flags.temperature < float("inf"):
        raise BadInput(f"--temperature: {flags.temperature} must be above 0")
    if draws and (flags.evaluate or flags.alignment):
        raise BadInput(f"--temperature: {'--evaluate' if flags.evaluate else '--alignment'} needs the best output, not a draw")
    if not 0 <= flags.length_norm < float("inf"):
        raise BadInput(f"--length_norm: {flags.length_norm} must be at least 0")
    if flags.limit is not None and flags.limit < 1:
        raise BadInput(f"--limit: {flags.limit} must be at least 1")
    for flag, value in (("--errors", flags.errors), ("--against", flags.against)):
        if value is not None and not flags.evaluate:
            raise BadInput(f"{flag}: needs --evaluate")
    if flags.against is not None and not 1 <= flags.against <= 100:
        raise BadInput(f"--against: {flags.against} must be from 1 to 100")
    for flag, file in (("--errors", flags.errors), ("--alignment", flags.alignment)):
        if file and not epath.Path(file).parent.is_dir():
            raise BadInput(f"{flag}: there is no folder {epath.Path(file).parent}")
    from train.__main__ import prepare_jax

    prepare_jax()
    transducer = Transducer(flags.workdir.split(","))
    if flags.evaluate:
        lines, table = evaluate(transducer, flags.evaluate, flags.limit, flags.beams, flags.length_norm, flags.against)
        if flags.errors:
            text = io.StringIO()
            writer = csv.DictWriter(text, table[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
            write_whole(epath.Path(flags.errors), text.getvalue())
        print("\n".join(lines))
        return 0
    try:
        texts = flags.texts or (open(flags.file).read() if flags.file else sys.stdin.read()).splitlines()
    except OSError as error:
        raise BadInput(f"--file: {flags.file} cannot be read ({error.strerror})") from None
    texts = [text.strip() for text in texts if text.strip()]
    if not texts:
        raise BadInput("no text; give one, or --file=FILE, or standard input")
    if flags.alignment and len(texts) > 1:
        raise BadInput(f"--alignment: draws one text, not {len(texts)}")
    if draws:
        outputs = transducer.sample([text for text in texts for _ in range(flags.best)], flags.temperature, flags.seed)
        for n, output in enumerate(outputs):
            print(f"{texts[n // flags.best]}\t{output}")
        return 0
    found = transducer.decode(texts, flags.beams, flags.length_norm)
    for text, best in zip(texts, found, strict=True):
        for output, score in best[: flags.best]:
            print(f"{text}\t{output}\t{score:.3f}")
    if flags.alignment:
        epath.Path(flags.alignment).write_bytes(draw(*transducer.alignment(texts[0], found[0][0][0])))
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.transduce")
