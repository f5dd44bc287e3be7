"""python -m scripts.describe: the table, its comparison with counts made elsewhere, what it refuses."""

import csv
import io
import os
import subprocess
import sys

import pytest

from scripts import describe
from train.errors import BadInput


def test_the_vectors_of_tokens_are_counted_and_a_tied_head_has_a_bias_alone(capsys):
    totals = []
    for tied in "false", "true":
        describe.main(
            [
                "language_model",
                "--tokens=35x100",
                "--hidden=20",
                "--layers=2",
                f"--tied={tied}",
                "--csv",
            ]
        )
        totals.append(
            sum(
                int(row["parameters"])
                for row in csv.DictReader(io.StringIO(capsys.readouterr().out))
            )
        )
    cells = 2 * 4 * 20 * (20 + 20 + 1)
    assert totals == [100 * 20 + cells + 100 * 20 + 100, 100 * 20 + cells + 100]


def test_the_table_says_equal_where_it_is_and_the_difference_where_not(capsys):
    assert describe.main(["alexnet"]) == 0
    table = capsys.readouterr().out
    assert "total" in table and "60,965,224" in table and "724,406,816" in table
    assert table.splitlines()[-2].split() == ["layer", "definitions", "=", "="]
    describe.main(["lenet5_1998"])
    assert (
        "layer definitions" in (table := capsys.readouterr().out)
        and "+89,160" in table
        and "note: C3's" in table
    )


def test_a_hyperparameter_without_influence_is_compared_and_another_is_not(capsys):
    describe.main(["resnet", "--depth=18", "--bn_momentum=0.5"])
    assert "torchvision" in capsys.readouterr().out
    describe.main(["resnet", "--depth=18", "--width=32"])
    assert "torchvision" not in capsys.readouterr().out


def test_multiply_adds_of_another_image_are_not_compared(capsys):
    describe.main(["resnet", "--depth=18", "--image=64x96x3"])
    # nor with the paper's
    assert capsys.readouterr().out.splitlines()[-1].split() == ["torchvision", "0.28", "="]


def test_the_csv_has_a_row_for_each_layer_with_plain_numbers(capsys):
    describe.main(["inception_v3", "--levels=1", "--csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert sum(int(row["parameters"]) for row in rows) == 27_161_264
    assert sum(int(row["parameters"]) for row in rows if row["training_only"] == "1") == 3_326_696
    describe.main(["inception_v3", "--csv"])
    rows = {row["layer"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert rows["mixed_7c/branch2_2a/conv"]["receptive_field"] == "1183 x 1247"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["resnet50"], "unknown 'resnet50'; did you mean 'resnet'"),
        (["resnet", "--dept=50"], "--dept: no hyper-parameter of resnet; did you mean 'depth'"),
        (["resnet", "--name=vgg"], "--name: no hyper-parameter of resnet; "),
        (["alexnet", "--width=inf"], "width: inf is not a finite number"),
        (["lenet5", "--image="], "--image: '' must be 3 whole numbers"),
        (["lenet5", "--sequence="], "--sequence: lenet5 takes --image"),
        (["resnet", "--depth=21"], "depth: unknown 21; choose from 18, 34"),
        (["resnet", "--depth=many"], "model.depth: 'many' must be a whole number"),
        (["resnet", "--depth"], "--depth: hyper-parameters are written --KEY=VALUE"),
        (["lenet5_1998", "--outputs=7"], "has the ten digits' bitmaps"),
        (["lenet5", "--outputs=0"], "--outputs=0 must be at least 1"),
        (["lenet5", "--image=32x32"], "'32x32' must be 3 whole numbers"),
        (["lenet5", "--sequence=3x3"], "--sequence: lenet5 takes --image"),
        (["tagger", "--sequence=3x3", "--tokens=3x3"], "use one of the two"),
        (["tagger", "--pair=3x3"], "--pair: tagger takes --sequence or --tokens"),
        (["language_model", "--tied=true"], "tied: needs tokens in and out"),
        (
            ["googlenet", "--image=8x8x3"],
            "the images are too small: windows of 3 x 3 do not fit maps of 1 x 1",
        ),
        (
            ["bn_inception", "--image=40x40x3"],
            "maps of 5 x 5 cannot be halved; use images of a multiple of 32 pixels",
        ),
    ],
)
def test_what_cannot_be_described_is_answered_in_one_line(arguments, answer, capsys):
    with pytest.raises(BadInput, match=answer) as error:
        describe.main(arguments)
    assert "\n" not in str(error.value) and not capsys.readouterr().out


def test_a_wrong_key_exits_with_2_and_one_line():
    command = [sys.executable, "-m", "scripts.describe", "vgg", "--confguration=E"]
    answer = "python -m scripts.describe: --confguration: no hyper-parameter of vgg; did you mean 'configuration'?\n"
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == answer
