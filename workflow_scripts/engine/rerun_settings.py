"""The settings of Snakemake that decide what is run again: they are the workflow's, whatever a user's profile says.

Written for Snakemake 9.27.1.
"""

import sys

from snakemake.settings.enums import PersistenceBackend
from snakemake.settings.types import RerunTrigger


def hold(workflow) -> None:
    """Set what the soundness of results rests on. A profile for other workflows, such as one in ~/.config, may differ.

    All triggers count; content decides for files of any size; no input is taken for older than it is; nothing that an
    earlier dry run saw is believed; records are those of engine.persistence.
    """
    workflow.workflow_settings.consider_ancient = {}
    workflow.workflow_settings.persistence_backend = PersistenceBackend.FILE
    if workflow.dag_settings:
        workflow.dag_settings.rerun_triggers = RerunTrigger.all()
        workflow.dag_settings.max_checksum_file_size = sys.maxsize
        workflow.dag_settings.trust_io_cache = False
