"""The Seq2Seqs of finished runs, ready to decode. Used by scripts.transduce."""

import functools
import sys

import numpy as np

from train.errors import BadInput

BATCH = 64  # texts decoded together


class Transducer:
    """The networks of some runs, ready to decode.

    Raises BadInput where they are not Seq2Seqs of one vocabulary.
    """

    def __init__(
        self, workdirs: list[str], checkpoint: str = "latest", config_file: str | None = None
    ):
        """checkpoint, config_file: as in trained.load."""
        from architectures.seq2seq import Seq2Seq
        from train import trained

        runs = [trained.load(w, checkpoint=checkpoint, config_file=config_file) for w in workdirs]
        for workdir, run in zip(workdirs, runs, strict=True):
            if not run.is_a(Seq2Seq):
                raise BadInput(f"--workdir: {workdir} holds a {run.model}, not a seq2seq")
            same = ("model", "options", "vocabularies")
            if any(getattr(run, what) != getattr(runs[0], what) for what in same):
                raise BadInput(
                    f"--workdir: {workdir} and {workdirs[0]} differ in the network or its "
                    "vocabularies"
                )
        self.run, self.data, vocabularies = runs[0], runs[0].data, runs[0].vocabularies
        if not {"source", "target"} <= vocabularies.keys():
            raise BadInput(
                f"--workdir: {workdirs[0]} has no source.vocabulary.json and target.vocabulary.json"
            )
        self.source, self.target = vocabularies["source"], vocabularies["target"]
        sizes, one = (
            dict(outputs=len(self.target), symbols=len(self.source)),
            np.zeros([1, 1], np.int32),
        )
        for run in runs:
            self.model = trained.network(run, dict(source=one, target=one), **sizes)
        # symbols of a source
        self.most = self.model.max_source if self.model.attention == "location" else sys.maxsize
        self.variables = tuple(variables for run in runs for variables in run.variables)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The numbers of sources as the networks read them, reversed where a run does so.

        Raises BadInput where a source is too long.
        """
        numbers = [
            self.source.encode(text)[:: -1 if self.data.get("reverse") else 1] for text in texts
        ]
        for text, row in zip(texts, numbers, strict=True):
            if len(row) > self.most:
                raise BadInput(
                    f"TEXT: {text!r} has {len(row)} symbols, the network has attention for "
                    f"{self.most} (max_source)"
                )
        return numbers

    def decode(
        self, sources: list, beams: int, length_norm: float
    ) -> list[list[tuple[list[int], float]]]:
        """For each source its best outputs, without EOS, with their scores, best first.

        sources: numbers as from `encode`.
        """
        from architectures import decoding

        search = _compiled(decoding.beam_search, self.model, beams=beams, length_norm=length_norm)
        found = []
        for tokens, scores in self._in_batches(
            sources, lambda tokens, mask: search(self.variables, tokens, mask)
        ):
            both = zip(tokens, scores, strict=True)
            found.append([(_said(row), float(score)) for row, score in both if np.isfinite(score)])
        return found

    def sample(self, sources: list, temperature: float, seed: int) -> list[list[int]]:
        """For each source one drawn output, fixed by its place among the sources and by `seed`."""
        import jax

        from architectures import decoding

        draw = _compiled(decoding.sample, self.model, temperature=temperature)
        key = iter(jax.random.split(jax.random.key(seed), -(-len(sources) // BATCH)))

        def batch(tokens, mask):
            return (draw(self.variables, tokens, mask, jax.random.split(next(key), len(tokens))),)

        return [_said(row) for (row,) in self._in_batches(sources, batch)]

    def _in_batches(self, sources: list, search):
        """For each source its rows of the arrays that search(tokens, mask) returns."""
        for start in range(0, len(sources), BATCH):
            part = sources[start : start + BATCH]
            # one shape, one compilation
            filled = part + [[]] * (BATCH - len(part) if len(sources) > BATCH else 0)
            yield from list(
                zip(*map(np.asarray, search(*_padded(filled, self.most))), strict=True)
            )[: len(part)]

    def alignment(self, source: list[int], output: list[int]):
        """The weights [T, S] of the first network for an output, and both sides' symbols.

        Raises BadInput where there are none.
        """
        from train.tasks import EOS

        if self.model.attention == "none":
            raise BadInput("--alignment: this network has no attention")
        tokens, mask = _padded([source], self.most)
        target = np.array([[*output, EOS]], np.int32)
        inputs = dict(source=tokens, target=target)
        weights = self.model.apply(self.variables[0], inputs, mask, method="align")[
            0, :, : mask.sum()
        ]
        names = [
            [v.symbols[n] for n in row]
            for v, row in ((self.source, tokens[0][mask[0]]), (self.target, target[0]))
        ]
        return np.asarray(weights), *names


def _padded(rows: list, most: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 [N, S] and the mask. S is a multiple of 8, for few compilations, or `most`."""
    from train.data.buckets import padded

    width = min(-(-max(map(len, [*rows, [0]])) // 8) * 8, most)
    return padded(rows, width), np.arange(width) < np.array([len(row) for row in rows])[:, None]


def _said(tokens: np.ndarray) -> list[int]:
    from train.tasks import EOS, PAD

    return [int(token) for token in tokens if token not in (EOS, PAD)]


@functools.lru_cache
def _compiled(search, model, **options):
    import jax

    return jax.jit(functools.partial(search, model, **options))
