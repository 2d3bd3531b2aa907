"""How missing trials are made, several at once, each in a process of its own with one thread.

In: trials. Out: their files (`bench.study.making`), those of stage 0 first.

    python -m bench.study --workers=2
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process, resource_tracker

from tqdm import tqdm

from bench.study.making import run_safely
from bench.study.trials import Trial, finished
from infer.errors import InputError
from infer.system.progress import progress

log = logging.getLogger(__name__)


def make_all(wanted: list[Trial], most: int = 0, made: Callable[[Trial], None] = lambda trial: None) -> None:
    """Make the unfinished trials, those that others start from first; a line for each as it is finished.

    most: processes at once; 0 means one for each core.  made: called with each as it is finished.
    """
    remaining = len(unmade(wanted))
    done, total = len(wanted) - remaining, len(wanted)
    log.info(f"{total} trials, {done} of them finished already")
    for stage in sorted({trial.experiment.stage for trial in wanted}):
        # Asked again: a parent that was made anew makes its children unfinished.
        missing = [trial for trial in unmade(wanted) if trial.experiment.stage == stage]
        workers = min(most or os.cpu_count() or 1, len(missing))
        if not missing:
            continue
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
            with _uninterrupted():
                running = {pool.submit(run_safely, trial): trial for trial in missing}
            try:
                bar = {"desc": "trials", "total": len(missing), "unit": " trials"}
                for future in progress(as_completed(running), smoothing=0, **bar):  # models take very different times
                    trial, result = running[future], future.result()
                    if isinstance(result, str):
                        raise InputError(f"{trial.name}: {result}")
                    made(trial)
                    done = min(done + 1, total)
                    log.info(f"[{done}/{total}] {trial.name} hit@10 {result[1] * 100:.1f} % {result[0]:.0f} s")
            except BrokenProcessPool:
                raise InputError(
                    "a worker was ended from outside, perhaps for want of memory: try --workers=1"
                ) from None
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):  # SIGTERM has not reached them
                    for process in active_children():
                        process.terminate()
                pool.shutdown(cancel_futures=True)
                raise


def unmade(wanted: list[Trial]) -> list[Trial]:
    """The unfinished trials, and the finished ones without whose checkpoint, which is gone, these cannot start."""
    unfinished = [trial for trial in wanted if not finished(trial)]
    needed = {path for trial in unfinished for path in trial.parents().values() if not path.is_file()}
    return [trial for trial in wanted if trial in unfinished or trial.file("pt") in needed]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Workers that are started within never see Ctrl-C, which a terminal sends to all of them: this process ends them.

    Blocked signals stay so in what a process starts; one that comes here meanwhile arrives at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # else it is started within, and unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing into a trial that a new run may be making.

    Nor may it hold a lock of the system, as tqdm would take one: of a worker that is ended it would be left over.
    """
    tqdm.set_lock(threading.RLock())
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
