"""Image sets: what a config makes of the pixels in training, and what evaluation sees and averages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import build, losses, prepare_tfds

from scripts import prepare_data
from train import __main__ as command
from train import loop, step
from train.data import DATASETS, augment, files
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import Program
from train.tasks import TASKS

LENET = "configs/lenet_fashion_mnist.py"
SEVERAL = dict(data__pad=4, data__distort=(2, 0.1, 0.1, 0.2), data__crop=32, data__jitter=(32, 40), data__views="centre")


def photographs(classes, train=60, test=20):
    rng, arrays = np.random.default_rng(classes), {}
    for split, n in dict(train=train, test=test).items():
        arrays[f"{split}_image"] = (rng.integers(0, 256, [n, 32, 32, 3]) * [1.0, 0.5, 0.2]).astype(np.uint8)
        arrays[f"{split}_label"] = (np.arange(n) * 7 % classes).astype(np.uint8)
    return arrays


CIFAR = {"cifar10": photographs(10), "cifar100": photographs(100)}


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """Both sets, small, as TFDS prepares them; gives the arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANON_DATA", str(tmp_path_factory.mktemp("canon")))
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        for name, arrays in CIFAR.items():
            prepare_tfds(arrays, name, "3.0.2")
        yield CIFAR


def batch(source, index, key=0):
    index = jnp.asarray(index)
    arrays = {name: jnp.asarray(array) for name, array in source.arrays.items()}
    return source.batch(arrays, dict(index=index, valid=index >= 0), jax.random.key(key), jnp.arange(len(index)))


def row_key(row):
    """The key of the example in a row of the batch of key 0."""
    return jax.random.fold_in(jax.random.key(0), row)


def refused(*arguments) -> str:
    with pytest.raises(BadInput) as error:
        command.main([f"--config={LENET}", *arguments])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_is_read_from_a_tfds_folder_with_its_own_classes_and_order(cifar, name, classes):
    data = DATASETS[name](scale="unit")
    assert (data.outputs, data.examples, data.inputs) == (classes, dict(train=60, test=20), "image")
    assert data.about.startswith(f"{name}, tfds") and data.metadata["digest"] == files.digest(cifar[name])
    b = batch(data.evals["test"], range(20))
    np.testing.assert_allclose(b["input"], cifar[name]["test_image"] / 255, atol=1e-6)
    assert np.array_equal(b["target"], cifar[name]["test_label"]) and b["target"].max() >= classes * 0.9


def test_cifar_that_is_not_prepared_is_refused_with_the_command_that_prepares_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in CIFAR:
        assert refused(f"--config.data.name={name}").endswith(f"run python -m scripts.prepare_data {name}")
        with pytest.raises(BadInput, match="array_record"):
            prepare_data.check(name)
    assert "cifar10 has no source 'files'; have auto, tfds" in refused(
        "--config.data.name=cifar10", "--config.data.source=files"
    )


def test_a_small_cifar_does_not_pass_for_the_whole_set(cifar):
    with pytest.raises(BadInput, match="must be {'train': 50000, 'test': 10000}"):
        prepare_data.check("cifar100")


def test_standardised_colours_have_mean_0_and_deviation_1_in_each_channel_of_the_images_trained_on(cifar):
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
    for row, image in enumerate(cifar["cifar10"]["train_image"][:20] - cifar["cifar10"]["train_image"].mean(0)):
        if jax.random.bernoulli(jax.random.fold_in(row_key(row), 0)):
            image = image[:, ::-1]
        padded = np.zeros([40, 40, 3])
        padded[4:36, 4:36] = image
        top, left = augment.draw_corner(jax.random.fold_in(row_key(row), 1), 8)
        np.testing.assert_allclose(made[row], padded[top : top + 32, left : left + 32], atol=1e-3)


