"""The fingerprint of a job's code holds all that the job runs, and stands for the bytes that it makes."""

import json
from pathlib import Path

import pytest

from tests import golden
from tests.workflow import outside_of_their_code
from workflow_scripts.config.jobs import STAGES


def test_no_job_of_the_tiny_study_executes_a_definition_outside_of_its_code(finished):
    stages = set()
    for path in (finished / "traced").glob("*.json"):
        told = json.loads(path.read_text())
        stage = Path(told["argv"][0]).stem
        assert [stage, "run"] in told["executed"], "it is followed"
        stages.add(stage)
    assert {*STAGES} - stages == {"order_examples", "decompose"}, "the papers' studies have these"
    assert outside_of_their_code(finished) == {}


def test_a_key_stands_for_the_bytes_that_were_made_before(finished):
    """New bytes under new keys are no fault: to renew golden.json, python -m tests.golden FOLDER."""
    known, found = golden.load(), golden.of(finished)
    if known["machine"] != found["machine"]:
        pytest.skip(f"the golden bytes are of another kind of machine: {known['machine']}")
    same = {job: key for job, key in found["keys"].items() if known["keys"].get(job) == key}
    assert [job for job in same if known["outputs"][job] != found["outputs"][job]] == []
    changed = [job for job in found["keys"] if job not in same]
    print(f"jobs with other keys than those of the golden bytes: {changed}")
