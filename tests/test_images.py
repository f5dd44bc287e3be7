"""Image sets: what a config makes of the pixels, in training above all; and settings that cannot
work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import CIFAR
from helpers import LENET, batch, build, losses, refused

from scripts import prepare_data
from train.data import DATASETS, augment, files
from train.errors import BadInput

SEVERAL = dict(
    data__pad=4,
    data__distort=(2, 0.1, 0.1, 0.2),
    data__crop=32,
    data__jitter=(32, 40),
    data__views="centre",
)


def row_key(row):
    """The key of the example in a row of the batch of key 0."""
    return jax.random.fold_in(jax.random.key(0), row)


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_is_read_from_a_tfds_folder_with_its_own_classes_and_order(cifar, name, classes):
    data = DATASETS[name](scale="unit")
    assert (data.outputs, data.examples, data.inputs) == (classes, dict(train=60, test=20), "image")
    assert data.about.startswith(f"{name}, tfds") and data.metadata["digest"] == files.digest(
        cifar[name]
    )
    b = batch(data.evals["test"], range(20))
    np.testing.assert_allclose(b["input"], cifar[name]["test_image"] / 255, atol=1e-6)
    assert (
        np.array_equal(b["target"], cifar[name]["test_label"])
        and b["target"].max() >= classes * 0.9
    )


def test_cifar_that_is_not_prepared_is_refused_with_the_command_that_prepares_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in CIFAR:
        assert refused(f"--config.data.name={name}").endswith(
            f"run python -m scripts.prepare_data {name}"
        )
        with pytest.raises(BadInput, match="array_record"):
            prepare_data.check(name)
    assert "cifar10 has no source 'files'; choose from auto, tfds" in refused(
        "--config.data.name=cifar10", "--config.data.source=files"
    )


def test_a_small_cifar_does_not_pass_for_the_whole_set(cifar):
    with pytest.raises(BadInput, match="must be {'train': 50000, 'test': 10000}"):
        prepare_data.check("cifar100")


def test_standardised_colours_have_mean_0_and_deviation_1_in_each_channel_of_the_images_trained_on(
    cifar,
):
    data = DATASETS["cifar10"](validation=10)
    image = np.asarray(batch(data.train, range(50))["input"])
    np.testing.assert_allclose(image.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(image.std((0, 1, 2)), 1, atol=1e-4)


def test_the_mean_image_is_that_of_the_training_images_also_for_test_images(cifar):
    mean = cifar["cifar10"]["train_image"].mean(0)
    data = DATASETS["cifar10"](scale="mean_image")
    for source, split in ((data.train, "train"), (data.evals["test"], "test")):
        expected = cifar["cifar10"][f"{split}_image"][:20] - mean
        np.testing.assert_allclose(batch(source, range(20))["input"], expected, atol=1e-3)


@pytest.mark.parametrize("scale", ["unit", "lecun", "standard", "mean_image"])
def test_what_pads_a_photograph_is_the_mean_colour(cifar, scale):
    data = DATASETS["cifar10"](scale=scale, pad=3)
    image = np.asarray(batch(data.train, range(60))["input"])
    assert image.shape == (60, 38, 38, 3)
    inside = image[:, 3:-3, 3:-3].mean((0, 1, 2))
    np.testing.assert_allclose(image[:, :3], np.broadcast_to(inside, [60, 3, 38, 3]), atol=1e-4)


def test_resnets_cifar_recipe_is_mirror_then_pad_by_four_zeros_and_crop(cifar):
    data = DATASETS["cifar10"](scale="mean_image", shift=4, flip=True)
    made = batch(data.train, range(20))["input"]
    for row, image in enumerate(
        cifar["cifar10"]["train_image"][:20] - cifar["cifar10"]["train_image"].mean(0)
    ):
        if jax.random.bernoulli(jax.random.fold_in(row_key(row), 0)):
            image = image[:, ::-1]
        padded = np.zeros([40, 40, 3])
        padded[4:36, 4:36] = image
        top, left = augment.draw_corner(jax.random.fold_in(row_key(row), 1), 8)
        np.testing.assert_allclose(made[row], padded[top : top + 32, left : left + 32], atol=1e-3)


def test_alexnets_recipe_is_a_random_crop_and_colour_noise_in_the_units_of_the_scale(cifar):
    for scale, unit in (("mean_image", 255), ("unit", 1)):
        plain, noisy = (DATASETS["cifar10"](scale=scale, crop=24, pca=pca) for pca in (0.0, 0.1))
        shift = np.asarray(batch(noisy.train, range(9))["input"]) - np.asarray(
            batch(plain.train, range(9))["input"]
        )
        assert shift.shape == (9, 24, 24, 3)
        for row in range(9):
            alpha = augment.draw_alpha(jax.random.fold_in(row_key(row), 4), 0.1)
            noise = unit * augment.EIGENVECTORS @ (np.asarray(alpha) * augment.EIGENVALUES)
            np.testing.assert_allclose(
                shift[row], np.broadcast_to(noise, [24, 24, 3]), atol=1e-6 * 255
            )


EVERYTHING = dict(flip=True, distort=(2, 0.1, 0.1, 0.2), shift=2, jitter=(32, 40), pca=0.1)


def test_no_augmentation_touches_the_images_of_evaluation(cifar):
    plain, changed = (
        DATASETS["cifar10"](validation=10),
        DATASETS["cifar10"](validation=10, **EVERYTHING),
    )
    for split in ("validation", "test"):
        images = [batch(data.evals[split], range(10))["input"] for data in (plain, changed)]
        assert np.array_equal(*images)
    assert not np.array_equal(*[batch(data.train, range(10))["input"] for data in (plain, changed)])


@pytest.mark.parametrize("change", [{}, dict(jitter=(), area=(0.1, 0.9))])
def test_an_example_is_the_same_alone_and_among_others_and_differs_with_its_row(cifar, change):
    source = DATASETS["cifar10"](**EVERYTHING | change).train
    together = np.asarray(batch(source, [5] * 8)["input"])
    arrays = {name: jnp.asarray(array) for name, array in source.arrays.items()}
    for row in (0, 3, 7):
        feed = dict(index=jnp.array([5]), valid=jnp.array([True]))
        alone = source.batch(arrays, feed, jax.random.key(0), jnp.array([row]))["input"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
    assert len({image.tobytes() for image in together}) == 8


def test_augmented_images_are_the_same_on_eight_devices_as_on_one():
    smooth = dict(
        model__activation="tanh", model__subsampling="average", data__source="embedded", seeds=(0,)
    )
    one, many = (build(LENET, parallel__devices=n, **SEVERAL, **smooth) for n in (1, 8))
    np.testing.assert_allclose(losses(many, 10)[0], losses(one, 10)[0], rtol=1e-5)


BAD = [
    (
        ["data.views=twelve"],
        "data.views: unknown 'twelve'; choose from whole, centre, ten, grid, squares, dense",
    ),
    (["data.views=dense+twelve"], "data.views: unknown 'twelve'; choose from whole"),
    (["data.views=dense+grid"], "data.crop: views='dense+grid' needs the side of its squares"),
    (["data.views=ten"], "data.crop: views='ten' needs the side of its squares"),
    (["data.views=centre", "data.crop=33"], "data.crop: 33 is outside [0, 32]"),
    (
        ["data.views=ten", "data.crop=32", "data.eval_scales=30,40"],
        "data.eval_scales: 30 is outside [32, 1024]",
    ),
    (["data.eval_scales=big"], "data.eval_scales: 'big' is not a whole number"),
    (["data.crop=-1"], "data.crop: -1 is outside [0, 32]"),
    (["data.jitter=16,40"], "data.jitter: 16 is outside [32, 1024]"),
    (
        ["data.jitter=40,36"],
        "data.jitter: (40, 36) must be two numbers, the lowest and the highest",
    ),
    (["data.jitter=40"], "data.jitter: (40,) must be two numbers, the lowest and the highest"),
    (["data.jitter=33.5,40"], "data.jitter: 33.5 is not a whole number"),
    (["data.jitter=32,40", "data.area=0.5,1"], "data.area: area and jitter exclude each other"),
    (["data.area=0,1"], "data.area: 0 is outside [0.001, 1]"),
    (["data.aspect="], "data.aspect: () must be two numbers, the lowest and the highest"),
    (["data.area=0.5,1", "data.aspect=0,1"], "data.aspect: 0 is outside [0.01, 100]"),
    (["data.distort=2,0.1"], "data.distort: (2, 0.1) must be four numbers"),
    (["data.distort=2,0.1,1,0"], "data.distort: 1 is outside [0, 0.9]"),
    (["data.pca=0.1"], "data.pca: 0.1 must be at least 0, and 0 for grey images"),
    (["data.shift=-1"], "data.shift: -1 is outside [0, 28]"),
    (
        ["data.views=dense", "task.name=classify_rbf"],
        "task.name: 'classify_rbf' has no probabilities to average",
    ),
    (["data.crop=24"], "model: LeNet-5 takes images of 32 x 32 x 1, not 24 x 24 x 1"),
    (["data.eval_scales=32,40"], "images of 32 x 32 x 1, not 40 x 40 x 1"),
    (["data.pad=4", "data.crop=32"], "(in evaluation, on 'test')"),
]


@pytest.mark.parametrize(
    ("settings", "words"), BAD, ids=[" ".join(settings) for settings, _ in BAD]
)
def test_a_setting_that_cannot_work_is_refused_in_one_line_that_names_its_key(settings, words):
    assert words in refused(*[f"--config.{setting}" for setting in settings])
