"""Tasks: what is to be predicted."""

from typing import Annotated

from pydantic import Field, model_validator

from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.errors import Wrong


class Task(Strict):
    """What is to be predicted: a data set and a label map."""

    dataset: Name = Field(description="a name under datasets")
    groups: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(
        None, description="label map, group name -> classes (0-based); null: the classes themselves"
    )
    leave_out: list[Annotated[int, Field(ge=0)]] = Field([], description="classes whose examples are not used")

    @model_validator(mode="after")
    def _is_partition(self):
        if self.groups is None:
            if self.leave_out:
                raise Wrong("conflict", "", "leave_out goes with groups: name the groups of the classes that stay")
            return self
        if len(self.groups) < 2:
            raise Wrong("too_short", "groups", "a task needs two groups or more: there is nothing to tell apart")
        if "leave_out" in self.groups:
            raise Wrong("conflict", "groups.leave_out", "leave_out stands beside groups, not in it: move or rename it")
        owner: dict[int, str] = {}
        for name, members in [*self.groups.items(), ("leave_out", self.leave_out)]:
            if not name.strip():
                raise Wrong("bad_value", "groups", f"a group is called {name!r}: give it a name")
            if not members and name != "leave_out":
                raise Wrong("too_short", f"groups.{name}", "the group is empty: give it a class, or remove it")
            for member in members:
                if member in owner:
                    raise Wrong(
                        "repeated", "", f"class {member} is in {owner[member]!r} and in {name!r}: keep one of them"
                    )
                owner[member] = name
        return self

    def check_classes(self, n_classes: int) -> None:
        """Raise Wrong unless the label map names exactly the classes 0..n_classes-1."""
        if self.groups is None:
            return
        named = {member for members in [*self.groups.values(), self.leave_out] for member in members}
        if absent := sorted(named - set(range(n_classes))):
            raise Wrong(
                "unknown_name",
                "",
                f"class {absent[0]} is not in {self.dataset!r}, whose classes are 0 to {n_classes - 1}: remove it",
            )
        if missing := sorted(set(range(n_classes)) - named):
            raise Wrong(
                "missing",
                "",
                f"class {missing[0]} of {self.dataset!r} is in no group: add it to one, or list it in leave_out",
            )
