"""HAL (preset `official`) on Permuted MNIST in JAX, as a peer: jit + scan, one seed after another or vmap over seeds.

    python benches/peers/hal_jax.py [--seeds 5] [--tasks 20] [--vmap]

The same protocol as `hindsight run --method hal`: 1,000 images a task, all 400 entries of the accuracy matrix on all
10,000 test images. Compilation is timed apart. Needs jax (CPU) and numpy; the data comes from data/mnist.
"""

import argparse
import gzip
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

RATE, LAMBDA, GAMMA, BETA, BATCH, STEPS = 0.1, 0.1, 0.1, 0.5, 10, 100
DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "mnist"


def idx(name, header):
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8)[header:]


train_x = jnp.asarray(idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255.0, jnp.float32)
train_y = idx("train-labels-idx1-ubyte.gz", 8).astype(np.int32)
test_x = jnp.asarray(idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255.0, jnp.float32)
test_y = jnp.asarray(idx("t10k-labels-idx1-ubyte.gz", 8).astype(np.int32))


def forward(p, x):
    (w1, b1), (w2, b2), (w3, b3) = p
    features = jax.nn.relu(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
    return features, features @ w3 + b3


def cross_entropy(p, x, y):
    logits = jax.nn.log_softmax(forward(p, x)[1])
    return -jnp.take_along_axis(logits, y[:, None], 1)[:, 0]


def descend(p, g):
    return jax.tree.map(lambda a, b: a - RATE * b, p, g)


def loss(p, x, y, w):
    return jnp.sum(w * cross_entropy(p, x, y))


def objective(p, x, y, w, anchors):
    ahead = descend(p, jax.grad(loss)(p, x, y, w))
    drift = forward(p, anchors)[1] - forward(ahead, anchors)[1]
    return loss(p, x, y, w) + LAMBDA * jnp.mean(jnp.sum(drift**2, 1))


def embed(phi, p, x, y, w):
    one_hot = jax.nn.one_hot(y, 10) * (w > 0)[:, None]
    seen = one_hot.sum(0)[:, None] > 0
    return jnp.where(seen, BETA * phi, phi) + (1 - BETA) * one_hot.T @ forward(p, x)[0]


def make_learn(anchored):
    def run(p, phi, table, maps, rows):
        def step(state, row):
            p, phi = state
            image, which, y, w, picks = row
            x = jnp.take_along_axis(train_x[image], maps[which], 1)
            new_phi = embed(phi, p, x, y, w)
            g = jax.grad(objective)(p, x, y, w, table[picks]) if anchored else jax.grad(loss)(p, x, y, w)
            return (descend(p, g), new_phi), None

        return jax.lax.scan(step, (p, phi), rows)[0]

    return run


def search(p, phi, maps, memory, starts, moments, time_step):
    def tune(q, row):
        image, which, y = row
        x = jnp.take_along_axis(train_x[image], maps[which], 1)
        return descend(q, jax.grad(loss)(q, x, y, jnp.full(10, 0.1))), None

    tuned = jax.lax.scan(tune, p, memory)[0]

    def height(e, c):
        f, _ = forward(p, e[None])
        y = c[None]
        cosine = jnp.sum(f[0] * phi[c]) / jnp.sqrt((jnp.sum(f**2) + 1e-12) * (jnp.sum(phi[c] ** 2) + 1e-12))
        return cross_entropy(tuned, e[None], y)[0] - cross_entropy(p, e[None], y)[0] - GAMMA * (1 - cosine)

    def climb(state, _):
        e, c, m, v, t = state
        g = jax.grad(height)(e, c)
        m, v, t = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g, t + 1
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return (e + rate * m / (jnp.sqrt(v) + 1e-8), c, m, v, t), None

    def of_class(state, c):
        m, v, t = state
        (e, _, m, v, t), _ = jax.lax.scan(climb, (starts[c], c, m, v, t), None, 100)
        return (m, v, t), (e - e.min()) / (e.max() - e.min())

    (m, v, t), anchors = jax.lax.scan(of_class, (*moments, time_step), jnp.arange(10))
    return anchors, (m, v), t


def test(p, inverses):
    def of_task(inverse):
        (w1, b1), *rest = p
        logits = forward([(w1[inverse], b1), *rest], test_x)[1]
        return jnp.mean(jnp.argmax(logits, 1) == test_y)

    return jax.lax.map(of_task, inverses)


class Run:
    """What the host keeps of a seed: the stream, the ring buffer, the anchors."""

    def __init__(self, seed, tasks):
        self.random = r = np.random.default_rng(seed)
        self.maps = np.stack([r.permutation(784) for _ in range(tasks)]).astype(np.int32)
        self.inverses = np.argsort(self.maps, 1).astype(np.int32)
        self.memory = []

    def weights(self):
        r, p = self.random, []
        for a, b in ((784, 256), (256, 256), (256, 10)):
            w = r.normal(size=(a, b))
            while (far := np.abs(w) > 2).any():
                w[far] = r.normal(size=far.sum())
            p.append((jnp.asarray(0.1 * w, jnp.float32), jnp.full(b, 0.1, jnp.float32)))
        return p

    def task(self, t):
        r = self.random
        images = r.choice(np.arange(5000, 60000), 1000, replace=False).astype(np.int32)
        rows = ([], [], [], [], [])
        for s in range(STEPS):
            batch = [(i, t) for i in images[s * BATCH : (s + 1) * BATCH]]
            replayed = [self.memory[i] for i in r.choice(len(self.memory), 10, replace=False)] if self.memory else []
            n = len(batch) + len(replayed)
            both = batch + replayed + [(0, 0)] * (20 - n)
            image, which = np.array(both, np.int32).T
            rows[0].append(image)
            rows[1].append(which)
            rows[2].append(train_y[image])
            rows[3].append((np.arange(20) < n) / n)
            rows[4].append(r.choice(max(10, 10 * t), 10, replace=False))
        self.images = images
        return tuple(np.array(x, np.float32 if i == 3 else np.int32) for i, x in enumerate(rows))

    def after(self, t):
        """Rows to fine-tune on, the classes' running means, and the last image of each class."""
        r, y = self.random, train_y[self.images]
        memory = None
        if t:
            picks = [[self.memory[i] for i in r.choice(len(self.memory), 10, replace=False)] for _ in range(50)]
            image, which = np.moveaxis(np.array(picks, np.int32), 2, 0)
            memory = (image, which, train_y[image])
        shares = np.zeros((10, 1000), np.float32)
        last = []
        for c in range(10):
            of = np.flatnonzero(y == c)
            shares[c, of] = 0.1 * 0.9 ** np.arange(len(of))[::-1]
            last.append(of[-1])
        self.memory += [(self.images[i], t) for i in last]
        pixels = jnp.take(train_x[self.images], jnp.asarray(self.maps[t]), axis=1)
        return memory, jnp.asarray(shares) @ pixels, pixels[jnp.asarray(last)]


def stack(values):
    return jax.tree.map(lambda *x: jnp.stack(x), *values)


def experiment(seeds, tasks, first, later, seek, evaluate, stop=None):
    """All seeds of `seeds` in one go; the functions take a leading axis of seeds."""
    runs = [Run(seed, tasks) for seed in seeds]
    n = len(runs)
    p, phi = stack([r.weights() for r in runs]), jnp.zeros((n, 10, 256))
    table = jnp.zeros((n, 10 * tasks, 784))
    moments, t_adam = (jnp.zeros((n, 784)), jnp.zeros((n, 784))), jnp.zeros(n)
    maps, inverses = stack([r.maps for r in runs]), stack([r.inverses for r in runs])
    matrix = []
    for t in range(stop or tasks):
        rows = stack([r.task(t) for r in runs])
        p, phi = (later if t else first)(p, phi, table, maps, rows)
        memory, starts, last = zip(*[r.after(t) for r in runs])
        anchors = stack(last)
        if t:
            anchors, moments, t_adam = seek(p, phi, maps, stack(memory), stack(starts), moments, t_adam)
        table = table.at[:, 10 * t : 10 * t + 10].set(anchors)
        matrix.append(evaluate(p, inverses))
    return np.array(jax.block_until_ready(matrix))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--vmap", action="store_true", help="all seeds in one program")
    args = parser.parse_args()
    functions = [jax.jit(jax.vmap(f)) for f in (make_learn(False), make_learn(True), search, test)]
    groups = [range(args.seeds)] if args.vmap else [[s] for s in range(args.seeds)]
    start = time.time()
    experiment(groups[0], args.tasks, *functions, stop=2)  # compiles
    warm = time.time() - start
    start = time.time()
    finals = np.concatenate([experiment(g, args.tasks, *functions)[-1] for g in groups])
    seconds = time.time() - start
    accuracy = 100 * finals.mean(1)
    print(f"jax {jax.__version__}, vmap {args.vmap}: accuracy {accuracy.mean():.1f} ± {accuracy.std():.2f}, "
          f"{seconds:.1f} s after {warm:.1f} s of compiling and two tasks")


if __name__ == "__main__":
    main()
