"""Entries: closed sets, unknown is None, and what is copied from a usage and a charge."""

import msgspec
import pytest

from arno.canon.usage import Usage
from arno.ledger.entry import (
    ExchangeEntry,
    GenerationEntry,
    LedgerRecord,
    cost_fields,
    token_fields,
)
from arno.ledger.ports import Totals
from arno.ledger.settle import Charge
from tests.ledger.records import STATES, full_record, record


def test_a_record_survives_json():
    for made in (record(1, exchanges=3), full_record()):
        assert msgspec.json.decode(msgspec.json.encode(made), type=LedgerRecord) == made


def test_a_full_record_leaves_no_field_at_its_default():
    made = full_record()
    for entry in (made.generation, made.exchanges[0]):
        for field in msgspec.structs.fields(entry):
            assert getattr(entry, field.name) != field.default, field.name


@pytest.mark.parametrize("state", STATES)
def test_the_states_are_a_closed_set(state):
    text = msgspec.json.encode(record(1, state=state))
    assert msgspec.json.decode(text, type=LedgerRecord).generation.state == state
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text.replace(state.encode(), b"fine"), type=LedgerRecord)


def test_what_is_not_known_is_none():
    made = record(1, input_tokens=None, output_tokens=None, cost_nano=None).generation
    assert (made.cache_read_tokens, made.reasoning_tokens, made.latency_ms) == (None, None, None)
    assert (made.input_tokens, made.cost_nano) == (None, None)


def test_exchanges_belong_to_their_generation():
    first, second = record(1), record(2)
    with pytest.raises(ValueError, match="another generation"):
        LedgerRecord(first.generation, second.exchanges)
    with pytest.raises(ValueError, match="one attempt number"):
        LedgerRecord(first.generation, first.exchanges * 2)


def test_token_fields_fit_both_kinds_of_entry():
    usage = Usage(input=10, output=5, cache_read=4, cache_write_5m=1, cache_write_1h=2, reasoning=3)
    fields = token_fields(usage)
    assert fields == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": 4,
        "cache_write_tokens": 3,
        "cache_write_1h_tokens": 2,
        "reasoning_tokens": 3,
        "tokens_basis": "reported",
    }
    assert fields.keys() <= set(GenerationEntry.__struct_fields__)
    assert fields.keys() <= set(ExchangeEntry.__struct_fields__)


@pytest.mark.parametrize(
    ("usage", "estimated", "basis"),
    [
        (None, False, "unknown"),
        (None, True, "unknown"),
        (Usage(), False, "unknown"),
        (Usage(output=0), False, "reported"),
        (Usage(input=7), True, "estimated"),
    ],
)
def test_counts_say_where_they_come_from(usage, estimated, basis):
    fields = token_fields(usage, estimated=estimated)
    assert fields["tokens_basis"] == basis
    assert fields["cache_write_tokens"] is None


def test_a_charge_is_copied_with_both_figures():
    charge = Charge(
        nano=1, basis="reported", reported="1e-9", computed_nano=2, differs=True, price_source="p"
    )
    fields = cost_fields(charge)
    assert fields == {
        "cost_nano": 1,
        "cost_basis": "reported",
        "cost_reported": "1e-9",
        "cost_computed_nano": 2,
        "cost_differs": True,
        "price_source": "p",
    }
    assert fields.keys() <= set(GenerationEntry.__struct_fields__)


def test_totals_count_what_is_known_and_what_is_not():
    sums = Totals()
    for made in (
        record(1, cost_nano=5, input_tokens=1, output_tokens=2),
        record(2, cost_nano=None, cost_basis="unpriced", input_tokens=None, output_tokens=4),
        record(
            3, exchanges=0, state="refused", cost_nano=None, input_tokens=None, output_tokens=None
        ),
        record(4, cost_nano=0, input_tokens=10, output_tokens=None),
    ):
        sums = sums.plus(made)
    assert sums == Totals(requests=4, cost_nano=5, unpriced_requests=1, input=11, output=6)
