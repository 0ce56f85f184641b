"""HAL (preset `official`) on Permuted MNIST in PyTorch, eager, as a peer: one seed after another.

    python benches/peers/hal_torch.py [--seeds 5] [--tasks 20] [--device cpu] [--compile]

The same protocol as `hindsight run --method hal`: 1,000 images a task, all 400 entries of the accuracy matrix on all
10,000 test images. `--compile` has torch.compile make the step and the search; two tasks go before the clock starts
then. Needs torch and numpy; the data comes from data/mnist. Nothing is read back inside a task.
"""

import argparse
import time

import hal_host as host
import torch
from torch.nn.functional import cross_entropy, one_hot

RATE, LAMBDA, GAMMA, BETA = 0.1, 0.1, 0.1, 0.5


def forward(p, x):
    w1, b1, w2, b2, w3, b3 = p
    features = torch.relu(torch.addmm(b2, torch.relu(torch.addmm(b1, x, w1)), w2))
    return features, torch.addmm(b3, features, w3)


def descend(p, gradients):
    return [a - RATE * g for a, g in zip(p, gradients)]


def loss(p, x, y):
    return cross_entropy(forward(p, x)[1], y)


def objective(p, x, y, anchors):
    total = loss(p, x, y)
    if anchors is None:
        return total
    ahead = descend(p, torch.autograd.grad(total, p, create_graph=True))
    drift = forward(p, anchors)[1] - forward(ahead, anchors)[1]
    return total + LAMBDA * drift.square().sum(1).mean()


def step(p, phi, x, y, anchors):
    """A step of SGD, and of the classes' mean embeddings."""
    with torch.no_grad():
        hot = one_hot(y, 10).float()
        seen = hot.sum(0)[:, None] > 0
        phi = torch.where(seen, BETA * phi, phi) + (1 - BETA) * hot.T @ forward(p, x)[0]
    gradients = torch.autograd.grad(objective(p, x, y, anchors), p)
    return [q.detach().requires_grad_() for q in descend(p, gradients)], phi


def height(e, p, tuned, y, phi):
    features, logits = forward(p, e)
    cosine = (features[0] @ phi) / torch.sqrt((features.square().sum() + 1e-12) * (phi.square().sum() + 1e-12))
    return cross_entropy(forward(tuned, e)[1], y) - cross_entropy(logits, y) - GAMMA * (1 - cosine)


def climb(e, m, v, t, p, tuned, y, phi):
    """A step of Adam upwards."""
    (g,) = torch.autograd.grad(height(e, p, tuned, y, phi), e)
    m, v, t = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g, t + 1
    rate = 1e-3 * torch.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return (e + rate * m / (torch.sqrt(v) + 1e-8)).detach().requires_grad_(), m, v, t


class Experiment:
    def __init__(self, seed, tasks, device, functions):
        self.step, self.climb = functions
        self.device, self.run = device, host.Run(seed, tasks)
        self.train_x, self.train_y = self.on(host.train_x), self.on(host.train_y).long()
        self.test_x, self.test_y = self.on(host.test_x), self.on(host.test_y).long()
        self.p = [self.on(a).requires_grad_() for pair in self.run.weights() for a in pair]
        self.phi = torch.zeros(10, 256, device=device)
        self.moments = [torch.zeros(1, 784, device=device) for _ in range(2)] + [torch.zeros((), device=device)]
        self.table = None

    def on(self, array):
        return torch.as_tensor(array).to(self.device)

    def batch(self, maps, image, which):
        return self.train_x[image].gather(1, maps[which]), self.train_y[image]

    def learn(self, t):
        maps = self.on(self.run.maps).long()
        image, which, _, weights, picks = self.run.task(t)
        full = int((weights[0] > 0).sum())
        image, which, picks = (self.on(a).long() for a in (image[:, :full], which[:, :full], picks))
        for s in range(host.STEPS):
            anchors = self.table[picks[s]] if t else None
            self.p, self.phi = self.step(self.p, self.phi, *self.batch(maps, image[s], which[s]), anchors)
        memory, starts, last = self.run.after(t)
        anchors = self.search(maps, memory, self.on(starts)) if t else self.on(last)
        self.table = anchors if self.table is None else torch.cat([self.table, anchors])

    def search(self, maps, memory, starts):
        tuned = self.p
        for image, which in zip(*(self.on(a).long() for a in memory[:2])):
            gradients = torch.autograd.grad(loss(tuned, *self.batch(maps, image, which)), tuned)
            tuned = [q.detach().requires_grad_() for q in descend(tuned, gradients)]
        anchors = []
        for c in range(10):
            e, y = starts[c : c + 1].clone().requires_grad_(), torch.full((1,), c, device=self.device)
            for _ in range(100):
                e, *self.moments = self.climb(e, *self.moments, self.p, tuned, y, self.phi[c])
            anchors.append((e.detach() - e.min()) / (e.max() - e.min()))
        return torch.cat(anchors).detach()

    @torch.no_grad()
    def test(self):
        w1, *rest = self.p
        inverses = self.on(self.run.inverses).long()
        right = [(forward([w1[i], *rest], self.test_x)[1].argmax(1) == self.test_y).float().mean() for i in inverses]
        return torch.stack(right)


def experiment(seed, tasks, device, functions, stop=None):
    one = Experiment(seed, tasks, device, functions)
    matrix = []
    for t in range(stop or tasks):
        one.learn(t)
        matrix.append(one.test())
    return torch.stack(matrix).cpu().numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true", help="a line for `hindsight bench --peers`")
    args = parser.parse_args()
    functions = [torch.compile(f) if args.compile else f for f in (step, climb)]
    start = time.time()
    experiment(0, args.tasks, args.device, functions, stop=2)
    warm = time.time() - start
    start = time.time()
    finals = [experiment(s, args.tasks, args.device, functions)[-1] for s in range(args.seeds)]
    seconds = time.time() - start
    way = "compiled" if args.compile else "eager"
    host.report(args, f"PyTorch {torch.__version__}, {way}, one by one", seconds, warm, finals)


if __name__ == "__main__":
    main()
