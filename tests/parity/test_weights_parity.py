"""Networks of torchvision, timm and Keras with random weights, and ours with the same: logits,
gradients, files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import oracles

from architectures import convert, weight_files, weight_tensors

QUICK = (
    *(
        "torchvision/alexnet",
        "torchvision/vgg11_bn",
        "torchvision/googlenet",
        "torchvision/resnet18",
        "torchvision/resnet50",
    ),
    *(
        "torchvision/inception_v3",
        "timm/resnetv2_50",
        "keras/VGG16",
        "keras/InceptionV3",
        "keras/ResNet50",
        "keras/ResNet50V2",
    ),
)


def full(*names):
    """Parameters that are tested with --full only."""
    return [pytest.param(name, marks=pytest.mark.full) for name in names]


NAMES = [*QUICK, *full(*(name for name in convert.SOURCES if name not in QUICK))]
ONE_OF_EACH_FAMILY = (
    *(
        "torchvision/alexnet",
        "keras/VGG16",
        "torchvision/googlenet",
        "timm/inception_v3",
        "torchvision/resnet18",
    ),
    *(
        "keras/ResNet50V2",
        *full(
            "torchvision/vgg11_bn", "torchvision/inception_v3", "timm/resnetv2_50", "keras/ResNet50"
        ),
    ),
)
# sources that take images of other sizes: one of each kind of layer that sees the size, then all
SIZED = ("torchvision/alexnet", "timm/vgg11", "torchvision/googlenet", "keras/ResNet50V2")
FAMILIES_AND_SIZES = [
    *SIZED,
    *full(*(name for name in convert.SOURCES if name not in SIZED and "keras/VGG" not in name)),
]


@pytest.fixture(scope="module")
def network(request):
    """(name, the other library's network with random weights); tests of the same one run
    together."""
    return request.param, oracles.oracle(request.param)


def ours(source, state, train, dtype=jnp.float32):
    """Our network with the weights in `state` and no dropout: a function of variables and images, a
    list of logits."""
    module, variables = convert.load(source, state)
    names = {"dropout", "auxiliary_dropout"} & set(module.__dataclass_fields__)
    module = module.clone(dtype=dtype, **{name: 0.0 for name in names})

    def forward(variables, images):
        mask, mutable = jnp.ones([len(images)], bool), ["batch_stats"] if train else False
        out = module.apply(variables, images, mask, train=train, mutable=mutable)
        out = out[0] if train else out
        return list(out) if isinstance(out, tuple) else [out]

    return forward, variables


def batch(source, train, size=None):
    """Images of (height, width)."""
    side = oracles.image_size(source, train)
    shape = (4 if train else 1, *(size or (side, side)), 3)
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def difference(found, expected) -> float:
    """The largest difference between two arrays, relative to the largest value of the second."""
    assert found.shape == expected.shape
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def logits_differ(source, theirs, train, size=None) -> float:
    images = batch(source, train, size)
    expected = theirs.logits(images, train)
    forward, variables = ours(source, theirs.state, train)
    found = jax.jit(forward)(variables, images)
    assert len(found) == len(expected)
    return max(map(difference, found, expected))


def gradients_differ(source, theirs) -> dict[str, float]:
    """In training and float64: the largest difference in each of our leaves, relative to its
    largest value. In float32 a ReLU or a pool here and there goes another way, by rounding, and so
    do the gradients of all layers below.
    Gradients that are 0 but for rounding, as of a bias before a batch norm, are compared with 1e-9
    of the largest of all."""
    images = batch(source, train=True)
    targets = np.random.default_rng(2).standard_normal((len(images), 10), np.float32)
    expected = convert.load(source, theirs.gradients(images, targets))[1]["params"]

    def loss(params):
        return sum(
            ((out - targets) ** 2).sum() / 2
            for out in forward(variables | {"params": params}, images)
        )

    with jax.enable_x64(True):
        forward, variables = ours(source, theirs.state, train=True, dtype=jnp.float64)
        found = jax.tree.map(
            np.array, jax.jit(jax.grad(loss))(jax.tree.map(np.float64, variables["params"]))
        )
    found, expected = (
        dict(jax.tree_util.tree_flatten_with_path(tree)[0]) for tree in (found, expected)
    )
    assert found.keys() == expected.keys()
    most = max(np.abs(leaf).max() for leaf in expected.values())
    differ = {}
    for path, leaf in expected.items():
        scale = max(np.abs(leaf).max(), 1e-9 * most)
        differ[jax.tree_util.keystr(path, simple=True, separator="/")] = float(
            np.abs(found[path] - leaf).max() / scale
        )
    return differ


@pytest.mark.parametrize("network", NAMES, indirect=True)
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_logits_with_the_same_weights_agree_to_1e_4(network, train):
    assert logits_differ(*network, train) < 1e-4


def other_sizes(source, train):
    """A larger image and one that is not square, whose sides do not halve; and, where the library
    pools up what is too small, a small one."""
    side = oracles.image_size(source, train)
    sizes = [(side + 32, side + 32), (side + 1, side + 29)]
    return sizes + ([(100, 70)] if side == 224 else [])


@pytest.mark.parametrize("source", FAMILIES_AND_SIZES)
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_logits_agree_to_1e_4_at_other_sizes_of_images(source, train):
    for size in other_sizes(source, train):
        theirs = oracles.oracle(source, size=size if source.startswith("keras/") else None)
        assert logits_differ(source, theirs, train, size) < 1e-4, size


@pytest.mark.parametrize("source", ["keras/VGG16", *full("keras/VGG19")])
def test_vgg_of_keras_takes_images_of_one_size_here_as_there(source):
    theirs = oracles.oracle(source)
    images = batch(source, False, (64, 64))
    for run in (lambda: theirs.logits(images, False), lambda: run_ours(source, theirs, images)):
        with pytest.raises(ValueError) as error:
            run()
    assert str(error.value).startswith("image_size: only 32 x 32 is accepted")


def run_ours(source, theirs, images):
    forward, variables = ours(source, theirs.state, False)
    return forward(variables, images)


@pytest.mark.parametrize("network", ONE_OF_EACH_FAMILY, indirect=True)
def test_gradients_of_all_weights_agree_to_1e_3(network):
    assert max(gradients_differ(*network).values()) < 1e-3


@pytest.mark.parametrize("network", NAMES, indirect=True)
def test_weights_that_went_in_and_out_have_the_same_names_and_bits(network):
    source, theirs = network
    state = (
        weight_tensors.numbered_from_zero(theirs.state)
        if source == "keras/InceptionV3"
        else theirs.state
    )
    back = convert.save(source, convert.load(source, state)[1])
    assert back.keys() == state.keys()
    assert all(
        np.array_equal(back[name], state[name])
        for name in state
        if not name.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize(
    "network", [name for name in NAMES if "keras/" in str(name)], indirect=True
)
def test_keras_reads_the_weights_h5_that_we_write_and_we_read_its_own(network, tmp_path):
    source, theirs = network
    with jax.enable_x64(True):
        theirs.model.save_weights(tmp_path / "theirs.weights.h5")
        read = weight_files.read(tmp_path / "theirs.weights.h5")
        assert read.keys() == theirs.state.keys() and all(
            np.array_equal(read[name], theirs.state[name]) for name in read
        )
        weight_files.write(
            tmp_path / "ours.weights.h5",
            convert.save(source, convert.load(source, theirs.state)[1]),
        )
        before = [np.array(variable.value) for variable in theirs.model.variables]
        for variable in theirs.model.variables:
            variable.assign(np.zeros(variable.shape))
        theirs.model.load_weights(tmp_path / "ours.weights.h5")
    for variable, value in zip(theirs.model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable.value), value, variable.path)


@pytest.mark.parametrize("network", ["keras/ResNet50V2"], indirect=True)
def test_the_h5_files_of_older_keras_are_read(network, tmp_path):
    h5py = pytest.importorskip("h5py")
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(tmp_path / "old.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network[1].model)
    read = weight_files.read(tmp_path / "old.h5")
    assert read.keys() == network[1].state.keys()
    assert all(np.array_equal(read[name], network[1].state[name]) for name in read)


@pytest.mark.parametrize("network", ["torchvision/resnet18"], indirect=True)
def test_pytorch_reads_the_files_that_we_write_and_we_read_its_own(network, tmp_path):
    source, theirs = network
    torch = theirs.torch
    tensors = {name: torch.from_numpy(value) for name, value in theirs.state.items()}
    torch.save({"state_dict": tensors}, tmp_path / "theirs.pth")
    _, variables = convert.load(source, tmp_path / "theirs.pth")
    weight_files.write(tmp_path / "ours.pth", convert.save(source, variables))
    theirs.model.load_state_dict(torch.load(tmp_path / "ours.pth", weights_only=True))
    assert all(
        np.array_equal(value.numpy(), theirs.state[name])
        for name, value in theirs.model.state_dict().items()
    )
