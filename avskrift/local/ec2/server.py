"""The proxy's HTTP door: answers what it owns, forwards the rest, and fails on order."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from avskrift.local.aws import ACCOUNT_ID, REGION
from avskrift.local.ec2.actions import Actions
from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.faults import Fault, FaultPlan
from avskrift.local.ec2.launch import Launcher
from avskrift.local.ec2.protocol import parse_body, parse_request, render_error, render_response
from avskrift.local.ec2.state import Ec2State
from avskrift.local.ec2.upstream import ForwardedAnswer, Upstream
from avskrift.local.loopback import Handler, LoopbackServer

if TYPE_CHECKING:
    from avskrift.local.iam.gate import Gate

logger = logging.getLogger(__name__)

_XML = "text/xml;charset=UTF-8"
_SERVER_ERROR = Ec2Error("InternalError", "An internal error has occurred", 500)


class Ec2Proxy:
    """An EC2 endpoint on loopback.

    It has an address before the emulator has one (the emulator's Lambdas must be told), so :meth:`connect` comes after.

    >>> proxy = Ec2Proxy()
    >>> emulator = Emulator.on_free_port(folder, ec2_endpoint=proxy.url)
    >>> emulator.start(); proxy.connect(emulator.endpoint); proxy.start()
    """

    def __init__(self, region: str = REGION, account_id: str = ACCOUNT_ID) -> None:
        self.state = Ec2State()
        self.faults = FaultPlan()
        self.gate: Gate | None = None
        """Asked before every call, where the cloud enforces."""
        self._region = region
        self._upstream: Upstream | None = None
        launcher = Launcher(self.state, self.upstream, self.faults)
        self.actions = Actions(self.state, launcher, self.upstream, account_id)
        self._server = LoopbackServer(_handler_for(self))
        self.url = self._server.url

    def connect(self, emulator_endpoint: str) -> None:
        """Say where the emulator is."""
        self._upstream = Upstream(emulator_endpoint, self._region)

    def upstream(self) -> Upstream:
        if self._upstream is None:
            raise Ec2Error("Unavailable", "The emulator is not started yet.", 503)
        return self._upstream

    def inject(self, fault: Fault) -> None:
        self.faults.add(fault)

    def authorize(self, action: str, parameters: dict[str, str], authorization: str) -> None:
        """Raises :class:`Ec2Error` where the signer may not do it."""
        if self.gate is not None:
            self.gate.check(action, parse_request(action, parameters), authorization)

    def answer(self, action: str, parameters: dict[str, str]) -> bytes | None:
        """The XML answer, or None when the call is the emulator's. Raises :class:`Ec2Error`."""
        self.faults.raise_for(action)
        if action not in self.actions.table:
            return None
        answer = self.actions.table[action](parse_request(action, parameters))
        return None if answer is None else render_response(action, answer)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Ec2Proxy:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _handler_for(proxy: Ec2Proxy) -> type[Handler]:
    class Ec2Handler(Handler):
        def do_POST(self) -> None:
            body = self.read_body()
            parameters = parse_body(body) or parse_body(self.path.partition("?")[2].encode())
            action = parameters.get("Action", "")
            way = proxy.faults.on_the_way(action)
            if way:
                time.sleep(way.delay_s)
            if way and way.answer_lost:
                self._do(action, parameters, body)
                self._lose_answer(action, way)
                return
            try:
                proxy.authorize(action, parameters, self.headers.get("Authorization", ""))
                answer = proxy.answer(action, parameters)
                if answer is None:
                    self._pass_on(proxy.upstream().forward(self.command, self.path, self.headers.items(), body))
                    return
            except Ec2Error as error:
                logger.info("%s: %s: %s", action, error.code, error.message)
                self.respond(error.status, render_error(error), _XML)
            except Exception:
                logger.exception("%s failed", action)
                self.respond(500, render_error(_SERVER_ERROR), _XML)
                raise
            else:
                self.respond(200, answer, _XML)

        do_GET = do_POST

        def _do(self, action: str, parameters: dict[str, str], body: bytes) -> None:
            """What was asked for, without a word."""
            with suppress(Ec2Error):
                if proxy.answer(action, parameters) is None:
                    proxy.upstream().forward(self.command, self.path, self.headers.items(), body)

        def _lose_answer(self, action: str, way: Fault) -> None:
            """The caller can't know whether it happened."""
            logger.info("%s: the answer is lost", action)
            if way.http_status is None:
                self.close_connection = True
            else:
                self.respond(way.http_status, render_error(_SERVER_ERROR), _XML)

        def _pass_on(self, answer: ForwardedAnswer) -> None:
            headers = {
                name: value for name, value in answer.headers if name.lower() not in ("content-type", "date", "server")
            }
            kind = next((value for name, value in answer.headers if name.lower() == "content-type"), _XML)
            self.respond(answer.status, answer.body, kind, headers)

    return Ec2Handler
