"""Standard streams that are closed, full or broken: each command ends with its code and one line."""

import os
import subprocess
import sys

import pytest
from helpers import LENET

SAYS = "print('x' * 100)\n    return 0"
REFUSES = "print('x' * 100)\n    raise BadInput('no such thing')"
FULL = "standard output (No space left on device)"
CLOSED = "standard output (Bad file descriptor)"


def shell(command: str, *arguments: str, stdin=None) -> subprocess.CompletedProcess:
    """A line of the shell, in which "$@" is the command, with its output as a file has it."""
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", command, "bash", *arguments],
        capture_output=True,
        text=True,
        stdin=stdin,
        env=buffered,
    )


def program(body: str) -> list[str]:
    """A command that is made of nothing else."""
    lines = "import os, sys\nfrom train.errors import BadInput, exit_with\n"
    return [sys.executable, "-c", f"{lines}def main(_):\n    {body}\nexit_with(main, 'canon')"]


@pytest.mark.parametrize(
    ("line", "body", "code", "stderr"),
    [
        ('"$@" >/dev/full', SAYS, 74, f"canon: cannot write to {FULL}\n"),
        ('"$@" >&-', SAYS, 74, f"canon: cannot write to {CLOSED}\n"),
        ('"$@" >&- <&-', SAYS, 74, f"canon: cannot write to {CLOSED}\n"),
        ('"$@" >&-', "return 0", 0, ""),
        ('"$@" >/dev/full', REFUSES, 2, "canon: no such thing\n"),
        ('"$@" >&-', "raise BadInput('no such thing')", 2, "canon: no such thing\n"),
        ('"$@" 2>&-', REFUSES, 2, ""),
        ('"$@" 2>/dev/full', REFUSES, 2, ""),
        ('"$@" 2>&-', "raise KeyError('a')", 1, ""),
        ('"$@" >&- 2>&- <&-', SAYS, 74, ""),
        ('"$@" >/dev/full 2>&1', SAYS, 74, ""),
        ('"$@" <&-', "sys.stdin.read()", 1, None),
        ('"$@" | true; exit ${PIPESTATUS[0]}', "print('x' * 100_000)\n    return 0", 141, ""),
        ('"$@" 2>&1 | true; exit ${PIPESTATUS[0]}', "print('x' * 100_000)", 141, ""),
        ('PYTHONIOENCODING=ascii "$@" >&2', "print('\\u0928')\n    return 0", 0, "\\u0928\n"),
    ],
)
def test_a_stream_that_cannot_be_used_ends_a_command_with_its_code_and_no_traceback(
    line, body, code, stderr
):
    done = shell(line, *program(body))
    assert done.returncode == code, done.stderr
    assert done.stderr == stderr if stderr is not None else "Bad file descriptor" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_number_of_a_stream_that_is_closed(tmp_path, closed):
    body = f"file = open({str(tmp_path / 'f')!r}, 'w'); os._exit(file.fileno() < 3)"
    assert shell(f'"$@" {closed}', *program(body)).returncode == 0
    listens = (
        "import os; from train import interruption; interruption.listen('canon')\n"
        f"file = open({str(tmp_path / 'f')!r}, 'w'); os._exit(file.fileno() < 3)"
    )
    assert shell(f'"$@" {closed}', sys.executable, "-c", listens).returncode == 0


TRAIN = (
    *("-m", "train", f"--config={LENET}", "--config.optim.steps=4", "--config.seeds=0"),
    *("--config.data.batch_size=8", "--config.eval.every=4", "--config.log.every=1"),
)
COMMANDS = {
    "train": TRAIN,
    "sweep": ("-m", "scripts.sweep", "configs/papers/lstm1997/temporal_order.py", "--dry_run"),
    "report": ("-m", "scripts.report", "--help"),
    "describe": ("-m", "scripts.describe", "lenet1"),
    "transduce": ("-m", "scripts.transduce", "--help"),
    "generate": ("-m", "scripts.generate", "--help"),
    "weights": ("-m", "scripts.weights", "--list"),
    "prepare_data": ("-m", "scripts.prepare_data", "japanese_vowels"),
}


@pytest.mark.full
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("where", [">/dev/full", ">&-", ">&- <&-"])
def test_every_command_ends_with_74_and_one_line_where_its_output_cannot_be_written(
    tmp_path, command, where
):
    workdir = [f"--workdir={tmp_path / 'run'}"] if command == "train" else []
    done = shell(f'"$@" {where}', sys.executable, *COMMANDS[command], *workdir)
    assert done.returncode == 74, done.stderr
    assert done.stderr.count("\n") == 1 and "cannot write to standard output" in done.stderr


@pytest.mark.full
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-"])
def test_a_run_without_standard_error_or_input_is_trained(tmp_path, where):
    done = shell(f'"$@" {where}', sys.executable, *TRAIN, f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0 and (tmp_path / "run" / "result.json").exists()
