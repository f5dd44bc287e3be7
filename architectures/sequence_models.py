"""Networks over sequences: recurrent layers and a head."""

import jax.numpy as jnp
from flax import linen as nn

from architectures import cells
from architectures.layers import OUTPUTS, Dense, check_numbers, choose, dropout, masked
from architectures.recurrent import Stack, handed_on


class RecurrentModel(nn.Module):
    """What all networks with recurrent layers share.

    outputs: size of the head's output.
    symbols: the number of input symbols, if the input is int32 tokens [B, T] and not real vectors
      [B, T, I].
    cell: one of cells.CELLS.
    hidden: units of each of the `layers`.
    embedding: size of a token's vector, 0 for `hidden`.
    dropout: on the tokens' vectors, between layers and before the head; with `variational` one mask
      for all time steps.
    residual: shortcuts around layers from the second on, except around a layer whose state is read
      instead of its output.
    initialiser, init_scale, forget_bias: as in cells; None for the cell's default. Embeddings,
      heads and attention start like the cell's inputs if `initialiser` is "cho", "normal" or
      "uniform".
    scan, remat: as in recurrent.Recurrent.

    Raises ValueError, one line, for an unknown choice or a size below 1.
    """

    outputs: int
    symbols: int | None = None
    cell: str = "lstm"
    hidden: int = 64
    layers: int = 1
    embedding: int = 0
    dropout: float = 0.0
    variational: bool = False
    residual: bool = False
    initialiser: str | None = None
    init_scale: float | None = None
    forget_bias: float | None = None
    scan: str = "fused"
    remat: int = 0
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.nowrap
    def make_cell(self):
        options = dict(
            forget_bias=self.forget_bias,
            initialiser=self.initialiser,
            init_scale=self.init_scale,
            dtype=self.dtype,
        )
        return cells.make(self.cell, self.hidden, **options)

    @nn.nowrap
    def start(self, default):
        """The initialiser of embeddings, heads and attention."""
        scaled = self.initialiser in ("uniform", "normal", "cho")
        return self.make_cell().initialisers()[0] if scaled else default

    def stack(
        self, directions: str = "forward", merge: str = "concat", name: str | None = "layers"
    ):
        options = dict(dropout=self.dropout, variational=self.variational, residual=self.residual)
        options |= dict(scan=self.scan, remat=self.remat, axis_name=self.axis_name, name=name)
        return Stack(self.make_cell(), self.layers, directions, merge, **options)

    def dropped(self, x, *, train: bool):
        """x [B, ...] with some values zeroed in training.

        If x is [B, T, I] it has time steps, and `variational` uses one mask for all of them.
        """
        if not train or self.dropout == 0:
            return x
        shared = (0,) if self.variational and x.ndim == 3 else ()
        return dropout(
            x, self.make_rng("dropout"), self.dropout, axis_name=self.axis_name, shared=shared
        )

    def vectors(self, x, *, train: bool):
        """The embedding, or None, and the first layer's input: x, or token vectors with dropout."""
        if self.symbols is None:
            return None, x
        start = self.start(nn.linear.default_embed_init)
        table = nn.Embed(
            self.symbols, self.embedding or self.hidden, embedding_init=start, name="embedding"
        )
        return table, self.dropped(table(x), train=train)

    def head(self, x):
        start = self.start(nn.linear.default_kernel_init)
        return Dense(self.outputs, dtype=self.dtype, kernel_init=start, name="head")(x).astype(
            jnp.float32
        )


class SequenceReadout(RecurrentModel):
    """One answer per sequence: x [B, T, I] or int32 [B, T], mask [B, T] -> [B, outputs].

    The answer is read from the last layer's state after the last valid step; with directions="both"
    also from the backward direction's state after the first step.
    """

    directions: str = "forward"
    takes = ("sequence", "tokens")

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        check_numbers(self)
        if self.residual and self.layers < 3:
            raise ValueError(
                f"residual: the last layer's state is read, so {self.layers} layers have no "
                "shortcut; use 3 layers or more"
            )
        _, x = self.vectors(x, train=train)
        carries, _ = self.stack(self.directions)(x, mask, train=train)
        ends = carries[-1] if self.directions == "both" else (carries[-1],)
        state = jnp.concatenate([self.make_cell().operand(carry) for carry in ends], axis=-1)
        return self.head(self.dropped(state, train=train))