def test_alexnets_recipe_is_a_random_crop_and_colour_noise_in_the_units_of_the_scale(cifar):
    for scale, unit in (("mean_image", 255), ("unit", 1)):
        plain, noisy = (DATASETS["cifar10"](scale=scale, crop=24, pca=pca) for pca in (0.0, 0.1))
        shift = np.asarray(batch(noisy.train, range(9))["input"]) - np.asarray(batch(plain.train, range(9))["input"])
        assert shift.shape == (9, 24, 24, 3)
        for row in range(9):
            alpha = augment.draw_alpha(jax.random.fold_in(row_key(row), 4), 0.1)
            noise = unit * augment.EIGENVECTORS @ (np.asarray(alpha) * augment.EIGENVALUES)
            np.testing.assert_allclose(shift[row], np.broadcast_to(noise, [24, 24, 3]), atol=1e-6 * 255)


EVERYTHING = dict(flip=True, distort=(2, 0.1, 0.1, 0.2), shift=2, jitter=(32, 40), pca=0.1)


def test_no_augmentation_touches_the_images_of_evaluation(cifar):
    plain, changed = DATASETS["cifar10"](validation=10), DATASETS["cifar10"](validation=10, **EVERYTHING)
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
    smooth = dict(model__activation="tanh", model__subsampling="average", data__source="embedded", seeds=(0,))
    one, many = (build(LENET, parallel__devices=n, **SEVERAL, **smooth) for n in (1, 8))
    np.testing.assert_allclose(losses(many, 10)[0], losses(one, 10)[0], rtol=1e-5)


class Convolutional(nn.Module):
    """The smallest network that takes images of any size."""

    classes: int = 10

    @nn.compact
    def __call__(self, x, mask, *, train):
        return nn.Dense(self.classes)(nn.relu(nn.Conv(8, (3, 3))(x)).mean((1, 2)))


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def test_views_of_a_size_are_judged_by_the_mean_of_their_softmaxes_and_several_sizes_by_the_mean_of_those():
    rng = np.random.default_rng(0)
    views = tuple(rng.normal(size=(5, v, side, side, 3)).astype(np.float32) * 3 for v, side in ((2, 8), (10, 6), (1, 11)))
    model = Convolutional()
    mask = jnp.ones([5], bool)
    variables = model.init(jax.random.key(1), views[0][:, 0], mask, train=False)
    variables = jax.tree.map(lambda x: 5 * x, variables)  # else every softmax is flat
    each = [
        [softmax(np.asarray(model.apply(variables, size[:, v], mask, train=False))) for v in range(size.shape[1])]
        for size in views
    ]
    means = [np.mean(p, axis=0) for p in each]
    for count in (1, 3):
        log_p = step.predict(variables, dict(input=views[:count], mask=mask), model=model)[0]
        np.testing.assert_allclose(np.exp(log_p), np.mean(means[:count], axis=0), rtol=1e-4, atol=1e-30)
    alike = np.concatenate(each)  # else a mean of logits, or one in which every view weighs the same, would pass as well
    of_logits = softmax(np.mean(np.log(np.add(alike, 1e-300, dtype=float)), axis=0))
    for other in (of_logits, alike.mean(0)):
        assert np.abs(np.mean(means, axis=0) - other).max() > 0.01


def test_a_class_that_no_view_gives_a_probability_has_a_finite_loss():
    class Sure(nn.Module):
        def __call__(self, x, mask, *, train):
            return jnp.array([500.0, 0.0]) + 0 * x.mean((1, 2))

    batch = dict(input=(jnp.zeros([1, 2, 4, 4, 2]),), mask=jnp.ones([1], bool), target=jnp.array([1]))
    sums = TASKS["classify"]().sums(step.predict({}, batch, model=Sure())[0], batch)
    assert float(sums["loss"]) == pytest.approx(500)


