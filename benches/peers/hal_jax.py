"""HAL (preset `official`) on Permuted MNIST in JAX, as a peer: jit + scan, one seed after another or vmap over seeds.

    python benches/peers/hal_jax.py [--seeds 5] [--tasks 20] [--vmap]

The same protocol as `hindsight run --method hal`: 1,000 images a task, all 400 entries of the accuracy matrix on all
10,000 test images. Compilation is timed apart. Needs jax and numpy; the data comes from data/mnist.
On a GPU its products may round to TF32, which is JAX's own choice.
"""

import argparse
import time

import hal_host as host
import jax
import jax.numpy as jnp
import numpy as np

RATE, LAMBDA, GAMMA, BETA = 0.1, 0.1, 0.1, 0.5
train_x, test_x, test_y = jnp.asarray(host.train_x), jnp.asarray(host.test_x), jnp.asarray(host.test_y)


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


def stack(values):
    return jax.tree.map(lambda *x: jnp.stack(x), *values)


def experiment(seeds, tasks, first, later, seek, evaluate, stop=None):
    """All seeds of `seeds` in one go; the functions take a leading axis of seeds."""
    runs = [host.Run(seed, tasks) for seed in seeds]
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
    parser.add_argument("--json", action="store_true", help="a line for `hindsight bench --peers`")
    args = parser.parse_args()
    functions = [jax.jit(jax.vmap(f)) for f in (make_learn(False), make_learn(True), search, test)]
    groups = [range(args.seeds)] if args.vmap else [[s] for s in range(args.seeds)]
    start = time.time()
    experiment(groups[0], args.tasks, *functions, stop=2)  # compiles
    warm = time.time() - start
    start = time.time()
    finals = np.concatenate([experiment(g, args.tasks, *functions)[-1] for g in groups])
    seconds = time.time() - start
    way = "vmap over seeds" if args.vmap else "one by one"
    host.report(args, f"JAX {jax.__version__}, jit + scan, {way}", seconds, warm, finals)


if __name__ == "__main__":
    main()