class Tagger(RecurrentModel):
    """One answer per time step: x [B, T, I] or int32 [B, T], mask [B, T] -> [B, T, outputs].

    directions: "forward", "backward", or "both", the bidirectional network of Schuster & Paliwal
      1997.
    merge: of the two directions, "concat" or "sum".
    output: "linear", for logits, or "logistic".
    delay: the answer for step t is read after step t + delay, so that the network sees that much of
      the future (the paper's comparison). Forward networks only. Beyond the end of a sequence the
      network sees zeros.
    """

    directions: str = "both"
    merge: str = "concat"
    output: str = "linear"
    delay: int = 0
    takes = ("sequence", "tokens")

    @nn.nowrap
    def initial_carry(self, batch: int):
        """Raises ValueError if a step needs later steps."""
        if self.directions != "forward" or self.delay:
            raise ValueError(
                "directions, delay: running one step at a time needs directions='forward', delay=0"
            )
        return [self.make_cell().initial_carry(batch) for _ in range(self.layers)]

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        check_numbers(self)
        choose("merge", self.merge, ("concat", "sum"))
        if self.delay < 0 or (self.delay and self.directions != "forward"):
            raise ValueError(f"delay: {self.delay} must be 0, or more with directions='forward'")
        _, x = self.vectors(x, train=train)
        if self.delay:
            x = jnp.pad(masked(x, mask), [(0, 0), (0, self.delay), (0, 0)])
            shifted = [jnp.pad(mask, [(0, 0), (k, self.delay - k)]) for k in range(self.delay + 1)]
            mask = jnp.stack(shifted).any(axis=0)  # [B, T + delay]
        layers = self.stack(self.directions, self.merge)
        y = handed_on(self, lambda carries: layers(x, mask, carries, train=train))[:, self.delay :]
        return choose("output", self.output, OUTPUTS)(self.head(self.dropped(y, train=train)))


class LanguageModel(RecurrentModel):
    """The next item of one long sequence, a window at a time.

    x [B, T, I] or int32 [B, T], mask [B, T] -> [B, T, outputs].

    The collection "memory" holds the carries [B, H] with which a window starts;
    `mutable=["memory"]` returns those with which it ends. No gradient flows from a window to the
    previous one: truncated back-propagation through time.

    carried: if False, every window starts like the first, as a separate sequence.
    tied: the head uses the matrix of the embedding (Press & Wolf 2017), which has `hidden` columns.
    output: "linear", for logits, or "logistic" (Elman 1990).
    """

    carried: bool = True
    tied: bool = False
    output: str = "linear"
    takes = ("stream",)

    @nn.nowrap
    def initial_memory(self, batch: int) -> dict:
        """The memory before the first window."""
        return {"carries": [self.make_cell().initial_carry(batch) for _ in range(self.layers)]}

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        check_numbers(self)
        if self.tied and (self.symbols != self.outputs or self.embedding not in (0, self.hidden)):
            raise ValueError("tied: needs tokens in and out, of one vocabulary, and embedding=0")
        memory = self.variable(
            "memory", "carries", lambda: self.initial_memory(x.shape[0])["carries"]
        )
        table, x = self.vectors(x, train=train)
        carries, y = self.stack()(x, mask, memory.value, train=train)
        if self.carried and self.is_mutable_collection("memory") and not self.is_initializing():
            memory.value = carries
        y = self.dropped(y, train=train)
        if self.tied:
            bias = self.param("head_bias", nn.initializers.zeros, (self.outputs,))
            logits = (y.astype(self.dtype) @ table.embedding.T.astype(self.dtype)).astype(
                jnp.float32
            ) + bias
        else:
            logits = self.head(y)
        return choose("output", self.output, OUTPUTS)(logits)
