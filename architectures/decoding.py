"""Outputs of a Seq2Seq from its own distribution: greedy, sampled, and by beam search.

All shapes are static, so the functions can be jitted.

`variables` may be a tuple, the variables of several networks of one kind, whose distributions are
then averaged (an ensemble).
The rows of a batch do not see each other, so the rest of a batch does not change a decode.
"""

import functools

import jax
import jax.numpy as jnp

PAD, BOS, EOS = 0, 1, 2


class _Ensemble:
    """Networks that predict the next token together."""

    def __init__(self, model, variables):
        self.model, self.variables = (
            model,
            variables if isinstance(variables, tuple) else (variables,),
        )

    def encode(self, source, mask):
        encoded = [self.model.apply(v, source, mask, method="encode") for v in self.variables]
        return encoded, [
            self.model.apply(v, e, method="begin")
            for v, e in zip(self.variables, encoded, strict=True)
        ]

    def step(self, encoded, memories, token):
        """The new memories and log-probabilities [B, V]; PAD and BOS are never predicted."""
        members = zip(self.variables, encoded, memories, strict=True)
        steps = [self.model.apply(v, e, m, token, method="step") for v, e, m in members]
        log_p = jnp.stack([jax.nn.log_softmax(logits) for _, logits, _ in steps])
        log_p = jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(steps))
        return [memory for memory, _, _ in steps], log_p.at[:, jnp.array([PAD, BOS])].set(-jnp.inf)


def _limits(mask, length: int | None):
    """(the most tokens that each row's output may have [B], the maximum over rows).

    A row's limit is twice the length of its source plus ten, or `length`.
    """
    if length is not None:
        return jnp.full(mask.shape[:1], length), length
    return 2 * mask.sum(axis=1) + 10, 2 * mask.shape[1] + 10


def greedy(model, variables, source, mask, *, length: int | None = None):
    """The most probable token at each step, int32 [B, length], until EOS, then PAD.

    source int32 [B, S], mask [B, S].
    length: of all outputs; None for twice the length of the row's source plus ten.
    """
    return _one_by_one(
        model, variables, source, mask, lambda log_p, step: log_p.argmax(axis=-1), length
    )


def sample(
    model, variables, source, mask, keys, *, temperature: float = 1.0, length: int | None = None
):
    """Tokens drawn from the distribution to the power 1 / temperature, otherwise as `greedy`.

    keys [B], one per row.
    """

    def draw(log_p, step):
        each = jax.vmap(lambda key: jax.random.fold_in(key, step))(keys)
        return jax.vmap(jax.random.categorical)(each, log_p / temperature)

    return _one_by_one(model, variables, source, mask, draw, length)


def _one_by_one(model, variables, source, mask, choose, length):
    networks, (limits, length) = _Ensemble(model, variables), _limits(mask, length)
    encoded, memories = networks.encode(source, mask)
    batch = source.shape[0]

    def unfinished(state):
        step, _, _, _, done = state
        return (step < length) & ~done.all()

    def advance(state):
        step, tokens, last, memories, done = state
        memories, log_p = networks.step(encoded, memories, last)
        token = jnp.where(done, PAD, choose(log_p, step)).astype(jnp.int32)
        done = done | (token == EOS) | (step + 1 == limits)
        return step + 1, tokens.at[:, step].set(token), token, memories, done

    start = (
        jnp.zeros([batch, length], jnp.int32),
        jnp.full([batch], BOS),
        memories,
        ~mask.any(axis=1),
    )
    return jax.lax.while_loop(unfinished, advance, (jnp.int32(0), *start))[1]


