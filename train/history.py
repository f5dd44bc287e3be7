"""The history of a run: what trained it, from which step on, and for how many steps.

"What" is the code, the config file, the version of JAX and the kind of device.
"""

import hashlib
import itertools
import pathlib
import subprocess

ROOMS = ("architectures", "configs", "train")
WORDS = {
    "steps": "optim.steps",
    "code": "the code",
    "file": "the config's file",
    "jax": "jax",
    "device": "the device",
}


def git_sha() -> str | None:
    """The commit of the code, with '+changes' where the working tree differs from it.

    None outside a checkout, also where the code is installed below a checkout of something else.
    """
    folder = pathlib.Path(__file__).parent.parent
    if not (folder / ".git").exists():
        return None

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def sources() -> str:
    """A digest of the code that trains, and of the tables that it uses."""
    folder, h = pathlib.Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(p for room in ROOMS for p in (folder / room).rglob("*.py")):
        h.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return h.hexdigest()


def is_code(path: pathlib.Path) -> bool:
    """Whether `sources` covers a file."""
    folder = pathlib.Path(__file__).parent.parent
    return any(path.absolute().is_relative_to(folder / room) for room in ROOMS)


def now(steps: int, file: str | None = None) -> dict:
    """What this process trains with.

    steps: those of its config. file: the digest of a config file that is not part of this code.
    """
    import jax

    code = dict(code=sources(), git=git_sha(), file=file)
    return dict(steps=steps, **code, jax=jax.__version__, device=jax.devices()[0].device_kind)


def extended(history: list[dict], step: int, made_by: dict) -> list[dict]:
    """`history` with one more entry if `made_by` differs from the last one.

    An entry has what `now` gives, and under "from" the first step that it trained.
    """
    if history and not _differing(history[-1], made_by):
        return history
    return [*history, {"from": step} | made_by]


def _differing(before: dict, after: dict) -> list[str]:
    return [key for key in WORDS if before.get(key) != after.get(key)]


def changes(history: list[dict]) -> list[str]:
    """One line for each entry after the first: 'from step 40 on: optim.steps was 40, is 80'."""
    lines = []
    for before, after in itertools.pairwise(history):
        each = "; ".join(
            f"{WORDS[key]} was {_word(before, key)}, is {_word(after, key)}"
            for key in _differing(before, after)
        )
        lines.append(f"from step {after['from']:,} on: {each}")
    return lines


def _word(entry: dict, key: str) -> str:
    value = entry.get(key)
    if key == "code":
        return f"{value[:12]} (commit {(entry.get('git') or 'unknown')[:7]})"
    if key == "file":
        return value[:12] if value else "part of the code"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
