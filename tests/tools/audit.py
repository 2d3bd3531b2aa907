"""Known vulnerabilities of the pinned versions, by pip-audit, which is installed into an environment of its own.

    python -m tests.tools.audit

Exit status 0 if none is known, 1 if some are, 3 if the data of some cannot be reached.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PINS = Path(__file__).parents[2] / "constraints.txt"
UNREACHABLE = 3
SKIPPED = "could not be audited"


def main() -> int:
    """Install pip-audit, run it on the pins, print what it says."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        print("installing pip-audit ...", flush=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", "pip-audit"], capture_output=True, text=True)
        if done.returncode:
            print("error: pip-audit cannot be installed: is there a package index?", file=sys.stderr)
            return UNREACHABLE
        words = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "-r", PINS]
        done = subprocess.run(words, capture_output=True, text=True)
    if "Traceback" in done.stderr or "ConnectionError" in done.stderr or "HTTPError" in done.stderr:
        print("error: the data of known vulnerabilities cannot be reached: nothing was audited", file=sys.stderr)
        return UNREACHABLE
    found = [line for line in done.stdout.splitlines() if SKIPPED not in line]
    print("\n".join(found))
    skipped = done.stdout.count(SKIPPED)
    if skipped:
        print(f"error: the data of {skipped} distributions cannot be reached: they were not audited", file=sys.stderr)
    return done.returncode or (UNREACHABLE if skipped else 0)


if __name__ == "__main__":
    raise SystemExit(main())
