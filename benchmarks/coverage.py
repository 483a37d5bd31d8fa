"""How often the 95% intervals cover the truth, by simulation: the tables of docs/uncertainty.md.

python -m benchmarks.coverage [--simulations 2000] [--many 400]
python -m benchmarks.coverage --figure docs/images/uncertainty.png
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from workflow_scripts.drawing import style
from workflow_scripts.measures import corrections, information, intervals
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

CONDITIONAL = tuple(information.CONDITIONAL)
NONE = 1e-12


def channel(n_classes: int, accuracy: float) -> np.ndarray:
    """P(a | b), [b, a]: right with this accuracy, else evenly any other class."""
    return np.full((n_classes, n_classes), (1 - accuracy) / (n_classes - 1)) + np.eye(n_classes) * (
        accuracy - (1 - accuracy) / (n_classes - 1)
    )


def of_explainer(n_classes: int, l_accuracy: float, f_accuracy: float) -> np.ndarray:
    """Density [f, l, y] of an F that knows of Y only through L: I(F;Y|L) = 0."""
    y = np.full(n_classes, 1 / n_classes)
    return np.einsum("y,yl,lf->fly", y, channel(n_classes, l_accuracy), channel(n_classes, f_accuracy))


def of_truth(n_classes: int, l_accuracy: float, f_accuracy: float) -> np.ndarray:
    """Density [f, l, y] of an F and an L that know of each other only through Y: I(F;L|Y) = 0."""
    y = np.full(n_classes, 1 / n_classes)
    return np.einsum("y,yl,yf->fly", y, channel(n_classes, l_accuracy), channel(n_classes, f_accuracy))


#: name -> density [f, l, y]; the letters are those of the tables in the docs
TWO = {
    "a: F knows Y through L alone": of_explainer(2, 0.85, 0.85),
    "b: F at chance": of_explainer(2, 0.85, 0.5),
    "c: F is L in 98.5%": of_explainer(2, 0.85, 0.985),
    "d: F 0.98, L 0.75": of_truth(2, 0.75, 0.98),
    "n: F hardly more than L": 0.9 * of_explainer(2, 0.85, 0.85) + 0.1 * of_truth(2, 0.85, 0.85),
}
TEN = {
    "a: through L alone, 0.92 and 0.9": of_explainer(10, 0.92, 0.9),
    "a: through L alone, 0.5 and 0.7": of_explainer(10, 0.5, 0.7),
    "b: F at chance": of_explainer(10, 0.92, 0.1),
    "e: L 0.92, F 0.9": of_truth(10, 0.92, 0.9),
    "e: L 0.5, F 0.98": of_truth(10, 0.5, 0.98),
}


def nested(own: float) -> np.ndarray:
    """Density [f, l, y] of an F and three explainers, l being the triple of these (8 values).

    F knows Y itself with this weight, otherwise only what the third explainer does.
    """
    *explainers, f = (channel(2, accuracy) for accuracy in (0.75, 0.8, 0.85, 0.97))
    of_y = np.einsum("y,ya,yb,yc,yf->fabcy", [0.5, 0.5], *explainers, f)
    of_third = np.einsum("y,ya,yb,yc,cf->fabcy", [0.5, 0.5], *explainers, channel(2, 0.95))
    return (own * of_y + (1 - own) * of_third).reshape(2, 8, 2)


NESTED = {"F also knows Y itself": nested(0.5), "F knows Y through the third alone": nested(0.0)}


def truth(density: np.ndarray) -> dict[str, float]:
    """Every quantity of a density [f, l, y], in bits; exactly 0 where it is 0."""
    entropies = {
        axes: stats.entropy(information.margin(density, axes).ravel())
        for axes in ("F", "L", "Y", "FL", "FY", "LY", "FLY")
    }
    found = information.combine(entropies)
    return {name: 0.0 if abs(value) < NONE else float(value) for name, value in found.items()}


def draw(density: np.ndarray, n: int, simulations: int, rng: np.random.Generator) -> np.ndarray:
    """Joint counts [simulations, f, l, y] of n examples each."""
    return rng.multinomial(n, density.ravel(), size=simulations).reshape(simulations, *density.shape)


def covered(found: dict[str, np.ndarray], true: dict[str, float]) -> dict[str, float]:
    """Quantity -> percentage of simulations whose interval holds the truth."""
    return {
        name: 100 * float(np.mean((found[f"{name}_lo"] <= value) & (value <= found[f"{name}_hi"])))
        for name, value in true.items()
    }


def bootstrap_covered(counts: np.ndarray, name: str, value: float, rng: np.random.Generator, draws: int = 200) -> float:
    """Percentage of simulations whose percentile bootstrap interval of a plug-in quantity holds the truth."""
    hits = 0
    for table in counts:
        n = table.sum()
        again = rng.multinomial(n, table.ravel() / n, size=draws).reshape(draws, *table.shape)
        lo, hi = np.percentile(information.measures(again)[name], [2.5, 97.5])
        hits += lo <= value <= hi
    return 100 * hits / len(counts)


def runs(rate: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions f [seeds, n] of networks that share what they find hard, an explainer l and labels y, [n].

    Every network flips a common guess at a rate of its own.
    """
    y = rng.integers(0, 2, n)
    l = np.where(rng.random(n) < 0.15, 1 - y, y)
    guess = np.where(rng.random(n) < 0.7, l, np.where(rng.random(n) < 0.1, 1 - y, y))
    return np.where(rng.random((len(rate), n)) < rate[:, None], 1 - guess, guess), l, y


