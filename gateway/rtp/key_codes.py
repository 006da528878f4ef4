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
        fresh = [key for key in self._keys if began_at - key[1] <= self.within_s]
        self._keys = (*fresh, (digit, began_at))[-max(map(len, self.codes)) :]
        pressed = "".join(key for key, _ in self._keys)
        found = next((code for code in self.codes if pressed.endswith(code)), None)
        if found is not None:
            self._keys = ()
        return found
