"""What the host does in HAL on Permuted MNIST, for its peers: data, stream, ring buffer. Plain NumPy."""

import gzip
import json
import pathlib

import numpy as np

BATCH, STEPS = 10, 100
DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "mnist"


def idx(name, header):
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8)[header:]


train_x = (idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255.0).astype(np.float32)
train_y = idx("train-labels-idx1-ubyte.gz", 8).astype(np.int32)
test_x = (idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255.0).astype(np.float32)
test_y = idx("t10k-labels-idx1-ubyte.gz", 8).astype(np.int32)


class Run:
    """What the host keeps of a seed: the stream and the ring buffer."""

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
            p.append(((0.1 * w).astype(np.float32), np.full(b, 0.1, np.float32)))
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
        pixels = train_x[self.images][:, self.maps[t]]
        return memory, shares @ pixels, pixels[last]


def report(args, peer, seconds, warm, finals):
    """Says what the seeds of `args` took, and their final accuracies: a line for people, or of JSON."""
    accuracy = 100 * np.asarray(finals).mean(1)
    if args.json:
        print(json.dumps({"peer": peer, "what": f"hal {args.seeds}", "seconds": seconds, "accuracy": float(accuracy.mean())}))
    else:
        print(f"{peer}: accuracy {accuracy.mean():.1f} ± {accuracy.std():.2f}, "
              f"{seconds:.1f} s after {warm:.1f} s of compiling and two tasks")
