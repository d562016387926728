"""The whole chain for tests: the real stack in the emulator, real agents, a real receiver."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from avskrift.client import Client, Place
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import Job
from avskrift.local.cloud import Cloud, CloudSettings
from avskrift.local.processes import await_condition
from avskrift.local.receiver import Receiver, Reception

END_TIMEOUT_S = 150.0
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Chain:
    """What a test does with the cloud: put recordings, wait for what becomes of them."""

    cloud: Cloud
    receiver: Receiver
    client: Client
    s3: Any

    @property
    def bucket(self) -> str:
        return self.cloud.outputs["BucketName"]

    def put(self, key: str, body: bytes, **metadata: str) -> str:
        """Put an object as any S3 client would; the id its job will have."""
        named = {f"avskrift-{name}": value for name, value in metadata.items()}
        version = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=named)["VersionId"]
        return job_id_for(self.bucket, key, version)

    def await_job(self, job_id: str, condition: Callable[[Job], bool], what: str) -> Job:
        def look() -> Job | None:
            job = self.client.find(job_id)
            return job if job and condition(job) else None

        return await_condition(look, END_TIMEOUT_S, f"{what} of job {job_id}")

    def await_end(self, job_id: str) -> tuple[Job, Reception]:
        """The ended job and its first verified webhook."""
        job = self.await_job(job_id, lambda job: job.is_terminal, "the end")
        reception = self.receiver.wait_for(lambda one: one.job_id == job_id and one.verified, END_TIMEOUT_S)
        return job, reception

    def run_capacity(self) -> None:
        """What its schedule would do within a minute."""
        answer = self.cloud.client("lambda").invoke(FunctionName=self.cloud.outputs["CapacityFunction"])
        assert "FunctionError" not in answer, answer["Payload"].read()

    def await_empty(self) -> None:
        """No instance left, no message left."""
        await_condition(
            lambda: {one.state for one in self.cloud.instances()} <= {"terminated"}, 60, "the end of instances"
        )
        for name in ("JobsQueueUrl", "OutboxQueueUrl", "UploadsDlqUrl", "JobsDlqUrl", "OutboxDlqUrl"):
            await_condition(lambda name=name: self._messages(name) == 0, 30, f"emptiness of {name}")

    def _messages(self, output: str) -> int:
        attributes = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.cloud.outputs[output], AttributeNames=["All"]
        )["Attributes"]
        names = ("", "NotVisible", "Delayed")
        return sum(int(attributes.get(f"ApproximateNumberOfMessages{name}", 0)) for name in names)

    def text_of(self, job: Job, name: str = "txt") -> str:
        body = self.s3.get_object(Bucket=self.bucket, Key=job.result["keys"][name])["Body"]
        return str(body.read().decode())

    def send_event(self, key: str, version_id: str, size: int) -> None:
        """One more "Object Created" for an object, as EventBridge may deliver it."""
        item = {"key": key, "size": size, "version-id": version_id}
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": self.bucket}, "object": item}}
        self.cloud.client("sqs").send_message(
            QueueUrl=self.cloud.outputs["UploadsQueueUrl"], MessageBody=json.dumps(event)
        )


@contextmanager
def open_chain(folder: Path, **settings: Any) -> Iterator[Chain]:
    """A cloud of its own with a receiver that knows its secrets; nothing of it is left afterwards."""
    with Receiver() as receiver:
        with Cloud.up(CloudSettings(folder, callback_url=receiver.url, tied=True, **settings)) as cloud:
            receiver.trust(cloud.webhook_secrets())
            client = Client(Place.from_outputs(cloud.outputs), cloud.session(), poll_s=0.2)
            yield Chain(cloud, receiver, client, cloud.client("s3"))
        assert cloud.left_running() == []


@pytest.fixture(scope="session")
def chain_opener() -> Callable[..., AbstractContextManager[Chain]]:
    return open_chain


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    context = {"linger_s": "2", "heartbeat_s": "1", "lease_s": "5", "max_duration_s": "1800"}
    with open_chain(tmp_path_factory.mktemp("cloud å"), context=context) as opened:
        yield opened


def agent_processes(instance_id: str) -> list[int]:
    """Agents whose disk is that instance's: children of its tether, for an agent itself can't be looked into."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
            children = (process / "task" / process.name / "children").read_text().split()
        except OSError:
            continue
        is_tether = b"tether.py" in command and command.endswith(b"-m\0instance\0")
        if is_tether and f"{instance_id}-disk".encode() in environment:
            found += map(int, children)
    return found


@pytest.fixture(scope="session")
def agents_of() -> Callable[[str], list[int]]:
    return agent_processes


@pytest.fixture(scope="session")
def speech() -> bytes:
    """The project's own English sample."""
    return (CHECKOUT / "samples" / "en.ogg").read_bytes()


@pytest.fixture(scope="session")
def spoken() -> str:
    return (CHECKOUT / "samples" / "en.txt").read_text(encoding="utf-8")


@pytest.fixture
def unique() -> str:
    """A part of a key that no other test uses."""
    return f"{time.time_ns():x}"


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Media files made with the encoders of PyAV's wheel."""
    import av
    import numpy as np

    folder = tmp_path_factory.mktemp("media")

    class Media:
        def silent_video(self) -> bytes:
            """Moving pictures without any sound track."""
            path = folder / "silent.mp4"
            with av.open(str(path), "w") as container:
                stream = container.add_stream("mpeg4", rate=10)
                stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
                for shade in range(20):
                    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade, np.uint8), format="rgb24")
                    container.mux(stream.encode(picture))
                container.mux(stream.encode())
            return path.read_bytes()

        def silence(self, duration_s: int) -> bytes:
            path = folder / "silence.wav"
            self._write(path, "pcm_s16le", np.zeros((1, duration_s * 16_000), np.int16))
            return path.read_bytes()

        def as_mp3(self, source: bytes) -> bytes:
            """The same sound as an mp3."""
            original = folder / "source"
            original.write_bytes(source)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
            with av.open(str(original)) as container:
                frames = [
                    made.to_ndarray() for frame in container.decode(audio=0) for made in resampler.resample(frame)
                ]
            path = folder / "speech.mp3"
            self._write(path, "libmp3lame", np.concatenate(frames, axis=1))
            return path.read_bytes()

        def _write(self, path: Path, codec: str, samples: Any) -> None:
            with av.open(str(path), "w") as container:
                stream = container.add_stream(codec, rate=16_000, layout="mono")
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                frame.sample_rate = 16_000
                for one in av.AudioResampler(stream.format, "mono", 16_000, stream.frame_size or None).resample(frame):
                    container.mux(stream.encode(one))
                container.mux(stream.encode())

    return Media()
