"""How often the 95% intervals of the agreement between seeds cover it, by simulation, and how long it takes.

python -m benchmarks.agreement [--simulations 1000]
"""

import argparse
import time

import numpy as np
from scipy.stats import norm

from workflow_scripts.measures import learning_order

CLASSES = 4
#: an example is learned when its difficulty, and noise of the seed, pass a checkpoint; after the last one: never
CHECKPOINTS = np.linspace(-2, 3.5, 20)
#: name -> how much the seeds' noise is on average, and the standard deviation of its logarithm over seeds
SETTINGS = {"seeds alike": (0.7, 0.1), "seeds differ": (0.7, 0.5), "little agreement": (3.0, 0.3)}
#: variance of a difficulty that the seeds of the second network share, and the first network's don't know of
OWN = 0.5


def truth(setting: str, seeds: int = 400, nodes: int = 41) -> dict[str, float]:
    """The mean rank correlation over all seeds and examples: of two seeds, the same within classes, of two networks.

    Given an example's difficulty, seeds are independent: it is the mean square, over difficulties, of the seeds' mean
    standardised rank. Seeds: quantiles of their noise; difficulties: nodes of a Gauss-Hermite rule in each class.
    """
    noise, spread = SETTINGS[setting]
    scale = noise * np.exp(spread * norm.ppf((np.arange(seeds) + 0.5) / seeds))
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    difficulty = (node + np.arange(CLASSES)[:, None] / 2).ravel()
    weights = np.tile(weight / weight.sum() / CLASSES, CLASSES)
    whole, within = _mean_ranks(difficulty, weights, scale)
    other, _ = _mean_ranks(difficulty, weights, np.sqrt(OWN + scale**2))
    return {
        name: float(weights @ values)
        for name, values in (("two seeds", whole**2), ("within classes", within**2), ("two networks", whole * other))
    }


def _mean_ranks(difficulty: np.ndarray, weights: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds of the standardised rank at each difficulty, and of that centred within each class."""
    found = []
    for of_seed in scale:
        below = norm.cdf((CHECKPOINTS - difficulty[:, None]) / of_seed)
        levels = np.diff(below, prepend=0, append=1)
        marginal = weights @ levels
        rank = np.cumsum(marginal) - marginal / 2
        by_class = (levels * weights[:, None]).reshape(CLASSES, -1, len(rank)).sum(1) @ rank * CLASSES
        for mean in (0.5, np.repeat(by_class, len(difficulty) // CLASSES)):
            square = weights @ (levels * (rank - np.reshape(mean, (-1, 1))) ** 2).sum(1)
            found.append((levels @ rank - mean) / np.sqrt(square))
    return np.mean(found[::2], axis=0), np.mean(found[1::2], axis=0)


def draw(setting: str, seeds: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes [N], and the checkpoints at which the seeds of two networks learn each example, [S, N] each."""
    noise, spread = SETTINGS[setting]
    classes = rng.integers(CLASSES, size=n)
    difficulty = rng.standard_normal(n) + classes / 2
    shared = np.stack([difficulty, difficulty + np.sqrt(OWN) * rng.standard_normal(n)])
    scale = noise * np.exp(spread * rng.standard_normal((2, seeds, 1)))
    return classes, *np.digitize(shared[:, None] + scale * rng.standard_normal((2, seeds, n)), CHECKPOINTS)


def covered(setting: str, seeds: int, n: int, simulations: int, rng: np.random.Generator) -> dict[str, float]:
    """Percentage of simulations in which the interval of each agreement holds the truth."""
    true = truth(setting)
    hits = dict.fromkeys(true, 0)
    for _ in range(simulations):
        classes, a, b = draw(setting, seeds, n, rng)
        found = (
            learning_order.agreement(a),
            learning_order.agreement(a, classes=classes),
            learning_order.agreement(a, b),
        )
        for (name, value), of in zip(true.items(), found, strict=True):
            hits[name] += of.lo <= value <= of.hi
    return {name: 100 * number / simulations for name, number in hits.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    simulations = parser.parse_args().simulations
    rng = np.random.default_rng(2020)
    print("Coverage of the 95% interval:\n\n| setting | S | N | two seeds | within classes | two networks |")
    print("|---|---|---|---|---|---|")
    for setting in SETTINGS:
        true = " ".join(f"{value:.2f}" for value in truth(setting).values())
        for seeds, n in ((3, 1000), (5, 1000), (10, 300), (10, 1000), (10, 3000)):
            found = covered(setting, seeds, n, simulations, rng).values()
            print(f"| {setting} ({true}) | {seeds} | {n:,} | {' | '.join(f'{each:.1f}%' for each in found)} |")
    _, a, b = draw("seeds differ", 100, 10_000, rng)
    for name, other in (("100 seeds", None), ("100 seeds and 100 others", b)):
        started = time.perf_counter()
        learning_order.agreement(a, other)
        print(f"\n{name}, 10,000 examples: {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
