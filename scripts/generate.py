"""Text drawn from a trained language model.

python -m scripts.generate --workdir=DIR [--prompt="In the beginning"] [--tokens=100]
    [--temperature=1.0]
"""

import sys

import numpy as np

from scripts.transduce import COLDEST
from train import run_flags
from train.data import text_lines
from train.errors import BadInput, Parser, exit_with

MOST = 1_000_000  # tokens per text, and texts


def draw(model, variables, prompt: np.ndarray, key, tokens: int, temperature: float):
    """int32 [tokens]: what follows the prompt int32 [P], P >= 1.

    PAD, BOS and UNK are never drawn.
    """
    import jax
    import jax.numpy as jnp

    from train.tasks import BOS, PAD, UNK

    model = model.clone(carried=True)  # the carry passes from token to token

    def step(memory, token):
        state = {**variables, "memory": memory}
        logits, new = model.apply(
            state, token.reshape(1, 1), jnp.ones([1, 1], bool), train=False, mutable=["memory"]
        )
        return new["memory"], logits[0, 0].at[jnp.array([PAD, BOS, UNK])].set(-jnp.inf)

    def next_one(carry, key):
        memory, logits = carry
        token = (
            jax.random.categorical(key, logits / temperature) if temperature else logits.argmax()
        )
        return step(memory, token), token

    memory, logits = jax.lax.scan(step, model.initial_memory(1), prompt)
    _, drawn = jax.lax.scan(next_one, (memory, logits[-1]), jax.random.split(key, tokens))
    return drawn


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.generate", __doc__)
    parser.add_argument(
        "--workdir", required=True, metavar="DIR", help="of a finished or running training"
    )
    parser.add_argument(
        "--prompt",
        default="",
        metavar="TEXT",
        help="how the text begins; default: a new line of it",
    )
    parser.add_argument("--tokens", type=int, default=100, help="how many are drawn (default 100)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="0: always the most probable (default 1)"
    )
    parser.add_argument("--samples", type=int, default=1, help="how many texts (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    run_flags.add(parser)
    flags = parser.parse_args(arguments)
    if not (1 <= flags.tokens <= MOST and 1 <= flags.samples <= MOST and 0 <= flags.seed < 2**31):
        raise BadInput(
            f"--tokens and --samples must be from 1 to {MOST:,}, --seed from 0 to 2**31 - 1"
        )
    if not flags.temperature and (flags.samples > 1 or flags.seed):
        raise BadInput("--temperature=0: is no draw, so leave --samples and --seed out")
    if flags.temperature and not COLDEST <= flags.temperature < float("inf"):
        raise BadInput(f"--temperature: {flags.temperature} must be 0, or at least {COLDEST}")
    text_lines.require_utf8(flags.prompt, "--prompt")
    from train.__main__ import prepare_jax

    prepare_jax()
    import jax

    from architectures.sequence_models import LanguageModel
    from train import layout, trained
    from train.tasks import EOS

    layout.available_devices()

    run = trained.load(flags.workdir, **run_flags.chosen(flags))
    if not run.is_a(LanguageModel) or "tokens" not in run.vocabularies:
        raise BadInput(
            f"--workdir: {flags.workdir} holds a {run.model}; what is needed is a language_model "
            "of text"
        )
    vocabulary = run.vocabularies["tokens"]
    sizes = dict(outputs=len(vocabulary), symbols=len(vocabulary))
    model = trained.network(run, np.zeros([1, 1], np.int32), **sizes)
    if lacking := vocabulary.lacking([flags.prompt]):
        print(f"{parser.prog}: {lacking}", file=sys.stderr)
    prompt = np.array([EOS, *vocabulary.encode(flags.prompt)], np.int32)
    function = jax.jit(
        lambda key: draw(model, run.variables[0], prompt, key, flags.tokens, flags.temperature)
    )
    for sample in range(flags.samples):
        tokens = [
            *prompt[1:],
            *np.asarray(function(jax.random.fold_in(jax.random.key(flags.seed), sample))),
        ]
        rows = np.split(tokens, np.flatnonzero(np.array(tokens) == EOS) + 1)
        print("\n".join(vocabulary.decode(map(int, row)) for row in rows if len(row)))
        if sample + 1 < flags.samples:
            print()
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.generate")
