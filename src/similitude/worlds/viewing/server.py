"""The client for people: a page in the browser, served to this machine alone, that plays a `Game`."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from similitude.core.errors import SimilitudeError, WorldError
from similitude.worlds.viewing.controls import Controls
from similitude.worlds.viewing.game import Game

HOST = "127.0.0.1"
LARGEST = 8192
"""Most bytes of a request's body."""
SILENCE = 60.0
"""Seconds after which a connection without requests is closed."""
PAGE = Path(__file__).with_name("page.html")
SECURE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class GameServer:
    """Serves a game to browsers on this machine, under an address with a secret in it.

    Args:
        game: The game.
        port: Port; 0: any that is free.

    Raises:
        WorldError: The port is taken.

    Attributes:
        url: Address of the page.
    """

    def __init__(self, game: Game, *, port: int = 0) -> None:
        self.game = game
        self.token = secrets.token_urlsafe(18)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"owner": self})
        try:
            self._http = ThreadingHTTPServer((HOST, port), handler)
        except (OSError, OverflowError) as error:
            raise WorldError(
                f"port {port} cannot be used ({error}). Name another, or 0 for any that is free."
            ) from error
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://{HOST}:{self.port}/{self.token}/"

    def serve(self) -> None:
        """Serve until the page is told to quit, `close` is called, or Ctrl-C is pressed."""
        try:
            self._http.serve_forever(poll_interval=0.05)
        finally:
            self._http.server_close()

    def close(self) -> None:
        """Stop serving."""
        threading.Thread(target=self._http.shutdown, daemon=True).start()

    def state(self) -> dict[str, Any]:
        """Return status and picture of the present moment."""
        with self._lock:
            return self._state()

    def ask(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request of the page.

        Args:
            what: "step", "again", "next", "give-up" or "quit".
            body: For "step": "frame", the number of frames played so far, which makes sure that no request counts
                twice, and "controls" or "action"; for the others nothing.

        Raises:
            WorldError: The request is not valid.
            _StaleError: The game has gone on since the frame that the request is about.
        """
        game = self.game
        with self._lock:
            if what == "step":
                if set(body) not in ({"frame", "controls"}, {"frame", "action"}):
                    raise WorldError("a step has a frame, and controls or an action.")
                if body["frame"] != game.session.frame or isinstance(body["frame"], bool):
                    raise _StaleError(f"this is frame {game.session.frame}, not {body['frame']!r:.20}.")
                game.step(Controls.read(body["controls"]) if "controls" in body else body["action"])
            elif body:
                raise WorldError(f"{what} has nothing in its body.")
            else:
                plain: dict[str, Callable[[], None]] = {
                    "again": game.again,
                    "next": game.next,
                    "give-up": game.give_up,
                    "quit": game.close,
                }
                plain[what]()
            return self._state()

    def _state(self) -> dict[str, Any]:
        picture = base64.b64encode(self.game.picture()).decode()
        return {**self.game.status(), "picture": f"data:image/jpeg;base64,{picture}"}


class _StaleError(WorldError):
    """A request about a frame that has passed."""


POSTS = ("step", "again", "next", "give-up", "quit")
"""What pages ask for by POST; all that is read by GET is the page and its state."""


class _Handler(BaseHTTPRequestHandler):
    owner: GameServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "similitude", ""
    timeout = SILENCE
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        place = self._place()
        if place == "":
            nonce = secrets.token_urlsafe(12)
            page = PAGE.read_text(encoding="utf-8").replace("NONCE", nonce)
            policy = (
                f"default-src 'none'; img-src data:; connect-src 'self'; script-src 'nonce-{nonce}'; "
                f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            self._send(200, page.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": policy})
        elif place == "state":
            self._json(200, self.owner.state())
        elif place is not None:
            self._refuse(405 if place in POSTS else 404, "there is nothing to read here.")

    def do_POST(self) -> None:
        place = self._place()
        if place is None:
            return
        if place not in POSTS:
            self._refuse(404, "there is nothing to ask for here.")
            return
        if self.headers.get_content_type() != "application/json":
            self._refuse(415, "requests are application/json.")
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or self.headers.get("Transfer-Encoding"):
            self._refuse(411, "a request says how long it is.")
            return
        if len(length) > 9 or int(length) > LARGEST:
            self._refuse(413, f"requests have at most {LARGEST} bytes.")
            return
        try:
            body = json.loads(self.rfile.read(int(length)) or b"{}")
            if not isinstance(body, dict):
                raise WorldError("a request is a JSON object.")
            self._json(200, self.owner.ask(place, body))
            if place == "quit":
                self.owner.close()
        except (ValueError, RecursionError, OverflowError):
            self._refuse(400, "a request is JSON, with numbers of a sensible size.")
        except _StaleError as error:
            self._refuse(409, str(error))
        except WorldError as error:
            self._refuse(400, str(error))
        except SimilitudeError as error:  # a file could not be written: the game is fine, the disk is not
            self._refuse(500, str(error))

    def _place(self) -> str | None:
        """Return what is asked for, below the secret; None where the request was refused."""
        port = self.owner.port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._refuse(403, "this address is not served.")  # a foreign page that found a name for 127.0.0.1
            return None
        if self.headers.get("Origin") not in (None, f"http://{HOST}:{port}", f"http://localhost:{port}"):
            self._refuse(403, "requests come from the page itself.")
            return None
        token, slash, place = self.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.owner.token.encode()) or not slash:
            self._refuse(403, "the address lacks its secret: take the one that the command printed.")
            return None
        return place

    def _json(self, code: int, data: dict[str, Any]) -> None:
        self._send(code, json.dumps(data, allow_nan=False).encode(), "application/json", {})

    def _refuse(self, code: int, why: str) -> None:
        self.close_connection = True  # what else it sent has not been read
        self._send(code, json.dumps({"error": why}).encode(), "application/json", {"Connection": "close"})

    def _send(self, code: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(code)
        sizes = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (SECURE | sizes | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: ten requests a second are of no interest."""
