"""Paths that flags and variables name: local ones, buckets, and what no run can lie in, which every
command refuses in one line."""

import json
import os
import pwd

import fsspec
import helpers
import numpy as np
import pytest
from etils import epath
from etils.epath import backend

from configs import load
from scripts import generate, length_figure, prepare_data, report, sweep, transduce, weights
from train import __main__ as command
from train import paths
from train.checkpoint import Checkpoints
from train.data import files
from train.errors import BadInput

NOT_UTF8 = os.fsdecode(b"caf\xe9")

TABLE = "configs/papers/lstm1997/temporal_order.py"
COMMANDS = [
    (command, [f"--config={helpers.LENET}"]),
    (sweep, [TABLE, "--dry_run"]),
    (report, [TABLE]),
    (generate, []),
    (transduce, ["canon"]),
]


def refused(main, arguments) -> str:
    with pytest.raises(BadInput) as error:
        main(arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("of", "arguments"), COMMANDS)
@pytest.mark.parametrize(
    ("workdir", "says"),
    [
        ("gs://my-canon/x", "--workdir: gs://my-canon/x: no such package; pip install -e '.[gcs]'"),
        ("s3://my-canon/x", "--workdir: s3://my-canon/x: no such package; pip install s3fs"),
        (
            "foo://x",
            "--workdir: foo://x: unknown 'foo://'; choose from gs://, s3://, az://, hf:// and local paths",
        ),
        ("gs://", "--workdir: gs://: names no bucket"),
        ("", "--workdir: is empty"),
    ],
)
def test_a_workdir_that_cannot_be_opened_is_refused_in_one_line_by_every_command(
    of, arguments, workdir, says, monkeypatch
):
    def missing(*_, **__):
        raise ImportError("no such package")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    backend.fsspec_backend._get_filesystem.cache_clear()
    assert says in refused(of.main, [*arguments, f"--workdir={workdir}"])


@pytest.mark.parametrize(("of", "arguments"), [(generate, []), (transduce, ["canon"])])
def test_a_run_in_a_bucket_is_read_there(of, arguments, monkeypatch):
    run = helpers.bucket(monkeypatch) / "run"
    (run / "config.json").write_text(
        json.dumps(dict(model=dict(name="seq2seq"), data={}, seeds=[0]))
    )
    assert refused(of.main, [*arguments, f"--workdir={run}"]) == "gs://bucket/run: no checkpoint"


def test_a_bucket_that_does_not_answer_is_refused_with_what_its_package_says(monkeypatch):
    def unreachable(*_):
        raise RuntimeError("Anonymous caller\ndoes not have access")

    monkeypatch.setattr(helpers.Bucket, "exists", unreachable)
    helpers.bucket(monkeypatch)
    with pytest.raises(
        BadInput, match=r"gs://bucket/x: not reached \(Anonymous caller does not have access\)"
    ):
        paths.path_of("gs://bucket/x")


