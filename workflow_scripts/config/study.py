"""The whole study: everything that a config file may say, checked as a whole."""

from typing import Literal

from pydantic import Field, model_validator

from workflow_scripts.config import kinds, sizes
from workflow_scripts.config.base import Name, Seed, Strict, StudyName, parse
from workflow_scripts.config.checks import named as _named
from workflow_scripts.config.checks import unique as _unique
from workflow_scripts.config.checks import visible as _visible
from workflow_scripts.config.errors import Wrong
from workflow_scripts.config.explainers import Explainer
from workflow_scripts.config.nulls import Nulls
from workflow_scripts.config.printed import Printed
from workflow_scripts.config.simulations import Simulation
from workflow_scripts.config.tasks import Task
from workflow_scripts.config.training import SGD, Checkpoints, Device, Init, Network, Precision, Pretraining

RESERVED = ("data", "tasks", "simulations", "figures", "tables")


class Experiment(Strict):
    """A network trained on a task once per seed, and the explainers it is compared with."""

    title: str = Field(description="how figures and tables call it, in 120 signs at most")
    task: Name = Field(description="a name under tasks")
    network: Network = Field(description="the network f")
    init: Init = Field("xavier_uniform", description="initialisation: N19's, He's, or PyTorch's default (S23)")
    init_scale: float = Field(1.0, gt=0, le=1e6, description="initial weights and biases are multiplied by this")
    pretraining: Pretraining | None = Field(
        None, description="fit random labels first, by this SGD: an adversarial initialisation; null: don't"
    )
    sgd: SGD = Field(description="how it is trained")
    checkpoints: Checkpoints = Field(Checkpoints(), description="at which steps the network is recorded")
    explainers: list[Name] = Field(
        min_length=1,
        description="names under explainers; of other experiments: co-trained, compared checkpoint by checkpoint",
    )
    nested: bool = Field(
        False, description="explainers are listed from simple to complex: also ask what each tells with all before it"
    )
    printed: Printed | None = Field(None, description="what a paper prints for it, set beside ours")
    seeds: list[Seed] | None = Field(None, description="a run each; null: the study's seeds")


