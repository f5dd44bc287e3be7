"""Attention.

Bahdanau, Cho & Bengio 2014 (arXiv 1409.0473); Luong, Pham & Manning 2015 (arXiv 1508.04025).
"""

import jax.numpy as jnp
from flax import linen as nn

from architectures.layers import Dense, choose, masked

SCORES = ("additive", "concat", "dot", "general", "location")
LOCAL = ("none", "monotonic", "predictive")


def masked_softmax(scores, mask):
    """softmax over the last axis where mask is True, 0 elsewhere; all 0 if mask is all False."""
    peak = jnp.max(jnp.where(mask, scores, -jnp.inf), axis=-1, keepdims=True)
    weights = jnp.where(mask, jnp.exp(jnp.where(mask, scores - peak, 0)), 0)
    return weights / jnp.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)


class Attention(nn.Module):
    """Weights over the source for each query, and the mean of the keys under these weights.

    Queries are [B, T, H], keys [B, S, K], and the means (the context) [B, T, K].

    score, of a query h and a key k: "additive" v . tanh(W h + U k), and "concat", which is the same
    function, written v . tanh(W [h; k]); "dot" h . k; "general" h . W k; "location" (W h)_s for the
    s-th valid place, which ignores the keys and covers at most `max_source` places.
    local: "none"; "monotonic": query t sees only the places within `window` of t, or of the last
    place; "predictive": only those within `window` of p_t = S sigma(v_p . tanh(W_p h)), with
    weights times exp(-(s - p_t)^2 / (2 (window / 2)^2)), where S is the length of the source row.
    queries: H.  hidden: the size of the hidden layer in the additive score and in predicting p_t.
    Weights are float32, and 0 where the source's mask [B, S] is False.
    """

    queries: int
    score: str = "additive"
    local: str = "none"
    window: int = 10  # D in section 3.2 of Luong et al.
    hidden: int = 64
    max_source: int = 50
    kernel_init: nn.initializers.Initializer = nn.linear.default_kernel_init
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        choose("score", self.score, SCORES)
        choose("local", self.local, LOCAL)

        def dense(features):
            return Dense(features, use_bias=False, kernel_init=self.kernel_init, dtype=self.dtype)

        if self.score in ("additive", "concat"):
            self.of_query, self.of_key, self.v = dense(self.hidden), dense(self.hidden), dense(1)
        elif self.score == "general":
            self.general = dense(self.queries)
        elif self.score == "location":
            self.places = dense(self.max_source)
        if self.local == "predictive":
            self.toward, self.position = dense(self.hidden), dense(1)

    def prepare(self, keys, mask):
        """The keys [B, S, K] and what scores need from them, computed once for all queries.

        Keys are 0 where the mask [B, S] is False, so that a NaN there affects nothing.
        """
        keys = masked(keys, mask)
        if self.score in ("additive", "concat"):
            return keys, self.of_key(keys)
        if self.score == "general":
            return keys, self.general(keys)
        if self.score == "dot" and keys.shape[-1] != self.queries:
            raise ValueError(
                f"attention: 'dot' needs keys and queries of one size, not {keys.shape[-1]} and "
                f"{self.queries}"
            )
        if self.score == "location" and keys.shape[1] > self.max_source:
            raise ValueError(
                f"max_source: {self.max_source} is less than the source's {keys.shape[1]} places"
            )
        return keys, keys

    def __call__(self, query, keys, prepared, mask, steps):
        """(context [B, T, K], weights [B, T, S]).

        keys, prepared: from `prepare`; steps int32 [B, T]: the numbers of the queries.
        """
        if self.score in ("additive", "concat"):
            both = jnp.tanh(self.of_query(query)[:, :, None] + prepared[:, None])  # [B, T, S, A]
            scores = self.v(both)[..., 0]
        elif self.score == "location":
            of_place = self.places(query)  # [B, T, max_source]
            scores = jnp.take_along_axis(
                of_place, jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)[:, None], axis=-1
            )
        else:
            scores = jnp.einsum(
                "bth,bsh->bts", query.astype(self.dtype), prepared.astype(self.dtype)
            )
        scores, allowed = scores.astype(jnp.float32), mask[:, None]  # [B, 1, S]
        lengths = mask.sum(axis=1)[:, None]  # [B, 1]
        places = (jnp.cumsum(mask, axis=1) - 1)[:, None]  # [B, 1, S]: of the valid ones, from 0
        if self.local == "none":
            weights = masked_softmax(scores, allowed)
        else:
            if self.local == "monotonic":
                centre = jnp.minimum(steps, lengths - 1)[..., None]  # [B, T, 1]
            else:
                toward = self.position(jnp.tanh(self.toward(query)))[..., 0].astype(jnp.float32)
                centre = (lengths * nn.sigmoid(toward))[..., None]
            weights = masked_softmax(scores, allowed & (jnp.abs(places - centre) <= self.window))
            if self.local == "predictive":
                weights = weights * jnp.exp(-2 * jnp.square((places - centre) / self.window))
        context = jnp.einsum("bts,bsk->btk", weights.astype(self.dtype), keys.astype(self.dtype))
        return context, weights