def test_a_local_path_is_absolute_and_a_bucket_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    helpers.bucket(monkeypatch)
    assert str(paths.path_of("runs/x")) == str(tmp_path / "runs" / "x")
    assert str(paths.path_of("gs://bucket/x")) == "gs://bucket/x"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and no variable that names another place."""
    for name in ("CANON_DATA", "TFDS_DATA_DIR", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def homeless(home, monkeypatch):
    """A user whom the system does not know, as in a container with a number for its user."""
    monkeypatch.delenv("HOME")

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(("of", "arguments"), COMMANDS)
def test_every_command_reads_a_tilde_as_the_home_folder_and_refuses_a_folder_that_no_run_can_lie_in(
    of, arguments, home
):
    said = refused(of.main, [*arguments, "--workdir=~/[lr=0.1]/run"])
    assert said.startswith(f"--workdir: {home}/[lr=0.1]/run: checkpoints cannot be saved below")
    said = refused(of.main, [*arguments, f"--workdir=~/{NOT_UTF8}"])
    assert said == "--workdir: ~/caf\\xe9: the path is not UTF-8; rename it"
    assert not [*home.iterdir()]


def test_a_tilde_is_the_home_folder_of_this_user_or_of_another_and_a_name_else(home, monkeypatch):
    monkeypatch.chdir(home)
    root = pwd.getpwuid(0)
    assert paths.file_of("~/x", "--file") == home / "x"
    assert str(paths.path_of("~")) == str(home)
    assert str(paths.file_of(f"~{root.pw_name}/x", "--file")) == os.path.join(root.pw_dir, "x")
    assert paths.file_of("~nobody-of-that-name/x~", "--file") == home / "~nobody-of-that-name/x~"


@pytest.mark.parametrize(
    ("main", "arguments", "flag"),
    [
        (transduce.main, ["--workdir=x", "--file={}"], "--file"),
        (transduce.main, ["--workdir=x", "a", "--alignment={}.png"], "--alignment"),
        (transduce.main, ["--workdir=x", "--evaluate=test", "--errors={}"], "--errors"),
        (weights.main, ["torchvision/vgg11", "{}.pth", "x.npz"], "IN"),
        (weights.main, ["torchvision/vgg11", "x.pth", "{}.npz"], "OUT"),
        (length_figure.main, ["{}.png", "a=b.csv"], "OUT.png"),
        (length_figure.main, ["a.png", "a={}"], "FILE.csv"),
        (prepare_data.main, ["imagenet2012", "--tfrecord={}"], "--tfrecord"),
        (report.main, ["{}"], "RUN"),
        (command.main, ["--config={}.py"], "--config"),
        (sweep.main, ["{}.py"], "TABLE.py"),
    ],
)
def test_every_other_path_is_read_by_the_same_rules(main, arguments, flag, home, monkeypatch):
    monkeypatch.chdir(home)
    said = refused(main, [argument.format(f"~/{NOT_UTF8}") for argument in arguments])
    assert said.startswith(f"{flag}: ~/caf\\xe9") and said.endswith("is not UTF-8; rename it")
    said = refused(main, [argument.format("x" * 300) for argument in arguments])
    assert said.startswith(f"{flag}: xxx") and "File name too long" in said


def test_a_config_is_found_in_the_home_folder(home):
    (home / "mine.py").write_text("from configs.lenet_fashion_mnist import get_config\n")
    assert load.load("~/mine.py")[0] == "mine"


def test_folders_of_data_are_those_of_the_variables_else_below_the_home_folder(home, monkeypatch):
    assert files.folder() == home / ".cache" / "canon" / "data"
    assert files.tfds_folder() == home / "tensorflow_datasets"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cached")
    monkeypatch.setenv("TFDS_DATA_DIR", "")  # as if it were not set
    assert files.folder() == home / "cached" / "canon" / "data"
    assert files.tfds_folder() == home / "tensorflow_datasets"
    monkeypatch.setenv("CANON_DATA", "~/sets")
    monkeypatch.setenv("TFDS_DATA_DIR", "~/tfds")
    assert (files.folder(), files.tfds_folder()) == (home / "sets", home / "tfds")


@pytest.mark.parametrize("name", ["CANON_DATA", "TFDS_DATA_DIR", "XDG_CACHE_HOME"])
def test_a_bucket_of_data_is_refused_with_what_to_do(name, home, monkeypatch):
    monkeypatch.setenv(name, "gs://bucket/data")
    with pytest.raises(BadInput, match=f"{name}: gs://bucket/data: is in a bucket; copy it to a"):
        files.load("fashion_mnist")


def test_compiled_programs_go_below_the_home_folder_or_where_the_variable_says(home, monkeypatch):
    command.prepare_jax()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(home / ".cache" / "canon" / "xla")
    for given, used in (("~/xla", f"{home}/xla"), ("gs://bucket/xla",) * 2, ("", "")):
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", given)
        command.prepare_jax()
        assert os.environ["JAX_COMPILATION_CACHE_DIR"] == used


def test_a_user_without_a_home_folder_trains_without_a_cache_and_is_asked_for_the_folder_of_data(
    homeless,
):
    command.prepare_jax()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert files.load("japanese_vowels")[1].source == "embedded"
    with pytest.raises(BadInput, match="TFDS_DATA_DIR: is not set, and .* no home folder; set T"):
        files.load("fashion_mnist")
    with pytest.raises(BadInput, match="--workdir: ~/x: this user has no home folder; set HOME"):
        paths.run_of("~/x")


def test_a_comma_in_the_name_of_a_folder_that_is_there_divides_no_list_of_runs(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "c"):
        (tmp_path / name).mkdir()
    assert paths.runs_of("a,b") == ["a,b"]
    assert paths.runs_of("c,a,b,c") == ["c", "a,b", "c"]
    assert paths.runs_of("gs://x/a,gs://x/b") == ["gs://x/a", "gs://x/b"]


@pytest.mark.parametrize("name", ["[x]", "a[", "a*b", "a?b", "a\\b"])
def test_a_run_is_refused_below_a_folder_that_orbax_takes_for_another(tmp_path, name, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    for text in ("run", str(tmp_path / name), f"gs://bucket/{name}"):
        helpers.bucket(monkeypatch)
        with pytest.raises(BadInput, match="checkpoints cannot be saved below a folder with"):
            paths.run_of(text)


@pytest.mark.parametrize(
    "name",
    ["]", "{a,b}", "tab\tx", "new\nline", "-dash", "50%41", "a#b", " a b ", "$x;|&", "~x", "日本"],
)
def test_a_run_below_any_other_folder_can_be_saved_and_read_back(tmp_path, name):
    folder = paths.run_of(str(tmp_path / name)) / "checkpoints"
    with Checkpoints(epath.Path(folder), 2) as checkpoints:
        checkpoints.save(1, ({"params/w": np.arange(6.0)}, {}), {"data": "d"})
    with Checkpoints(epath.Path(folder), 2) as checkpoints:
        assert checkpoints.arrays(pytest.fail)[1]["step"] == 1


def test_a_path_that_the_system_cannot_look_at_is_refused(tmp_path):
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    long = tmp_path / "/".join(["x" * 200] * 20)
    for text, says in (
        (str(tmp_path / "loop"), "Too many levels of symbolic links"),
        (str(tmp_path / ("x" * 300)), "File name too long"),
        (str(long)[:4000], "File name too long"),  # that of a file in it
        ("a\0b", "null byte"),
    ):
        with pytest.raises(BadInput, match=f"--workdir: .*{says}.*; use another path"):
            paths.run_of(text)
