"""Recurrent cells: one time step. Inputs x [B, I] and a carry give a new carry and output [B, H].

Every cell is written as   p = x W + b,   q = u U,   (carry, y) = gates(carry, p, q):   two fused
matrix products and element-wise arithmetic. The operand u [B, U] is the part of the carry that is
multiplied by U.
`recurrent.Recurrent` computes p for all steps of a sequence in one product, and each weight's
gradient in one. Carries are float32 (float64 if `dtype` is float64); `dtype` is the dtype of the
products.
"""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.cell_initialisers import INITIALISERS, SCALED, ZEROS, per_gate
from architectures.layers import ACTIVATIONS, choose, flat_product


class Cell(nn.Module):
    """What all cells share.

    hidden: H.  initialiser: one of INITIALISERS; init_scale: its scale, if it has one.
    A cell declares its weights in `weights`, and has the pure functions `operand` and `gates`.
    """

    hidden: int
    initialiser: str = "orthogonal"
    init_scale: float = 0.05
    dtype: jnp.dtype = jnp.float32
    truncated: ClassVar[bool] = False  # whether the gradient stops at the operand
    one_product: ClassVar[bool] = True  # whether a step is one product followed by `gates`

    @property
    def wide(self):
        """The dtype of the carry."""
        return jnp.promote_types(self.dtype, jnp.float32)

    @nn.nowrap
    def zeros(self, batch: int):
        return jnp.zeros([batch, self.hidden], self.wide)

    @nn.nowrap
    def initial_carry(self, batch: int):
        return self.zeros(batch)

    @nn.nowrap
    def operand(self, carry):
        return carry

    @nn.nowrap
    def initialisers(self):
        return choose("initialiser", self.initialiser, INITIALISERS)(self.hidden, self.init_scale)

    def __call__(self, carry, x):
        w = self.weights(x.shape[-1])
        return self.step(w, carry, self.project(w, x))

    @nn.nowrap
    def project(self, w, x):
        """p = x W + b for real x [..., I] or for int32 symbols [...].

        A symbol selects the row of W that its one-hot vector would select.
        """
        weight = w["input"].astype(self.dtype)
        product = (
            weight[x]
            if jnp.issubdtype(x.dtype, jnp.integer)
            else flat_product(x.astype(self.dtype), weight)
        )
        return product.astype(self.wide) + w["bias"].astype(self.wide)

    @nn.nowrap
    def step(self, w, carry, p):
        u = self.operand(carry)
        u = jax.lax.stop_gradient(u) if self.truncated else u
        return self.gates(w, carry, p, self.product(u, w["recurrent"]))

    @nn.nowrap
    def product(self, u, weight):
        """q = u U, in the dtype of the products."""
        return (u.astype(self.dtype) @ weight.astype(self.dtype)).astype(self.wide)


class ElmanCell(Cell):
    """Elman 1990, eq. as in its figure 2:  h' = f(x W + h U + b); the output is h'.

    activation: f: "sigmoid" (the paper), "tanh", or "relu" (Le et al. 2015).  context: the initial
    value of h, 0.5 in the paper.  truncated_gradient: treat the context as an ordinary input, so
    that no gradient flows back through time.
    Parameters "input" [I, H], "recurrent" [H, H], "bias" [H].
    """

    activation: str = "tanh"
    context: float = 0.0
    truncated_gradient: bool = False

    @property
    def truncated(self):
        return self.truncated_gradient

    @nn.nowrap
    def initial_carry(self, batch: int):
        return self.zeros(batch) + self.context

    @nn.compact
    def weights(self, inputs: int):
        w, u, b = self.initialisers()
        hidden = self.hidden
        return dict(
            input=self.param("input", w, (inputs, hidden)),
            recurrent=self.param("recurrent", u, (hidden, hidden)),
            bias=self.param("bias", b, (hidden,)),
        )

    @nn.nowrap
    def gates(self, w, carry, p, q):
        h = choose("activation", self.activation, ACTIVATIONS)(p + q)
        return h, h


