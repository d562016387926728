"""λ capacity serialises itself: one pass at a time holds the lease, a loser asks for another pass and leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.jobs.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEASE_PK = "lease#capacity"
LONGEST_S = 900.0
"""No function lives longer: a lease beyond that was not written by one."""


class Lease:
    """A lease item: ``owner`` until ``lease_until``; ``again`` is set by whoever found it taken."""

    def __init__(self, client: DynamoDBClient, table: str, owner: str, duration_s: float) -> None:
        self._client = client
        self._table = table
        self._owner = owner
        self._duration_s = duration_s

    def acquire(self, now: float, words: Sequence[str] = ()) -> list[str] | None:
        """Take the lease if it is free, ours, or ran out: ``words``, and those left with a holder that died.

        None if another holds it, who is asked for another pass and left ``words``. A row edited into nonsense, or into
        the far future, holds nobody up.
        """
        try:
            response = self._client.put_item(
                TableName=self._table,
                Item=to_item({"pk": LEASE_PK, "owner": self._owner, "lease_until": now + self._duration_s}),
                ConditionExpression="attribute_not_exists(lease_until) OR lease_until < :now OR lease_until > :far"
                " OR NOT attribute_type(lease_until, :number) OR #owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=to_item(
                    {":now": now, ":far": now + LONGEST_S, ":number": "N", ":owner": self._owner}
                ),
                ReturnValues="ALL_OLD",
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return self._ask_again(now, words)
        return [*words, *_words(response.get("Attributes", {}))]

    def release(self) -> list[str] | None:
        """Give the lease back; the words of others if they asked for another pass meanwhile, else None."""
        try:
            response = self._client.delete_item(
                TableName=self._table,
                Key=to_item({"pk": LEASE_PK}),
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=to_item({":owner": self._owner}),
                ReturnValues="ALL_OLD",
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return None  # it ran out and another pass took it: that one sees the present state
        return _words(response["Attributes"]) if "again" in response["Attributes"] else None

    def _ask_again(self, now: float, words: Sequence[str]) -> list[str] | None:
        """Set ``again`` on the holder's lease; if it was released in between, take it after all."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item({"pk": LEASE_PK}),
                UpdateExpression="SET again = list_append(if_not_exists(again, :none), :words)",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=to_item({":none": [], ":words": list(words)}),
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return self.acquire(now, words)
        return None


def _words(item: Mapping[str, Any]) -> list[str]:
    again = from_item(item).get("again")
    return [word for word in again if isinstance(word, str)] if isinstance(again, list) else []


def _is_refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
