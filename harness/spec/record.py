"""What every typed record of a spec, of a plan and of results is made of."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen, strict record: unknown keys are errors, nothing changes after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
