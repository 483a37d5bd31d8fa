"""Print what one job reads of a study, as the JSON that its stage takes with --cfg.

python -m workflow_scripts.config train experiment=digits seed=0
"""

import argparse
import sys

from workflow_scripts.config import jobs, study
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing


def main() -> None:
    """Print the JSON, or exit with one clear line."""
    parser = argparse.ArgumentParser(prog="python -m workflow_scripts.config", description=__doc__.splitlines()[0])
    parser.add_argument("stage", help="the module's name: prepare_data, train, ...")
    parser.add_argument(
        "wildcards", nargs="*", metavar="name=value", help="which job, such as experiment=digits seed=0"
    )
    parser.add_argument("--configfile", nargs="+", default=["config.yaml"], help="as for snakemake; later ones win")
    arguments = parser.parse_args()
    try:
        chosen = study.load(merged(arguments.configfile), " + ".join(arguments.configfile))
        wildcards = dict(pair.split("=", 1) for pair in arguments.wildcards)
        print(hashing.canonical_json(jobs.settings(chosen, arguments.stage, **wildcards)))
    except StudyError as error:
        sys.exit(f"error: {error}")
    except (TypeError, ValueError) as error:
        sys.exit(f"error: {arguments.stage}: which job? give name=value pairs ({error})")


if __name__ == "__main__":
    main()
