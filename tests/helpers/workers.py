"""Workers of a Ray cluster to which something happens, as files beside the model say.

kill-N    the process is killed when it is given part N, once
stop-N    it is stopped there, as a machine is that hangs or was cut off, once
full-N    it can write no file from there on
wait      every part waits for as long as this file is there; at-PID-NODE says that one does
apart     it looks for the folder of parts where there is none
"""

import os
import resource
import signal
import time
from dataclasses import replace

from infer.cluster.worker import About, Opened, Scored, Sent, Worker
from infer.sources.cutting import Part


class FaultyWorker(Worker):
    """A worker that does what the files say."""

    def score(self, part: Part) -> Scored:
        place = self.sent.model.parent
        for what in ("kill", "stop", "full"):
            file = place / f"{what}-{part.number}"
            if file.exists():
                file.unlink()
                if what == "full":
                    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
                else:
                    os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSTOP)
        if (place / "wait").exists():
            (place / f"at-{os.getpid()}-{self.about().node_id}").touch()
            while (place / "wait").exists():
                time.sleep(0.02)
        return super().score(part)


class AlienWorker(Worker):
    """A worker whose machine has another ONNX Runtime."""

    def about(self) -> About:
        found = super().about()
        return replace(found, versions=found.versions | {"onnxruntime": "0.1"})


class MortalWorker(Worker):
    """A worker that is killed when it opens the model."""

    def open(self, sent: Sent) -> Opened:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed")
