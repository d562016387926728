"""One recording through faster-whisper's own batched mode: what ``avskrift.asr`` is held against.

    python -m bench.faster_whisper_run MODEL_DIRECTORY RECORDING SETTINGS_JSON

Prints one JSON object: ``transcribe_s`` (the model being loaded), ``text``.
"""

from __future__ import annotations

import json
import sys
import time

from faster_whisper import BatchedInferencePipeline, WhisperModel


def main() -> None:
    directory, recording, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    model = WhisperModel(directory, device="cpu", compute_type=settings["compute_type"], cpu_threads=settings["cores"])
    began = time.perf_counter()
    segments, _ = BatchedInferencePipeline(model).transcribe(
        recording,
        language=settings["language"],
        beam_size=1,
        batch_size=settings["batch"],
        word_timestamps=settings["words"],
    )
    text = " ".join(segment.text.strip() for segment in segments)  # the generator does the work
    transcribe_s = time.perf_counter() - began
    sys.stdout.write(json.dumps({"transcribe_s": transcribe_s, "text": text}))


if __name__ == "__main__":
    main()
