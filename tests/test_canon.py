"""The command canon, and the package as it is installed, in a folder where a stranger has files of
the same names."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

from configs import base, load
from scripts import canon, list, report
from train import history
from train.errors import BadInput

ROOT = pathlib.Path(__file__).parent.parent
STRANGER = "raise SystemExit('this is the train.py of a stranger')\n"


def test_each_command_is_a_module_with_a_line_that_says_what_it_does(capsys):
    assert canon.refuse([]) == 0 == canon.refuse(["--help"])
    shown = capsys.readouterr().out.splitlines()
    for command in canon.COMMANDS:
        (line,) = {line for line in shown if line.startswith(f"{command} ")}
        assert line.endswith(".") and len(line) < 140, line


def test_an_unknown_command_is_refused_with_the_nearest():
    with pytest.raises(BadInput, match="unknown command 'trian'; did you mean 'train'?"):
        canon.refuse(["trian"])


@pytest.mark.parametrize("kind", [*list.FILES, *list.ENTRIES])
def test_each_entry_of_a_list_has_a_line_from_its_docstring(kind, capsys):
    lines = list.listed(kind)
    assert len(lines) >= 5
    for name, line in lines.items():
        assert 10 < len(line) < 280 and "\n" not in line, name
        assert not line.startswith(("partial(", f"{name}(")), name
    assert list.main([kind]) == 0
    assert capsys.readouterr().out.count("\n") == 1 + len(lines)


def test_the_lists_have_all_that_a_config_can_name():
    assert {frozenset(names) for names in base.TABLES.values()} <= {
        frozenset(list.listed(kind)) for kind in list.ENTRIES
    }
    assert "configs/lenet_fashion_mnist.py" in list.listed("configs")
    assert "configs/papers/resnet/depth.py" in list.listed("tables")


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(BadInput, match="KIND: unknown 'model'; did you mean 'models'"):
        list.main(["model"])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The code is taken for an installed copy."""
    (tmp_path / "site").mkdir()
    shutil.copytree(ROOT / "configs" / "papers" / "clipping", tmp_path / "site" / "clipping")
    monkeypatch.setattr(load, "ROOT", tmp_path / "site")
    return tmp_path / "site"


def test_an_installed_table_is_not_written_beside_and_the_line_says_how_to_have_a_copy(installed):
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    with pytest.raises(BadInput) as error:
        report.main([str(installed / "clipping" / "temporal_order.py")])
    file = installed / "clipping" / "temporal_order.py"
    assert f"mkdir -p papers/clipping && cp {file} papers/clipping" in str(error.value)
    assert before == {path: path.stat().st_mtime_ns for path in installed.rglob("*")}


def test_code_below_a_checkout_of_something_else_has_no_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    site = tmp_path / ".venv" / "site-packages" / "train" / "history.py"
    monkeypatch.setattr(history, "__file__", str(site))
    site.parent.mkdir(parents=True)
    assert history.git_sha() is None


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The bin folder of a fresh environment with a real wheel of this code, beside the packages of
    this one."""
    folder = tmp_path_factory.mktemp("installed")
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    flags = ["--no-deps", "--no-build-isolation", "-w", folder, folder / "source"]
    subprocess.run([*pip, "wheel", *flags], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (wheel,) = folder.glob("*.whl")
    prefix = ["--python", folder / "venv" / "bin" / "python", "install", "--no-deps", wheel]
    subprocess.run([*pip, *prefix], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # of the other packages only: an .pth there, such as that of an editable canon, is not read
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


@pytest.fixture
def stranger(tmp_path):
    """A folder with a train.py, a configs/ and a scripts/ of somebody else."""
    (tmp_path / "train.py").write_text(STRANGER)
    for name in ("configs", "scripts", "architectures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(STRANGER)
        (tmp_path / name / "mine.py").write_text(STRANGER)
    return tmp_path


SMALL = (
    *("--config.optim.steps=20", "--config.eval.every=20", "--config.log.every=10"),
    *("--config.checkpoint.every=20", "--config.seeds=0", "--config.data.source=embedded"),
)


@pytest.mark.full
def test_an_installed_canon_runs_in_the_folder_of_a_stranger(environment, stranger):
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    package = environment.parent / "lib"

    def run(*arguments, code=0):
        done = subprocess.run(
            [environment / "canon", *arguments],
            cwd=stranger,
            env=outside,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert "stranger" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def files():
        return {
            path: path.stat().st_mtime_ns
            for path in package.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    before = files()
    assert "prepare_data" in run("--help") and "lenet5" in run("list", "models")
    assert "layer definitions" in run("describe", "lenet5_1998")
    lenet = "--config=configs/lenet_fashion_mnist.py"
    assert "--config.model.name=lenet5\n" in run("train", lenet, "--print_config")
    run("train", lenet, *SMALL)
    assert (stranger / "runs" / "lenet_fashion_mnist" / "result.json").exists()
    assert "is done" in run("train", lenet, *SMALL)
    assert "choose from configs/alexnet_cifar.py" in run("train", "--config=nosuch.py", code=2)
    table = "configs/papers/lstm1997/temporal_order.py"
    assert "min, as measured" in run("sweep", table, "--scale=paper", "--dry_run")
    assert "belongs to the installed package" in run("report", table, code=2)
    assert "test/error" in run("report", "runs/lenet_fashion_mnist")
    assert "is not a checkout of this repository" in run("report", "--check", code=2)
    # a table of one's own is reported beside itself
    (stranger / "mine").mkdir()
    (stranger / "mine" / "widths.py").write_text(
        "from configs.table import Row, Scale, Table\n"
        "keys = ('optim.steps', 'log.every', 'eval.every', 'checkpoint.every')\n"
        "base = {'data.source': 'embedded', **dict.fromkeys(keys, 20)}\n"
        "TABLE = Table(title='t', measure='test/error', base=base, rows=(Row('a'),),\n"
        "              scales={'small': Scale('s', seeds=1)})\n"
    )
    run("sweep", "mine/widths.py")
    assert "written: " in run("report", "mine/widths.py")
    assert (stranger / "mine" / "README.md").exists()
    assert files() == before
