"""The metrics of a deployment by name: whoever emits one and whoever reads it (alarms, dashboard) mean the same.

All are in one namespace and carry the deployment as their only dimension, so that each is one metric on the bill.
Nothing is emitted while nothing happens: CloudWatch bills a metric by the hours in which it got a value.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "avskrift"
DIMENSION = "deployment"


@dataclass(frozen=True, slots=True)
class Metric:
    """``unit`` as CloudWatch spells it; ``statistic`` is how values of one period are put together to be looked at."""

    name: str
    unit: str
    statistic: str
    meaning: str


# What λ capacity sees in a pass.
QUEUED_JOBS = Metric("QueuedJobs", "Count", "Maximum", "jobs that wait for an instance")
RUNNING_JOBS = Metric("RunningJobs", "Count", "Maximum", "jobs that an agent works on")
OLDEST_WAIT = Metric("OldestWait", "Seconds", "Maximum", "how long the oldest queued job that is due has waited")
SPOT_INSTANCES = Metric("SpotInstances", "Count", "Maximum", "spot instances that are pending or running")
ON_DEMAND_INSTANCES = Metric("OnDemandInstances", "Count", "Maximum", "on-demand instances, the same")
OVERDUE_INSTANCES = Metric("OverdueInstances", "Count", "Maximum", "instances older than their maximum life")
INSTANCES_LAUNCHED = Metric("InstancesLaunched", "Count", "Sum", "instances that fleets brought")
BARREN_PASSES = Metric("BarrenPasses", "Count", "Sum", "passes that left jobs in a hurry without any instance")
LOST_BEATS = Metric("LostBeats", "Count", "Sum", "running jobs whose agent fell silent")
CAPACITY_FAULTS = Metric("CapacityFaults", "Count", "Sum", "actions of capacity that failed")
MALFORMED_ROWS = Metric("MalformedRows", "Count", "Sum", "rows that were edited into nonsense")
IMAGE_MISSING = Metric("ImageMissing", "Count", "Sum", "passes with work and without a machine image")
SPENT_TODAY = Metric("SpentToday", "None", "Maximum", "US dollars of instance time today, by our own estimate")
SPEND_LIMIT_REACHED = Metric("SpendLimitReached", "Count", "Sum", "passes whose launch the daily limit forbade")

#: Launches that brought less than was asked for, by :class:`avskrift.jobs.launch_errors.LaunchFault`.
LAUNCH_FAULTS = {
    kind: Metric(f"LaunchFaults{kind.title()}", "Count", "Sum", f"answers of EC2 to launches: {meaning}")
    for kind, meaning in (
        ("capacity", "it had none to give"),
        ("quota", "the account's quota is used up"),
        ("addresses", "a subnet has no free address"),
        ("configuration", "template, image or type are wrong"),
        ("permission", "not allowed"),
        ("other", "something else"),
    )
}

# What reaches the deployment.
JOBS_REGISTERED = Metric("JobsRegistered", "Count", "Sum", "recordings that became jobs")
JOBS_RECONCILED = Metric("JobsReconciled", "Count", "Sum", "of these, those whose event had got lost")
RECONCILE_FAULTS = Metric("ReconcileFaults", "Count", "Sum", "uploads that reconcile could not look after")
MALFORMED_MESSAGES = Metric("MalformedMessages", "Count", "Sum", "messages that are none of ours, dropped")

# What becomes of jobs, said once by whoever ends one; cancellations by λ capacity, whoever asked for them.
JOBS_COMPLETED = Metric("JobsCompleted", "Count", "Sum", "jobs that brought a transcript")
JOBS_FAILED = Metric("JobsFailed", "Count", "Sum", "jobs that failed")
JOBS_UNSERVED = Metric("JobsUnserved", "Count", "Sum", "of those that failed, jobs that no instance could be had for")
JOBS_CANCELLED = Metric("JobsCancelled", "Count", "Sum", "jobs that were cancelled")
JOB_COST = Metric("JobCost", "None", "Sum", "US dollars of ended jobs")
AUDIO = Metric("Audio", "Seconds", "Sum", "audio transcribed")
REAL_TIME_FACTOR = Metric("RealTimeFactor", "None", "Average", "seconds of work for a second of audio")

#: Seconds of a job's life, by the later of the two phases of :attr:`avskrift.jobs.model.Job.phases` it lies between.
PHASES = {
    phase: Metric(f"Phase{phase.title().replace('_', '')}", "Seconds", "Average", meaning)
    for phase, meaning in (
        ("claimed", "from queued to claimed"),
        ("downloaded", "from claimed to the recording on disk"),
        ("model_ready", "from downloaded to a loaded model"),
        ("transcribed", "of transcription"),
        ("stored", "of storing results"),
        ("delivered", "from the end of the job to its delivered webhook"),
    )
}
BOOT = Metric("Boot", "Seconds", "Average", "from the launch of an instance to its first claim")

# Webhooks, by agents and λ deliver.
WEBHOOK_ATTEMPTS = Metric("WebhookAttempts", "Count", "Sum", "attempts at a webhook")
WEBHOOK_FAILURES = Metric("WebhookFailures", "Count", "Sum", "attempts that were not answered by 2xx")
WEBHOOKS_ABANDONED = Metric("WebhooksAbandoned", "Count", "Sum", "webhooks given up for good")
