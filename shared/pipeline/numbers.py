"""Numbers of a body, none of which loses what it said: JSON has no limits, a float has."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation


class SpeltNumber(float):
    """A number that a float would spell in another way, such as 1.10, 1e2 or one with thirty digits.

    It counts as the nearest float, and its text is what was sent.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> "SpeltNumber":
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text

    @property
    def compared(self) -> str:
        """One text for one value: of numbers that are the same, however they are spelt."""
        plain = float.__repr__(self)
        try:
            exact = Decimal(self.text)
        except InvalidOperation:  # an exponent beyond what decimals hold
            return self.text
        every_digit = Context(prec=len(self.text), Emax=MAX_EMAX, Emin=MIN_EMIN)
        return plain if Decimal(plain) == exact else str(exact.normalize(every_digit))


def number(text: str) -> float:
    """For `parse_float` of JSON: an ordinary float, wherever that can be written as it was sent.

    Writers differ in when they write an exponent, and how.
    """
    plain = float(text)
    return plain if repr(plain) == text and "e" not in text else SpeltNumber(text)