def expected_over_seeds(spread: float, points: int = 200) -> dict[str, float]:
    """Each quantity's expectation over networks whose rate is normal about 0.1 with this standard deviation."""
    guess = 0.7 * of_explainer(2, 0.85, 1.0) + 0.3 * of_truth(2, 0.85, 0.9)
    values = []
    for quantile in (np.arange(points) + 0.5) / points:
        rate = _rate(stats.norm.ppf(quantile, 0.1, spread))
        values.append(truth((1 - rate) * guess + rate * guess[::-1]))
    return {name: float(np.mean([value[name] for value in values])) for name in values[0]}


def seeds_covered(n: int, seeds: int, spread: float, simulations: int, rng) -> dict[str, tuple[float, float]]:
    """Quantity -> coverage in percent of the interval over seeds and examples, and of that over seeds alone."""
    true = expected_over_seeds(spread)
    hits = {name: np.zeros(2) for name in ("I_FY", "I_FY_given_L", "mu")}
    for _ in range(simulations):
        f, l, y = runs(_rate(rng.normal(0.1, spread, seeds)), n, rng)
        counts = np.stack([information.joint_counts(each, l, y, 2) for each in f])
        best, psi = corrections.corrected(counts), intervals.influence(counts)
        for name, hit in hits.items():
            shared = SharedExamples()
            for seed in range(seeds):
                shared.add(name, psi[name][seed, f[seed], l, y])
            for index, common in enumerate((shared.variances()[name], 0.0)):
                over = over_seeds(best[name], common)
                hit[index] += over["lo"] <= true[name] <= over["hi"]
    return {name: tuple(100 * hit / simulations) for name, hit in hits.items()}


def _rate(value):
    return np.clip(value, 0.01, 0.4)


def _table(densities: dict, sizes: tuple[int, ...], simulations: int, rng: np.random.Generator) -> None:
    names = tuple(information.TERMS)
    print(f"| setting | N | {' | '.join(names)} |\n|{'---|' * (len(names) + 2)}")
    for setting, density in densities.items():
        true = truth(density)
        for n in sizes:
            found = intervals.with_intervals(draw(density, n, simulations, rng))
            covers = covered(found, true)
            cells = [
                f"{covers[name]:.1f}% ({1000 * (found[f'{name}_corrected'].mean() - true[name]):+.1f})"
                for name in names
            ]
            print(f"| {setting} | {n:,} | {' | '.join(cells)} |")


