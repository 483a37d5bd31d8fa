"""Print what one job reads of a study, as the JSON that its stage takes with --cfg.

python -m workflow_scripts.config train experiment=digits seed=0
"""

import argparse

from workflow_scripts.config import calls, endings, jobs, study
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import Misused
from workflow_scripts.files import hashing


def main() -> None:
    """Print the JSON, or exit with one clear line."""
    with endings.clear("config"):
        arguments = _arguments()
        config = merged(arguments.configfile)  # before another folder is entered, as snakemake does
        calls.enter(arguments.directory)
        chosen = study.load(config, " + ".join(arguments.configfile))
        wildcards = _wildcards(arguments)
        try:
            settings = jobs.settings(chosen, arguments.stage, **wildcards)
        except TypeError as error:
            raise Misused(f"{arguments.stage}: which job? ({error}): give its name=value pairs") from None
        print(hashing.canonical_json(settings))


def _arguments() -> argparse.Namespace:
    parser = calls.Parser(
        prog="python -m workflow_scripts.config",
        description="Print what one job reads of a study, as the JSON of --cfg.",
    )
    parser.add_argument("stage", help="the module's name: prepare_data, train, ...")
    parser.add_argument(
        "wildcards", nargs="*", metavar="name=value", help="which job, such as experiment=digits seed=0"
    )
    parser.add_argument("--configfile", nargs="+", default=["config.yaml"], help="as for snakemake; later ones win")
    calls.add_directory(parser)
    return parser.parse_args()


def _wildcards(arguments: argparse.Namespace) -> dict[str, str]:
    """Which job is meant. Raises Misused for what isn't name=value."""
    for pair in arguments.wildcards:
        if not pair.partition("=")[0].isidentifier() or "=" not in pair:
            raise Misused(f"{arguments.stage}: which job is {pair!r}? expected name=value: such as experiment=digits")
    return dict(pair.split("=", 1) for pair in arguments.wildcards)


if __name__ == "__main__":
    main()
