"""Where results lie, relative to the results folder."""


def of_experiment(name: str, file: str) -> str:
    """A file of an experiment, such as summary.csv."""
    return f"{name}/{file}"


def of_experiments(names: list[str], file: str) -> list[str]:
    """That file of each experiment."""
    return [of_experiment(name, file) for name in names]


def of_seed(experiment: str, seed: int, file: str) -> str:
    """A file of one seed of an experiment, such as trajectory.npz."""
    return f"{experiment}/seed{seed}/{file}"


def dataset(name: str) -> str:
    """The arrays of a data set."""
    return f"data/{name}.npz"


def simulation(name: str) -> str:
    """The table of a simulation."""
    return f"simulations/{name}.csv"
