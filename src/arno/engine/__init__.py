"""One generation: choose candidates, run exchanges until first output, settle."""

from arno.engine.call import Call, Caller, Downstream, Outcome
from arno.engine.engine import Engine, EngineSettings

__all__ = ["Call", "Caller", "Downstream", "Engine", "EngineSettings", "Outcome"]
