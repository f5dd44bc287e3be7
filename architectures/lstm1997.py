"""The LSTM as first published.

Hochreiter & Schmidhuber 1997, Neural Computation 9(8), sections 4 and 5 and appendix A.
"""

import jax.numpy as jnp
from flax import linen as nn

from architectures.cell_initialisers import uniform
from architectures.cells import Cell
from architectures.layers import OUTPUTS, Dense, check_numbers, choose, masked
from architectures.recurrent import Recurrent, handed_on, last_step


def g(x):
    """Squashes the input of a cell into (-2, 2): 4 sigma(x) - 2 (eq. 5)."""
    return 4 * nn.sigmoid(x) - 2


def h(x):
    """Squashes the output of a cell into (-1, 1): 2 sigma(x) - 1 (eq. 4)."""
    return 2 * nn.sigmoid(x) - 1


INPUT_SQUASH = dict(g=g, sigmoid=nn.sigmoid)
OUTPUT_SQUASH = dict(h=h, identity=lambda x: x)
BIASES = ("none", "gates", "hidden", "all")  # units that have one; "all" includes the outputs


class LSTM1997Cell(Cell):
    """Memory cell blocks without a forget gate:  s' = s + y_in g(net_c),  y_c = y_out h(s').

    y_in = sigma(net_in), y_out = sigma(net_out): one gate of each kind per block of `size` cells.
    Every unit of the hidden layer sees the input and, from the previous step, the outputs of all
    cells and gates. No gradient flows back along the latter (truncation, appendix A.1), only from
    s' to s.

    hidden: blocks * size cells, the size of the output y_c.
    connections: "full", or "inputs": the cells and input gates see only the input (experiments 2a
      and 2b).
    bias: one of BIASES.
    input_gate_bias, output_gate_bias: the initial biases, one per block; () for random ones.
    squash_input: "g" or "sigmoid".  squash_output: "h" or "identity".
    All weights start as U(-init_scale, init_scale). Parameters "input" [I, G], "recurrent" [U, G]
    and "bias", with columns in the order cells, input gates, output gates. The carry is (s, u),
    where u holds the activations of the hidden layer, [B, hidden] and [B, U].
    """

    initialiser: str = "uniform"
    init_scale: float = 0.1
    size: int = 1
    output_gate: bool = True
    connections: str = "full"
    bias: str = "gates"
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    squash_input: str = "g"
    squash_output: str = "h"
    truncated = True

    @property
    def units(self) -> tuple[int, int, int]:
        """The numbers of cells, input gates and output gates."""
        if self.hidden % self.size:
            raise ValueError(
                f"size: {self.size} cells per block do not divide hidden={self.hidden}"
            )
        blocks = self.hidden // self.size
        return self.hidden, blocks, blocks if self.output_gate else 0

    @property
    def seen(self) -> int:
        """The number of hidden units that each hidden unit sees."""
        return (
            sum(self.units)
            if choose("connections", self.connections, ("full", "inputs")) == "full"
            else 0
        )

    @nn.nowrap
    def initial_carry(self, batch: int):
        return self.zeros(batch), jnp.zeros([batch, self.seen], self.wide)

    @nn.nowrap
    def operand(self, carry):
        return carry[1]

    @nn.compact
    def weights(self, inputs: int):
        cells, gates_in, gates_out = self.units
        columns = cells + gates_in + gates_out
        w, u, b = self.initialisers()
        bias = jnp.zeros([columns], self.wide)
        for name, there in (("input_gate_bias", True), ("output_gate_bias", gates_out)):
            start = getattr(self, name)
            if start and (self.bias == "none" or not there):
                raise ValueError(
                    f"{name}: {start} sets biases that do not exist with bias={self.bias!r} and "
                    "these gates; use ()"
                )
            if len(start) not in (0, gates_in) or not all(
                isinstance(number, int | float) for number in start
            ):
                raise ValueError(
                    f"{name}: {start} must have {gates_in} numbers, one per block, or none"
                )
        if choose("bias", self.bias, BIASES) != "none":
            first = cells if self.bias == "gates" else 0

            def draw(key, shape):
                drawn = b(key, (columns,))
                for name, place in (
                    ("input_gate_bias", cells),
                    ("output_gate_bias", cells + gates_in),
                ):
                    start = getattr(self, name)
                    if start:
                        drawn = drawn.at[place : place + gates_in].set(jnp.array(start))
                return drawn[first:]

            bias = jnp.pad(self.param("bias", draw, (columns - first,)), (first, 0))
        return dict(
            input=self.param("input", w, (inputs, columns)),
            recurrent=self.param("recurrent", u, (self.seen, columns))
            if self.seen
            else jnp.zeros([0, columns]),
            bias=bias,
        )

    @nn.nowrap
    def gates(self, w, carry, p, q):
        cells, gates_in, _ = self.units
        net_c, net_in, net_out = jnp.split(p + q, [cells, cells + gates_in], axis=-1)
        y_in, y_out = nn.sigmoid(net_in), nn.sigmoid(net_out)

        def of_each_cell(gate):
            return jnp.repeat(gate, self.size, axis=-1)

        squash_in = choose("squash_input", self.squash_input, INPUT_SQUASH)
        s = carry[0] + of_each_cell(y_in) * squash_in(net_c)
        y_c = choose("squash_output", self.squash_output, OUTPUT_SQUASH)(s)
        y_c = of_each_cell(y_out) * y_c if self.output_gate else y_c
        return (s, jnp.concatenate([y_c, y_in, y_out], axis=-1)[..., : self.seen]), y_c