def _nested_table(sizes: tuple[int, ...], simulations: int, rng: np.random.Generator) -> None:
    print("| setting | N | coverage of mu_joint | bias (mbit) |\n|---|---|---|---|")
    for setting, density in NESTED.items():
        true = {"mu": truth(density)["mu"]}
        for n in sizes:
            found = intervals.performance_correlation(draw(density, n, simulations, rng))
            bias = 1000 * (found["mu_corrected"].mean() - true["mu"])
            print(f"| {setting} | {n:,} | {covered(found, true)['mu']:.1f}% | {bias:+.1f} |")


def picture(path: Path) -> None:
    """Why the bootstrap fails: what it believes, from one test set, beside what new test sets really give."""
    rng = np.random.default_rng(8)
    density, n = TWO["a: F knows Y through L alone"], 2000
    new = information.measures(draw(density, n, 4000, rng))["I_FY_given_L"]
    tables = draw(density, n, 40, rng)
    chosen = tables[np.argsort(information.measures(tables)["I_FY_given_L"])[20]]
    again = information.measures(rng.multinomial(n, chosen.ravel() / n, size=4000).reshape(-1, 2, 2, 2))["I_FY_given_L"]
    ours = intervals.with_intervals(chosen)
    figure, axes = style.panels(1, 1, 6.4, 3.2)
    axes, bins = axes[0, 0], np.linspace(0, 6, 60)
    axes.hist(1000 * new, bins, color=style.GREY, alpha=0.6, label="plug-in value on new test sets (the truth is 0)")
    axes.hist(1000 * again, bins, histtype="step", color=style.VERMILLION, label="bootstrap of one test set")
    rows = {
        "percentile bootstrap": (np.percentile(again, [2.5, 97.5]), style.VERMILLION, 0.30),
        "ours": ((ours["I_FY_given_L_lo"], ours["I_FY_given_L_hi"]), style.BLUE, 0.45),
    }
    for label, (limits, color, height) in rows.items():
        y = [height * axes.get_ylim()[1]] * 2
        axes.plot(1000 * np.array(limits), y, color=color, linewidth=3, solid_capstyle="butt", label=f"{label}: 95%")
    axes.axvline(0, color=style.BLACK, linewidth=2)
    axes.set(xlabel="I(F; Y | L)  (mbit), 2,000 examples", ylabel="test sets", xlim=(-0.1, 6))
    axes.legend()
    figure.savefig(path, dpi=160)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000, help="with two classes")
    parser.add_argument("--many", type=int, default=400, help="simulations with ten classes")
    parser.add_argument("--figure", type=Path, help="draw the figure of the docs there, and nothing else")
    arguments = parser.parse_args()
    if arguments.figure:
        picture(arguments.figure)
        return
    rng = np.random.default_rng(2019)
    print("Coverage of the 95% interval, and in brackets the bias of the corrected value in mbit.\n\nTwo classes:\n")
    _table(TWO, (360, 2000, 10_000), arguments.simulations, rng)
    print("\nTen classes:\n")
    _table(TEN, (10_000,), arguments.many, rng)
    print("\nThe percentile bootstrap of I(F;Y|L), which is 0:\n\n| N | coverage |\n|---|---|")
    for n in (360, 2000, 10_000):
        counts = draw(TWO["a: F knows Y through L alone"], n, min(arguments.simulations, 400), rng)
        print(f"| {n:,} | {bootstrap_covered(counts, 'I_FY_given_L', 0.0, rng):.1f}% |")
    print(
        "\nMeans over S seeds that share a test set: interval over seeds and examples, in brackets over seeds alone.\n"
    )
    print("| spread of the networks | S | N | I_FY | I_FY_given_L | mu |\n|---|---|---|---|---|---|")
    for spread in (0.01, 0.03):
        for seeds, n in ((2, 2000), (5, 360), (5, 2000), (5, 10_000), (10, 2000)):
            found = seeds_covered(n, seeds, spread, min(arguments.simulations, 1000), rng)
            cells = " | ".join(f"{both:.1f}% ({alone:.1f}%)" for both, alone in found.values())
            print(f"| {spread} | {seeds} | {n:,} | {cells} |")
    print("\nThree nested explainers together:\n")
    _nested_table((360, 2000, 10_000), arguments.simulations, np.random.default_rng(2019))


if __name__ == "__main__":
    main()
