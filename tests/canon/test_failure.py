"""The two families: failures are values, mistakes of a caller are raised."""

import pytest

from arno.canon.failure import (
    Failure,
    FailureKind,
    LocalError,
    OrderError,
    RequestError,
    Stage,
)


def test_a_failure_is_a_value_and_no_exception() -> None:
    failure = Failure(FailureKind.SERVER, "no")
    assert not isinstance(failure, BaseException)
    assert failure == Failure(FailureKind.SERVER, "no")
    field = "message"
    with pytest.raises(AttributeError):
        setattr(failure, field, "other")


def test_an_unknown_failure_is_not_retried_and_claims_nothing() -> None:
    failure = Failure(FailureKind.SERVER, "no")
    assert (failure.status, failure.code, failure.retry_after) == (None, None, None)
    assert failure.retryable is False
    assert failure.stage is Stage.BEFORE_HEAD


@pytest.mark.parametrize("error", [RequestError("no", "messages[0]"), OrderError("no")])
def test_local_errors_are_one_family(error: Exception) -> None:
    assert isinstance(error, LocalError)
    assert str(error) == "no"


def test_a_request_error_names_the_field() -> None:
    error = RequestError("no", "messages[0]")
    assert (error.message, error.path) == ("no", "messages[0]")
    assert RequestError("no").path == ""
