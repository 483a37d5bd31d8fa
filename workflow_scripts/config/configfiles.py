"""Config files as Snakemake reads them: later ones win, key by key, and --config values last."""

import os
from pathlib import Path

from workflow_scripts.config.errors import Damaged, Missing


def merged(paths: list[str | Path], changes: dict | None = None) -> dict:
    """The config of these files and changes. Raises StudyError for a file that is missing or not YAML."""
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    config: dict = {}
    for path in paths:
        try:
            update_config(config, load_configfile(os.fspath(path)))
        except OSError as error:
            raise Missing(f"{path}: {error.strerror}: give the path of a config file") from None
        except (WorkflowError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise Damaged(f"{path}: not a config file ({reason}): expected YAML such as config.yaml") from None
    update_config(config, changes or {})
    return config
