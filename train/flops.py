"""Multiply-adds by walking a jaxpr, so that every iteration of a scan counts.

XLA's own count takes only one iteration.
"""

import collections
import math
import re

import jax
from jax.extend import core

SCOPE = re.compile(r"\[([^\[\]]*)\]")


def multiply_adds(function, *arguments) -> int:
    """Multiply-adds of the convolutions and matrix products of function(*arguments).

    Padding counts, as in the papers.
    """
    return by_scope(jax.make_jaxpr(function)(*arguments).jaxpr).total()


def by_scope(jaxpr) -> collections.Counter:
    """The multiply-adds of each scope (see `equations`)."""
    counts = collections.Counter()
    for equation, times, scope in equations(jaxpr):
        counts[scope] += times * _one(equation)
    return counts


def equations(jaxpr, times: int = 1, scope: str = ""):
    """(equation, how often it runs, scope) of all equations.

    An equation with jaxprs inside is replaced by the equations of these.

    The scope is the innermost `jax.named_scope` written in brackets, "[scope]", that an equation
    was traced in. A while loop counts as one iteration, and a cond as the branch with the most
    multiply-adds.
    """
    for equation in jaxpr.eqns:
        marks = SCOPE.findall(str(equation.source_info.name_stack))
        within = marks[-1] if marks else scope
        bodies = inner(equation)
        if not bodies:
            yield equation, times, within
        often = times * equation.params["length"] if equation.primitive.name == "scan" else times
        for body in bodies:
            yield from equations(body, often, within)


def inner(equation) -> list[core.Jaxpr]:
    """The jaxprs among an equation's parameters (jit, scan, custom_vjp, remat, while).

    For a cond it is the branch with the most multiply-adds.
    """
    if equation.primitive.name == "cond":
        return [
            max(
                (branch.jaxpr for branch in equation.params["branches"]),
                key=lambda body: by_scope(body).total(),
            )
        ]
    bodies = [getattr(value, "jaxpr", value) for value in equation.params.values()]
    return [body for body in bodies if isinstance(body, core.Jaxpr)]


def _one(equation) -> int:
    name = equation.primitive.name
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return math.prod(equation.outvars[0].aval.shape) * math.prod(shape[d] for d in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // outputs
    return 0
