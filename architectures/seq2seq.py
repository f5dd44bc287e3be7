"""Encoder and decoder.

Sutskever et al. 2014, Cho et al. 2014, Bahdanau et al. 2014, Luong et al. 2015.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.attention import LOCAL, SCORES, Attention
from architectures.decoding import BOS
from architectures.layers import Dense, check_numbers, choose, masked, row_keys
from architectures.sequence_models import RecurrentModel


def kept(schedule: str, step, k: float, c: float):
    """The share of the target's tokens that step i is given, Bengio et al. 2015, section 2.4.

    "linear": k - c i, c > 0;  "exponential": k^i, k < 1;  "inverse_sigmoid": k / (k + exp(i / k)),
    k >= 1;  "constant": 1, so that only scheduled_sampling sets the share.
    step: i, from 0, float. Raises ValueError, one line.
    """
    fits = dict(constant=True, linear=c > 0, exponential=0 < k < 1, inverse_sigmoid=k >= 1)
    if not choose("sampling_schedule", schedule, fits):
        needs = dict(
            linear=f"sampling_c: {c} must be above 0",
            exponential=f"sampling_k: {k} is outside (0, 1)",
        )
        raise ValueError(
            f"{needs.get(schedule, f'sampling_k: {k} must be at least 1')} with "
            f"sampling_schedule={schedule!r}"
        )
    if schedule == "linear":
        return jnp.clip(k - c * step, 0, 1)
    if schedule == "exponential":
        return k**step
    return nn.sigmoid(jnp.log(k) - step / k) if schedule == "inverse_sigmoid" else 1.0


class Seq2Seq(RecurrentModel):
    """Source and target tokens -> logits [B, T, outputs] of the target.

    Inputs are {"source": int32 [B, S], "target": int32 [B, T]} and the source's mask [B, S].
    The logits for position t see only the target before t (teacher forcing).

    directions: of the encoder.
    bridge: the decoder's initial states. "copy": the encoder's last states, layer by layer;
      "dense": tanh of a dense layer of these; "backward": the same with only the backward
      direction's states (Bahdanau et al.); "zeros".
    attention: a score of attention.Attention, or "none".  local, window, max_source: as there.
    attend: "after" the decoder's step: h~ = tanh(W [context; h]), logits W h~ (Luong et al.;
      without attention logits W h, as in Sutskever et al.). "before": the context, computed from
      the previous state, is an input of the step, and the logits come from a maxout layer of that
      state, the token and the context (Bahdanau et al., appendix A.2.2). Without attention this
      context is the encoder's last states: with directions="forward" and bridge="dense" that is
      their RNNencdec.
    maxout: units of that layer, 0 for `hidden`; the paper has 500 with 1000 hidden units.
    input_feeding: h~ is an input of the next step (Luong et al., section 3.3).
    scheduled_sampling: the share of the target's tokens that training replaces by tokens drawn from
      the model's own distribution (Bengio et al. 2015). If sampling_schedule is not "constant",
      this is the largest share that it reaches.
    sampling_schedule, sampling_k, sampling_c: how the remaining share falls with the steps, see
      `kept`; the steps are counted in the collection "schedule".
    """

    directions: str = "both"
    bridge: str = "dense"
    attention: str = "additive"
    local: str = "none"
    window: int = 10
    max_source: int = 50
    attend: str = "after"
    maxout: int = 0
    input_feeding: bool = False
    scheduled_sampling: float = 0.0
    sampling_schedule: str = "constant"
    sampling_k: float = 1.0
    sampling_c: float = 1e-4
    takes = ("pair",)

    def setup(self):
        check_numbers(self)
        choose("attention", self.attention, ("none", *SCORES))
        choose("local", self.local, LOCAL)
        choose("bridge", self.bridge, ("backward", "copy", "dense", "zeros"))
        choose("attend", self.attend, ("after", "before"))
        if not 0 <= self.scheduled_sampling <= 1:
            raise ValueError(f"scheduled_sampling: {self.scheduled_sampling} is outside [0, 1]")
        kept(self.sampling_schedule, 0, self.sampling_k, self.sampling_c)
        if self.maxout and self.attend == "after":
            raise ValueError(f"maxout: {self.maxout} needs attend='before'")
        if self.local != "none" and self.attention == "none":
            raise ValueError(f"local: {self.local!r} needs attention")
        if self.input_feeding and (self.attend == "before" or self.attention == "none"):
            raise ValueError("input_feeding: needs attend='after' and attention")
        if self.bridge == "copy" and self.directions == "both":
            raise ValueError(
                "bridge: 'copy' needs an encoder with one direction; "
                "choose from dense, backward, zeros"
            )
        if self.bridge == "backward" and self.directions == "forward":
            raise ValueError(
                "bridge: 'backward' needs an encoder with that direction; "
                "choose from copy, dense, zeros"
            )
        start = self.start(nn.linear.default_kernel_init)
        dense = functools.partial(Dense, dtype=self.dtype, kernel_init=start)
        table = functools.partial(nn.Embed, embedding_init=self.start(nn.linear.default_embed_init))
        self.source_embedding = table(self.symbols, self.embedding or self.hidden)
        self.target_embedding = table(self.outputs, self.embedding or self.hidden)
        self.encoder, self.decoder = self.stack(self.directions, name=None), self.stack(name=None)
        if self.bridge in ("dense", "backward"):
            parts = len(jax.tree.leaves(self.make_cell().initial_carry(1)))
            self.bridges = [dense(self.hidden) for _ in range(self.layers * parts)]
        if self.attention != "none":
            options = dict(
                local=self.local, window=self.window, hidden=self.hidden, max_source=self.max_source
            )
            self.attention_layer = Attention(
                self.hidden, self.attention, kernel_init=start, dtype=self.dtype, **options
            )
        if self.attend == "before":
            self.readout = dense(2 * (self.maxout or self.hidden))
        elif self.attention != "none":
            self.combine = dense(self.hidden, use_bias=False)
        self.logits = dense(self.outputs)
        if self.scheduled_sampling and self.sampling_schedule != "constant":
            self.steps_taken = self.variable("schedule", "step", jnp.zeros, [], jnp.float32)

    # encoding

    def encode(self, source, mask, *, train: bool = False) -> dict:
        """What the decoder needs from source int32 [B, S], mask [B, S]: arrays [B, ...]."""
        x = self.dropped(self.source_embedding(source), train=train)
        carries, keys = self.encoder(x, mask, train=train)
        encoded = dict(mask=mask, keys=keys, carries=self._bridge(carries, source.shape[0]))
        if self.attention != "none":
            keys, prepared = self.attention_layer.prepare(keys, mask)
            encoded |= dict(keys=keys, prepared=prepared)
        elif self.attend == "before":
            ends = carries[-1] if self.directions == "both" else (carries[-1],)
            encoded["summary"] = jnp.concatenate(
                [self.make_cell().operand(carry) for carry in ends], axis=-1
            )
        return encoded

    def _bridge(self, carries, batch: int):
        if self.bridge == "zeros":
            return [self.make_cell().initial_carry(batch) for _ in carries]
        if self.bridge == "copy":
            return carries
        made, bridges = [], iter(self.bridges)
        for carry in carries:
            ways = carry if self.directions == "both" else (carry,)
            ways = ways[-1:] if self.bridge == "backward" else ways
            joined = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *ways)
            made.append(jax.tree.map(lambda x: jnp.tanh(next(bridges)(x)).astype(x.dtype), joined))
        return made

    def begin(self, encoded) -> dict:
        """The decoder's memory before its first step, every leaf [B, ...]."""
        batch = encoded["mask"].shape[0]
        memory = dict(carries=encoded["carries"], step=jnp.zeros([batch], jnp.int32))
        if self.input_feeding:
            memory["fed"] = jnp.zeros([batch, self.hidden], jnp.float32)
        return memory

    # decoding

    def step(self, encoded, memory, token):
        """One step: the previous token int32 [B] -> (memory, logits [B, outputs], weights).

        weights are [B, S], or None without attention.
        """
        memory, features, weights = self._advance(
            encoded, memory, self.target_embedding(token)[:, None], train=False
        )
        weights = None if weights is None else weights[:, 0]
        return memory, self.logits(features)[:, 0].astype(jnp.float32), weights

    def _advance(self, encoded, memory, y, *, train: bool):
        """Steps over the tokens' vectors y [B, T, E] -> (memory, features, weights).

        features [B, T, H] are those of the logits; weights are [B, T, S], or None without
        attention. T is 1 if a step needs the result of the previous one.
        """
        steps = memory["step"][:, None] + jnp.arange(y.shape[1])
        valid = jnp.ones(y.shape[:2], bool)
        before = self.make_cell().operand(memory["carries"][-1])[:, None]  # [B, 1, H]
        context = weights = None
        y = self.dropped(y, train=train)
        if self.attend == "before":
            context, weights = self._attend(encoded, before, steps)
            x = jnp.concatenate([y, context], axis=-1)
        else:
            x = (
                jnp.concatenate([y, memory["fed"][:, None].astype(y.dtype)], axis=-1)
                if self.input_feeding
                else y
            )
        carries, h = self.decoder(x, valid, memory["carries"], train=train)
        memory = memory | dict(carries=carries, step=steps[:, -1] + 1)
        if self.attend == "before":
            pairs = self.readout(jnp.concatenate([before, y, context], axis=-1))
            features = pairs.reshape(*pairs.shape[:-1], -1, 2).max(axis=-1)
        elif self.attention == "none":
            features = h
        else:
            context, weights = self._attend(encoded, h, steps)
            features = jnp.tanh(self.combine(jnp.concatenate([context, h], axis=-1)))
        if self.input_feeding:
            memory["fed"] = features[:, -1].astype(jnp.float32)
        return memory, self.dropped(features, train=train), weights

    def _attend(self, encoded, query, steps):
        if self.attention == "none":
            return encoded["summary"][:, None], None
        return self.attention_layer(
            query, encoded["keys"], encoded["prepared"], encoded["mask"], steps
        )

    # training

    def __call__(self, inputs, mask, *, train: bool):
        return self._given(inputs, mask, train=train)[0]

    def align(self, inputs, mask):
        """The weights [B, T, S] with which each token of the target was predicted, or None.

        Each is predicted from the tokens before it. Without attention there are no weights.
        """
        return self._given(inputs, mask, train=False)[1]

    def _given(self, inputs, mask, *, train: bool):
        encoded = self.encode(inputs["source"], mask, train=train)
        target = masked(inputs["target"], mask.any(axis=1))
        shifted = jnp.pad(target[:, :-1], [(0, 0), (1, 0)], constant_values=BOS)
        sampling = bool(self.scheduled_sampling) and train
        share = self._sampled() if sampling else 0
        if self.attend == "after" and not self.input_feeding and not sampling:
            _, features, weights = self._advance(
                encoded, self.begin(encoded), self.target_embedding(shifted), train=train
            )
            return self.logits(features).astype(jnp.float32), weights

        def one(self, carry, token):
            memory, drawn = carry
            if sampling:
                token = self._sometimes(self._key(memory), drawn, token, share)
            memory, features, weights = self._advance(
                encoded, memory, self.target_embedding(token)[:, None], train=train
            )
            if sampling:
                keys = row_keys(self._key(memory), token.shape[0], self.axis_name)
                drawn = jax.vmap(jax.random.categorical)(
                    keys, self.logits(features)[:, 0].astype(jnp.float32)
                )
            return (memory, drawn), (features[:, 0], None if weights is None else weights[:, 0])

        rngs, whole = {"params": False, "dropout": not self.variational}, ["params", "schedule"]
        scan = nn.scan(one, variable_broadcast=whole, split_rngs=rngs, in_axes=1, out_axes=1)
        _, (features, weights) = scan(self, (self.begin(encoded), shifted[:, 0]), shifted)
        return self.logits(features).astype(jnp.float32), weights

    def _sampled(self):
        """The share of tokens that this training step replaces."""
        if self.sampling_schedule == "constant":
            return self.scheduled_sampling
        step = self.steps_taken.value
        if self.is_mutable_collection("schedule"):
            self.steps_taken.value = step + 1
        return jnp.minimum(
            self.scheduled_sampling,
            1 - kept(self.sampling_schedule, step, self.sampling_k, self.sampling_c),
        )

    def _key(self, memory):
        """A key for each step, even if dropout has one for all (Gal & Ghahramani 2016)."""
        key = self.make_rng("dropout")
        return jax.random.fold_in(key, memory["step"][0]) if self.variational else key

    def _sometimes(self, key, drawn, token, share):
        keys = row_keys(key, token.shape[0], self.axis_name)
        return jnp.where(
            jax.vmap(lambda key: jax.random.bernoulli(key, share))(keys),
            drawn.astype(token.dtype),
            token,
        )
