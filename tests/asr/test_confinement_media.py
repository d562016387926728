"""Files that make a player call an address: they get nothing from ours, by the way it opens files and by the kernel."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import av.error
import pytest

from avskrift.audio import probe
from avskrift.errors import UnsupportedMedia

ANYTHING = {
    "protocol_whitelist": "file,crypto,data,http,tcp,udp,rtp",
    "safe": "0",
    "allowed_extensions": "ALL",
    "extension_picky": "0",
}
"""Options of libav by which such a file does what it is made for."""


class Receiver:
    """Somebody on loopback who waits to be called, and hangs up."""

    def __init__(self, tcp: socket.socket, udp: socket.socket) -> None:
        self.tcp, self.udp = tcp, udp
        self._calls = 0
        threading.Thread(target=self._answer, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.tcp.getsockname()[1]}/part.ts"

    @property
    def udp_port(self) -> int:
        return int(self.udp.getsockname()[1])

    def was_called(self) -> bool:
        """To be asked once: calls are answered in turn, so behind one of our own all others have been."""
        with suppress(OSError), socket.create_connection(self.tcp.getsockname()) as ours:
            ours.recv(1)
        return self._calls > 1 or bool(select.select([self.udp], [], [], 0)[0])

    def _answer(self) -> None:
        with suppress(OSError):  # closed
            while True:
                caller, _ = self.tcp.accept()
                self._calls += 1
                caller.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        yield Receiver(tcp, udp)


def playlist(to: Receiver) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{to.url}\n#EXT-X-ENDLIST\n"


def playlist_with_key(to: Receiver) -> str:
    """The sound lies in the file itself; only its key is asked for."""
    return (
        f'#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI="{to.url}"\n'
        "#EXTINF:5,\ndata:video/mp2t;base64,R0AAEAAA\n#EXT-X-ENDLIST\n"
    )


def master_playlist(to: Receiver) -> str:
    return f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\n{to.url}\n'


def concatenation(to: Receiver) -> str:
    return f"ffconcat version 1.0\nfile '{to.url}'\n"


def manifest(to: Receiver) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" minBufferTime="PT1S" '
        'mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="audio/mp4" contentType="audio">'
        f'<Representation id="a" bandwidth="64000"><BaseURL>{to.url}</BaseURL><SegmentList duration="5">'
        f'<Initialization sourceURL="{to.url}"/><SegmentURL media="{to.url}"/></SegmentList></Representation>'
        "</AdaptationSet></Period></MPD>"
    )


MAKERS = [playlist, playlist_with_key, master_playlist, concatenation]
CONFINED = (
    "import json, sys\nfrom avskrift.asr.confinement import confine\nconfine()\nimport av, av.error\n"
    "try:\n    av.open(sys.argv[1], options=json.loads(sys.argv[2]))\n"
    "except av.error.FFmpegError:\n    print('refused')\n"
)


@pytest.mark.parametrize("make", [*MAKERS, manifest], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mpd", "speech.mp3"])
def test_a_file_cannot_make_us_call_an_address(tmp_path: Path, receiver: Receiver, make: object, name: str) -> None:
    path = tmp_path / name
    path.write_text(make(receiver))  # type: ignore[operator]
    with pytest.raises(UnsupportedMedia):
        probe(path)
    assert not receiver.was_called()


def test_a_session_description_opens_no_socket(tmp_path: Path, receiver: Receiver) -> None:
    """It names where sound will be sent to: a port of ours to listen on, at an address that must be asked to send."""
    path = tmp_path / "session.sdp"
    path.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {receiver.udp_port} RTP/AVP 0\n"
    )
    with pytest.raises(UnsupportedMedia):
        probe(path)
    assert not receiver.was_called()


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_the_files_do_call_where_libav_is_left_to_itself(tmp_path: Path, receiver: Receiver, make: object) -> None:
    """Else the tests above would show nothing. PyAV's wheel reads no DASH manifests: another build might."""
    path = tmp_path / "list.m3u8"
    path.write_text(make(receiver))  # type: ignore[operator]
    with suppress(av.error.FFmpegError):
        av.open(str(path), options=ANYTHING)
    assert receiver.was_called()


@pytest.mark.skipif(sys.platform != "linux", reason="the worker is confined on Linux only")
def test_in_the_worker_the_kernel_refuses_what_libav_would_do(tmp_path: Path, receiver: Receiver) -> None:
    """Were a way found past how we open files."""
    path = tmp_path / "list.m3u8"
    path.write_text(playlist(receiver))
    code = [sys.executable, "-c", CONFINED, str(path), json.dumps(ANYTHING)]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert not receiver.was_called()