def test_the_views_of_an_example_are_given_the_mask_of_that_example():
    class Mask(nn.Module):
        def __call__(self, x, mask, *, train):
            return jnp.stack([mask, 0 * mask], axis=1) + 0 * x.mean((1, 2))

    batch = dict(input=(jnp.zeros([3, 4, 5, 5, 2]),), mask=jnp.array([True, False, True]))
    p = np.exp(step.predict({}, batch, model=Mask())[0])[:, 0]
    np.testing.assert_allclose(p, [1 / (1 + np.exp(-1)), 0.5, 1 / (1 + np.exp(-1))], rtol=1e-5)


@pytest.mark.parametrize("devices", [1, 8])
def test_ten_crops_of_every_test_image_are_averaged_once_in_the_error_that_a_run_reports(devices):
    changes = dict(data__pad=4, data__crop=32, data__views="ten", data__source="embedded", eval__batch_size=300)
    e = build(LENET, parallel__devices=devices, seeds=(0,), **changes)
    program = Program(e)
    state = fresh_state(e)
    _, sums = program.evaluate(program.start(state), "test")
    sums = {name: float(total[0]) for name, total in program.fetch(sums).items()}

    plain = build(LENET, data__pad=4, data__crop=32, data__source="embedded", data__views="centre")
    whole = DATASETS["fashion_mnist"](source="embedded", pad=4)
    image = np.asarray(batch(whole.evals["test"], range(1000))["input"])
    label = whole.evals["test"].arrays["label"]
    params = jax.tree.map(lambda x: x[0], state.params)
    apply = jax.jit(lambda x: plain.model.apply({"params": params}, x, None, train=False))
    p = 0
    for top, left in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)):
        crop = image[:, top : top + 32, left : left + 32]
        p = p + softmax(np.asarray(apply(crop))) / 10 + softmax(np.asarray(apply(crop[:, :, ::-1]))) / 10
    assert sums["count"] == 1000
    assert abs(sums["correct"] - (p.argmax(-1) == label).sum()) <= 1
    assert sums["loss"] == pytest.approx(-np.log(p[np.arange(1000), label]).sum(), rel=1e-5)


def test_a_network_of_any_size_is_evaluated_on_several_scales_at_once(cifar):
    data = DATASETS["cifar10"](crop=24, views="dense", eval_scales=(24, 32, 40), scale="unit")
    e = dataclasses.replace(build(LENET, seeds=(0,), data__source="embedded"), dataset=data, model=Convolutional())
    assert e.example_shapes()["input"].shape == (1, 24, 24, 3)
    assert [x.shape for x in e.example_shapes("test")["input"]] == [(1, 2, s, s, 3) for s in (24, 32, 40)]
    assert e.shapes[1].shape == (1, 10)
    program = Program(e)
    _, sums = program.evaluate(program.start(fresh_state(e)), "test")
    assert program.fetch(sums)["count"].tolist() == [20]


BAD = [
    (["data.views=twelve"], "data.views: unknown 'twelve'; have whole, centre, ten, grid, squares, dense"),
    (["data.views=dense+twelve"], "data.views: unknown 'twelve'; have whole"),
    (["data.views=dense+grid"], "data.crop: views='dense+grid' needs the side of its squares"),
    (["data.views=ten"], "data.crop: views='ten' needs the side of its squares"),
    (["data.views=centre", "data.crop=33"], "data.crop: 33 is outside [0, 32]"),
    (["data.views=ten", "data.crop=32", "data.eval_scales=30,40"], "data.eval_scales: 30 is outside [32, 512]"),
    (["data.eval_scales=big"], "data.eval_scales: 'big' is no whole number"),
    (["data.crop=-1"], "data.crop: -1 is outside [0, 32]"),
    (["data.jitter=16,40"], "data.jitter: 16 is outside [32, 512]"),
    (["data.jitter=40,36"], "data.jitter: (40, 36) must be the lowest and the highest number"),
    (["data.jitter=40"], "data.jitter: (40,) must be the lowest and the highest number"),
    (["data.jitter=33.5,40"], "data.jitter: 33.5 is no whole number"),
    (["data.jitter=32,40", "data.area=0.5,1"], "data.area: cuts in another way than jitter"),
    (["data.area=0,1"], "data.area: 0 is outside [0.001, 1]"),
    (["data.aspect="], "data.aspect: () must be the lowest and the highest number"),
    (["data.aspect=0,1"], "data.aspect: 0 is outside [0.01, 100]"),
    (["data.distort=2,0.1"], "data.distort: (2, 0.1) must be four numbers"),
    (["data.distort=2,0.1,1,0"], "data.distort: 1 is outside [0, 0.9]"),
    (["data.pca=0.1"], "data.pca: 0.1 must be at least 0, and 0 for grey images"),
    (["data.shift=-1"], "data.shift: -1 is outside [0, 28]"),
    (["data.views=dense", "task.name=classify_rbf"], "task.name: 'classify_rbf' has no probabilities to average"),
    (["data.crop=24"], "model: LeNet-5 takes images of 32 x 32 x 1, not 24 x 24 x 1"),
    (["data.eval_scales=32,40"], "images of 32 x 32 x 1, not 40 x 40 x 1"),
    (["data.pad=4", "data.crop=32"], "(in evaluation, on 'test')"),
]


