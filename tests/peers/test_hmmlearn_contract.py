"""hmmlearn's tests of its public names are a contract for ours; hmmlearn_contract.py has what is left out, and why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

hmmlearn = pytest.importorskip("hmmlearn", reason="the test extra installs hmmlearn")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Id of each of hmmlearn's tests -> its outcome, and a message or a reason."""
    report = tmp_path_factory.mktemp("contract") / "report.json"
    theirs = Path(hmmlearn.__file__).parent / "tests"
    command = [sys.executable, "-m", "pytest", "-c", os.devnull]  # not the settings of this repository
    command += ["-q", "-p", "no:cacheprovider", "-p", "tests.peers.hmmlearn_contract"]
    done = subprocess.run(
        [*command, "--assert=plain", f"--rootdir={theirs}", f"--contract-report={report}", str(theirs)],
        env={**os.environ, "HMMLEARN_SEED": "1"},  # their global seed, which is drawn otherwise
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return json.loads(report.read_text(encoding="utf-8"))


def test_hmmlearns_tests_of_public_names_pass(outcomes):
    run = {name: outcome for name, outcome in outcomes.items() if outcome[0] != "left out"}
    failures = {name: message for name, (outcome, message) in run.items() if outcome != "passed"}
    assert not failures, "\n\n".join(f"{name}\n{message}" for name, message in failures.items())
    assert len(run) > 100  # and there were tests


def test_every_test_that_is_left_out_by_name_exists(outcomes):
    from tests.peers.hmmlearn_contract import LEFT_OUT

    stale = [start for start in LEFT_OUT if not any(name.startswith(start) for name in outcomes)]
    assert not stale