class LSTM1997(nn.Module):
    """A network from the experiments of Hochreiter & Schmidhuber 1997.

    It has a hidden layer of memory cell blocks, and logistic outputs.
    x [B, T, I], mask [B, T] -> [B, outputs] after the last valid step, or, with every_step, [B, T,
    outputs].

    symbols: I, if x is int32 [B, T] instead: the positions of the ones in one-hot vectors.
    shortcut: the outputs see the input as well as the cells (experiments 2a, 2b).
    blocks: the number of blocks, with `size` cells each.
    output: "logistic", or "linear" for logits.
    bias, init_scale, input_gate_bias, output_gate_bias, output_gate, connections, squash_input,
    squash_output: as in LSTM1997Cell.
    """

    outputs: int
    symbols: int | None = None
    blocks: int = 2
    size: int = 2
    bias: str = "all"
    init_scale: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    output_gate: bool = True
    connections: str = "full"
    squash_input: str = "g"
    squash_output: str = "h"
    shortcut: bool = False
    every_step: bool = False
    output: str = "logistic"
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes = ("sequence", "tokens")

    @nn.nowrap
    def make_cell(self):
        own = (
            "size",
            "bias",
            "init_scale",
            "input_gate_bias",
            "output_gate_bias",
            "output_gate",
            "connections",
        )
        fields = {
            name: getattr(self, name) for name in (*own, "squash_input", "squash_output", "dtype")
        }
        return LSTM1997Cell(self.blocks * self.size, **fields, parent=None)

    @nn.nowrap
    def initial_carry(self, batch: int):
        return self.make_cell().initial_carry(batch)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        check_numbers(self)
        x = masked(x, mask)  # the shortcut reads it too
        hidden = Recurrent(self.make_cell(), symbols=self.symbols, name="hidden")
        y = handed_on(self, lambda carry: hidden(x, mask, carry))  # [B, T, cells]
        if not self.every_step:
            x, y = last_step(x, mask), last_step(y, mask)
        if self.shortcut:
            x = x if self.symbols is None else nn.one_hot(x, self.symbols)
            y = jnp.concatenate([x, y], axis=-1)
        start = uniform(self.init_scale)
        net = Dense(
            self.outputs, self.bias == "all", kernel_init=start, bias_init=start, name="output"
        )(y)
        return choose("output", self.output, OUTPUTS)(net.astype(jnp.float32))
