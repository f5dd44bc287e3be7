"""Which pixels each value of a network sees, by walking its jaxpr."""

from typing import NamedTuple

from jax.extend import core

from train.flops import inner

ELEMENTWISE = set(
    "abs add and ceil clamp convert_element_type copy cos div eq erf exp exp2 expm1 floor ge gt "
    "integer_pow is_finite le log "
    "log1p logistic lt max min mul name ne neg not or pow reduce_precision rem round rsqrt "
    "select_n sign sin sqrt square sub "
    "tanh xor".split()
)


class Field(NamedTuple):
    """Position p of axis `axis` sees the pixels from low + p stride to high + p stride.

    Padding counts as pixels.
    """

    axis: int
    low: int
    high: int
    stride: int

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def window(self, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Field":
        """The field of a sliding window over this axis; padding: positions before the first."""
        low = self.low - padding * self.stride
        high = self.high + ((size - 1) * dilation - padding) * self.stride
        return self._replace(low=low, high=high, stride=self.stride * stride)


ALL = None  # sees the whole image, or an unknown part of it
Fields = tuple[Field | None, Field | None]  # along the image's height and width


def fields(jaxpr, image) -> dict[int, Fields]:
    """id(equation) -> the Fields of its first output, for all equations that depend on the image.

    image: the jaxpr's variable for it, [B, H, W, C]. In a scan every iteration is followed; the
    last one stays.
    """
    seen: dict[int, Fields] = {}
    _run(jaxpr, [_image() if variable is image else None for variable in jaxpr.invars], seen)
    return seen


def _image() -> Fields:
    return Field(1, 0, 0, 1), Field(2, 0, 0, 1)


def _run(jaxpr, given: list[Fields | None], seen) -> list[Fields | None]:
    """The Fields of the outputs from those of the inputs; None: does not depend on the image."""
    known = {variable: f for variable, f in zip(jaxpr.invars, given, strict=True) if f}
    for equation in jaxpr.eqns:
        inputs = [None if isinstance(v, core.Literal) else known.get(v) for v in equation.invars]
        if any(inputs):
            outputs = _outputs(equation, inputs, seen)
            known |= {
                variable: f for variable, f in zip(equation.outvars, outputs, strict=True) if f
            }
            seen[id(equation)] = outputs[0] if outputs else None
    return [None if isinstance(v, core.Literal) else known.get(v) for v in jaxpr.outvars]


def _outputs(equation, inputs, seen) -> list[Fields | None]:
    name, bodies = equation.primitive.name, inner(equation)
    if name == "scan":
        return _scan(equation, inputs, seen)
    # the jaxpr of the last two joins two numbers
    called = name not in ("cond", "reduce", "reduce_window")
    if called and len(bodies) == 1 and len(bodies[0].invars) == len(inputs):
        return _run(bodies[0], inputs, seen)
    along = []
    for side in (0, 1):
        moved = [f[side] and _through(equation, i, f[side]) for i, f in enumerate(inputs) if f]
        along.append(_union(moved))
    return [tuple(along)] * len(equation.outvars)


def _union(parts: list[Field | None]) -> Field | None:
    # other axes or strides: a window cannot describe it
    if any(part is ALL or part[::3] != parts[0][::3] for part in parts):
        return ALL
    return parts[0]._replace(
        low=min(part.low for part in parts), high=max(part.high for part in parts)
    )


def _scan(equation, inputs, seen):
    p = equation.params
    first, last = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, slices = (
        inputs[:first],
        inputs[first:last],
        [_shift(f, -1) for f in inputs[last:]],
    )
    stacked = []
    for _ in range(p["length"]):
        outputs = _run(p["jaxpr"].jaxpr, [*consts, *carry, *slices], seen)
        carry, stacked = outputs[: p["num_carry"]], outputs[p["num_carry"] :]
    return [*carry, *(_shift(f, 1) for f in stacked)]


def _shift(both: Fields | None, by: int) -> Fields | None:
    """The Fields of an array with a new first axis (by = 1) or without its first one (by = -1).

    A loop over the image sees ALL.
    """
    return both and tuple(
        ALL if f is ALL or f.axis + by < 0 else f._replace(axis=f.axis + by) for f in both
    )


def _through(equation, operand: int, f: Field) -> Field | None:
    """The field of an equation's output from that of one of its operands.

    ALL for any equation that is not known here: never too small.
    """
    name, p = equation.primitive.name, equation.params
    before, after = equation.invars[operand].aval.shape, equation.outvars[0].aval.shape
    if name in ELEMENTWISE:
        return f
    if name == "conv_general_dilated":
        numbers = p["dimension_numbers"]
        side = numbers.lhs_spec.index(f.axis) - 2
        if operand or side < 0 or p["lhs_dilation"][side] != 1:
            return ALL
        window = equation.invars[1].aval.shape[numbers.rhs_spec[2 + side]]
        f = f.window(
            window, p["window_strides"][side], p["padding"][side][0], p["rhs_dilation"][side]
        )
        return f._replace(axis=numbers.out_spec[2 + side])
    if name.startswith("reduce_window"):
        kinds = (
            "window_dimensions",
            "window_strides",
            "padding",
            "window_dilation",
            "base_dilation",
        )
        window, stride, padding, dilation, base = (p[kind][f.axis] for kind in kinds)
        return f.window(window, stride, padding[0], dilation) if operand == 0 and base == 1 else ALL
    if name == "slice":
        f = f._replace(
            low=f.low + p["start_indices"][f.axis] * f.stride,
            high=f.high + p["start_indices"][f.axis] * f.stride,
        )
        return f._replace(stride=f.stride * (p["strides"] or [1] * len(before))[f.axis])
    if name == "pad":
        low, _, interior = p["padding_config"][f.axis]
        return (
            f._replace(low=f.low - low * f.stride, high=f.high - low * f.stride)
            if not (operand or interior)
            else ALL
        )
    axis = _axis(name, p, operand, f.axis, before, after)
    return ALL if axis is None else f._replace(axis=axis)


def _axis(name: str, p, operand: int, axis: int, before, after) -> int | None:
    """The axis of the output, for an equation that only moves values or sums over other axes."""
    if name == "concatenate":
        return None if p["dimension"] == axis else axis
    if name == "split":
        return None if p["axis"] == axis else axis
    if name == "transpose":
        return p["permutation"].index(axis)
    if name == "broadcast_in_dim":
        to = p["broadcast_dimensions"][axis]
        return to if after[to] == before[axis] else None
    if name == "reshape":
        return axis if after[: axis + 1] == before[: axis + 1] else None
    gone = {"squeeze": "dimensions"}.get(name, "axes" if name.startswith("reduce_") else None)
    if gone:
        return None if axis in p[gone] else axis - sum(d < axis for d in p[gone])
    if name == "dot_general":
        contracted, batch = (pair[operand] for pair in p["dimension_numbers"])
        if axis in batch:
            return batch.index(axis)
        free = [d for d in range(len(before)) if d not in (*contracted, *batch)]
        own = len(after) - len(free) if operand else len(batch)
        return own + free.index(axis) if axis in free else None
    return None
