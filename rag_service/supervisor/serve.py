"""`rag serve`: one command that starts all it needs, watches over it, and leaves nothing behind."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from rag_service.errors import RagError
from rag_service.settings import Settings
from rag_service.supervisor.process import Say
from rag_service.supervisor.readiness import until_ready
from rag_service.supervisor.sockets import listen
from rag_service.supervisor.stack import Stack, all_or_first_error, clear_leftovers
from rag_service.supervisor.state import hold_state_folder

Ready = Callable[[Settings], Awaitable[None]]
"""Called once everything answers, with settings in which no address is missing."""

_PATIENCE_SECONDS = 3.0
log = logging.getLogger(__name__)


async def serve(settings: Settings, *, ready: Ready | None = None, console: Console) -> int:
    """Run the service until SIGINT or SIGTERM; then stop everything and return 0.

    That takes at most ten seconds, unless answers are under way: they may take `RAG_DRAIN_SECONDS` more.

    A second signal ends everything at once. When `ready` fails with a RagError its sentence is shown and
    the service goes on.

    Call it in the main thread: signals arrive there, and the kernel ends the children with that thread.

    Raises:
        ConfigurationError: the service cannot start; what had been started is stopped again.
    """
    say = _sayer(console)
    with hold_state_folder(settings.state_dir), _Stop.on_signals(say) as stop:
        await clear_leftovers(settings)
        with contextlib.closing(listen(settings.host, settings.port)) as listener:
            stack = Stack(settings, listener, say)
            stop.at_once = stack.kill
            try:
                if await stop.before(_start(stack, console)):
                    await _watch(stack, stop, ready, say)
            finally:
                await stack.stop()
    return 0


class _Stop:
    """What the person asked for with a signal: to stop, and, asking again, to stop at once."""

    def __init__(self, say: Say) -> None:
        self.at_once: Callable[[], None] = lambda: None
        self._say = say
        self._asked = asyncio.Event()

    @classmethod
    @contextlib.contextmanager
    def on_signals(cls, say: Say) -> Iterator["_Stop"]:
        stop = cls(say)
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive the terminal
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, stop._ask)
        try:
            yield stop
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def wait(self) -> None:
        await self._asked.wait()

    async def before(self, work: Awaitable[None]) -> bool:
        """Do `work` unless asked to stop meanwhile: then it is cancelled, and this returns False."""
        working = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            finished = not working.cancel()
            await asyncio.gather(asked, working, return_exceptions=True)
        if finished:
            working.result()
        return finished and not self._asked.is_set()

    def _ask(self) -> None:
        if self._asked.is_set():
            self.at_once()
        else:
            self._asked.set()
            self._say("Stopping …")


async def _start(stack: Stack, console: Console) -> None:
    with console.status("Starting …") as status:
        reachable = until_ready(
            stack.settings.local_url,
            (stack.api,),
            _patient_teller(status),
        )
        await all_or_first_error(stack.start(), reachable)
        # Not before: it loads the same libraries, and the first answer would wait for its processor time.
        await stack.worker.start()


async def _watch(stack: Stack, stop: _Stop, ready: Ready | None, say: Say) -> None:
    welcome = asyncio.create_task(_welcome(ready, stack.settings, say))
    welcome.add_done_callback(_report)
    try:
        await stop.wait()
    finally:
        welcome.cancel()
        await asyncio.wait({welcome})


async def _welcome(ready: Ready | None, settings: Settings, say: Say) -> None:
    try:
        if ready is not None:
            await ready(settings)
    except RagError as error:
        say(error.detail)


def _report(welcome: asyncio.Task[None]) -> None:
    """A mistake in `ready` is for its authors to see, and no reason to take the service away."""
    error = None if welcome.cancelled() else welcome.exception()
    if error is not None:
        log.error("what should run once the service is ready has failed", exc_info=error)


def _sayer(console: Console) -> Say:
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)


def _patient_teller(status: Status) -> Say:
    """Shows reasons for waiting only to those who have waited long enough to wonder."""
    born = time.monotonic()

    def tell(reason: str) -> None:
        if time.monotonic() - born > _PATIENCE_SECONDS:
            status.update(f"Starting … {escape(reason)}")

    return tell
