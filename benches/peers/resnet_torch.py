"""ResNet-S and HAL's objective in PyTorch: an independent gradient, and a peer to be timed against.

python benches/peers/resnet_torch.py            milliseconds of a step of ER-Ring and of HAL, as benches/resnet.rs has them
python benches/peers/resnet_torch.py --compile  the same, compiled
python benches/peers/resnet_torch.py --golden   writes tests/golden/resnet-hal.json: the objective on a tiny network with
                                                batch normalisation, and its gradient, in double precision

Parameters are one vector, laid out as src/nn/resnet.rs says. Needs torch.
"""
import json
import math
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F

EPSILON = 1e-3


def layers(image, filters, blocks):
    """Taps, channels, filters and stride of each convolution, and which of them end a block or are shortcuts."""
    found, source = [(3, image[2], filters[0], 1, "stem")], filters[0]
    for stage, into in enumerate(filters):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            found += [(3, source, into, stride, "first"), (3, into, into, 1, "second")]
            if stride != 1 or source != into:
                found.append((1, source, into, stride, "shortcut"))
            source = into
    return found


def same(length, taps, stride):
    """TensorFlow's SAME: the odd zero comes last."""
    zeros = max((math.ceil(length / stride) - 1) * stride + taps - length, 0)
    return zeros // 2, zeros - zeros // 2


class Network:
    def __init__(self, image, filters, blocks, classes):
        self.image, self.classes, self.width = image, classes, filters[-1]
        self.layers = layers(image, filters, blocks)
        self.parameters = sum(t * t * c * f + 2 * f for t, c, f, *_ in self.layers) + (self.width + 1) * classes

    def logits(self, theta, images):
        at = 0

        def take(*shape):
            nonlocal at
            at += math.prod(shape)
            return theta[at - math.prod(shape) : at].reshape(shape)

        def layer(x, taps, channels, filters, stride):
            weights = take(taps, taps, channels, filters).permute(3, 2, 0, 1)
            gain, bias = take(filters), take(filters)
            (top, bottom), (left, right) = (same(n, taps, stride) for n in x.shape[2:])
            seen = F.conv2d(F.pad(x, (left, right, top, bottom)), weights, stride=stride)
            return F.batch_norm(seen, None, None, gain, bias, training=True, eps=EPSILON)

        height, width, channels = self.image
        x = images.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        waiting = None
        for i, (taps, source, into, stride, role) in enumerate(self.layers):
            if role == "stem":
                x = F.relu(layer(x, taps, source, into, stride))
            elif role == "first":
                waiting, x = x, F.relu(layer(x, taps, source, into, stride))
            elif role == "second":
                x = layer(x, taps, source, into, stride)
            if role == "shortcut":
                waiting = layer(waiting, taps, source, into, stride)
            last = i + 1 == len(self.layers) or self.layers[i + 1][4] == "first"
            if role in ("second", "shortcut") and last:
                x = F.relu(x + waiting)
        features = x.mean((2, 3))
        head = take(self.width + 1, self.classes)
        return features @ head[:-1] + head[-1]


def objective(network, theta, images, labels, anchors, weights, rate, strength):
    """Eq. 5, through the look-ahead."""
    loss = F.cross_entropy(network.logits(theta, images), labels)
    (slope,) = torch.autograd.grad(loss, theta, create_graph=True)
    drift = network.logits(theta, anchors) - network.logits(theta - rate * slope, anchors)
    return loss + strength * (drift.square().sum(1) * weights).sum()


def numbers(count, seed):
    return torch.sin((torch.arange(count, dtype=torch.float64) + 1) * 7.233 + seed) * 0.8


def golden():
    torch.set_default_dtype(torch.float64)
    network = Network((5, 4, 2), [3, 4], 1, 3)
    theta = numbers(network.parameters, 0.2).requires_grad_()
    images, anchors = numbers(120, 0.5).reshape(3, 40), numbers(80, 3.1).reshape(2, 40)
    value = objective(network, theta, images, torch.tensor([1, 0, 2]), anchors, torch.tensor([0.5, 0.3]), 0.1, 0.7)
    (gradient,) = torch.autograd.grad(value, theta)
    path = pathlib.Path(__file__).parents[2] / "tests/golden/resnet-hal.json"
    text = {"torch": torch.__version__, "objective": value.item(), "gradient": gradient.tolist()}
    path.write_text(json.dumps(text) + "\n")
    print(f"wrote {path}: {network.parameters} parameters, objective {value.item()}")


def measure(compiled):
    network = Network((32, 32, 3), [20, 40, 80, 160], 2, 100)
    generator = torch.Generator().manual_seed(0)
    noise = lambda *shape: torch.rand(shape, generator=generator) - 0.5
    images, anchors, labels = noise(20, 3072), noise(10, 3072), torch.arange(20)
    weights = torch.full((10,), 0.1)
    start = noise(network.parameters) * 0.1

    def er(theta):
        (slope,) = torch.autograd.grad(F.cross_entropy(network.logits(theta, images), labels), theta)
        return slope

    def hal(theta):
        (slope,) = torch.autograd.grad(objective(network, theta, images, labels, anchors, weights, 0.03, 1.0), theta)
        return slope

    for name, step, count in (("ER-Ring", er, 4), ("HAL", hal, 2)):
        step = torch.compile(step) if compiled else step
        seconds = []
        for sample in range(6):
            theta, begun = start.clone().requires_grad_(), time.perf_counter()
            for _ in range(count):
                theta = (theta - 0.03 * step(theta)).detach().requires_grad_()
            seconds.append((time.perf_counter() - begun) / count)
        seconds = sorted(seconds[1:])
        print(f"{name}: {1e3 * statistics.median(seconds):.0f} ms a step ({1e3 * seconds[0]:.0f} .. {1e3 * seconds[-1]:.0f})")


if "--golden" in sys.argv:
    golden()
else:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    measure("--compile" in sys.argv)
