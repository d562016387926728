from bench.asr.contest import Bench
from bench.asr.recordings import Recordings
from bench.asr.report import Part
from bench.report import Narrator


def measure(recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    return []
