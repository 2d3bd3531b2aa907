"""Who makes a call: another thread, or the loop itself if it was quick before and nobody else asks."""

import asyncio
import threading
import time

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from infer.serving.work import QUICK, Work


def caller() -> int:
    return threading.get_ident()


async def asked(work: Work, call, kind: object) -> int:
    with work.asking():
        return await work.run(call, 60, kind)


def test_a_quick_call_of_one_reader_is_made_at_once() -> None:
    async def ask() -> None:
        work, here = Work(workers=2, queue=4), threading.get_ident()
        assert await asked(work, caller, "a") != here, "how long it takes is not known yet"
        assert await asked(work, caller, "a") == here
        assert await asked(work, caller, "b") != here and await asked(work, caller, None) != here
        assert here not in await asyncio.gather(*[asked(work, caller, "a") for _ in range(3)]), "others ask, too"
        assert await asked(work, caller, "a") == here

        def slow() -> int:
            time.sleep(2 * QUICK)
            return caller()

        assert await asked(work, slow, "a") == here, "nobody knew"
        assert await asked(work, caller, "a") != here
        assert work.accepted == 0

    asyncio.run(ask())


def test_what_runs_or_fails_is_counted() -> None:
    async def ask() -> None:
        work, here, going = Work(workers=1, queue=0), threading.get_ident(), threading.Event()
        for _ in range(2):
            await asked(work, caller, "a")
        waiting = asyncio.create_task(work.run(lambda: going.wait(60), 60))
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="too many requests wait"):
            await asked(work, caller, "a")
        going.set()
        assert await waiting

        def fails() -> int:
            raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await asked(work, fails, "b")
        assert await asked(work, caller, "b") == here, "it failed quickly"

    asyncio.run(ask())