def beam_search(
    model,
    variables,
    source,
    mask,
    *,
    beams: int,
    length: int | None = None,
    length_norm: float = 0.0,
):
    """The best `beams` outputs found: tokens int32 [B, K, length], best first, and scores [B, K].

    Sutskever et al. 2014, section 3.2. Of all one-token extensions of the K live hypotheses, those
    among the best K that end with EOS are complete. The best K others stay live, until K are
    complete. score = log p / ((5 + n) / 6)^length_norm with n tokens including EOS (Wu et al.
    2016); with length_norm 0, as in 2014, it is the log-probability. A hypothesis that is not
    complete after `length` tokens (see `greedy`) is scored as it is. With one beam this is greedy
    decoding.
    """
    networks, (limits, length) = _Ensemble(model, variables), _limits(mask, length)
    encoded, memories = networks.encode(source, mask)
    batch, k = source.shape[0], beams

    def score(log_p, tokens):
        return log_p / ((5 + tokens) / 6) ** length_norm

    memories = jax.tree.map(lambda x: jnp.repeat(x[:, None], k, axis=1), memories)
    # hypotheses share the source
    step_of_all = jax.vmap(functools.partial(networks.step, encoded), in_axes=1, out_axes=1)
    live = dict(
        log_p=jnp.full([batch, k], -jnp.inf).at[:, 0].set(0.0),  # one hypothesis at the start
        tokens=jnp.zeros([batch, k, length], jnp.int32),
        last=jnp.full([batch, k], BOS),
    )
    ended = dict(
        score=jnp.full([batch, k], -jnp.inf), tokens=jnp.zeros([batch, k, length], jnp.int32)
    )

    def pick(tree, places):  # [B, K, ...] at places [B, N]
        return jax.tree.map(
            lambda x: jnp.take_along_axis(
                x, places.reshape(*places.shape, *[1] * (x.ndim - 2)), axis=1
            ),
            tree,
        )

    def keep(ended, scores, tokens):
        """The best K of the complete hypotheses and the new ones [B, N]."""
        scores, tokens = (
            jnp.concatenate(pair, axis=1)
            for pair in ((ended["score"], scores), (ended["tokens"], tokens))
        )
        best, places = jax.lax.top_k(scores, k)
        return dict(score=best, tokens=pick(tokens, places))

    def unfinished(state):
        step, _, _, _, count = state
        return ((step < limits) & (count < k)).any()

    def advance(state):
        step, live, ended, memories, count = state
        memories, log_p = step_of_all(memories, live["last"])
        vocabulary = log_p.shape[-1]
        total = (live["log_p"][..., None] + log_p).reshape(batch, -1)
        best, places = jax.lax.top_k(total, 2 * k)  # at most K of them end, so K can live on
        parent, token = places // vocabulary, (places % vocabulary).astype(jnp.int32)
        tokens = pick(live["tokens"], parent).at[:, :, step].set(token)  # [B, 2K, length]
        ends, running = token == EOS, ((count < k) & (step < limits))[:, None]
        counts = ends & (jnp.arange(2 * k) < k) & running & jnp.isfinite(best)
        ended = keep(ended, jnp.where(counts, score(best, step + 1), -jnp.inf), tokens)
        onward, chosen = jax.lax.top_k(jnp.where(ends, -jnp.inf, best), k)
        memories = pick(memories, jnp.take_along_axis(parent, chosen, axis=1))
        new = dict(log_p=onward, tokens=pick(tokens, chosen), last=pick(token, chosen))
        live = jax.tree.map(
            lambda n, o: jnp.where(running.reshape(-1, *[1] * (n.ndim - 1)), n, o), new, live
        )
        return step + 1, live, ended, memories, count + counts.sum(axis=1)

    done = jnp.where(mask.any(axis=1), 0, k)
    step, live, ended, _, count = jax.lax.while_loop(
        unfinished, advance, (jnp.int32(0), live, ended, memories, done)
    )
    short = (count < k)[:, None] & mask.any(axis=1)[:, None]
    tokens_said = jnp.minimum(step, limits)[:, None]
    ended = keep(
        ended, jnp.where(short, score(live["log_p"], tokens_said), -jnp.inf), live["tokens"]
    )
    return ended["tokens"], ended["score"]
