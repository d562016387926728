"""The supervisor's door: a small HTTP interface on loopback, for whoever holds the token."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import signal
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol

from avskrift.errors import LocalCloudError
from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.faults import Fault
from avskrift.local.loopback import Handler, LoopbackServer


class Controlled(Protocol):
    """What can be asked of a cloud."""

    def status(self) -> dict[str, Any]: ...
    def interrupt(self, instance_id: str, notice_s: float | None = None) -> dict[str, Any]: ...
    def recommend_rebalance(self, instance_id: str) -> dict[str, Any]: ...
    def assume(self, role_arn: str) -> dict[str, Any]: ...
    def inject_fault(self, fault: Fault) -> None: ...
    def clear_faults(self) -> None: ...


class ControlServer:
    """``GET /status``; JSON by ``POST`` to ``/interrupt``, ``/rebalance``, ``/assume``, ``/faults``, ``/stop``."""

    def __init__(self, cloud: Controlled) -> None:
        self.token = secrets.token_urlsafe(32)
        self._cloud = cloud
        self._server = LoopbackServer(_handler_for(self))
        self.url = self._server.url
        self.routes: Mapping[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
            ("GET", "/status"): lambda _: cloud.status(),
            ("POST", "/interrupt"): lambda body: cloud.interrupt(body["instance_id"], body.get("notice_s")),
            ("POST", "/rebalance"): lambda body: cloud.recommend_rebalance(body["instance_id"]),
            ("POST", "/assume"): lambda body: cloud.assume(body["role_arn"]),
            ("POST", "/faults"): self._inject,
            ("POST", "/faults/clear"): self._clear,
            ("POST", "/stop"): self._stop,
        }

    def _inject(self, body: dict[str, Any]) -> dict[str, Any]:
        self._cloud.inject_fault(Fault.from_json(body))
        return {}

    def _clear(self, body: dict[str, Any]) -> dict[str, Any]:
        self._cloud.clear_faults()
        return {}

    def _stop(self, body: dict[str, Any]) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    def __enter__(self) -> ControlServer:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


def _handler_for(control: ControlServer) -> type[Handler]:
    class ControlHandler(Handler):
        def do_POST(self) -> None:
            body = self.read_body()
            if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {control.token}"):
                self.respond_json(401, {"message": "The token is wrong."})
                return
            route = control.routes.get((self.command, self.path))
            if route is None:
                self.respond_json(404, {"message": f"There is no {self.command} {self.path}."})
                return
            try:
                self.respond_json(200, route(json.loads(body or b"{}")))
            except (LocalCloudError, Ec2Error) as error:
                self.respond_json(409, {"message": error.message})
            except (KeyError, TypeError, ValueError) as error:
                self.respond_json(400, {"message": f"The request can't be understood: {error}"})

        do_GET = do_POST

    return ControlHandler
