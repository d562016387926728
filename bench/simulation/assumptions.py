"""What the model takes for granted, each with its source; ``docs/scaling.md`` lists them with their dates."""

from __future__ import annotations

from dataclasses import dataclass, field

AUDIO_MAX_S = 43_200.0
"""The deployment's ``max_duration_s``."""
VCPUS_PER_INSTANCE = 4
"""g4dn.xlarge, g5.xlarge and g6.xlarge alike."""
SQS_IN_FLIGHT_LIMIT = 120_000
INDEX_WRITES_PER_S_LIMIT = 1_000
"""Of one partition of a table's index: all jobs of one status share one."""
EC2_TOKENS = 1_000
EC2_TOKENS_PER_S = 2
"""The bucket of RunInstances' resources: a token for each instance."""
CAPACITY_TIMEOUT_S = 60
ITEM_LIMIT_BYTES = 409_600
"""DynamoDB's largest item: λ capacity's memory is one."""


@dataclass(frozen=True)
class Work:
    """The recordings, and how long one takes."""

    audio_median_s: float = 300.0
    audio_sigma: float = 1.2
    """Of the lognormal: mean 616 s, 1% over 82 minutes."""
    bitrates_bytes_per_s: tuple[int, ...] = (4_000, 8_000, 16_000, 32_000, 176_400)
    bitrate_weights: tuple[float, ...] = (0.15, 0.2, 0.4, 0.15, 0.1)
    """The policy estimates work from bytes at 16,000 a second; recordings do not keep to that."""
    real_time_factors: dict[str, float] = field(
        default_factory=lambda: {"g4dn.xlarge": 30.0, "g6.xlarge": 45.0, "g5.xlarge": 50.0}
    )
    """Audio seconds per second: for the T4 what the policy assumes; the others by their memory bandwidth and price."""
    speed_sigma: float = 0.25
    overhead_s: float = 3.0
    """Of each job: claim, VAD, results, transaction."""
    download_bytes_per_s: float = 80e6
    checkpoint_every_s: float = 60.0
    """Wall seconds between uploads of a checkpoint; a hand-back uploads all that is finished."""
    hand_back_s: float = 3.0
    bad_media: float = 0.005
    """Share that ends failed at once, as what it is."""
    crashing: float = 0.000_2
    """Share that takes its worker down at every attempt."""
    webhook_s: float = 0.2
    webhook_timeout_s: float = 5.0


@dataclass(frozen=True)
class Machines:
    """EC2: how instances come and go."""

    zones: int = 3
    boot_median_s: float = 55.0
    boot_sigma: float = 0.35
    """Launch to first poll of the queue, the model loaded; 1% take over 124 s."""
    broken_boots: float = 0.002
    """Share that never starts its agent and stays until somebody ends it."""
    describe_lag_s: float = 3.0
    """DescribeInstances is behind by up to so much."""
    spot_depth: int = 150
    on_demand_depth: int = 300
    """Instances that one type in one zone can give."""
    interruptions_per_h: float = 0.03
    """Of a spot instance, outside of outages."""
    unnoticed: float = 0.05
    """Share of interruptions that come without their notice."""
    notice_s: float = 120.0
    spot_outages_per_day: float = 2.0
    """Of a zone, all types at once."""
    spot_outage_mean_s: float = 2_700.0
    spreading: float = 0.3
    """Share of outages that take all zones."""
    taken_in_outage: float = 0.5
    """Share of a zone's spot instances that get their notice when its outage begins."""
    on_demand_outages_per_day: float = 0.3
    on_demand_outage_mean_s: float = 1_800.0
    """Of one type in one zone."""
    deaths_per_h: float = 0.002
    """Of an instance: hardware, kernel, agent; nobody is told."""
    zombies: float = 0.2
    """Share of deaths after which EC2 still shows the instance as running."""


@dataclass(frozen=True)
class Plumbing:
    """Lambdas, queues and receivers: seconds, and how many at once."""

    event_lag_median_s: float = 0.8
    """S3 → EventBridge → SQS → the function."""
    event_lag_sigma: float = 0.5
    duplicates: float = 0.001
    """Share of events that come twice."""
    register_concurrency: int = 5
    register_batch: int = 10
    register_each_s: float = 0.06
    """HeadObject, PutItem, SendMessage."""
    invoke_s: float = 0.1
    pass_base_s: float = 0.35
    """DescribeInstances, three queries, GetItem, GetQueueAttributes, GetParameter, PutItem."""
    pass_row_s: float = 0.000_25
    """Reading one row of the index at 512 MB (measured: 0.04 ms on a whole core; here 0.29 of one), and its page."""
    pass_running_s: float = 0.005
    """The strongly consistent read of each running job."""
    action_s: float = 0.02
    launch_s: float = 1.5
    """One CreateFleet."""
    throttled_s: float = 3.0
    """One that was refused as too many: botocore tries it again by itself before it gives up."""
    count_lag_s: float = 1.0
    """The queue's approximate counts are that old."""
    deliver_concurrency: int = 3
    outages_per_day: float = 1.0
    """Of the receiver."""
    outage_mean_s: float = 1_200.0
    hanging: float = 0.5
    """Share of outages in which the receiver takes the connection and says nothing."""


@dataclass(frozen=True)
class Faults:
    """What the model can break beyond the everyday: all zero in a plain run, drawn at random by the property tests."""

    lost_nudges: float = 0.0
    lost_messages: float = 0.0
    lost_webhook_messages: float = 0.0
    skipped_passes: float = 0.0
    doubled_passes: float = 0.0
    forgotten_passes: float = 0.0
    """Passes that acted, but died before they wrote their memory; the lease stands until it runs out."""
    refused_memories: float = 0.0
    """Passes whose memory was refused by the table, with the lease given back."""
    throttled_launches: float = 0.0
    lost_answers: float = 0.0
    """Launches that happened, but whose answer did not arrive."""
    silent_finishes: float = 0.0
    """Attempts whose agent dies between the transaction and the webhook."""
    pauses: float = 0.0
    """Attempts in which the agent can't reach AWS for a while."""
    pause_s: float = 120.0
    index_lag_s: float = 0.0


@dataclass(frozen=True)
class Assumptions:
    work: Work = Work()
    machines: Machines = Machines()
    plumbing: Plumbing = Plumbing()
    faults: Faults = Faults()
