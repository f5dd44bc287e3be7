"""Greedy and beam-5 decoding, Canon's against a straightforward batched loop in PyTorch.

Used by scripts.bench.
"""

import functools
import os
import statistics

import numpy as np

from scripts import rounds

BATCH, SOURCE, LENGTH, HIDDEN, EMBEDDING, SYMBOLS, PHONES, BEAMS = 64, 12, 20, 256, 64, 32, 44, 5


def ours(beams: int, *, devices: int):
    """A function that decodes a batch to LENGTH tokens, its rows divided over devices.

    So does an evaluation in training. The network is an LSTM with additive attention, and its
    encoder reads in both directions.
    """
    import jax
    import jax.numpy as jnp

    import architectures
    from architectures import decoding

    options = dict(symbols=SYMBOLS, hidden=HIDDEN, embedding=EMBEDDING, attention="additive")
    model = architectures.build("seq2seq", outputs=PHONES, **options)
    source = np.random.default_rng(0).integers(4, SYMBOLS, [BATCH, SOURCE]).astype(np.int32)
    mask = np.ones(source.shape, bool)
    variables = model.init(jax.random.key(0), dict(source=source, target=source), mask, train=False)
    said = variables["params"]["logits"]
    # no output ends early: the work is the same
    said["bias"] = jnp.asarray(said["bias"]).at[decoding.EOS].set(-100.0)

    def decode(variables, source, mask):
        if beams == 1:
            return decoding.greedy(model, variables, source, mask, length=LENGTH)
        return decoding.beam_search(model, variables, source, mask, beams=beams, length=LENGTH)

    chosen = jax.devices()[:devices]
    run = jax.pmap(decode, in_axes=(None, 0, 0), devices=chosen)
    source, mask = (x.reshape(devices, -1, SOURCE) for x in (source, mask))
    everywhere = jax.sharding.NamedSharding(
        jax.sharding.Mesh(chosen, "d"), jax.sharding.PartitionSpec()
    )
    variables = jax.device_put(variables, everywhere)  # as they are in training
    return lambda: jax.block_until_ready(run(variables, source, mask))


def theirs(beams: int):
    """The same in PyTorch.

    nn.LSTM encoder, nn.LSTMCell decoder, attention by matmuls, topk over the beams.
    """
    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    embed, encoder = (
        nn.Embedding(SYMBOLS, EMBEDDING),
        nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True),
    )
    say, cell = nn.Embedding(PHONES, EMBEDDING), nn.LSTMCell(EMBEDDING, HIDDEN)
    keys, query, v = (
        nn.Linear(2 * HIDDEN, HIDDEN),
        nn.Linear(HIDDEN, HIDDEN, bias=False),
        nn.Linear(HIDDEN, 1, bias=False),
    )
    combine, head, bridge = (
        nn.Linear(3 * HIDDEN, HIDDEN),
        nn.Linear(HIDDEN, PHONES),
        nn.Linear(2 * HIDDEN, HIDDEN),
    )
    source = torch.tensor(np.random.default_rng(0).integers(4, SYMBOLS, [BATCH, SOURCE]))

    def step(token, h, c, memory, key):
        h, c = cell(say(token), (h, c))
        weights = torch.softmax(v(torch.tanh(key + query(h)[:, None]))[..., 0], dim=1)
        context = torch.bmm(weights[:, None], memory)[:, 0]
        return torch.log_softmax(head(torch.tanh(combine(torch.cat([context, h], 1)))), 1), h, c

    @torch.no_grad()
    def call():
        memory, (h, c) = encoder(embed(source))
        h, c = (bridge(torch.cat([x[0], x[1]], 1)) for x in (h, c))
        memory, h, c = (x.repeat_interleave(beams, 0) for x in (memory, h, c))
        key, token = keys(memory), torch.ones(BATCH * beams, dtype=torch.long)
        scores = torch.full([BATCH, beams], -1e9)
        scores[:, 0] = 0
        said = []
        for _ in range(LENGTH):
            log_p, h, c = step(token, h, c, memory, key)
            if beams == 1:
                token = log_p.argmax(1)
                said.append(token)
                continue
            total = (scores.reshape(-1, 1) + log_p).reshape(BATCH, -1)
            scores, best = total.topk(beams, 1)
            rows = (torch.arange(BATCH)[:, None] * beams + best // PHONES).reshape(-1)
            token, h, c = (best % PHONES).reshape(-1), h[rows], c[rows]
            said = [*(t[rows] for t in said), token]
        return torch.stack(said, 1)

    return call


def compare(count: int) -> None:
    """Prints milliseconds per batch of 64 words and PyTorch's median ratio to Canon's."""
    from train.__main__ import prepare_jax

    prepare_jax()
    import jax

    for name, beams in (("greedy", 1), ("beam 5", BEAMS)):
        most = max(n for n in range(1, jax.device_count() + 1) if BATCH % n == 0)
        makers = {
            f"{n} of our devices": functools.partial(ours, beams, devices=n)
            for n in sorted({most, 1}, reverse=True)
        }
        times, skipped, _ = rounds.quiet(
            {"PyTorch": functools.partial(theirs, beams)} | makers, count
        )
        torchs = times.pop("PyTorch")
        if not torchs:
            print(f"{name}: no quiet round; other processes use the machine")
            continue
        shown = [f"PyTorch {1000 * statistics.median(torchs):.1f} ms"]
        for run, seconds in times.items():
            ratio = statistics.median(a / b for a, b in zip(torchs, seconds, strict=True))
            shown.append(
                f"{run} {1000 * statistics.median(seconds):.1f} ms, {ratio:.2f} times faster"
            )
        quiet, what = len(torchs), f"{name}, batch {BATCH}, {SOURCE} letters to {LENGTH} phones"
        print(f"{what}: {'; '.join(shown)}; {quiet} quiet rounds of {quiet + skipped}", flush=True)
