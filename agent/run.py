"""Runs the agent until it is told to stop: opens its parts, serves API and console, drains.

SIGTERM or SIGINT: /health/ready says 503 at once, new requests are refused, running replies have
agent.drain_s to end, what was recorded goes to disk, and the process ends with 0.

The one place of this package that chooses implementations.
"""

import asyncio
import errno
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web

from agent.console import build_console
from agent.constrain.open import open_compiler, read_vocabulary
from agent.engine.engine import BatchingEngine
from agent.engine.passes import warm
from agent.errors import BindError, EngineStoppedError
from agent.http.runner import Runner
from agent.insight import Insight
from agent.mcp.open import open_servers
from agent.server import build_app
from agent.service import AgentService
from agent.settings import AgentSettings
from agent.stored.projection import FILE, Projection
from agent.swap.residents import Residents
from agent.turn.proof.prover import Prover
from agent.turn.response_ids import load_secret
from agent.watch.events import Events
from agent.watch.heard import Heard
from kernels.contract import Backend
from kernels.open import open_backend
from streams.log.contract import Log
from streams.model.embedding.embed import embedder_when_asked
from streams.model.open import BaseModel, load_base
from streams.open import open_log, open_snapshots, open_spool
from streams.settings import (
    DIRECT,
    NO_OTEL,
    ModelSettings,
    OtelSettings,
    RolloutSettings,
    StreamsSettings,
)
from streams.spool.spool import Spool
from streams.store.store import Store, reach_store
from streams.trace.contract import NO_TRACER, Tracer
from streams.trace.open import open_tracer

WATCH_S = 1.0  # how long an engine that has died goes unnoticed
# Of the descriptors that this process may have, for connections; the rest is for files.
API_SHARE, CONSOLE_SHARE = 1 / 2, 1 / 8
CLOSE_S = 2.0  # for connections that neither end nor take their last bytes
SPOOL_S = 5.0  # to drain to the log at the end; what is left stays on disk for the next start

# How long a thread may keep the interpreter from the one that replies; Python's own 5 ms made a
# request wait for what was being recorded of the last one (make bench ARGS=request).
SWITCH_S = 0.0005

_LOG = logging.getLogger(__name__)


def run(
    *,
    model: ModelSettings,
    streams: StreamsSettings,
    settings: AgentSettings,
    rollout: RolloutSettings,
    otel: OtelSettings = NO_OTEL,
) -> None:
    """Serve until SIGTERM or SIGINT.

    raises: ModelFilesError, SchemaError, StartError, KernelError, each with a sentence that says
        what to do; EngineStoppedError when the engine died, so that whoever supervises starts a new
        process
    """
    base = load_base(model)
    backend = open_backend(model.backend, base.decoder.device)
    warm(base.decoder)  # before it says that it is ready
    tracer = open_tracer(otel, service="quickset-agent")
    sys.setswitchinterval(SWITCH_S)
    try:
        asyncio.run(serve_until_told(base, backend, streams, settings, rollout, tracer=tracer))
    finally:
        tracer.close()


async def serve_until_told(
    base: BaseModel,
    backend: Backend,
    streams: StreamsSettings,
    settings: AgentSettings,
    rollout: RolloutSettings = DIRECT,
    *,
    tracer: Tracer = NO_TRACER,
) -> None:
    """Serve a loaded model until SIGTERM or SIGINT. Raises: StartError, EngineStoppedError."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    serving = serve(base, backend, streams, settings, rollout, tracer=tracer)
    async with serving as (service, api, console):
        _LOG.info("API and chat page at %s, console at %s", api, console)
        while service.intake.alive and not told.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), WATCH_S)
        loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C does not wait for replies
    if not told.is_set():
        raise EngineStoppedError("the engine has stopped: the log has the reason")


@asynccontextmanager
async def serve(
    base: BaseModel,
    backend: Backend,
    streams: StreamsSettings,
    settings: AgentSettings,
    rollout: RolloutSettings = DIRECT,
    *,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[tuple[AgentService, str, str]]:
    """Serve inside the block; leaving it drains.

    yields: the service, the address of the API and that of the console
    """
    log, store = open_log(streams), reach_store(streams)
    spool, heard = open_spool(streams, log), Heard(store, settings.line)
    try:
        residents = Residents(base, backend, line=settings.line, snapshots=open_snapshots(streams))
        service = _assemble(
            base, residents, streams, settings, rollout, log=log, spool=spool, tracer=tracer
        )
        service.metrics.wait_for(heard.samples)
        async with AsyncExitStack() as sites:
            api = await _open_site(
                sites,
                _runner(build_app(service), service.events, "API", share=API_SHARE),
                settings.host,
                settings.port,
            )
            insight = Insight(base, residents, backend)
            keep_days = streams.retention_days
            shown = build_console(service, store, log=log, insight=insight, keep_days=keep_days)
            console = await _open_site(
                sites,
                _runner(shown, service.events, "console", share=CONSOLE_SHARE),
                settings.console_host,
                settings.console_port,
            )
            service.start()
            try:
                yield service, api, console
            finally:
                await service.stop()
    finally:
        heard.close()
        await asyncio.to_thread(_close, spool, log, store)


def _assemble(
    base: BaseModel,
    residents: Residents,
    streams: StreamsSettings,
    settings: AgentSettings,
    rollout: RolloutSettings,
    *,
    log: Log,
    spool: Spool,
    tracer: Tracer,
) -> AgentService:
    vocabulary = read_vocabulary(base)
    return AgentService(
        settings=settings,
        rollout=rollout,
        base=base,
        residents=residents,
        engine=BatchingEngine(residents, settings=settings, base=base),
        log=log,
        spool=spool,
        projection=Projection(streams.home.expanduser() / FILE, keep_days=streams.retention_days),
        secret=load_secret(settings.response_secret, streams.home.expanduser()),
        compiler=open_compiler(base, vocabulary),
        prover=Prover(vocabulary),
        open_tools=lambda events, metrics: open_servers(
            settings.tools,
            steps=settings.tool_steps,
            seconds=settings.tool_seconds,
            most_bytes=settings.tool_bytes,
            events=events,
            metrics=metrics,
        ),
        embedder=embedder_when_asked(),
        tracer=tracer,
    )


def _runner(app: web.Application, events: Events, name: str, *, share: float) -> Runner:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = None if limit == resource.RLIM_INFINITY else int(limit * share)
    return Runner(
        app,
        most=most,
        full=lambda: events.add(
            "limited", f"the {name} has {most} connections, as many as it may: idle ones are closed"
        ),
        # a client that goes while its request waits frees its place at once
        handler_cancellation=True,
        shutdown_timeout=CLOSE_S,
        access_log=None,
    )


async def _open_site(sites: AsyncExitStack, runner: Runner, host: str, port: int) -> str:
    await runner.setup()
    sites.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port, backlog=runner.backlog).start()
    except OSError as cause:
        if cause.errno == errno.EADDRINUSE:
            raise BindError(
                f"port {port} of {host} is in use: stop what listens there, or choose another"
            ) from cause
        raise BindError(f"cannot listen on {host}:{port}: {cause.strerror or cause}") from cause
    address, bound = runner.addresses[0][:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{bound}"


def _close(spool: Spool, log: Log, store: Store) -> None:
    spool.close(drain_s=SPOOL_S)
    log.close()
    store.close()
