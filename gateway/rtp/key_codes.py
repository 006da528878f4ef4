"""Codes of several keys, such as `*9`, found in the keys that somebody presses one after the other. Sans-IO."""

from dataclasses import dataclass

__all__ = ["KeyCodes"]


@dataclass(slots=True)
class KeyCodes:
    """Watches for these codes; the keys of one follow each other within `within_s`."""

    codes: tuple[str, ...]
    within_s: float = 4.0
    _keys: tuple[tuple[str, float], ...] = ()

    def pressed(self, digit: str, began_at: float) -> str | None:
        """One key press; the code that it completed."""
        self._keys = self._with(digit, began_at)
        found = self._found(self._keys)
        if found is not None:
            self._keys = ()
        return found

    def completes(self, digit: str, at: float) -> bool:
        """Whether a code would be whole with this key, which is still down."""
        return self._found(self._with(digit, at)) is not None

    def _with(self, digit: str, at: float) -> tuple[tuple[str, float], ...]:
        fresh = [key for key in self._keys if at - key[1] <= self.within_s]
        return (*fresh, (digit, at))[-max(map(len, self.codes), default=1) :]

    def _found(self, keys: tuple[tuple[str, float], ...]) -> str | None:
        pressed = "".join(key for key, _ in keys)
        return next((code for code in self.codes if pressed.endswith(code)), None)