@pytest.mark.parametrize(("settings", "words"), BAD, ids=[" ".join(settings) for settings, _ in BAD])
def test_a_setting_that_cannot_work_is_refused_in_one_line_that_names_its_key(settings, words):
    assert words in refused(*[f"--config.{setting}" for setting in settings])


def test_a_network_whose_weights_do_not_fit_the_size_in_evaluation_is_refused_in_one_line(cifar):
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, x, mask, *, train):
            return nn.Dense(10)(x.reshape(x.shape[0], -1))

    data = DATASETS["cifar10"](crop=24)
    e = dataclasses.replace(build(LENET, seeds=(0,), data__source="embedded"), dataset=data, model=Flat())
    with pytest.raises(ValueError, match=r"of \[\(24, 24, 3\)\] do not fit \[\(32, 32, 3\)\] \(in evaluation, on 'test'\)$"):
        _ = e.shapes


@pytest.mark.parametrize("devices", [1, 8])
def test_an_ensemble_is_judged_by_the_mean_of_its_members_softmaxes_and_each_seed_is_in_one(devices):
    e = build(LENET, data__source="embedded", seeds=(3, 4, 5, 6), eval__ensemble=2, parallel__devices=devices)
    program = Program(e)
    state = fresh_state(e)
    state = state.replace(params=jax.tree.map(lambda x: 3 * x, state.params))  # else every softmax is flat
    sums = loop.evaluate(program, program.start(state))[1]["test"]
    loss = program.fetch(sums)["loss"]
    image = np.asarray(batch(e.dataset.evals["test"], range(1000))["input"])
    label = e.dataset.evals["test"].arrays["label"]
    each = jax.vmap(lambda params: jax.nn.log_softmax(e.model.apply({"params": params}, image, None, train=False)))(
        state.params
    )
    log_p = np.asarray(each, float)[:, np.arange(1000), label]  # [S, N]
    expected = [-np.logaddexp(log_p[a], log_p[b]).sum() + 1000 * np.log(2) for a, b in ((0, 2), (1, 3))]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert expected[0] != pytest.approx(expected[1], rel=1e-2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["eval.ensemble=2"], "eval.ensemble: 2 does not divide 3 seeds"),
        (["eval.ensemble=3", "parallel.seeds=devices", "seeds=0,1,2,3,4,5"], "divides the seeds over devices; have map, vmap"),
        (["eval.ensemble=3", "stop.metric=test/error"], "stop.metric='test/error' is one of every seed; have train/..."),
        (["eval.ensemble=3", "model.name=lenet5_1998", "task.name=classify_rbf"], "needs probabilities"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(settings, words):
    assert words in refused("--config.seeds=0,1,2", *[f"--config.{setting}" for setting in settings])
