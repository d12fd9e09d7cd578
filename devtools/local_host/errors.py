"""What stops the host, as lines for the person who started it."""


class HostError(Exception):
    """The app, its settings or this machine do not allow a start. Exit status 2."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
