"""LeNet-5 against PyTorch with the same weights: outputs and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures

torch = pytest.importorskip("torch")

KEY = jax.random.key(0)


def equal(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=0, atol=1e-5)


def tensor(x):
    return torch.tensor(np.array(x))


def lenet_tree(weights):
    """PyTorch's [out, in, h, w] kernels and [out, in] matrices as ours; C5 reads H, W, C where
    PyTorch reads C, H, W."""
    tree = {}
    for name, (kernel, bias) in weights.items():
        if name == "C5":
            kernel = kernel.reshape(120, 16, 5, 5).permute(2, 3, 1, 0).reshape(400, 120)
        else:
            kernel = kernel.permute(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        tree[name] = dict(kernel=kernel.detach().numpy(), bias=bias.detach().numpy())
    return tree


def test_lenet5_and_its_gradients_equal_pytorchs():
    torch.manual_seed(0)
    nn = torch.nn
    theirs = nn.ModuleDict(
        dict(
            C1=nn.Conv2d(1, 6, 5),
            C3=nn.Conv2d(6, 16, 5),
            C5=nn.Linear(400, 120),
            F6=nn.Linear(120, 84),
            OUTPUT=nn.Linear(84, 10),
        )
    )
    x, labels = np.array(jax.random.normal(KEY, (8, 32, 32, 1))), np.arange(8)
    y = tensor(x).permute(0, 3, 1, 2)
    for name in ("C1", "C3"):
        y = nn.functional.avg_pool2d(torch.tanh(theirs[name](y)), 2)
    y = theirs["OUTPUT"](torch.tanh(theirs["F6"](torch.tanh(theirs["C5"](y.flatten(1))))))
    loss = nn.functional.cross_entropy(y, tensor(labels))
    loss.backward()

    model, mask = architectures.build("lenet5", outputs=10), jnp.ones([8], bool)
    params = lenet_tree({name: (layer.weight, layer.bias) for name, layer in theirs.items()})

    def objective(params):
        logits = model.apply({"params": params}, x, mask, train=True)
        return -jax.nn.log_softmax(logits)[np.arange(8), labels].mean(), logits

    (value, logits), grads = jax.value_and_grad(objective, has_aux=True)(params)
    equal(logits, y)
    equal(value, loss)
    expected = lenet_tree(
        {name: (layer.weight.grad, layer.bias.grad) for name, layer in theirs.items()}
    )
    assert jax.tree.structure(grads) == jax.tree.structure(expected)
    for ours, torchs in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        equal(ours, tensor(torchs))
