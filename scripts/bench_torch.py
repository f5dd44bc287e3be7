"""The networks of `scripts.bench cnn` in PyTorch, for comparison. Needs the extra `parity`."""

import torch
from torch import nn


def lenet5(outputs: int = 10) -> nn.Module:
    """architectures.build("lenet5", activation="relu", subsampling="max")."""
    features = [
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    ]
    return nn.Sequential(
        *features,
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, outputs),
    )


def alexnet(outputs: int = 1000) -> nn.Module:
    """architectures.build("alexnet_2014")."""
    layers, inputs = [], 3
    for i, (maps, window, options) in enumerate(
        [
            (64, 11, dict(stride=4, padding=2)),
            (192, 5, dict(padding=2)),
            *[(m, 3, dict(padding=1)) for m in (384, 256, 256)],
        ]
    ):
        layers += [
            nn.Conv2d(inputs, maps, window, **options),
            nn.ReLU(),
            *([nn.MaxPool2d(3, 2)] if i in (0, 1, 4) else []),
        ]
        inputs = maps
    return nn.Sequential(*layers, nn.Flatten(), *_fully_connected(256 * 36, outputs))


def vgg11(outputs: int = 1000, image: int = 64) -> nn.Module:
    """architectures.build("vgg", configuration="A", image_size=image)."""
    layers, inputs = [], 3
    for block in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for maps in block:
            layers += [nn.Conv2d(inputs, maps, 3, padding=1), nn.ReLU()]
            inputs = maps
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.Flatten(), *_fully_connected(512 * (image // 32) ** 2, outputs)
    )


def _fully_connected(inputs: int, outputs: int) -> list[nn.Module]:
    hidden = [
        nn.Linear(inputs, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
    ]
    return [*hidden, nn.Linear(4096, outputs)]


class Unit(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool, option: str):
        super().__init__()
        if bottleneck:
            shapes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
        else:
            shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, k, s, k // 2, bias=False) for i, o, k, s in shapes
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in shapes)
        self.stride, self.features, outputs = stride, shapes[-1][1], shapes[-1][1]
        changes = stride > 1 or inputs != outputs
        self.projection = None
        if changes and option == "B":
            self.projection = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(torch.relu(y) if i else y))
        if self.projection is not None:
            x = self.projection(x)
        elif x.shape != y.shape:
            x = nn.functional.pad(
                x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])
            )
        return torch.relu(x + y)


def resnet50(outputs: int = 1000) -> nn.Module:
    """architectures.build("resnet", stride_in="3x3", pool="padded")."""
    stem = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    return nn.Sequential(*stem, *_stages((3, 4, 6, 3), 64, 64, True, "B"), nn.Linear(2048, outputs))


def resnet20(outputs: int = 10) -> nn.Module:
    """architectures.build("resnet_cifar")."""
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *_stages((3, 3, 3), 16, 16, False, "A"), nn.Linear(64, outputs))


def _stages(stages, inputs: int, width: int, bottleneck: bool, option: str) -> list[nn.Module]:
    units = []
    for i, count in enumerate(stages):
        for j in range(count):
            units.append(Unit(inputs, width * 2**i, 2 if i and not j else 1, bottleneck, option))
            inputs = units[-1].features
    return [*units, nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def trainer(network: nn.Module, images, labels, *, channels_last: bool, compiled: bool):
    """A function that trains one step of SGD with momentum on the batch and waits for it.

    images: [B, H, W, C].
    """
    form = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous(memory_format=form)
    y = torch.tensor(labels, dtype=torch.long)
    network = network.to(memory_format=form).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    forward = torch.compile(network) if compiled else network

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
