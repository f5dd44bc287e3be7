"""Multiply-adds by walking a jaxpr, so that scans count every iteration, which XLA's own count does not."""

import math

import jax
from jax.extend import core


def multiply_adds(function, *arguments) -> int:
    """Multiply-adds of the convolutions and matrix products of function(*arguments), padding counted as the papers do."""
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr) -> int:
    return sum(_one(equation) for equation in jaxpr.eqns)


def _one(equation) -> int:
    name, out = equation.primitive.name, equation.outvars[0].aval if equation.outvars else None
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return math.prod(out.shape) * math.prod(equation.invars[0].aval.shape[d] for d in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return math.prod(out.shape) * math.prod(kernel) // outputs
    if name == "scan":
        return equation.params["length"] * _count(equation.params["jaxpr"].jaxpr)
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in equation.params["branches"])
    return sum(_count(inner) for inner in _inner(equation.params))


def _inner(parameters: dict):
    """The jaxprs among an equation's parameters (jit, custom_vjp, remat, while: one iteration)."""
    for value in parameters.values():
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value
