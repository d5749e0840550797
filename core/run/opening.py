"""Opening the state folder in the one safe order: lock, no old submitter, a new epoch."""

import os
from typing import NamedTuple

import anyio

from core.model.errors import StateError
from core.settings.schema import FactoryTable
from core.state.folder import instance, prepare
from core.state.ledger import Ledger, LedgerReader
from core.state.lock import StateLock, no_submitter_lives, open_submit_lock

# A submitter dies with its factory; its kernel timer is the bound if the kernel was not told.
_SUBMITTER_S = 180.0


class State(NamedTuple):
    """The state folder of a running factory."""

    lock: StateLock
    ledger: Ledger
    reader: LedgerReader
    instance: str
    epoch: int


async def open_state(factory: FactoryTable, started_by: str) -> State:
    """Take the state folder. Raise InUse, or StateError naming what is wrong with it.

    When this returns, no process that an earlier factory had sent out can commit a submission,
    so that what the batch systems have of old intents is final.
    """
    prepare(factory.state)
    lock = StateLock(factory.state, started_by)
    try:
        submitters = await _no_submitters(factory)
        try:
            ledger = Ledger(factory.state)
            epoch = ledger.next_epoch()
        finally:
            os.close(submitters)  # one that goes on only now finds a newer epoch and gives up
        return State(lock, ledger, LedgerReader.open(factory.state), instance(factory.state), epoch)
    except BaseException:
        lock.release()
        raise


async def _no_submitters(factory: FactoryTable) -> int:
    """Wait until no submitter lives; return a descriptor that keeps others from beginning."""
    try:
        fd = open_submit_lock(factory.state)
    except OSError as error:
        raise StateError(
            f"cannot open {factory.state / 'submit.lock'}: {error.strerror}",
            "check the folder's owner and its disk",
        ) from error
    try:
        with anyio.fail_after(_SUBMITTER_S):
            while not no_submitter_lives(fd):
                await anyio.sleep(0.05)
        return fd
    except TimeoutError:
        os.close(fd)
        raise StateError(
            f"a submitter of an earlier factory still holds {factory.state / 'submit.lock'}",
            "find it with `fuser` and end it; nothing is submitted while it could",
        ) from None
    except BaseException:
        os.close(fd)
        raise
