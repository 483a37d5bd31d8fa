"""Whose results lie in results/{study}: the config files that made them, so that no other study replaces them."""

import contextlib
import json
from pathlib import Path

from workflow_scripts.config import paths
from workflow_scripts.config.errors import Foreign
from workflow_scripts.config.study import Study
from workflow_scripts.engine import plan


def check(study: Study, origin: str) -> None:
    """Raise Foreign if the results of a study of this name, but of other config files and settings, lie there.

    origin: see plan.origin.
    """
    folder = Path("results", study.study)
    told = paths.owner(folder)
    if told is None or told["origin"]["configfiles"] == json.loads(origin)["configfiles"]:
        return
    if told["settings"] != _settings(study):
        other = " + ".join(told["origin"]["configfiles"]) or "the default config.yaml"
        raise Foreign(
            folder,
            f"these are the results of {other}, whose study has this name but other settings: give yours "
            "another name (its key study, or --config study=NAME); if yours replaces it, "
            f"delete {folder / paths.STUDY}",
        )


def write(study: Study, origin: str) -> None:
    """Write down whose results these are. Raises OSError."""
    told = {"origin": json.loads(origin), "settings": _settings(study)}
    plan.keep(Path("results", study.study, paths.STUDY), json.dumps(told, indent=1, sort_keys=True) + "\n")


def renew(workflow, study: Study, origin: str) -> None:
    """The same at the end of a run in which nothing was to be done: config files may have been renamed."""
    folder = Path("results", study.study)
    if workflow.dag is not None and not workflow.dryrun and folder.is_dir():
        with contextlib.suppress(OSError):  # results that may only be read
            write(study, origin)


def _settings(study: Study) -> dict:
    return study.model_dump(mode="json", exclude={"data_root"})
