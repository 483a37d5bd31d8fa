"""The settings of Snakemake that decide what is run again: they are the workflow's, whatever a user's profile says.

Written for Snakemake 9.27.1.
"""

import os
import sys

from snakemake.settings.enums import PersistenceBackend
from snakemake.settings.types import RerunTrigger

from workflow_scripts.config import endings
from workflow_scripts.config.errors import Misused

#: environment variable: 1 if this run was told to make again what it makes (--force, --forceall, --forcerun)
AGAIN = "SGD_COMPLEXITY_AGAIN"


def hold(workflow) -> None:
    """Set what the soundness of results rests on. A profile for other workflows, such as one in ~/.config, may differ.

    All triggers count; content decides for files of any size; no input is taken for older than it is; nothing that an
    earlier dry run saw is believed; records are those of engine.persistence; no result is temporary.
    """
    workflow.workflow_settings.consider_ancient = {}
    workflow.workflow_settings.persistence_backend = PersistenceBackend.FILE
    workflow.storage_settings.all_temp = False
    prepare = workflow._prepare_dag

    def prepare_dag(*arguments, **options) -> None:
        settings = workflow.dag_settings  # not there yet while the Snakefile is read
        settings.rerun_triggers = RerunTrigger.all()
        settings.max_checksum_file_size = sys.maxsize
        settings.trust_io_cache = False
        if workflow.is_main_process:
            with endings.clear("snakemake"):
                _refuse_less(settings, sys.argv[1:])
            os.environ[AGAIN] = str(int(bool(settings.forceall or settings.forcetargets or settings.forcerun)))
        prepare(*arguments, **options)

    workflow._prepare_dag = prepare_dag


def _refuse_less(settings, argv: list[str]) -> None:
    """Raise Misused where jobs that have to run would be left out in silence: the command line doesn't ask for it."""
    if settings.allowed_rules:
        raise Misused(
            "--allowed-rules", "it would leave out jobs that have to run: name the files that you want instead"
        )
    left_out = {
        ("--until", "-U"): settings.until,
        ("--omit-from", "-O"): settings.omit_from,
        ("--batch",): settings.batch,
    }
    for names, value in left_out.items():
        if value and not _is_given(names, argv):
            raise Misused(names[0], "a profile sets it, so that jobs that have to run are left out: remove it there")


def _is_given(names: tuple[str, ...], argv: list[str]) -> bool:
    """Whether the command line has an option by one of its names; the long one may be shortened."""
    words = [word.partition("=")[0] for word in argv]
    long, *short = names
    return any((long.startswith(word) and len(word) > 2) or word[:2] in short for word in words)