class LSTMCell(Cell):
    """LSTM, Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.

    i, f, o = sigma(x W + h U + b), g = tanh(x W + h U + b);  c' = f * c + i * g;
    h' = o * tanh(c').

    peepholes, Gers & Schmidhuber 2000 as in Graves 2013: i and f also see V c, o sees V c', with V
    diagonal.
    without: "input", "forget" or "output" fixes that gate at 1, without weights (Jozefowicz et al.
    2015, LSTM-i, -f, -o); "none" keeps all gates.  forget_bias: the initial b of f (Jozefowicz et
    al. recommend 1), whatever `initialiser` is.
    Parameters "input" W [I, 4H], "recurrent" U [H, 4H], "bias" b [4H], gates in the order i, f, g,
    o; "peephole" V [3, H] for i, f, o. The carry is (c, h), [B, H] each.
    """

    forget_bias: float = 1.0
    peepholes: bool = False
    without: str = "none"

    @property
    def order(self) -> str:
        missing = choose("without", self.without, dict(none="", input="i", forget="f", output="o"))
        return "".join(gate for gate in "ifgo" if gate != missing)

    @nn.nowrap
    def initial_carry(self, batch: int):
        return self.zeros(batch), self.zeros(batch)

    @nn.nowrap
    def operand(self, carry):
        return carry[1]

    @nn.compact
    def weights(self, inputs: int):
        (w, u, b), hidden, n = self.initialisers(), self.hidden, len(self.order)

        def bias(key, shape):
            drawn, forget = b(key, shape), self.order.find("f")
            return (
                drawn
                if forget < 0
                else drawn.at[forget * hidden : (forget + 1) * hidden].set(self.forget_bias)
            )

        weights = dict(
            input=self.param("input", per_gate(n, w), (inputs, n * hidden)),
            recurrent=self.param("recurrent", per_gate(n, u), (hidden, n * hidden)),
            bias=self.param("bias", bias, (n * hidden,)),
        )
        if self.peepholes:
            weights["peephole"] = self.param("peephole", ZEROS, (3, hidden))
        return weights

    @nn.nowrap
    def gates(self, w, carry, p, q):
        c, _ = carry
        if not self.peepholes and self.without == "none":
            c, h = lstm_gates(p + q, c)
            return (c, h), h
        z = dict(zip(self.order, jnp.split(p + q, len(self.order), axis=-1), strict=True))
        see_i, see_f, see_o = w["peephole"] if self.peepholes else (0, 0, 0)
        i = nn.sigmoid(z["i"] + see_i * c) if "i" in z else 1
        f = nn.sigmoid(z["f"] + see_f * c) if "f" in z else 1
        c = f * c + i * jnp.tanh(z["g"])
        h = (nn.sigmoid(z["o"] + see_o * c) if "o" in z else 1) * jnp.tanh(c)
        return (c, h), h


@jax.custom_vjp
def lstm_gates(z, c):
    """(c', h') from pre-activations z [B, 4H] in the order i, f, g, o.

    For the gradient it keeps factors, not activations.
    """
    return _lstm_gates(z, c)[0]


def _lstm_gates(z, c):
    i, f, g, o = jnp.split(z, 4, axis=-1)
    i, f, g, o = nn.sigmoid(i), nn.sigmoid(f), jnp.tanh(g), nn.sigmoid(o)
    new = f * c + i * g
    tanh = jnp.tanh(new)
    h = o * tanh
    factors = jnp.concatenate(
        [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), tanh * o * (1 - o)], axis=-1
    )
    return (new, h), (factors, o * (1 - tanh * tanh), f)


def _lstm_gates_backward(kept, cotangents):
    factors, through_tanh, f = kept
    dc, dh = cotangents
    dc = dc + dh * through_tanh
    return jnp.concatenate([dc, dc, dc, dh], axis=-1) * factors, dc * f


lstm_gates.defvjp(_lstm_gates, _lstm_gates_backward)


