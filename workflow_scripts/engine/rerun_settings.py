"""The settings of Snakemake that decide what is run again: they are the workflow's, whatever a user's profile says.

Written for Snakemake 9.27.1.
"""

import os
import sys

from snakemake.settings.enums import PersistenceBackend
from snakemake.settings.types import RerunTrigger

#: environment variable: 1 if this run was told to make again what it makes (--force, --forceall, --forcerun)
AGAIN = "SGD_COMPLEXITY_AGAIN"


def hold(workflow) -> None:
    """Set what the soundness of results rests on. A profile for other workflows, such as one in ~/.config, may differ.

    All triggers count; content decides for files of any size; no input is taken for older than it is; nothing that an
    earlier dry run saw is believed; records are those of engine.persistence.
    """
    workflow.workflow_settings.consider_ancient = {}
    workflow.workflow_settings.persistence_backend = PersistenceBackend.FILE
    prepare = workflow._prepare_dag

    def prepare_dag(*arguments, **options) -> None:
        settings = workflow.dag_settings  # not there yet while the Snakefile is read
        settings.rerun_triggers = RerunTrigger.all()
        settings.max_checksum_file_size = sys.maxsize
        settings.trust_io_cache = False
        if workflow.is_main_process:
            os.environ[AGAIN] = str(int(bool(settings.forceall or settings.forcetargets or settings.forcerun)))
        prepare(*arguments, **options)

    workflow._prepare_dag = prepare_dag
