"""LeNet-5 and the LSTM against PyTorch with the same weights: outputs, final states and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures
from architectures.cells import LSTMCell
from architectures.recurrent import Recurrent, Stack

torch = pytest.importorskip("torch")

LENGTHS = [7, 2, 5, 1]
KEY = jax.random.key(0)


def equal(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=0, atol=1e-5)


def tensor(x):
    return torch.tensor(np.array(x))


def lenet_tree(weights):
    """PyTorch's [out, in, h, w] kernels and [out, in] matrices as ours; C5 reads H, W, C where PyTorch reads C, H, W."""
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
    expected = lenet_tree({name: (layer.weight.grad, layer.bias.grad) for name, layer in theirs.items()})
    assert jax.tree.structure(grads) == jax.tree.structure(expected)
    for ours, torchs in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
        equal(ours, tensor(torchs))


def packed(lstm, x):
    """Outputs [B, T, H], final (h, c) of an nn.LSTM over sequences of LENGTHS."""
    sequences = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, state = lstm(sequences)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], state


def lstm_weights(lstm, suffix, of=lambda p: p):
    """The parameters of one layer and direction as ours; PyTorch's two biases are summed."""
    w, u, b, second = (
        of(getattr(lstm, f"{kind}_{suffix}")).detach().numpy() for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return dict(input=w.T, recurrent=u.T, bias=b + second)


def compare_gradients(ours, lstm, suffix):
    expected = lstm_weights(lstm, suffix, of=lambda p: p.grad)
    for name in ("input", "recurrent"):
        equal(ours[name], tensor(expected[name]))
    equal(2 * ours["bias"], tensor(expected["bias"]))  # the same gradient reaches each of PyTorch's two


def batch():
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    return np.array(jax.random.normal(KEY, (len(LENGTHS), max(LENGTHS), 3))), jnp.asarray(mask)


@pytest.mark.parametrize("reverse", [False, True])
def test_an_lstm_over_a_padded_batch_equals_pytorchs_over_packed_sequences(reverse):
    torch.manual_seed(0)
    lstm, (x, mask) = torch.nn.LSTM(3, 5, batch_first=True, bidirectional=reverse), batch()
    their_x = tensor(x).requires_grad_()
    outputs, (h, c) = packed(lstm, their_x)
    outputs, h, c = outputs[..., -5:], h[-1], c[-1]  # the reverse direction is the last half
    (torch.sin(outputs).sum() + (h * c).sum()).backward()
    suffix = "l0_reverse" if reverse else "l0"
    layer = Recurrent(LSTMCell(5), reverse=reverse)

    def objective(params, x):
        (c, h), outputs = layer.apply({"params": {"cell": params}}, x, mask)
        return jnp.sin(outputs).sum() + (h * c).sum(), (outputs, h, c)

    grads, ours = jax.grad(objective, argnums=(0, 1), has_aux=True)(lstm_weights(lstm, suffix), x)
    for mine, torchs in zip(ours, (outputs, h, c), strict=True):
        equal(mine, torchs)
    compare_gradients(grads[0], lstm, suffix)
    equal(grads[1], their_x.grad)


def test_a_stack_of_two_lstms_equals_pytorchs():
    torch.manual_seed(0)
    lstm, (x, mask) = torch.nn.LSTM(3, 5, num_layers=2, batch_first=True), batch()
    outputs, (h, c) = packed(lstm, tensor(x))
    torch.sin(outputs).sum().backward()
    stack = Stack(LSTMCell(5), 2)
    params = {f"layer_{i + 1}": {"cell": lstm_weights(lstm, f"l{i}")} for i in range(2)}

    def objective(params):
        carries, outputs = stack.apply({"params": params}, x, mask, train=False)
        return jnp.sin(outputs).sum(), (carries[-1], outputs)

    grads, ((our_c, our_h), our_outputs) = jax.grad(objective, has_aux=True)(params)
    for mine, torchs in ((our_outputs, outputs), (our_h, h[-1]), (our_c, c[-1])):
        equal(mine, torchs)
    for i in range(2):
        compare_gradients(grads[f"layer_{i + 1}"]["cell"], lstm, f"l{i}")
