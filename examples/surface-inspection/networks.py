"""The two classifiers, built differently so that one crafted image seldom fools both.

Each takes float32 [N, 1, 64, 64] with values from 0 to 1 and normalises inside. In training it returns logits; `Deployed` is
what gets exported: the same network with its calibration temperature and a softmax, so that its outputs are probabilities.
"""

import torch
from torch import nn


class Normalise(nn.Module):
    """Takes brightness and contrast out: each image to zero mean and unit deviation."""

    def forward(self, image):
        centred = image - image.mean(dim=(2, 3), keepdim=True)
        variance = (centred * centred).mean(dim=(2, 3), keepdim=True)
        return centred / torch.sqrt(variance + 1e-4)


def _convolution(inputs, outputs, kernel=3, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            _convolution(inputs, outputs, stride=stride), nn.ReLU(), _convolution(outputs, outputs)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, kernel=1, stride=stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class PooledHead(nn.Module):
    """Average and maximum over the image: the first sees texture, the second a single small spot."""

    def __init__(self, channels, classes):
        super().__init__()
        self.linear = nn.Linear(2 * channels, classes)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        return self.linear(self.dropout(pooled))


def primary(classes):
    """A small residual network: 3 x 3 convolutions with shortcuts, ReLU, pooled head."""
    return nn.Sequential(
        Normalise(),
        _convolution(1, 16, stride=2),
        nn.ReLU(),
        Residual(16, 16, stride=1),
        Residual(16, 32, stride=2),
        Residual(32, 64, stride=2),
        PooledHead(64, classes),
    )


def _separable(inputs, outputs, stride):
    """A 5 x 5 depthwise convolution, then a pointwise one."""
    return nn.Sequential(
        _convolution(inputs, inputs, kernel=5, stride=stride, groups=inputs),
        _convolution(inputs, outputs, kernel=1),
        nn.Hardswish(),
    )


def fallback(classes):
    """A depthwise-separable network without shortcuts: a wide 7 x 7 stem, 5 x 5 depthwise kernels, hard-swish, pooled head."""
    return nn.Sequential(
        Normalise(),
        _convolution(1, 24, kernel=7, stride=2),
        nn.Hardswish(),
        _separable(24, 40, stride=2),
        _separable(40, 64, stride=1),
        _separable(64, 96, stride=2),
        PooledHead(96, classes),
    )


ARCHITECTURES = {"primary": primary, "fallback": fallback}


class Deployed(nn.Module):
    """A trained network as it ships: logits divided by the calibration temperature, then softmax."""

    def __init__(self, network, temperature):
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image):
        return torch.softmax(self.network(image) / self.temperature, dim=1)