class Study(Strict):
    """Everything that a config file may say."""

    study: StudyName = Field(description="its name: results lie in results/{study}")
    seeds: list[Seed] = Field(min_length=1, description="a training run of every experiment for each seed")
    device: Device = Field("auto", description="where networks run; auto: CUDA if there is one, else CPU")
    precision: Precision = Field(
        "fp32",
        description="how CUDA multiplies float32: fp32 in full; tf32 with 10 bits of the mantissa, and faster",
    )
    data_root: str = Field("data", description="folder of downloaded data sets; relative to the working directory")
    datasets: dict[Name, kinds.choice("data.datasets")] = Field(description="data sets by name")
    tasks: dict[Name, Task] = Field(description="tasks by name")
    explainers: dict[Name, Explainer] = Field(description="explainers by name")
    experiments: dict[Name, Experiment] = Field(min_length=1, description="experiments by name")
    nulls: Nulls = Field(Nulls(), description="null models")
    simulations: dict[Name, Simulation] = Field({}, description="simulations of Theorem 1 by name")
    figures: dict[Name, kinds.choice("figures")] = Field({}, description="figures by name")
    tables: dict[Name, kinds.choice("tables")] = Field({}, description="tables by name")
    if_present: dict[Literal["datasets", "explainers", "experiments", "simulations", "figures"], dict[Name, dict]] = (
        Field({}, description="section -> name -> keys that replace those of this entry, in studies that have it")
    )

    @model_validator(mode="after")
    def _names_and_sizes(self):
        _unique("seeds", self.seeds)
        for name, task in self.tasks.items():
            dataset = _named(f"tasks.{name}.dataset", "dataset", task.dataset, self.datasets)
            try:
                task.check_classes(dataset.n_classes)
            except Wrong as error:
                raise Wrong(error.kind, f"tasks.{name}.groups", error.words) from None
            _visible(f"tasks.{name}.groups", task.groups or ())
        for name, simulation in self.simulations.items():
            _visible(f"simulations.{name}.inits", simulation.inits)
        for key, explainer in _prefixed("explainers", self.explainers):
            if explainer.reference is None:
                continue
            if _named(f"{key}.reference", "explainer", explainer.reference, self.explainers).labels != "true":
                raise Wrong(
                    "conflict",
                    f"{key}.reference",
                    f"{explainer.reference!r} is not fitted to true labels: name one that is",
                )
        if both := [name for name in self.explainers if name in self.experiments]:
            raise Wrong("repeated", f"explainers.{both[0]}", "an experiment has this name too: rename one of them")
        for name, experiment in self.experiments.items():
            self._check_experiment(f"experiments.{name}", name, experiment)
        for key, figure in _prefixed("figures", self.figures):
            kinds.of("figures", figure.kind).check(figure, self, key)
        for key, table in _prefixed("tables", self.tables):
            kinds.of("tables", table.kind).check(table, self, key)
        return self

    def _check_experiment(self, key: str, name: str, experiment: Experiment) -> None:
        _visible(f"{key}.title", [experiment.title])
        if name in RESERVED:
            raise Wrong("conflict", key, f"an experiment can't be called {name!r}, that folder is taken: rename it")
        if experiment.seeds is not None:
            _unique(f"{key}.seeds", experiment.seeds)
            if not experiment.seeds:
                raise Wrong("too_short", f"{key}.seeds", "no seeds: list one or more, or remove the key")
        task = _named(f"{key}.task", "task", experiment.task, self.tasks)
        dataset = self.datasets[task.dataset]
        for name, sgd in (("sgd", experiment.sgd), ("pretraining", experiment.pretraining)):
            if sgd is not None:
                _fits(f"{key}.{name}.batch_size", sgd.batch_size, dataset.n_train)
        _unique(f"{key}.explainers", experiment.explainers)
        if experiment.nested and len(experiment.explainers) < 2:
            raise Wrong(
                "conflict", f"{key}.nested", "one explainer has none before it: list several, or remove the key"
            )
        for name in [*experiment.printed.ratios, *experiment.printed.null_ratios] if experiment.printed else []:
            _named(f"{key}.printed", "explainer of this experiment", name, dict.fromkeys(experiment.explainers))
        for explainer_name in experiment.explainers:
            if explainer_name in self.experiments:
                self._check_cotrained(key, experiment, explainer_name)
                continue
            explainer = _named(
                f"{key}.explainers", "explainer or experiment", explainer_name, self.explainers | self.experiments
            )
            if explainer.inputs == "fresh" and dataset.fresh == 0:
                raise Wrong(
                    "conflict",
                    f"{key}.explainers",
                    f"{explainer_name!r} is fitted on fresh inputs, but datasets.{task.dataset} keeps none: set its "
                    "key fresh",
                )
            n = dataset.fresh if explainer.inputs == "fresh" else dataset.n_train
            for size in explainer.fit.at_most_examples:
                _fits(f"explainers.{explainer_name}.fit.{size}", getattr(explainer.fit, size), n)
            if explainer.reference not in (None, *experiment.explainers):
                raise Wrong(
                    "conflict", f"{key}.explainers", f"{explainer_name!r} needs {explainer.reference!r}: add it"
                )

    def _check_cotrained(self, key: str, experiment: Experiment, name: str) -> None:
        key, other = f"{key}.explainers", self.experiments[name]
        if other is experiment:
            raise Wrong("conflict", key, f"an experiment can't explain itself: remove {name!r}")
        if self.tasks.get(other.task) != self.tasks[experiment.task]:
            raise Wrong(
                "conflict",
                key,
                f"{name!r} is trained on another task, {other.task}: an explainer's test set and label map must be "
                "the network's",
            )
        for what in ("batch_size", "epochs", "steps"):
            if getattr(other.sgd, what) != getattr(experiment.sgd, what):
                raise Wrong(
                    "conflict",
                    key,
                    f"{name!r} has another sgd.{what}, {getattr(other.sgd, what)}: a co-trained explainer must be "
                    "recorded at the same checkpoints",
                )
        if other.checkpoints != experiment.checkpoints:
            raise Wrong("conflict", key, f"{name!r} has other checkpoints: give both the same")
        own, others = (self.seeds if of.seeds is None else of.seeds for of in (experiment, other))
        if missing := [seed for seed in own if seed not in others]:
            raise Wrong("conflict", key, f"{name!r} is not trained with seed {missing[0]}: add it to its seeds")

    def seeds_of(self, experiment: str) -> list[int]:
        """The seeds of an experiment, in the order listed."""
        own = self.experiments[experiment].seeds
        return self.seeds if own is None else own

    def dataset_of(self, experiment: str) -> str:
        """The name of the data set behind an experiment."""
        return self.tasks[self.experiments[experiment].task].dataset

    def n_classes_of(self, experiment: str) -> int:
        """The number of classes that an experiment's network tells apart: of groups, if its task has them."""
        task = self.tasks[self.experiments[experiment].task]
        return len(task.groups) if task.groups else self.datasets[task.dataset].n_classes

    def without_modes(self, experiment: str) -> str:
        """Why the theory of modes doesn't hold for an experiment, and what to do; empty where it does."""
        e = self.experiments[experiment]
        if e.network.kind != "linear":
            return f"has a network of kind {e.network.kind}: name one with a linear network"
        if (n_classes := self.n_classes_of(experiment)) < 3:
            return f"has {n_classes} classes, and modes need 3: name one with more"
        for name in ("momentum", "weight_decay", "augmentation"):
            if getattr(e.sgd, name):
                return f"is trained with {name}, which the theory has not: name one without"
        return "is pretrained, which the theory has not: name one without pretraining" if e.pretraining else ""

    def with_modes(self) -> list[str]:
        """The names of the experiments for which the theory of modes holds."""
        return [name for name in self.experiments if not self.without_modes(name)]

    def has_job(self, wildcards: dict[str, str]) -> bool:
        """Whether a job with these wildcards belongs to the study."""
        known = {
            "dataset": self.datasets,
            "task": self.tasks,
            "experiment": self.experiments,
            "explainer": self.explainers,
            "simulation": self.simulations,
            "figure": self.figures,
            "table": self.tables,
        }
        if any(value not in known.get(name, ()) for name, value in wildcards.items() if name != "seed"):
            return False
        experiment, explainer = wildcards.get("experiment"), wildcards.get("explainer")
        if explainer and (self.explainers[explainer].labels == "true") != (experiment is None):
            return False
        if experiment and explainer and explainer not in self.experiments[experiment].explainers:
            return False
        if "seed" in wildcards:
            return experiment is not None and wildcards["seed"] in map(str, self.seeds_of(experiment))
        return True

    def explainers_with(self, labels: str, trains_network: bool) -> list[str]:
        """The names of the explainers that are fitted to these labels by training a network, or by other means."""
        return [
            name
            for name, explainer in self.explainers.items()
            if explainer.labels == labels and explainer.fit.trains_network == trains_network
        ]