class GRUCell(Cell):
    """GRU, Cho et al. 2014:  r, z = sigma(x W + h U + b);  h' = (1 - z) * n + z * h.

    z is the share of h that is kept; the output is h'.

    reset: "after" the product, n = tanh(x W + b + r * (h U + b_n)), as in cuDNN, PyTorch and arXiv
    v1; or "before" it, n = tanh(x W + b + (r * h) U), as in arXiv v3, Bahdanau et al. 2014 and
    Chung et al. 2014.
    Parameters "input" W [I, 3H], "recurrent" U [H, 3H], "bias" b [3H], columns in the order r, z,
    n; for "after" also "recurrent_bias" b_n [H].
    """

    reset: str = "after"

    @property
    def one_product(self):
        return self.reset == "after"

    @nn.compact
    def weights(self, inputs: int):
        (w, u, b), hidden = self.initialisers(), self.hidden
        weights = dict(
            input=self.param("input", per_gate(3, w), (inputs, 3 * hidden)),
            recurrent=self.param("recurrent", per_gate(3, u), (hidden, 3 * hidden)),
            bias=self.param("bias", b, (3 * hidden,)),
        )
        if choose("reset", self.reset, ("after", "before")) == "after":
            weights["recurrent_bias"] = self.param("recurrent_bias", b, (hidden,))
        return weights

    @nn.nowrap
    def step(self, w, carry, p):
        if self.one_product:
            return super().step(w, carry, p)
        h, _ = self.reset_before(w["recurrent"], carry, p)
        return h, h

    @nn.nowrap
    def reset_before(self, recurrent, h, p):
        """h' and r * h, the operand of the second product."""
        hidden = self.hidden
        r, z = jnp.split(
            nn.sigmoid(p[:, : 2 * hidden] + self.product(h, recurrent[:, : 2 * hidden])), 2, axis=-1
        )
        n = jnp.tanh(p[:, 2 * hidden :] + self.product(r * h, recurrent[:, 2 * hidden :]))
        return n + z * (h - n), r * h

    @nn.nowrap
    def gates(self, w, carry, p, q):
        h, hidden = carry, self.hidden
        r, z = jnp.split(nn.sigmoid(p[:, : 2 * hidden] + q[:, : 2 * hidden]), 2, axis=-1)
        n = jnp.tanh(p[:, 2 * hidden :] + r * (q[:, 2 * hidden :] + w["recurrent_bias"]))
        h = n + z * (h - n)
        return h, h


CELLS = dict(
    elman=ElmanCell,
    elman_logistic=functools.partial(ElmanCell, activation="sigmoid"),
    elman_1990=functools.partial(
        ElmanCell, activation="sigmoid", context=0.5, truncated_gradient=True
    ),
    # Le et al. 2015
    irnn=functools.partial(ElmanCell, activation="relu", initialiser="irnn", init_scale=0.001),
    lstm=LSTMCell,
    lstm_peephole=functools.partial(LSTMCell, peepholes=True),
    lstm_no_input_gate=functools.partial(LSTMCell, without="input"),
    lstm_no_forget_gate=functools.partial(LSTMCell, without="forget"),
    lstm_no_output_gate=functools.partial(LSTMCell, without="output"),
    gru=GRUCell,
    gru_reset_before=functools.partial(GRUCell, reset="before"),
)


def has_forget_gate(name: str) -> bool:
    return name.startswith("lstm") and name != "lstm_no_forget_gate"


def make(
    name: str,
    hidden: int,
    *,
    forget_bias=None,
    initialiser=None,
    init_scale=None,
    dtype=jnp.float32,
) -> Cell:
    """Makes the cell `name` of CELLS; None selects the cell's default.

    Raises ValueError, one line.
    """
    constructor = choose("cell", name, CELLS)
    options = dict(forget_bias=forget_bias, initialiser=initialiser, init_scale=init_scale)
    if forget_bias is not None and not has_forget_gate(name):
        raise ValueError(f"forget_bias: cell={name!r} has no forget gate; use forget_bias=none")
    if initialiser is not None:
        choose("initialiser", initialiser, INITIALISERS)
    cell = constructor(
        hidden,
        **{key: value for key, value in options.items() if value is not None},
        dtype=dtype,
        parent=None,
    )
    if init_scale is not None and cell.initialiser not in SCALED:
        raise ValueError(
            f"init_scale: initialiser={cell.initialiser!r} has no scale; choose from "
            f"{', '.join(SCALED)}"
        )
    return cell
