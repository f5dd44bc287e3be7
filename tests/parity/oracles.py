"""The networks of torchvision, timm and Keras with random weights, as functions of numpy arrays:
what ours must equal.

Theirs compute in float64: batch statistics of few values enlarge rounding errors, so that two
float32 libraries can differ by more than 1e-4 although each is right; on the way from float64 only
our own errors are seen.
"""

import functools
import importlib
import os
import sys

import jax
import numpy as np
import pytest

# torchvision imports only beside a torch whose compiled operators it knows: the wheel for a CUDA
# build of torch does not load its operators beside a CPU build, and then the Python code that
# describes them for tracing, torchvision._meta_registrations, fails on their names. None of the
# networks calls one (they are for detection), so it is enough that the names exist.
OPERATORS = (
    *(
        "nms",
        "qnms",
        "roi_align",
        "_roi_align_backward",
        "qroi_align",
        "roi_pool",
        "_roi_pool_backward",
        "ps_roi_align",
    ),
    *(
        "_ps_roi_align_backward",
        "ps_roi_pool",
        "_ps_roi_pool_backward",
        "deform_conv2d",
        "_deform_conv2d_backward",
    ),
)


@functools.cache
def torchvision():
    """The package, imported beside any build of torch. Skips the test where one of the two is
    missing."""
    torch = pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision", exc_type=ImportError)
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in OPERATORS:
        library.define(f"{name}() -> ()")
    package = importlib.import_module("torchvision")
    package.declared = library  # the names go when it goes
    return package


def image_size(source: str, train: bool) -> int:
    """The least side that a network works with: flattened maps have one size, and Inception v3's
    auxiliary head needs 299.
    In training, a side at which the last batch norms see more than a few values."""
    library, name = source.split("/")
    if "vgg" in name or name == "alexnet":
        return 224
    if "inception" in name.lower():
        return 299 if train and library == "torchvision" else 171
    return 32 if name in ("VGG16", "VGG19") else 64


def random(name: str, shape, rng) -> np.ndarray:
    """A tensor that keeps signals in range, with batch statistics as after some training. So are
    the scales of the batch norms that end a residual branch: small. Else 152 layers in training
      enlarge float32's rounding errors to 1e-3."""
    leaf = name.replace("/", ".").rpartition(".")[2]
    if len(shape) > 1:
        fan_in = np.prod(shape) / (shape[-1] if leaf == "kernel" else shape[0])
        return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))
    if leaf in ("weight", "gamma", "running_var", "moving_variance"):
        small = (
            0.2
            if leaf in ("weight", "gamma")
            and any(part in name for part in ("bn3", "_3_bn", "norm3", "_2_bn"))
            else 1.0
        )
        return (small * rng.uniform(0.5, 1.5, shape)).astype(np.float32)
    return np.float32(0.1) * rng.standard_normal(shape, np.float32)


class Torch:
    """A network of torchvision or timm without dropout. state: {name: array}, all there is in its
    state dict."""

    def __init__(self, source: str, outputs: int):
        package, (library, name) = torchvision(), source.split("/")
        options = (
            dict(init_weights=False)
            if name == "googlenet" or (library, name) == ("torchvision", "inception_v3")
            else {}
        )
        if library == "timm":
            make = functools.partial(pytest.importorskip("timm").create_model, name)
        else:
            make = getattr(package.models, name)
        self.model, rng = make(num_classes=outputs, **options), np.random.default_rng(0)
        self.torch = pytest.importorskip("torch")
        for module in self.model.modules():
            if isinstance(module, self.torch.nn.Dropout):
                module.p = 0.0
        with self.torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.ndim:
                    value.copy_(self.torch.from_numpy(random(name, value.shape, rng)))
        self.state = {name: value.numpy().copy() for name, value in self.model.state_dict().items()}
        self.model.double()

    def _forward(self, images, train):
        self.model.load_state_dict(
            {name: self.torch.from_numpy(value) for name, value in self.state.items()}
        )
        out = self.model.train(train)(self.torch.from_numpy(images).permute(0, 3, 1, 2).double())
        if isinstance(out, tuple):  # torchvision's heads come after the logits, the later one first
            return [out[0], *reversed(out[1:])]
        return [out]

    def logits(self, images, train: bool) -> list[np.ndarray]:
        """[B, outputs] of the network and, in training, of each auxiliary head, in the order of the
        layers they follow."""
        with self.torch.no_grad():
            return [out.numpy() for out in self._forward(images, train)]

    def gradients(self, images, targets) -> dict[str, np.ndarray]:
        """In training, of half the squared distance to `targets`, summed over the heads; statistics
        have none: zeros."""
        targets = self.torch.from_numpy(targets)
        self.model.zero_grad()
        sum((out - targets).square().sum() / 2 for out in self._forward(images, True)).backward()
        zeros = {name: np.zeros_like(value) for name, value in self.state.items()}
        return zeros | {
            name: parameter.grad.numpy() for name, parameter in self.model.named_parameters()
        }


class Keras:
    """A network of keras.applications on Keras's JAX backend, as Torch above."""

    def __init__(self, source: str, outputs: int, size: tuple[int, int] | None = None):
        os.environ["KERAS_BACKEND"] = "jax"
        keras, name = pytest.importorskip("keras"), source.split("/")[1]
        if keras.backend.backend() != "jax":
            pytest.skip("Keras has another backend than JAX")
        side, rng = image_size(source, train=True), np.random.default_rng(0)
        options = dict(
            weights=None,
            classes=outputs,
            classifier_activation=None,
            input_shape=(*(size or (side, side)), 3),
        )
        keras.config.set_dtype_policy("float64")
        # Keras's rules give float32 for float64 with JAX: batch norm and the mean over space would
        # round, and ReLUs flip
        importlib.import_module("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE[
            "float64"
        ] = "float64"
        with jax.enable_x64(True):
            self.model = getattr(keras.applications, name)(**options)
            for variable in self.model.variables:
                variable.assign(random(variable.path, variable.shape, rng))
            self.state = {
                variable.path: np.array(variable.value, np.float32)
                for variable in self.model.variables
            }
            self.weights = [variable.value for variable in self.model.trainable_variables]
            self.statistics = [variable.value for variable in self.model.non_trainable_variables]

    def _forward(self, weights, images, train):
        return self.model.stateless_call(weights, self.statistics, images, training=train)[0]

    def logits(self, images, train: bool) -> list[np.ndarray]:
        with jax.enable_x64(True):
            return [np.array(jax.jit(self._forward, static_argnums=2)(self.weights, images, train))]

    def gradients(self, images, targets) -> dict[str, np.ndarray]:
        def loss(weights):
            return ((self._forward(weights, images, True) - targets) ** 2).sum() / 2

        with jax.enable_x64(True):
            found = map(np.array, jax.jit(jax.grad(loss))(self.weights))
        names = [variable.path for variable in self.model.trainable_variables]
        return {name: np.zeros_like(value) for name, value in self.state.items()} | dict(
            zip(names, found, strict=True)
        )


@functools.lru_cache(1)
def oracle(source: str, outputs: int = 10, size: tuple[int, int] | None = None):
    """The network `source` of another library. size: (height, width) of the images, for which
    Keras makes a network of its own. Skips the test where the library is missing."""
    if source.startswith("keras/"):
        return Keras(source, outputs, size)
    return Torch(source, outputs)
