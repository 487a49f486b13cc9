"""The conversation that the demonstration has, and that `scripts/record_harbour.py` recorded."""

from __future__ import annotations

from typing import Annotated, Final

from arno.agent import tool

MODEL: Final = "arno/harbour-1"
INSTRUCTIONS: Final = "You are a harbour clerk."
PROMPT: Final = "Which boats leave Port Amber today?"
MAX_TOKENS: Final = 1000
BOATS: Final = "08:40 Île d'Avel, quay 2; 11:15 Skärsund, quay 5"


@tool
def departures(harbour: Annotated[str, "the harbour's name"]) -> str:
    """List today's departures from a harbour"""
    return BOATS if harbour == "Port Amber" else f"There is no harbour called {harbour}"
