"""Values that are worked out when they are first asked for."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class lazy(Generic[T]):
    """Work a property out once, as functools.cached_property does, without its lock, which Python 3.12 drops, too."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> T:
        value: T = self.compute(instance)
        object.__setattr__(instance, self.name, value)  # its `__dict__` would make what else it has slow to read
        return value


def work_out(instance: object) -> None:
    """Work out at once whatever of an instance is worked out late."""
    for name, value in vars(type(instance)).items():
        if isinstance(value, lazy):
            getattr(instance, name)


class Table(dict[K, T]):
    """Work out what follows from each key once; what was found before is forgotten when it is too much."""

    __slots__ = ("compute", "many")

    def __init__(self, compute: Callable[[K], T], many: int) -> None:
        super().__init__()
        self.compute = compute
        self.many = many

    def __missing__(self, key: K) -> T:
        value = self.compute(key)
        if len(self) >= self.many:
            self.clear()
        self[key] = value
        return value
