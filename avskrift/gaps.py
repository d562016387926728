"""What of a recording could not be read, where, and for how long.

Silence stands for it, so that the clock stays that of the recording, which is what a player shows. Four things tell of
a gap: a packet that cannot be decoded, a jump of the time stamps (damage that the demuxer skipped, or a sender that
paused), sound that begins later than the picture, and, in formats that have no time stamps, the bytes of the damage.
All are claims of the file, each believed only within limits, and all together within one more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: A packet of any common codec is far shorter (AAC 0.02 s, FLAC 0.1 s at 48 kHz); a claim beyond this is not believed.
MAX_PACKET_S = 5.0
#: Time stamps are rounded, and jitter by a packet; Opus pauses for 0.4 s at a time where nobody speaks.
MIN_JUMP_S = 0.1
#: Longer pauses than this are not believed, nor any that would end behind the end that the header promises.
MAX_JUMP_S = 3600.0
#: What is believed of a jump in a file whose header promises nothing.
MAX_UNPROMISED_JUMP_S = 600.0
#: All that is believed of one file: an hour, and this much silence for each second that was decoded. A sender who is
#: heard for three minutes of an hour is within it; a file of nothing but jumps costs hardly more than its sound.
MAX_SILENCE_S = 3600.0
SILENCE_PER_SOUND = 20.0
#: Sound begins that much later than the picture through rounding and the delays of encoders alone.
MIN_LEAD_S = 0.05
#: Headers are rounded.
_PROMISE_TOLERANCE_S = 1.0

#: Gaps nearer than this are one place to a reader.
_SAME_PLACE_S = 1.0
#: A pause that is no damage is worth a warning from here on.
_WORTH_A_WARNING_S = 1.0
_KEPT_PLACES = 1000
_NAMED_PLACES = 5

#: Streams that a parser must cut into packets: damaged bytes come as one packet, and no time stamp tells of them.
_WITHOUT_TIME_STAMPS = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "loas"})


@dataclass
class Place:
    """A stretch of the recording, in seconds, where nothing could be read, or only pieces of it."""

    start_s: float
    end_s: float
    missing_s: float
    damaged_packets: int


@dataclass
class Gaps:
    """Told of every packet in turn; says how much is missing before the next sound, and in the end where that was."""

    container: str
    tick_s: float
    """The unit of the time stamps."""
    promised_s: float | None
    """What the header says that the recording lasts."""
    begins_s: float = 0.0
    """The time stamp at which a player begins, which may be that of a picture before the first sound."""
    places: list[Place] = field(default_factory=list)
    """In order; of very many only the first thousand."""
    _due_s: float = 0.0
    """Missing since the last sound."""
    _lead_s: float = 0.0
    """From the beginning to the first sound; no damage."""
    _believed_s: float = 0.0
    """All that was believed."""
    _through_s: float | None = None
    """How far the time stamps have come."""
    _sound_bytes: int = 0
    _sound_s: float = 0.0
    _damaged_packets: int = 0
    _unheard_s: float = 0.0
    """Of packets that were decoded to nothing since the last sound: missing if sound follows, else the end."""
    _unheard_packets: int = 0

    def arrived(self, packet: Any, position_s: float) -> None:
        """A packet has come, when so many seconds of the recording were read: look at its time stamp."""
        pts = packet.pts
        if pts is None:
            return
        start_s = pts * self.tick_s
        if self._through_s is None:
            self._lead(start_s - self.begins_s)
        elif start_s - self._through_s > MIN_JUMP_S:
            self._jumped(start_s - self._through_s, position_s)
        through_s = start_s + (packet.duration or 0) * self.tick_s
        if self._through_s is None or through_s > self._through_s:
            self._through_s = through_s

    def decoded(self, packet: Any, frames: list[Any]) -> None:
        """It was decoded; to nothing perhaps, as some codecs answer damage, and all of them their last padding."""
        if not frames:
            if packet.size and self._sound_s and not packet.is_discard:
                self._unheard_s += self._claimed_s(packet)
                self._unheard_packets += 1
            return
        self._lost(self._unheard_s, self._unheard_packets)
        self._unheard_s, self._unheard_packets = 0.0, 0
        decoded_s = sum(frame.samples / frame.sample_rate for frame in frames if frame.sample_rate)
        if self._through_s is not None and packet.pts is None:
            self._through_s += decoded_s
        self._sound_bytes += packet.size
        self._sound_s += decoded_s

    def damaged(self, packet: Any, position_s: float) -> None:
        """It could not be decoded."""
        lost_s = self._claimed_s(packet)
        if self.container in _WITHOUT_TIME_STAMPS and not bytes(packet).startswith(b"ID3"):
            byte_s = packet.size * self._sound_s / self._sound_bytes if self._sound_bytes else 0.0
            lost_s = max(lost_s, self._possible(byte_s, position_s))
        self._lost(lost_s, 1)

    def place(self, start_s: float) -> float:
        """The silence before the next sound, at this second of the recording, in seconds; told once."""
        lead_s, missing_s, packets = self._lead_s, self._due_s, self._damaged_packets
        self._lead_s, self._due_s, self._damaged_packets = 0.0, 0.0, 0
        start_s += lead_s
        if packets or missing_s >= _WORTH_A_WARNING_S:
            self._remember(Place(start_s, start_s + missing_s, missing_s, packets))
        return lead_s + missing_s

    def _remember(self, place: Place) -> None:
        last = self.places[-1] if self.places else None
        if last and place.start_s - last.end_s < _SAME_PLACE_S:
            last.end_s = place.end_s
            last.missing_s += place.missing_s
            last.damaged_packets += place.damaged_packets
        elif len(self.places) < _KEPT_PLACES:
            self.places.append(place)

    def _lead(self, lead_s: float) -> None:
        if lead_s > MIN_LEAD_S and not self._sound_s:
            self._lead_s = self._believed(self._possible(lead_s, 0.0))

    def _jumped(self, jump_s: float, position_s: float) -> None:
        believed_s = self._believed(self._possible(jump_s, position_s))
        self._due_s += believed_s
        if not believed_s and jump_s >= _WORTH_A_WARNING_S:
            self._damaged_packets += 1  # damage of no length: the times behind it may be too early

    def _lost(self, lost_s: float, packets: int) -> None:
        self._due_s += self._believed(lost_s)
        self._damaged_packets += packets

    def _claimed_s(self, packet: Any) -> float:
        return min(max(0, packet.duration or 0) * self.tick_s, MAX_PACKET_S)

    def _possible(self, claim_s: float, position_s: float) -> float:
        """The claim, or nothing where it cannot be true."""
        left_s = MAX_UNPROMISED_JUMP_S
        if self.promised_s is not None:
            left_s = self.promised_s - position_s - self._lead_s - self._due_s + _PROMISE_TOLERANCE_S
        return claim_s if claim_s <= min(left_s, MAX_JUMP_S) else 0.0

    def _believed(self, claim_s: float) -> float:
        """The claim, or nothing where the file has claimed too much by now."""
        if self._believed_s + claim_s > MAX_SILENCE_S + SILENCE_PER_SOUND * self._sound_s:
            return 0.0
        self._believed_s += claim_s
        return claim_s


def gap_warnings(places: list[Place]) -> list[str]:
    """A sentence for a reader, or none."""
    if not places:
        return []
    more = len(places) - _NAMED_PLACES
    where = ", ".join(_named(place) for place in places[:_NAMED_PLACES])
    elsewhere = f" and {more} other places" if more > 0 else ""
    packets = sum(place.damaged_packets for place in places)
    why = f" ({packets} damaged packets)" if packets > 1 else " (a damaged packet)" if packets else ""
    missing_s = sum(place.missing_s for place in places)
    return [f"No sound could be read at {where}{elsewhere}{why}: {missing_s:.2f} s are missing there."]


def _named(place: Place) -> str:
    if place.end_s - place.start_s < 0.1:
        return f"{place.start_s:.1f} s"
    return f"{place.start_s:.1f}–{place.end_s:.1f} s"
