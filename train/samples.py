"""A few decodes of an evaluation split, as text: decoding can fail while perplexity is good."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from architectures import decoding
from train import optim
from train.state import TrainState

COUNT = 3


@functools.lru_cache(maxsize=2)
def _decode(model):
    return jax.jit(functools.partial(decoding.greedy, model))


def lines(experiment, state: Callable[[], TrainState]) -> list[str]:
    """'source -> greedy decode (first reference)' of the first examples of the last split.

    The first seed decodes. [] for data that are not pairs. state(): numpy leaves [S, ...], called
    only if they are needed.
    """
    vocabularies = experiment.dataset.vocabularies
    if not {"source", "target"} <= vocabularies.keys():
        return []
    source = list(experiment.dataset.evals.values())[-1]
    first = jax.tree.map(lambda x: x[0], state())
    variables = {"params": optim.averaged(first.opt_state, first.params), **first.model_state}
    tokens, lengths = source.arrays["source"][:COUNT], source.arrays["source_length"][:COUNT]
    mask = np.arange(tokens.shape[1]) < lengths[:, None]
    decoded = np.asarray(_decode(experiment.model)(variables, jnp.asarray(tokens), mask))
    read, said = vocabularies["source"].decode, vocabularies["target"].decode
    texts = [
        row[:length][:: -1 if experiment.dataset.reversed else 1]
        for row, length in zip(tokens, lengths, strict=True)
    ]
    rows = zip(texts, decoded, source.arrays["references"][:COUNT, 0], strict=True)
    return [
        f"{read(text)} -> {said(output)} ({said(reference)})" for text, output, reference in rows
    ]