def load(config: dict, source: str = "config") -> Study:
    """The typed study. Raises Misconfigured, with a line per mistake."""
    config = overlaid(config)
    study = parse(Study, config, source)
    sizes.check(config, study.datasets, source)
    return study


def overlaid(config: dict) -> dict:
    """The config with what stands under if_present laid over the entries that it has."""
    overlay = config.get("if_present")
    if not isinstance(overlay, dict):
        return config
    found = {section: of for section, of in overlay.items() if isinstance(of, dict) and section in config}
    return _merged(
        config,
        {section: {name: of[name] for name in of if name in (config[section] or ())} for section, of in found.items()},
    )


def _merged(config: dict, changes: dict) -> dict:
    """Changes laid over a config, key by key."""
    both = {
        key: _merged(config[key], value) if isinstance(value, dict) and isinstance(config.get(key), dict) else value
        for key, value in changes.items()
    }
    return config | both


def _prefixed(key: str, named: dict) -> list:
    return [(f"{key}.{name}", value) for name, value in named.items()]


def _fits(key: str, size: int | None, n: int | None) -> None:
    """Check a size, if it is set, where the number of examples is known; the job checks it where it is not."""
    if None not in (size, n) and size > n:
        raise Wrong("too_many", key, f"{size} is more than the {n} training examples: lower it")
